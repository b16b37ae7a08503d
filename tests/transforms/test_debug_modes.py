"""JAX's debugging modes show of a model what they show of plain JAX."""

from typing import Any

import jax
import jax.numpy as jnp
import pytest

import jaxscope as js

X = jnp.float32(1)


def log(x: Any) -> Any:
    return jnp.log(x * js.get_variable("w", []))


@pytest.mark.parametrize("inner", [jax.jit, jax.jit(log), lambda x: jax.checkpoint(log)(x), log, js.jit(log)])
@pytest.mark.parametrize("outer", [lambda f: f, jax.jit])
def test_a_nan_is_found(inner: Any, outer: Any):
    """`jax_debug_nans` runs jitted functions again to find the operation, which asks again."""
    net = js.transform((lambda x: inner(log)(x)) if inner is jax.jit else (lambda x: inner(x)))
    with jax.debug_nans(True), pytest.raises(FloatingPointError):
        jax.block_until_ready(outer(net.apply)({"w": X}, -X))


def test_a_nan_behind_a_default_name():
    """Where the scopes entered again have other numbers, the NaN is told all the same."""

    def numbered(x: Any) -> Any:
        with js.variable_scope(None, "d"):
            return log(x)

    net = js.transform(lambda x: jax.jit(numbered)(x))
    with jax.debug_nans(True), pytest.raises(FloatingPointError):
        jax.block_until_ready(net.apply({"d/w": X}, -X))


@pytest.mark.parametrize(
    "model",
    [
        log,
        lambda x: jax.jit(lambda x: log(x))(x),
        js.scan_layers(log, 2),
        lambda x: jax.vmap(log)(x * jnp.ones(2)),
    ],
    ids=["plain", "jit", "scan_layers", "vmap"],
)
def test_nothing_leaks(model: Any):
    """Under `jax.checking_leaks`, no trace of a call is reachable when it ends."""
    net = js.transform(model)
    given = net.init(jax.random.key(0), X)
    with jax.checking_leaks():
        js.transform(lambda x: model(x)).apply(given, X)
        jax.jit(js.transform(lambda x: model(x)).apply)(given, X)
        net.spec(X)


def test_without_jit():
    """Under `jax.disable_jit` a model comes to what it comes to."""

    def layer(x: Any) -> Any:
        with js.variable_scope(None, "layer"):
            return jnp.tanh(x * js.get_variable("w", []))

    net = js.transform(lambda x: jax.jit(layer)(jax.jit(layer)(x)))
    given = net.init(jax.random.key(0), X)
    with jax.disable_jit():
        found = net.apply(given, X)
    assert jnp.allclose(found, net.apply(given, X))
