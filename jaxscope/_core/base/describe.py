"""Words for values in messages: arrays by their type, all else as Python shows it; short, never failing."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

#: How many characters of a value are shown where nothing else is said.
_WIDTH = 80


def type_of(value: Any) -> tuple[Any, Any]:
    """Return shape and dtype; None for both where a value has not both, as a class of arrays has not.

    Args:
        value: An array, what stands for one (a spec, a `jax.ShapeDtypeStruct`), or anything else.

    Example:
        >>> type_of(np.zeros((3, 2), "float32")), type_of("adam")
        (((3, 2), dtype('float32')), (None, None))
    """
    if isinstance(value, type):
        return None, None
    try:
        shape, dtype = value.shape, value.dtype
    except Exception:  # noqa: BLE001 - whatever a foreign attribute may raise
        return None, None
    return (None, None) if shape is None or dtype is None else (shape, dtype)


def describe(value: Any) -> str:
    """Return dtype and shape in one word: `float32[3,2]`; the type's name for anything without them.

    Args:
        value: An array, a spec, or anything else.

    Returns:
        A short description that never shows values.

    Example:
        >>> describe(jnp.zeros((3, 2))), describe([1, 2])
        ('float32[3,2]', 'list')
    """
    shape, dtype = type_of(value)
    try:
        return type(value).__name__ if shape is None else f"{dtype}{shape_text(shape)}"
    except Exception:  # noqa: BLE001 - a shape that is no sequence, a dtype that cannot be shown
        return type(value).__name__


def shown(value: Any, width: int = _WIDTH) -> str:
    """Return a value as a message shows it: on one line, not long, and whatever its `repr` does.

    Args:
        value: Anything. Of an array only the type is shown, so that nothing waits for a device.
        width: The most characters of the value; beyond it, how many there are is told.

    Example:
        >>> shown("adam"), shown(jnp.zeros((3, 2))), shown("w" * 100, width=20)
        ("'adam'", 'float32[3,2]', "'www... (102 characters)")
    """
    if type_of(value)[0] is not None and not isinstance(value, np.generic):
        return describe(value)
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - whatever a user's __repr__ may raise
        return f"<{type(value).__name__}, which cannot be shown>"
    if "\n" in text:
        text = " ".join(text.split())
    return text if len(text) <= width else f"{text[: max(width - 20, 4)]}... ({len(text)} characters)"


def shape_text(shape: Iterable[Any]) -> str:
    """Return a shape in brackets: `[3,2]`."""
    return f"[{','.join(map(str, shape))}]"


def nbytes(shape: Iterable[int], dtype: Any) -> int:
    """Return the size of an array of a shape and a dtype, in bytes."""
    # Typed keys are extended dtypes, which NumPy does not know.
    return math.prod(shape) * (int(getattr(dtype, "itemsize", 0)) or np.dtype(dtype).itemsize)


def human_bytes(count: Any) -> str:
    """Return a number of bytes with a binary unit: `1.5 KiB`."""
    if not isinstance(count, int | np.integer):  # a symbolic size, of `jax.export`
        return f"{count} B"
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
