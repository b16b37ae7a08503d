"""Stacking: the values of a stack of layers, each drawn by its own name, without a second whole."""

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import NamedSharding, Sharding

from jaxscope._core.base.recent import Recent
from jaxscope._core.drawing.axes import entries_of, without_axis
from jaxscope._core.initializers import laws

__all__ = ["Stack", "Stacked", "in_order", "joined", "part_place", "stacked"]


class Stack(NamedTuple):
    """What a stack of layers starts from, in the place of an initializer.

    Attributes:
        parts: The layers, in order: `(full name, initializer)`, or stacks themselves.
        axis: The axis of the stack that counts them.
    """

    parts: tuple[Any, ...]
    axis: int


class Stacked(NamedTuple):
    """A stack, looked through.

    Attributes:
        leaves: `(full name, initializer)` of each layer, the last number running fastest.
        layers: How many layers along which axis of what is inside, outermost first, as of `laws.kernel`.
        axes: The axes of the whole stack that count layers, outermost first.
        shape: The shape of one layer.
    """

    leaves: tuple[tuple[str, Any], ...]
    layers: laws.Layers
    axes: tuple[int, ...]
    shape: tuple[int, ...]

    def indices(self) -> Iterator[tuple[int, ...]]:
        """Yield the numbers of each layer."""
        return np.ndindex(*(length for length, _ in self.layers))


def stacked(stack: Stack, shape: tuple[int, ...]) -> Stacked:
    """Look through a stack of this shape.

    Example:
        >>> stacked(Stack((("a", None), ("b", None)), 1), (3, 2)).shape
        (3,)
    """
    layers: list[tuple[int, int]] = []
    at: Any = stack
    while isinstance(at, Stack):
        layers.append((len(at.parts), at.axis))
        at = at.parts[0]
    sizes = list(shape)
    for _, axis in layers:
        del sizes[axis]
    order: list[int | None] = [None] * len(sizes)
    for number in reversed(range(len(layers))):
        order.insert(layers[number][1], number)
    axes = tuple(order.index(number) for number in range(len(layers)))
    return Stacked(tuple(_leaves(stack)), tuple(layers), axes, tuple(sizes))


def _leaves(stack: Stack) -> Iterator[tuple[str, Any]]:
    for part in stack.parts:
        if isinstance(part, Stack):
            yield from _leaves(part)
        else:
            yield part


def part_place(one: Stacked, place: Sharding | None) -> Sharding | None:
    """Return where a layer is made before it is put into its stack."""
    if not isinstance(place, NamedSharding):
        return place
    for axis in sorted(one.axes, reverse=True):
        place = without_axis(place, axis)
    return place


def joined(one: Stacked, shape: tuple[int, ...], place: Sharding | None, parts: Iterator[Any]) -> Any:
    """Return the stack of layers that are made one after the other, each put in before the next is made.

    Args:
        one: The stack.
        shape: Its shape.
        place: Where it lives.
        parts: The values of the layers.
    """
    whole: Any = None
    for index, part in zip(one.indices(), parts, strict=True):
        if whole is None:
            whole = _program("empty", shape, part.dtype, one.axes, place)(part)
        whole = _program("put", shape, part.dtype, one.axes, place)(whole, part, np.array(index, np.int32))
        whole.block_until_ready()  # or the layers would wait beside the stack
    return whole


def in_order(one: Stacked, parts: Iterator[jax.Array]) -> jax.Array:
    """Return the stack of traced layers."""
    rows = list(parts)
    for length, axis in reversed(one.layers):
        rows = [jnp.stack(rows[at : at + length], axis) for at in range(0, len(rows), length)]
    (whole,) = rows
    return whole


_programs: Recent[Callable[..., jax.Array]] = Recent(256)


def _program(
    what: str, shape: tuple[int, ...], dtype: Any, axes: tuple[int, ...], place: Sharding | None
) -> Callable[..., jax.Array]:
    # An axis that is split has each part on a device of its own, where a comparison finds it.
    split = isinstance(place, NamedSharding) and any(
        axis < len(entries_of(place.spec)) and entries_of(place.spec)[axis] for axis in axes
    )

    def make() -> Callable[..., jax.Array]:
        def jaxscope_empty(part: jax.Array) -> jax.Array:
            with laws.without_mesh():
                return jnp.zeros(shape, part.dtype)

        def jaxscope_put(whole: jax.Array, part: jax.Array, index: jax.Array) -> jax.Array:
            row = lax.expand_dims(part, axes)
            if split:
                here = [
                    lax.broadcasted_iota(np.int32, shape, axis) == index[number]
                    for number, axis in enumerate(axes)
                ]
                return jnp.where(functools.reduce(lax.bitwise_and, here), row, whole)
            start = [index[axes.index(axis)] if axis in axes else 0 for axis in range(len(shape))]
            return lax.dynamic_update_slice(whole, row, start)

        if what == "empty":
            return jax.jit(jaxscope_empty, out_shardings=place)
        return jax.jit(jaxscope_put, out_shardings=place, donate_argnums=0)

    return _programs.get_or((what, shape, dtype, axes, place), make)
