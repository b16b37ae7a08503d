"""Ways to run a block, and what each means by hand: a call, a loop over layers, members side by side."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

import jaxscope as js

Block = Callable[..., Any]
Lift = Callable[[Block], Block]


def as_it_is(block: Block) -> Block:
    return block


def loop(block: Block, length: int = 3) -> Block:
    def run(x: Any) -> Any:
        for index in range(length):
            with js.variable_scope(f"layer_{index}"):
                x = block(x)
        return x

    return run


def scanned(block: Block, length: int = 3) -> Block:
    return js.scan_layers(block, length)


def side_by_side(block: Block) -> Block:
    def run(x: Any) -> Any:
        found: list[Any] = []
        for index in range(3):
            with js.variable_scope(f"layer_{index}"):
                found.append(block(x))
        return jnp.stack(found)

    return run


def ensemble(block: Block) -> Block:
    return js.ensemble(block, 3, "layer_{}")


# --- blocks ----------------------------------------------------------------------------------------


def layer(x: jax.Array) -> jax.Array:
    return jnp.tanh(x @ js.get_variable("w", [3, 3]))


def counting(x: jax.Array) -> jax.Array:
    n = js.get_variable("n", [], initializer=js.initializers.zeros, trainable=False)
    js.set_variable("n", n + 1)
    return layer(x) * (1 + n)
