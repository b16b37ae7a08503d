"""Tasks: one variable each that is drawn with a key, and what drawing it is inside a program."""

import math
from collections.abc import Hashable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxscope._core.drawing.keys import fold
from jaxscope._core.initializers.base import Initializer, as_constant
from jaxscope._core.initializers.laws import Law, barrier

__all__ = ["LARGE", "Key", "Task", "as_array", "folded", "foreign"]

_config: Any = jax.config  # whose flags have no types

#: Variables above this many bytes are never stacked, padded or sent from the host.
LARGE = 2**20


class Task(NamedTuple):
    """One variable to be drawn with a key: by a law, or by a foreign function of some kind."""

    at: int
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    law: Law | None
    initializer: Any
    kind: Hashable | None

    @property
    def nbytes(self) -> int:
        """The size of the value."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def small(self) -> bool:
        """Whether it may be stacked, padded or sent from the host."""
        return self.nbytes <= LARGE


class Key:
    """The user's key, taken apart."""

    def __init__(self, data: jax.Array, impl: Any) -> None:
        self.data = data
        self.impl = impl

    @property
    def threefry(self) -> bool:
        """Whether draws of several keys may be mapped without another result."""
        return str(self.impl) in ("threefry2x32", "fry")

    @property
    def extensible(self) -> bool:
        """Whether a longer draw begins with the shorter one's bits."""
        return self.threefry and bool(_config.jax_threefry_partitionable)


def folded(data: jax.Array, words: jax.Array, impl: Any, *, several: bool) -> jax.Array:
    """Return the raw data of one variable's key, or of each one's, from the raw data of the user's key."""

    def one(pair: jax.Array) -> jax.Array:
        return jax.random.key_data(fold(jax.random.wrap_key_data(data, impl=impl), pair))

    data_of_keys: jax.Array = jax.vmap(one)(words) if several else one(words)
    return data_of_keys


def foreign(data: jax.Array, impl: Any, initializer: Any, shape: tuple[int, ...], dtype: Any) -> jax.Array:
    """Draw by a function `(key, shape, dtype)`, behind barriers; only for use inside `jax.jit`."""
    key = jax.random.wrap_key_data(barrier(data), impl=impl)
    # An initializer of ours without a law draws by a method, which expects to be inside of jit.
    function = initializer.draw if isinstance(initializer, Initializer) else initializer
    value: jax.Array = barrier(jnp.asarray(as_array(function(key, shape, dtype)), dtype))
    return value


def as_array(result: Any) -> Any:
    """Return what an initializer gave as a NumPy or JAX array; None if it is none."""
    if isinstance(result, jax.Array | np.ndarray | np.generic | bool | int | float | complex | list | tuple):
        return as_constant(result)
    return as_constant(result) if hasattr(result, "__jax_array__") else None
