"""What the tests of checkpoints save: one small model, trained a little, with everything that goes along."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec as P

import jaxscope as js


@js.transform
def gpt(x: jax.Array) -> jax.Array:
    """Map (batch, 8) to (batch, 8); six variables, one of them a counter that is not trained."""
    with js.variable_scope("gpt"):
        for number in range(2):
            with js.variable_scope(f"layer_{number}"):
                x = x @ js.get_variable("kernel", [8, 8], partitioner=P(None, "model"))
                x = x + js.get_variable("bias", [8], initializer=js.initializers.zeros)
        js.get_variable("seen", [], "int32", trainable=False, initializer=js.initializers.zeros)
        return x * js.get_variable("scale", [8], initializer=js.initializers.ones)


X = jnp.ones((2, 8))
SPECS = gpt.spec(X)
VARIABLES = SPECS.init(jax.random.key(0))
FORMATS = ["model.safetensors", "model.npz", "model.ckpt", "model"]  # the last is a folder


def same(one: Any, other: Any) -> None:
    """Assert that two trees have one structure, and bitwise the same arrays of the same types."""
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for mine, yours in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert mine.dtype == yours.dtype
        assert mine.shape == yours.shape
        keys = jnp.issubdtype(mine.dtype, jax.dtypes.prng_key)
        both = map(jax.random.key_data, (mine, yours)) if keys else (mine, yours)
        assert len({np.asarray(each).tobytes() for each in both}) == 1
