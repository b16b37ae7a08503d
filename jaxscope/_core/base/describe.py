"""Tables of variables: names by scope, with shapes, dtypes, counts and bytes."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np


class Row:
    """One variable in a table."""

    def __init__(
        self, name: str, shape: tuple[int, ...], dtype: str, elements: int, nbytes: int, trainable: bool
    ) -> None:
        self.name = name
        self.shape = shape
        self.dtype = dtype
        self.elements = elements
        self.nbytes = nbytes
        self.trainable = trainable


def describe(value: Any) -> str:
    """Return dtype and shape in one word: `float32[3,2]`; the type's name for anything without them.

    Args:
        value: An array, a spec, or anything else.

    Returns:
        A short description that never shows values.
    """
    shape, dtype = _type_of(value)
    if shape is None or dtype is None:
        return type(value).__name__
    return f"{dtype}{shape_text(shape)}"


def _type_of(value: Any) -> tuple[Any, Any]:
    """Return shape and dtype; None where there is none, as in a class of arrays."""
    if isinstance(value, type):
        return None, None
    return getattr(value, "shape", None), getattr(value, "dtype", None)


def shape_text(shape: Iterable[Any]) -> str:
    """Return a shape in brackets: `[3,2]`."""
    return f"[{','.join(map(str, shape))}]"


def row(name: str, value: Any, trainable: bool) -> Row:
    """Return the row of one value (or spec) with a shape and a dtype."""
    shape, dtype = _type_of(value)
    if shape is None or dtype is None:
        return Row(name, (), type(value).__name__, 0, 0, trainable)
    count = math.prod(shape)
    return Row(name, tuple(shape), str(dtype), count, count * _itemsize(dtype), trainable)


def _itemsize(dtype: Any) -> int:
    # Typed keys are extended dtypes, which NumPy does not know.
    return int(getattr(dtype, "itemsize", 0)) or np.dtype(dtype).itemsize


def human_bytes(count: int) -> str:
    """Return a number of bytes with a binary unit: `1.5 KiB`."""
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def size(value: Any) -> str:
    """Return the size of one value (or spec) in bytes, with a unit, in brackets: `(24 B)`."""
    return f"({human_bytes(row('', value, True).nbytes)})"
