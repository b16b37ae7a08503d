"""Calls: the arguments of one, taken apart into arrays and the rest; which calls are alike."""

from collections.abc import Hashable
from typing import Any

import jax
import numpy as np

_config: Any = jax.config  # whose flags have no types


class Call:
    """The arguments of a call.

    Attributes:
        arrays: Those leaves that are arrays, or stand for some.
        kind: Equal for calls that differ in the arrays' values alone; None where that cannot be told.
    """

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        leaves, self._tree = jax.tree.flatten((args, kwargs))
        self._others = [None if _is_array(leaf) else leaf for leaf in leaves]
        self._places = [at for at, leaf in enumerate(leaves) if _is_array(leaf)]
        self.arrays: list[Any] = [leaves[at] for at in self._places]
        self.kind = self._kind()

    def with_arrays(self, arrays: list[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return positional and keyword arguments with other arrays."""
        leaves = list(self._others)
        for at, array in zip(self._places, arrays, strict=True):
            leaves[at] = array
        args, kwargs = jax.tree.unflatten(self._tree, leaves)
        return args, kwargs

    def _kind(self) -> Hashable | None:
        # A type beside each value: True, 1 and 1.0 are equal, and are three kinds of call.
        others = tuple((type(leaf), leaf) for leaf in self._others)
        types = tuple(map(_type, self.arrays))
        kind = self._tree, others, tuple(self._places), types, bool(_config.jax_enable_x64)
        try:
            hash(kind)
        except TypeError:
            return None
        return kind


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array | np.ndarray | jax.ShapeDtypeStruct)


def _type(array: Any) -> Hashable:
    if isinstance(array, jax.ShapeDtypeStruct):
        return array.shape, array.dtype
    aval: Hashable = jax.typeof(array)
    return aval
