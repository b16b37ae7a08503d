"""Cells: where a value lives that several names share, or that inner traces write; its one home."""

from collections.abc import Callable
from typing import Any

import jax


class Cell:
    """A given array of which variables of single layers are parts, or which inner traces write.

    All who read or write the array, or a part of it, do it here.

    Args:
        value: The array.
        lend: Returns what a trace that JAX may keep gets in the place of the array.
        reference: Whether inner traces write it, out of which JAX carries what is in a reference.
    """

    __slots__ = ("_lend", "_reference", "_value")

    def __init__(self, value: Any, lend: Callable[[Any], Any], *, reference: bool = False) -> None:
        self._lend = lend
        self._reference = jax.new_ref(value) if reference else None
        self._value = value

    @property
    def is_reference(self) -> bool:
        """Whether inner traces may write."""
        return self._reference is not None

    def read(self, index: Any = ...) -> Any:
        """Return the array, or the part of it at an index."""
        if self._reference is not None:
            return self._reference[index]
        value = self._lend(self._value)
        return value if index is ... else value[index]

    def write(self, value: Any, index: Any = ...) -> None:
        """Put a value in the place of the array, or of the part of it at an index."""
        if self._reference is not None:
            self._reference[index] = value
        else:
            self._value = value if index is ... else self._value.at[index].set(value)
