"""Indexing: what a Ref's indices read of a plain value, and what they make of it when they write."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax


def read(value: Any, views: Sequence[Any]) -> Any:
    """Return what a Ref with this value gives through its views.

    Args:
        value: The array that the Ref holds.
        views: The views of JAX's `get` equation, outermost first; each has indices, one for each axis.

    Returns:
        The part of the array, as `ref[...]` gives it: an index outside of the array is moved inside.
    """
    for view in views:
        value = _Window(view).read(value)
    return value


def write(value: Any, new: Any, views: Sequence[Any], *, add: bool = False) -> Any:
    """Return what a Ref with this value holds after a write through its views.

    Args:
        value: The array that the Ref holds.
        new: What is written: an array of the shape that `read` gives.
        views: As for `read`.
        add: Whether `new` is added to what is there.

    Returns:
        An array like `value`.
    """
    if not views:
        return value + new if add else new
    window = _Window(views[0])
    if len(views) > 1:
        new, add = write(window.read(value), new, views[1:], add=add), False
    return window.write(value, new, add)


class _Window:
    """One view, as a box with steady sides that `lax.dynamic_slice` cuts out, and an index into that."""

    def __init__(self, view: Any) -> None:
        self.shape: tuple[int, ...] = view.shape
        self.starts: list[Any] = []
        self.sizes: list[int] = []
        self.dropped: list[int] = []  # the axes that a single index takes away
        self.index: list[Any] = []  # into the axes that are left
        for axis, (index, size) in enumerate(zip(view.indices, self.shape, strict=True)):
            start, extent = 0, size
            if hasattr(index, "stride"):
                start, extent = index.start, (index.size - 1) * index.stride + 1 if index.size else 0
                self.index.append(slice(None, None, index.stride))
            elif np.ndim(index) == 0:
                start, extent = index, 1
                self.dropped.append(axis)
            else:
                self.index.append(index)
            self.starts.append(start)
            self.sizes.append(extent)
        self.plain = all(isinstance(index, slice) and index.step == 1 for index in self.index)
        self.whole = tuple(self.sizes) == self.shape

    def _box(self, value: Any) -> Any:
        box = value if self.whole else lax.dynamic_slice(value, self.starts, self.sizes)
        return lax.squeeze(box, self.dropped) if self.dropped else box

    def read(self, value: Any) -> Any:
        box = self._box(value)
        return box if self.plain else box[tuple(self.index)]

    def write(self, value: Any, new: Any, add: bool) -> Any:
        if not self.plain:
            at = jnp.asarray(self._box(value)).at[tuple(self.index)]
            new = at.add(new) if add else at.set(new)
        elif add:
            new = self._box(value) + new
        if self.dropped:
            new = lax.expand_dims(new, self.dropped)
        return new if self.whole else lax.dynamic_update_slice(value, new, self.starts)
