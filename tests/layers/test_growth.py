"""Programs of deep models grow with the depth, not with its square, whatever normalizes their residuals."""

import functools

import jax
import jax.numpy as jnp
import pytest

import jaxscope as js
from jaxscope import layers
from tests.layers.at_once import OPTIONS

TRAIN = functools.partial(layers.batch_normalization, training=True, updates_collection=None)
NORMS = {
    "layer_norm": functools.partial(layers.layer_norm, begin_norm_axis=-1),
    "rms_norm": layers.rms_norm,
    "group_norm": functools.partial(layers.group_norm, groups=2),
    "instance_norm": layers.instance_norm,
    "batch_normalization": TRAIN,
}


def lines(norm, depth):
    """Return how many lines the optimized program of a pre-norm model's gradient has."""

    @js.transform
    def net(x):
        for index in range(depth):
            with js.variable_scope(f"layer_{index}"):
                x = x + layers.dense(jax.nn.gelu(layers.dense(norm(x), 16)), 8)
        return x

    def loss(trainable, state, x):
        return jnp.sum(jnp.sin(net.apply_with_state(trainable | state, x)[0]))

    x = jnp.zeros([4, 3, 8])
    variables = jax.eval_shape(net.init, jax.random.key(0), x)
    lowered = jax.jit(jax.grad(loss)).lower(variables.trainable, variables.non_trainable, x)
    return lowered.compile(compiler_options=OPTIONS).as_text().count("\n")


@pytest.mark.parametrize("name", NORMS)
def test_lines(name):
    """From 4 to 8 layers a program grows by twice as much as from 2 to 4.

    XLA computes again what an array is made of, in each of two sums that wait for each other: without a
    barrier it is nearly three times as much, and programs of 24 layers take several times as long to compile.
    """
    small, middle, large = (lines(NORMS[name], depth) for depth in (2, 4, 8))
    assert large - middle < 2.1 * (middle - small)
