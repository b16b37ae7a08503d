"""Tables of variables: names by scope, with shapes, dtypes, counts and bytes."""

import math
from collections.abc import Iterable, Sequence
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


_HEADER = ("name", "shape", "dtype", "count", "size", "")


def tabulate(rows: Iterable[Row]) -> str:
    """Return a table by scope, with rich's lines where rich is installed, in plain text elsewhere.

    Args:
        rows: One `Row` for each variable.

    Returns:
        The table: a line for each scope and variable, and the totals of elements and bytes.
    """
    listed = list(rows)
    lines: list[tuple[str, ...]] = []
    open_scope: tuple[str, ...] = ()
    for one in listed:
        *parts, last = one.name.split("/")
        scope = tuple(parts)
        shared = 0
        while shared < min(len(scope), len(open_scope)) and scope[shared] == open_scope[shared]:
            shared += 1
        lines.extend(
            ("  " * depth + scope[depth] + "/", "", "", "", "", "") for depth in range(shared, len(scope))
        )
        open_scope = scope
        lines.append(
            (
                "  " * len(scope) + last,
                "x".join(map(str, one.shape)) or "scalar",
                one.dtype,
                f"{one.elements:,}",
                human_bytes(one.nbytes),
                "" if one.trainable else "not trainable",
            )
        )
    total = (
        f"{len(listed)} variable{'' if len(listed) == 1 else 's'}",
        "",
        "",
        f"{sum(one.elements for one in listed):,}",
        human_bytes(sum(one.nbytes for one in listed)),
        "",
    )
    return _rich(lines, total) or _plain(lines, total)


def _plain(lines: Sequence[tuple[str, ...]], total: tuple[str, ...]) -> str:
    everything = [_HEADER, *lines, total]
    widths = [max(len(line[column]) for line in everything) for column in range(len(_HEADER))]

    def format_line(line: tuple[str, ...]) -> str:
        cells = [
            cell.rjust(width) if column in (3, 4) else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        return "  ".join(cells).rstrip()

    rule = "-" * len(format_line(_HEADER))
    return "\n".join([format_line(_HEADER), rule, *map(format_line, lines), rule, format_line(total)])


def _rich(lines: Sequence[tuple[str, ...]], total: tuple[str, ...]) -> str | None:
    try:
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ImportError:
        return None
    table = Table(box=box.SIMPLE_HEAD, show_footer=True, pad_edge=False)
    for column, (head, foot) in enumerate(zip(_HEADER, total, strict=True)):
        table.add_column(head, footer=foot, justify="right" if column in (3, 4) else "left", no_wrap=True)
    for line in lines:
        table.add_row(*map(Text, line))
    console = Console(width=200, color_system=None, legacy_windows=False)
    with console.capture() as captured:
        console.print(table)
    return "\n".join(text.rstrip() for text in captured.get().splitlines()).strip("\n")
