"""diff: in what two sets of variables differ: names, shapes, types, values."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxscope.inspect.leaves import Leaf, Named, flat, leaves
from jaxscope.inspect.renames import Proposal, Rename, proposed, renamed
from jaxscope.inspect.statistics import wide
from jaxscope.inspect.tables import Shown, Table, counted, number

#: How many elements are compared together.
_PIECE = 2**17


class Difference(NamedTuple):
    """In what one variable differs.

    Attributes:
        name: Its name in the second set; in the first, where only that has it.
        kinds: What differs, some of `"only in a"`, `"only in b"`, `"shape"`, `"dtype"`, `"trainable"`,
            `"values"`, `"not compared"`.
        old: Its name in the first set; "" where it is not there.
        a: Element type and shape in the first set; "" where it is not there.
        b: Those in the second.
        elements: How many elements differ; None where they were not compared.
        absolute: The largest difference of two elements; infinite where only one of them is finite.
        relative: The largest of these differences over the larger of both elements' sizes.
        note: Why it could not be compared.
    """

    name: str
    kinds: tuple[str, ...]
    old: str
    a: str
    b: str
    elements: int | None = None
    absolute: float | None = None
    relative: float | None = None
    note: str = ""


class Diff(Shown):
    """What `diff` has found; true where anything differs; shown, it is a table.

    Attributes:
        rows: One `Difference` for each variable that differs, those of one side last.
        same: How many variables are equal.
        renames: Renames that would bring together what only one side has.
    """

    def __init__(self, rows: Iterable[Difference], same: int, renames: Iterable[Proposal]) -> None:
        self.rows = tuple(rows)
        self.same = same
        self.renames = tuple(renames)

    def __bool__(self) -> bool:
        return bool(self.rows)

    @property
    def only_a(self) -> list[str]:
        """The names that only the first set has."""
        return self._names("only in a")

    @property
    def only_b(self) -> list[str]:
        """The names that only the second set has."""
        return self._names("only in b")

    def _names(self, kind: str) -> list[str]:
        return [row.name for row in self.rows if kind in row.kinds]

    def table(self) -> Table:
        """Return the table: a line for each variable that differs, then the renames that are proposed."""
        sorts: dict[str, int] = {}
        for row in self.rows:
            for kind in row.kinds:
                sorts[kind] = sorts.get(kind, 0) + 1
        counts = ", ".join(f"{count:,} {kind}" for kind, count in sorts.items())
        after: list[str] = []
        if self.renames:
            after = ["", "perhaps renamed:"]
            for one in self.renames:
                after.append(f"  {one}  # {counted(len(one.pairs), 'variable')}, by {one.why}")
        return Table(
            ("name", "differs", "a", "b", "elements", "absolute", "relative", ""),
            [_cells(row) for row in self.rows],
            right=frozenset({4, 5, 6}),
            before=(f"{counted(self.same, 'variable')} equal" + (f"; {counts}" if counts else ""),),
            after=tuple(after),
        )

    def to_json(self) -> str:
        """Return all of it as JSON; what is not finite is null, and equal content is told by `renames`."""
        rows = [
            {name: None if value == math.inf else value for name, value in row._asdict().items()}
            for row in self.rows
        ]
        renames = [one._asdict() for one in self.renames]
        return json.dumps({"same": self.same, "rows": rows, "renames": renames})


def diff(
    a: Named, b: Named, rename: Rename = None, *, rtol: float = 0.0, atol: float = 0.0, values: bool = True
) -> Diff:
    r"""Return in what two sets of variables differ; of files, one variable after the other is read.

    Args:
        a: Variables, specs, gradients, any tree of arrays, what `js.checkpoint` has opened, a file's path.
        b: Likewise. Where one of both has no values, as specs have none, none are compared.
        rename: Patterns of whole names in `a` -> names in `b`: `{r"lm/(.*)": r"gpt/\1"}`. The first that
            matches counts, and None leaves the variable out. Or a function of the name.
        rtol: Elements are equal up to this fraction of `b`'s.
        atol: And beside it, up to this much.
        values: Whether to compare values.

    Returns:
        A `Diff`: `rows`, `same`, `renames`, `to_json()`; true where anything differs. NaN is equal to NaN.

    Raises:
        VariablesMismatchError: A pattern matches no name, or two names would become one (code `rename`); or
            there are no names.
        ValueError: A tolerance is negative.
        CheckpointError: A file is damaged, or of no known format.
        FileNotFoundError: There is none.

    Example:
        >>> a = {"lm/w": jnp.ones(3), "lm/b": jnp.zeros(2), "step": jnp.int32(1)}
        >>> b = {"gpt/w": jnp.ones(3), "gpt/b": jnp.zeros(2), "step": jnp.int32(3)}
        >>> print(js.inspect.diff(a, b, {r"lm/(.*)": r"gpt/\1"}))
        2 variables equal; 1 values
        name  differs  a        b        elements  absolute  relative
        -------------------------------------------------------------
        step  values   int32[]  int32[]         1         2    0.6667
        >>> js.inspect.diff(a, b).renames[0].new
        'gpt/\\1'
    """
    here, there = leaves(a), leaves(b)
    names = renamed([leaf.name for leaf in here], rename)
    return of_leaves(here, there, names, rtol, atol, values=values)


def of_leaves(
    a: Sequence[Leaf], b: Sequence[Leaf], names: Mapping[str, str], rtol: float, atol: float, *, values: bool
) -> Diff:
    """Return in what the arrays of two sets differ.

    Args:
        a: The first set.
        b: The second.
        names: What names of the first set became; the others are left out.
        rtol: As of `diff`.
        atol: As of `diff`.
        values: As of `diff`.

    Raises:
        ValueError: A tolerance is negative.
    """
    if not (rtol >= 0 and atol >= 0):
        raise ValueError(f"tolerances are 0 or more, not rtol={rtol}, atol={atol}")
    there = {leaf.name: leaf for leaf in b}
    rows: list[Difference] = []
    only_a: list[Leaf] = []
    same = 0
    taken: set[str] = set()
    for leaf in a:
        new = names.get(leaf.name)
        if new is None:
            continue
        if new not in there:
            only_a.append(leaf._replace(name=new))
            rows.append(Difference(new, ("only in a",), leaf.name, leaf.type, ""))
            continue
        taken.add(new)
        row = _compared(leaf, there[new], rtol, atol, values=values)
        if row.kinds:
            rows.append(row)
        else:
            same += 1
    only_b = [leaf for name, leaf in there.items() if name not in taken]
    rows += [Difference(leaf.name, ("only in b",), "", "", leaf.type) for leaf in only_b]
    rows.sort(key=lambda row: ("only in a" in row.kinds) + 2 * ("only in b" in row.kinds))
    without = [leaf if values else leaf._replace(read=None) for leaf in only_a]
    return Diff(rows, same, proposed(without, only_b) if only_a and only_b else [])


def _compared(one: Leaf, other: Leaf, rtol: float, atol: float, *, values: bool) -> Difference:
    kinds: list[str] = []
    found: tuple[int | None, float | None, float | None] = (None, None, None)
    if one.shape != other.shape:
        kinds.append("shape")
    if one.dtype != other.dtype:
        kinds.append("dtype")
    if one.trainable is not None and other.trainable is not None and one.trainable != other.trainable:
        kinds.append("trainable")
    note = one.note or other.note
    if one.shape is None and other.shape is None:
        kinds += ["values"] if note and one.note != other.note else []
    elif values and one.shape == other.shape:
        if one.read and other.read:
            found = compared(one.read(), other.read(), rtol, atol)
            kinds += ["values"] if found[0] else []
        elif note:
            kinds.append("not compared")
    return Difference(other.name, tuple(kinds), one.name, one.type, other.type, *found, note)


def compared(a: Any, b: Any, rtol: float = 0.0, atol: float = 0.0) -> tuple[int, float, float]:
    """Return how many elements of two arrays differ, and the largest absolute and relative differences.

    Example:
        >>> compared(np.array([1.0, np.nan]), np.array([2.0, np.nan]))
        (1, 1.0, 0.5)
    """
    first, second = flat(a), flat(b)
    if first.dtype.kind in "OSU" or second.dtype.kind in "OSU":
        count = int((first != second).sum())
        return count, math.inf if count else 0.0, math.inf if count else 0.0
    count, absolute, relative = 0, 0.0, 0.0
    for start in range(0, first.size, _PIECE):
        x, y = first[start : start + _PIECE], second[start : start + _PIECE]
        if x.dtype == y.dtype and np.array_equal(x.view(np.uint8), y.view(np.uint8)):
            continue
        more, largest, ratio = _piece(x, y, rtol, atol)
        count, absolute, relative = count + more, max(absolute, largest), max(relative, ratio)
    return count, absolute, relative


def _piece(
    x: np.ndarray[Any, Any], y: np.ndarray[Any, Any], rtol: float, atol: float
) -> tuple[int, float, float]:
    whole = x.dtype.kind in "biu" and y.dtype.kind in "biu"
    unequal = x != y if whole else None
    x, y = _wide(x), _wide(y)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        distance = np.abs(x - y)
        distance[(x == y) | (np.isnan(x) & np.isnan(y))] = 0.0
        distance[np.isnan(distance)] = np.inf
        limit = atol + rtol * np.abs(y)
        wrong = distance > np.where(np.isfinite(limit), limit, 0.0) if rtol or atol else distance > 0
        if unequal is not None and not (rtol or atol):
            wrong = unequal  # also where float64 holds them for equal
        size = np.maximum(np.abs(x), np.abs(y))
        ratio = np.where(np.isfinite(distance), distance / np.where(size > 0, size, 1.0), np.inf)
    return int(wrong.sum()), float(distance.max()), float(ratio.max())


def _wide(value: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return value.astype(np.complex128) if value.dtype.kind == "c" else wide(value)


def _cells(row: Difference) -> tuple[str, ...]:
    numbers = (number(row.absolute), number(row.relative)) if row.elements else ("", "")
    renamed_from = f"{row.old} in a" if row.old and row.old != row.name else ""
    note = ", ".join(filter(None, [renamed_from, row.note]))
    elements = "" if not row.elements else f"{row.elements:,}"
    return (row.name, ", ".join(row.kinds), row.a, row.b, elements, *numbers, note)
