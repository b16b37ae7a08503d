"""jaxscope works whatever switches of JAX its users have turned on, and gives the same values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxscope as js

SWITCHES = {
    "rank promotion is an error": lambda: jax.numpy_rank_promotion("raise"),
    "dtype promotion is an error": lambda: jax.numpy_dtype_promotion("strict"),
    "any dtype promotion": lambda: jax.numpy_dtype_promotion("standard"),
    "leaks are errors": jax.checking_leaks,
    "NaNs are errors": lambda: jax.debug_nans(True),
    "infinities are errors": lambda: jax.debug_infs(True),
    "transfers are errors": lambda: jax.transfer_guard_device_to_host("disallow"),
    "no jit": jax.disable_jit,
    "highest precision": lambda: jax.default_matmul_precision("highest"),
}


def dense(x, units, name, initializer):
    with js.variable_scope(name, initializer=initializer):
        kernel = js.get_variable(
            "kernel", [x.shape[-1], units], regularizer=js.regularizers.l2_regularizer(0.1)
        )
        bias = js.get_variable("bias", [1, units], initializer=js.initializers.zeros)
    return x @ kernel + bias


def train(x):
    """Return variables, the loss, its gradient, and the state after a step; by all that a pass can do."""

    @js.transform
    def net(x, key):
        calls = js.get_variable("calls", [], jnp.int32, js.initializers.zeros, trainable=False)
        js.set_variable("calls", calls + 1)
        with js.random_keys(key):
            x = x + jax.random.normal(js.next_key(), x.shape)
        for name, initializer in {
            "default": None,
            "orthogonal": js.initializers.orthogonal,
            "truncated": js.initializers.truncated_normal(stddev=0.1),
            "constant": js.initializers.constant(0.5),
        }.items():
            x = jnp.tanh(dense(x, 3, name, initializer))
        return jnp.mean(x**2) + sum(js.get_collection(js.GraphKeys.REGULARIZATION_LOSSES))

    key = jax.random.key(0)
    variables = net.init(key, x, key)

    @jax.jit
    def step(params, state):
        return jax.value_and_grad(
            lambda params: net.apply_with_state(params | state, x, key),
            has_aux=True,
        )(params)

    return variables, step(variables.trainable, variables.non_trainable)


@pytest.fixture(scope="module")
def expected():
    return train(jnp.ones([2, 4]))


@pytest.mark.parametrize("switch", SWITCHES)
def test_same_values_under(switch, expected):
    """Init, apply with state and the gradient are as under JAX's defaults; initial values to the bit."""
    x = jnp.ones([2, 4])
    with SWITCHES[switch]():
        actual = train(x)
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6), actual, expected)
    jax.tree.map(np.testing.assert_array_equal, actual[0], expected[0])
