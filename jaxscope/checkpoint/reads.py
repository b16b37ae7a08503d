"""Reads: how one array of a file is read, what it is here, and what is wrong where it cannot be."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import jax

from jaxscope.checkpoint import contents, converting
from jaxscope.checkpoint.stored import Place, Stored, Wanted, damaged
from jaxscope.errors import DtypeMismatchError, VariablesMismatchError

#: How many elements an array may have of which it is looked at once whether they fit 32 bits.
_SMALL = 4096


class Read(NamedTuple):
    """An array to be read, and the implementation of the keys that it holds, if it does."""

    wanted: Wanted
    impl: str | None


class Problems:
    """All that is wrong, by kind."""

    def __init__(self) -> None:
        self.rows: dict[str, list[str]] = {}

    def add(self, kind: str, rows: Iterable[str]) -> None:
        """Add lines about one kind of thing that is wrong."""
        if found := list(rows):
            self.rows.setdefault(kind, []).extend(found)

    def check(self, stored: Stored, count: int | None) -> None:
        """Raise the one error, if anything is wrong."""
        if not self.rows:
            return
        what = "cannot be loaded as asked" if count is None else f"does not match the {count} specs"
        raise VariablesMismatchError(
            f"the file {what}",
            file=stored.path,
            **{kind: "\n".join(rows) for kind, rows in self.rows.items()},
            fix=self._fix(),
        )

    def _fix(self) -> str:
        kinds = self.rows.keys()
        ways = [
            (
                "opt_state" in kinds,
                "leave opt_state= out, and use js.optim.from_tf1_slots(opt_state, variables, loaded.slots)",
            ),
            ({"missing", "extra"} <= kinds, r'rename={r"old/(.*)": r"new/\1"} if they are called otherwise'),
            ("missing" in kinds, 'missing="init", key=... to draw what is not there'),
            ("extra" in kinds, 'extra="ignore" to leave what is not asked for'),
            ("dtype" in kinds, "cast=True to round to the types asked for"),
        ]
        return "\n".join(way for fits, way in ways if fits) or "change what is asked for, or convert the file"


def is_along(stored: Stored, name: str) -> bool:
    """Tell whether an array of a file is one that goes along with the variables."""
    ours = contents.VERSION in stored.facts
    return ours and (name.startswith(contents.ALONG) or name == stored.facts.get(contents.STEP))


def is_hidden(stored: Stored, name: str) -> bool:
    """Tell whether an array goes along under a name of ours, that no other library knows."""
    return contents.VERSION in stored.facts and name.startswith(contents.ALONG)


def read_of(stored: Stored, name: str, shown: str, dtype: Any, place: Place) -> Read:
    """Return how an array is read: typed keys as their data."""
    impl = stored.facts.get(contents.IMPL + name)
    return Read(Wanted(name, shown, stored.entries[name].dtype if impl else dtype, place), impl)


def struct_of(stored: Stored, name: str, dtype: Any = None) -> jax.ShapeDtypeStruct:
    """Return what an array of a file is here, without its values.

    Raises:
        CheckpointError: Keys are not of their kind (code `damaged`).
    """
    entry = stored.entries[name]
    impl = stored.facts.get(contents.IMPL + name)
    if impl is None:
        return jax.ShapeDtypeStruct(entry.shape, converting.here(entry.dtype) if dtype is None else dtype)
    try:
        data = jax.ShapeDtypeStruct(entry.shape, entry.dtype)
        made: jax.ShapeDtypeStruct = jax.eval_shape(
            lambda data: jax.random.wrap_key_data(data, impl=impl), data
        )
    except (TypeError, ValueError):
        raise damaged(stored.path, f"{name!r} is no {impl[:40]} key") from None
    return made


def typed(struct: Any) -> str:
    """Return an element type and a shape in one word."""
    return f"{struct.dtype.name}[{','.join(map(str, struct.shape))}]"


def misfits(stored: Stored, name: str, shown: str, dtype: Any) -> list[str]:
    """Return why small integers of a file do not fit a type; nothing where they do, or are many."""
    entry = stored.entries[name]
    if (
        contents.IMPL + name in stored.facts
        or entry.dtype.kind not in "iu"
        or entry.dtype == dtype
        or entry.nbytes > _SMALL * 8
    ):
        return []
    try:
        converting.converted(shown, stored.host(name), dtype)
    except DtypeMismatchError as problem:
        return [f"{problem.summary}: {problem.facts['range']}"]
    return []


def check_expansion(stored: Stored, names: Iterable[str]) -> None:
    """Refuse a file that would fill the memory: compressed zeros, of shapes that nobody expects."""
    total = sum(stored.entries[name].nbytes for name in names)
    if total > stored.most:
        raise damaged(
            stored.path,
            f"{total:,} bytes would come out of it, and {int(stored.most):,} may",
            otherwise="with specs, whose shapes say what to expect, any file is read",
        )


def fetched(stored: Stored, reads: list[Read]) -> list[jax.Array]:
    """Read arrays, and make those that are keys keys again."""
    values = stored.fetch([read.wanted for read in reads])
    return [
        value if read.impl is None else jax.random.wrap_key_data(value, impl=read.impl)
        for value, read in zip(values, reads, strict=True)
    ]
