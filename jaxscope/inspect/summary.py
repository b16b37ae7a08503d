"""summary: what is there, by scope: how much, how large, and whether it is sound."""

import json
import math
from collections.abc import Iterable
from typing import Any, NamedTuple

from jaxscope.inspect import statistics
from jaxscope.inspect.leaves import Leaf, Named, leaves, named_dtype
from jaxscope.inspect.statistics import Statistics
from jaxscope.inspect.tables import Shown, Table, counted, human_bytes, number


class Row(NamedTuple):
    """One scope, or one variable where the depth is None.

    Attributes:
        name: The scope; "" for the root.
        variables: How many variables count to it.
        elements: How many elements these have.
        bytes: Their size.
        dtypes: The types that they have, the most frequent first.
        frozen: How many of them are not trainable.
        norm: The Euclidean norm of the finite elements; None where no values were looked at.
        min: The least of these.
        max: The greatest.
        mean: Their mean.
        nan: How many elements are NaN.
        inf: How many are infinite.
        shape: Axis lengths, of a single variable; else None.
        note: What is to be said of it.
    """

    name: str
    variables: int
    elements: int
    bytes: int
    dtypes: tuple[str, ...]
    frozen: int
    norm: float | None
    min: float | None
    max: float | None
    mean: float | None
    nan: int | None
    inf: int | None
    shape: tuple[int, ...] | None
    note: str


_HEADER = ("variables", "count", "size", "dtype", "norm", "min", "max", "mean", "NaN", "Inf", "")


class Summary(Shown):
    """What `summary` has found; shown, it is a table.

    Attributes:
        rows: One for each scope, in order.
        total: All of them together.
    """

    def __init__(self, rows: Iterable[Row], total: Row, *, each: bool) -> None:
        self.rows = tuple(rows)
        self.total = total
        self._each = each

    def table(self) -> Table:
        """Return the table; those rows are loud that have NaN or infinite elements."""
        head = ("name", "shape") if self._each else ("scope", "variables")
        return Table(
            (*head, *_HEADER[1:]),
            [self._cells(row) for row in self.rows],
            self._cells(self.total._replace(name="in all"), total=True),
            right=frozenset({2, 3, *range(5, 11)} | (set() if self._each else {1})),
            loud=frozenset(at for at, row in enumerate(self.rows) if row.nan or row.inf),
        )

    def _cells(self, row: Row, *, total: bool = False) -> tuple[str, ...]:
        second = f"{row.variables:,}"
        if self._each:
            shape = row.shape or ()
            second = "" if row.shape is None else "x".join(map(str, shape)) or "scalar"
            second = counted(row.variables, "variable") if total else second
        frozen = "" if not row.frozen else "not trainable" if row.frozen == row.variables else "some fixed"
        counts = ["" if count is None else f"{count:,}" for count in (row.nan, row.inf)]
        looked_at = row.norm is not None
        numbers = [row.norm, row.min, row.max, row.mean]
        shown = [
            number(one) if looked_at and one is not None and math.isfinite(one) else "" for one in numbers
        ]
        notes = ", ".join(filter(None, ["" if total else frozen, row.note]))
        return (
            *(row.name or "(root)", second, f"{row.elements:,}", human_bytes(row.bytes), _few(row.dtypes)),
            *(*shown, *counts, notes),
        )

    def to_json(self) -> str:
        """Return the rows as JSON: `{"rows": [...], "total": {...}}`; what is not finite is null."""
        return json.dumps({"rows": [_as_dict(row) for row in self.rows], "total": _as_dict(self.total)})


def summary(named: Named, depth: int | None = 2, *, values: bool = True) -> Summary:
    """Return what is there, by scope: counts, bytes, norms, extremes, and how many elements are not finite.

    Each array is looked at once, where it is; of a file's, one after the other is read.

    Args:
        named: Variables, specs, gradients, an optimizer state, any other tree of arrays, what
            `js.checkpoint` has opened, or the path of a file. Of specs there are no values.
        depth: How many parts of the scopes' names to tell apart; 0 for all in one. Variables in scopes below
            count to the scope of that depth. None for a row for each variable.
        values: Whether to look at values.

    Returns:
        A `Summary`: `rows`, `total`, `to_json()`; shown, it is a table.

    Raises:
        ValueError: `depth` is negative.
        VariablesMismatchError: There are no names, or a value is traced.
        CheckpointError: A file is damaged, or of no known format.
        FileNotFoundError: There is none.

    Example:
        >>> variables = js.Variables({"gpt/h0/w": jnp.array([3.0, -4.0]), "gpt/wte": jnp.ones([2, 2])})
        >>> print(js.inspect.summary(variables))
        scope   variables  count  size  dtype     norm  min  max  mean  NaN  Inf
        ------------------------------------------------------------------------
        gpt/h0          1      2   8 B  float32      5   -4    3  -0.5    0    0
        gpt             1      4  16 B  float32      2    1    1     1    0    0
        ------------------------------------------------------------------------
        in all          2      6  24 B  float32  5.385   -4    3   0.5    0    0
    """
    if depth is not None and depth < 0:
        raise ValueError(f"a depth is 0 or more, or None, not {depth}")
    there = leaves(named)
    found = _looked_at(there) if values else {}
    groups: dict[str, list[Leaf]] = {}
    for leaf in there:
        scope = leaf.name if depth is None else "/".join(leaf.name.split("/")[:-1][:depth])
        groups.setdefault(scope, []).append(leaf)
    rows = [_row(scope, members, found) for scope, members in groups.items()]
    return Summary(rows, _row("", there, found), each=depth is None)


def _looked_at(there: list[Leaf]) -> dict[str, Statistics]:
    readable = {leaf.name: leaf.read for leaf in there if leaf.read and statistics.has_numbers(leaf.dtype)}
    return dict(statistics.of_all((name, read()) for name, read in readable.items()))


def _row(name: str, members: list[Leaf], found: dict[str, Statistics]) -> Row:
    sets = [found[leaf.name] for leaf in members if leaf.name in found]
    numbers = statistics.together(sets)
    kinds: dict[str, int] = {}
    for leaf in members:
        if leaf.shape is not None:
            kind = named_dtype(leaf.dtype)
            kinds[kind] = kinds.get(kind, 0) + 1
    return Row(
        name,
        len(members),
        sum(leaf.elements for leaf in members),
        sum(leaf.nbytes for leaf in members),
        tuple(sorted(kinds, key=lambda kind: -kinds[kind])),
        sum(leaf.trainable is False for leaf in members),
        numbers.norm if sets else None,
        numbers.min if sets else None,
        numbers.max if sets else None,
        numbers.mean if sets else None,
        numbers.nan if sets else None,
        numbers.inf if sets else None,
        members[0].shape if len(members) == 1 else None,
        members[0].note if len(members) == 1 else "",
    )


def _few(dtypes: tuple[str, ...]) -> str:
    return ", ".join(dtypes[:2]) + (f", {len(dtypes) - 2} more" if len(dtypes) > 2 else "")


def _as_dict(row: Row) -> dict[str, Any]:
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in row._asdict().items()
    }
