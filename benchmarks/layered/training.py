"""A train step of loss, gradient and adamw, in the form that every row can run."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import optax

optimizer = optax.adamw(1e-3)

Step = Callable[..., tuple[Any, jax.Array]]


@dataclass(frozen=True)
class Training:
    """How one library trains one model.

    Attributes:
        init: `(key, *batch) -> state`, run eagerly, as the library's pages show it.
        jitted: Returns a step `(state, *batch) -> (state, loss)` in a jit of its own, which takes the state
            over and has `lower`.
        step: The step as a pure function of arrays, where it is one.
    """

    init: Callable[..., Any]
    jitted: Callable[[], Any]
    step: Step | None = None


def functional(init: Callable[..., tuple[Any, Any]], loss: Callable[..., tuple[jax.Array, Any]]) -> Training:
    """Return the training of a library whose models are pure functions.

    Args:
        init: `(key, *batch) -> (weights, rest)`, what is trained and what is not.
        loss: `(weights, rest, *batch) -> (loss, rest)`.
    """

    def start(key: jax.Array, *batch: Any) -> Any:
        weights, rest = init(key, *batch)
        return weights, rest, optimizer.init(weights)

    def step(state: Any, *batch: Any) -> tuple[Any, jax.Array]:
        weights, rest, moments = state
        (value, rest), slopes = jax.value_and_grad(loss, has_aux=True)(weights, rest, *batch)
        changes, moments = optimizer.update(slopes, moments, weights)
        return (optax.apply_updates(weights, changes), rest, moments), value

    return Training(start, lambda: jitted(step), step)


def jitted(step: Step) -> Any:
    """Return the step in a `jax.jit` of its own, whose caches no other shares."""
    return jax.jit(lambda state, *batch: step(state, *batch), donate_argnums=0)
