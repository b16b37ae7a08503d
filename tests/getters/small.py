"""Small models, and getters around them."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

import jaxscope as js

KEY = jax.random.key(0)
L2 = js.regularizers.l2(0.1)


def around(getter: Any, function: Callable[..., Any], name: str = "m") -> Any:
    """Return a transformed function that runs another in a scope with a getter."""

    @js.transform
    def net(*args: Any) -> Any:
        with js.variable_scope(name, custom_getter=getter):
            return function(*args)

    return net


def weight(*, shape=(4, 3), dtype=None, **options):
    """Return a model of one weight `w`."""
    return lambda: js.get_variable("w", shape, dtype, **options)


def two_layers(x):
    """Return what two layers make of x, with weights and vectors."""
    with js.variable_scope("a"):
        x = jnp.tanh(x @ js.get_variable("w", [x.shape[-1], 4]) + js.get_variable("b", [4]))
    with js.variable_scope("b"):
        return x @ js.get_variable("w", [4, 2])


def noise(variables: js.Variables, seed: int = 1) -> js.Variables:
    """Return variables with noise on those that are trained, so that nothing is 0 by chance."""

    def noisy(at: int, value: jax.Array) -> jax.Array:
        drawn = jax.random.normal(jax.random.fold_in(jax.random.key(seed), at), value.shape)
        return (value + 0.3 * drawn.astype(value.dtype)).astype(value.dtype)

    trained = {name: noisy(at, value) for at, (name, value) in enumerate(variables.trainable.items())}
    return variables.replace(trained)
