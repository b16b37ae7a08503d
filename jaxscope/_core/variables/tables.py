"""How sets of variables are shown: a repr of a few lines, and a table by scope with counts and bytes."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from jaxscope._core.base.describe import describe, human_bytes, nbytes, shown, type_of

_HEADER = ("name", "shape", "dtype", "count", "size", "")
_RIGHT = frozenset({3, 4})  # the columns of numbers

# Of more variables than both together, a repr shows the first ones and the last ones.
_HEAD, _TAIL = 20, 10
_WIDTH = 200  # of a value in a repr


def listing(kind: str, full_names: Sequence[str], value_of: Callable[[str], Any]) -> str:
    """Return the repr of a set of variables: a line for each, and short whatever their number.

    Args:
        kind: The name of the class.
        full_names: The names, in order.
        value_of: Full name -> array, spec, or whatever a transform put in their place.

    Example:
        >>> print(listing("Variables", ["w", "mask"], {"w": jnp.zeros((2, 3)), "mask": True}.__getitem__))
        Variables({
          w: float32[2,3] (24 B)
          mask: True
        })
    """
    if not full_names:
        return f"{kind}({{}})"

    def line(name: str) -> str:
        return f"  {name}: {_valued(value_of(name))}"

    first, left_out, last = few(full_names)
    gap = [f"  ... ({left_out:,} more)"] if left_out else []
    return "\n".join([f"{kind}({{", *map(line, first), *gap, *map(line, last), "})"])


def few(full_names: Sequence[str]) -> tuple[Sequence[str], int, Sequence[str]]:
    """Return the first names to show, how many are left out, and the last ones.

    Example:
        >>> few(["a", "b"])
        (['a', 'b'], 0, [])
    """
    left_out = max(0, len(full_names) - _HEAD - _TAIL)
    return full_names[:_HEAD], left_out, full_names[_HEAD + left_out :]


def _valued(value: Any) -> str:
    shape, dtype = type_of(value)
    if shape is None:
        return shown(value, _WIDTH)
    return f"{describe(value)} ({human_bytes(nbytes(shape, dtype))})"


def tabulate(rows: Iterable[tuple[str, Any, bool]]) -> str:
    """Return a table by scope, in plain text.

    Args:
        rows: Full name, value (or spec), and whether it is trainable.

    Returns:
        The table: a line for each scope and variable, and the totals of elements and bytes.
    """
    lines: list[tuple[str, ...]] = []
    open_scope: list[str] = []
    variables = elements = total = 0
    types: dict[Any, tuple[tuple[str, ...], Any, Any]] = {}  # most variables are of few types
    for name, value, trainable in rows:
        *scope, last = name.split("/")
        if scope != open_scope:
            shared = 0
            while shared < min(len(scope), len(open_scope)) and scope[shared] == open_scope[shared]:
                shared += 1
            lines += [
                ("  " * depth + scope[depth] + "/", "", "", "", "", "") for depth in range(shared, len(scope))
            ]
            open_scope = scope
        shape, dtype = type_of(value)
        cells: tuple[str, ...]
        notes = [] if trainable else ["not trainable"]
        if shape is None:
            cells = ("", type(value).__name__, "", "")
            notes.insert(0, f"= {shown(value)}")
        else:
            kind = tuple(shape), dtype
            if kind not in types:
                types[kind] = _typed(*kind)
            cells, count, size = types[kind]
            elements, total = elements + count, total + size
        variables += 1
        lines.append(("  " * len(scope) + last, *cells, ", ".join(notes)))
    count_of_all = f"{variables:,} variable{'' if variables == 1 else 's'}"
    return _drawn(lines, (count_of_all, "", "", _number(elements), human_bytes(total), ""))


def _typed(shape: Any, dtype: Any) -> tuple[tuple[str, ...], Any, Any]:
    """Return what the table says of a type, its elements and its bytes."""
    count, size = math.prod(shape), nbytes(shape, dtype)
    return ("x".join(map(str, shape)) or "scalar", str(dtype), _number(count), human_bytes(size)), count, size


def _number(count: Any) -> str:
    return f"{count:,}" if isinstance(count, int | np.integer) else str(count)  # symbolic, of `jax.export`


def _drawn(lines: Sequence[tuple[str, ...]], total: tuple[str, ...]) -> str:
    columns = list(zip(_HEADER, *lines, total, strict=True))
    for at, column in enumerate(columns):
        width = max(map(len, column))
        columns[at] = tuple([cell.rjust(width) if at in _RIGHT else cell.ljust(width) for cell in column])
    header, *body, footer = ["  ".join(cells).rstrip() for cells in zip(*columns, strict=True)]
    rule = "-" * len(header)
    return "\n".join([header, rule, *body, rule, footer])
