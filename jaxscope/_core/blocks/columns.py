"""Columns: what the layers of a block get, one by one, as arrays with a leading axis of layers."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from jaxscope._core.passes.base_pass import Pass
from jaxscope._core.passes.entries import Entry
from jaxscope._core.passes.replaying import Replaying


class Columns:
    """What the layers get, by columns: of each, what all share, or what differs, stacked.

    Attributes:
        stacked: The columns that differ.
    """

    def __init__(self, columns: Sequence["Column"]) -> None:
        self._shared = [column.shared for column in columns]
        self.stacked = [column.stacked for column in columns if column.shared is None]

    def of_one(self, parts: Sequence[Any]) -> list[Any]:
        """Return what one layer gets, whose parts of the stacked columns are these."""
        following = iter(parts)
        return [next(following) if shared is None else shared[0] for shared in self._shared]


class Column:
    """One thing for all layers.

    Attributes:
        shared: The value in a tuple, if it is the same object for all; else None.
        stacked: Else, the values as one array.
    """

    def __init__(self, shared: tuple[Any] | None, stacked: Any = None) -> None:
        self.shared = shared
        self.stacked = stacked

    @classmethod
    def of(cls, values: Sequence[Any]) -> "Column":
        """Return a column of values."""
        if len(values) > 1 and all(value is values[0] for value in values):
            return cls((values[0],))
        return cls(None, jnp.stack(values))

    @classmethod
    def of_variables(
        cls,
        run: Pass,
        values: Sequence[Any],
        entries: Sequence[Entry | None],
        scopes: Sequence[str],
        pattern: str,
    ) -> "Column":
        """Return a column of variables' values: the array in which they are given, if there is one.

        Args:
            run: The pass.
            values: Those of each layer.
            entries: The variables that they are; None for other values.
            scopes: What names begin with in each layer.
            pattern: Likewise, with `{}` for the number.
        """
        first = entries[0]
        if first is not None and isinstance(run, Replaying) and first.cell is not None and len(values) > 1:
            own = first.name.removeprefix(scopes[0])
            home = run.stack(pattern + own)
            if home is not None and all(
                entry is not None and entry.cell is home[0] and entry.name == scope + own
                for entry, scope in zip(entries, scopes, strict=True)
            ):
                names = [entry.name for entry in entries if entry is not None]
                whole = run.around.border.read_stack(*home, names)
                if whole is not None and len(whole) == len(values):
                    return cls(None, whole)
        return cls.of(values)
