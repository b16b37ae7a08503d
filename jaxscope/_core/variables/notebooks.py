"""How sets of variables show themselves in notebooks: a small table, short whatever their number.

Notebooks ask objects: by `_repr_html_`, or `__treescope_repr__` where treescope shows what a cell returns.
"""

import inspect
import os
import sys
from collections.abc import Callable, Collection, Sequence
from html import escape
from typing import Any

from jaxscope._core.base.describe import describe, human_bytes, nbytes, shown, type_of
from jaxscope._core.variables.tables import few

_CELL = '<td style="text-align:left">'


def html(
    kind: str, full_names: Sequence[str], value_of: Callable[[str], Any], frozen: Collection[str]
) -> str:
    """Return a set of variables as a piece of HTML, without any script.

    Args:
        kind: The name of the class.
        full_names: The names, in order.
        value_of: Full name -> array, spec, or whatever a transform put in their place.
        frozen: The names that are not trainable.

    Example:
        >>> html("Variables", ["w"], {"w": jnp.zeros((2, 3))}.__getitem__, ()).count("<tr>")
        2
    """
    total = 0
    for name in full_names:
        shape, dtype = type_of(value_of(name))
        total += 0 if shape is None else nbytes(shape, dtype)
    title = f"{kind}: {len(full_names):,} variable{'' if len(full_names) == 1 else 's'}, {human_bytes(total)}"
    first, left_out, last = few(full_names)
    gap = [f'<tr><td colspan="4">... {left_out:,} more</td></tr>'] if left_out else []

    def row(name: str) -> str:
        return _row(name, value_of(name), name in frozen)

    rows = [*map(row, first), *gap, *map(row, last)]
    head = "".join(f'<th style="text-align:left">{word}</th>' for word in ("name", "type", "size", ""))
    return f"<table><caption>{escape(title)}</caption><tr>{head}</tr>{''.join(rows)}</table>"


def function_html(function: Callable[..., Any]) -> str:
    """Return what a notebook shows of a transformed function: how it is called, and where it is written.

    Example:
        >>> def net(x, training=False):
        ...     return x
        >>> function_html(net)
        '<code>net(x, training=False)</code>, transformed; ...'
    """
    name = getattr(function, "__qualname__", type(function).__name__)
    try:
        signature = str(inspect.signature(function))
    except (TypeError, ValueError):  # of what is written in C
        signature = "(...)"
    code = getattr(function, "__code__", None)
    place = f"{os.path.basename(code.co_filename)}:{code.co_firstlineno}" if code else "place unknown"
    return f"<code>{escape(name + signature)}</code>, transformed; {escape(place)}"


def treescope(
    kind: type[Any], full_names: Sequence[str], value_of: Callable[[str], Any], path: str | None, show: Any
) -> Any:
    """Return a set of variables as treescope shows a mapping; arguments as of its `__treescope_repr__`."""
    # Who calls this has imported it.
    repr_lib = sys.modules["treescope.repr_lib"]
    first, left_out, last = few(full_names)
    items = {name: value_of(name) for name in first}
    if left_out:
        items["..."] = f"{left_out:,} more variables"
    items |= {name: value_of(name) for name in last}
    return repr_lib.render_dictionary_wrapper(
        object_type=kind, wrapped_dict=items, path=path, subtree_renderer=show
    )


def _row(name: str, value: Any, frozen: bool) -> str:
    shape, dtype = type_of(value)
    typed = (shown(value), "") if shape is None else (describe(value), human_bytes(nbytes(shape, dtype)))
    cells = (name, *typed, "not trainable" if frozen else "")
    return f"<tr>{''.join(f'{_CELL}{escape(cell)}</td>' for cell in cells)}</tr>"
