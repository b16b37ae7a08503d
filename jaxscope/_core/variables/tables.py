"""Tables of variables: names by scope, with shapes, dtypes, counts and bytes."""

from collections.abc import Iterable, Sequence

from jaxscope._core.base.describe import Row, human_bytes

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
