"""Cells: where a value lives that several names share, or that inner traces write; its one home."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import core


class Cell:
    """A given array of which variables of single layers are parts, or which inner traces write.

    All who read or write the array, or a part of it, do it here.

    Args:
        value: The array.
        lend: Returns what a trace that JAX may keep gets in the place of the array.
        reference: Whether inner traces write it, out of which JAX carries what is in a reference.
    """

    __slots__ = ("_layers", "_lend", "_reference", "_value")

    def __init__(self, value: Any, lend: Callable[[Any], Any], *, reference: bool = False) -> None:
        self._lend = lend
        self._reference = jax.new_ref(value) if reference else None
        self._value = value
        self._layers: list[Any] | None = None

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

    def layer(self, index: Any) -> Any:
        """Return what `read` returns, in the trace that the array belongs to, where most layers are read.

        They are taken apart at once, by one operation: to trace a derivative of one for each takes long.
        """
        value = self._value
        if self._reference is not None or len(index) != 1 or not isinstance(value, core.Tracer):
            return self.read(index)
        if self._layers is None:
            self._layers = list(jnp.unstack(value))
        return self._layers[index[0]]

    def write(self, value: Any, index: Any = ...) -> None:
        """Put a value in the place of the array, or of the part of it at an index."""
        self._layers = None
        if self._reference is not None:
            self._reference[index] = value
        else:
            self._value = value if index is ... else self._value.at[index].set(value)
