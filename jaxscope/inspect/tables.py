"""Tables as plain text, as HTML for notebooks, and in colours by rich."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

#: How many rows a notebook shows of a longer table.
_MOST = 60


@dataclass(frozen=True)
class Table:
    """Text in rows and columns.

    Attributes:
        header: The names of the columns.
        rows: The cells of each row.
        total: The last row, below a rule; () for none.
        right: The columns that are set to the right: of numbers.
        loud: The rows that something is wrong with.
        before: Lines above it.
        after: Lines below it.
    """

    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    total: tuple[str, ...] = ()
    right: frozenset[int] = frozenset()
    loud: frozenset[int] = frozenset()
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()

    def lines(self) -> Iterator[tuple[str, str]]:
        """Yield each line, and what it is: `"text"`, `"header"`, `"rule"`, `"row"`, `"loud"` or `"total"`."""
        yield from ((line, "text") for line in self.before)
        if not self.rows:
            yield from ((line, "text") for line in self.after)
            return
        parts = [self.header, *self.rows, *([self.total] if self.total else [])]
        columns = list(zip(*parts, strict=True))
        kept = [at for at, column in enumerate(columns) if any(column[1:])]  # no empty ones
        for at in kept:
            width = max(map(len, columns[at]))
            right = at in self.right
            columns[at] = tuple([cell.rjust(width) if right else cell.ljust(width) for cell in columns[at]])
        header, *body = [
            "  ".join(cells).rstrip() for cells in zip(*(columns[at] for at in kept), strict=True)
        ]
        rule = "-" * len(header)
        yield header, "header"
        yield rule, "rule"
        rows = body[: len(self.rows)]
        yield from ((row, "loud" if at in self.loud else "row") for at, row in enumerate(rows))
        if self.total:
            yield rule, "rule"
            yield body[-1], "total"
        yield from ((line, "text") for line in self.after)

    def __str__(self) -> str:
        return "\n".join([line for line, _ in self.lines()])

    def html(self) -> str:
        """Return it as a piece of HTML without any script, short whatever its length."""
        shown = list(enumerate(self.rows))
        if len(shown) > _MOST:
            shown = [*shown[: _MOST - 20], (-1, (f"... {len(shown) - _MOST:,} more",)), *shown[-20:]]
        rows = [_row("th", self.header, self)]
        rows += [_row("td", cells, self, loud=at in self.loud) for at, cells in shown]
        rows += [_row("th", self.total, self)] if self.total else []
        around = [
            "".join(f"<div>{escape(line)}</div>" for line in lines) for lines in (self.before, self.after)
        ]
        return f"{around[0]}<table>{''.join(rows)}</table>{around[1]}" if self.rows else "".join(around)


_STYLES = {"header": "bold", "rule": "dim", "loud": "bold red", "total": "bold"}


class Shown:
    """What shows itself as a table: printed, in notebooks, and by rich, where a terminal has colours."""

    def table(self) -> Table:
        """Return the table."""
        raise NotImplementedError

    def __str__(self) -> str:
        return str(self.table())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.table().html()

    def __rich_console__(self, console: Any, options: Any) -> Iterator[Any]:
        # Lines as they are: a table of rich's own takes a millisecond for each row.
        from rich.segment import Segment
        from rich.style import Style

        styles = {kind: Style.parse(style) for kind, style in _STYLES.items()}
        for line, kind in self.table().lines():
            yield Segment(line, styles.get(kind))
            yield Segment.line()


def number(value: float | None) -> str:
    """Return a number in few characters; "" for None.

    Example:
        >>> number(0.123456), number(12345678.0), number(0.0), number(None)
        ('0.1235', '1.235e+07', '0', '')
    """
    return "" if value is None else f"{value:.4g}"


def human_bytes(count: int) -> str:
    """Return a number of bytes with a binary unit: `1.5 KiB`."""
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def counted(count: int, word: str) -> str:
    """Return how many of something there are: `1 variable`, `2,000 variables`."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def _row(tag: str, cells: Sequence[str], table: Table, *, loud: bool = False) -> str:
    style = "font-weight:bold;" if loud else ""
    made = (
        f'<{tag} style="{style}text-align:{"right" if at in table.right else "left"}">{escape(cell)}</{tag}>'
        for at, cell in enumerate(cells)
    )
    return f"<tr>{''.join(made)}</tr>"
