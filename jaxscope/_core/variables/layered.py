"""By layer: what the spec of a stack keeps of its layers, to draw, penalise and project each as its own."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp

from jaxscope._core.base.immutable import Value


class ByLayer(Value):
    """One thing for each layer of a stack.

    Attributes:
        parts: The things, in order of the layers.
        axis: The axis of the stack that counts the layers.
    """

    def __init__(self, parts: tuple[Any, ...], axis: int) -> None:
        self.parts = parts
        self.axis = axis

    def _alike(self) -> bool:
        return all(part == self.parts[0] for part in self.parts)

    def _layers(self, value: jax.Array) -> Iterator[tuple[Any, jax.Array]]:
        return ((part, jnp.take(value, number, self.axis)) for number, part in enumerate(self.parts))


class Draws(ByLayer):
    """The initial values of a stack: each layer's is drawn by the layer's own name."""


class Losses(ByLayer):
    """The regularizer of a stack: the sum of the layers' losses; None among the parts is no loss."""

    def __call__(self, value: jax.Array) -> jax.Array | None:
        """Return the loss of a stacked value; None where no layer has one."""
        if self._alike():
            losses = jax.vmap(self.parts[0], self.axis)(value)
            return None if losses is None else losses.sum()
        found = [part(layer) for part, layer in self._layers(value) if part is not None]
        found = [loss for loss in found if loss is not None]
        return jnp.stack(found).sum() if found else None


class Projections(ByLayer):
    """The constraint of a stack: each layer is projected by its own; None among the parts changes nothing."""

    def __call__(self, value: jax.Array) -> jax.Array:
        """Return a stacked value, projected."""
        if self._alike():
            projected: jax.Array = jax.vmap(self.parts[0], self.axis, self.axis)(value)
            return projected
        layers = [layer if part is None else part(layer) for part, layer in self._layers(value)]
        return jnp.stack(layers, self.axis)


class Named(Value):
    """The initializer of one layer, with the full name that its value depends on."""

    def __init__(self, name: str, initializer: Any) -> None:
        self.name = name
        self.initializer = initializer


def part_of(thing: Any, axis: int, number: int) -> Any:
    """Return what one layer has of what a stack has."""
    part = _part(thing, axis, number)
    return part.initializer if isinstance(part, Named) else part


def _part(thing: Any, axis: int, number: int) -> Any:
    if not isinstance(thing, ByLayer):
        return thing
    if thing.axis == axis:
        return thing.parts[number]
    inner = axis - (axis > thing.axis)
    parts = tuple(_part(part, inner, number) for part in thing.parts)  # by the names that they have
    return type(thing)(parts, thing.axis - (thing.axis > axis))


def start_of(initializer: Any) -> Any:
    """Return what drawing takes for the initializer of a spec: a `Stack` for that of a stack."""
    from jaxscope._core.drawing.stacking import Stack  # which `import jaxscope` has no time for

    if isinstance(initializer, Draws):
        return Stack(tuple(start_of(part) for part in initializer.parts), initializer.axis)
    return (initializer.name, initializer.initializer) if isinstance(initializer, Named) else initializer


def by_layer(kind: type[ByLayer], parts: list[Any], axis: int) -> ByLayer | None:
    """Return the functions of all layers as one; None where no layer has any."""
    return None if all(part is None for part in parts) else kind(tuple(parts), axis)
