"""Groups: the variables of many layers, stacked; the books make single layers' when asked for them."""

from typing import Any

import jax

from jaxscope._core.base.describe import describe, shape_text
from jaxscope._core.passes.base_pass import Pass
from jaxscope._core.passes.entries import Entry
from jaxscope._core.passes.recording import Recording
from jaxscope._core.passes.replaying import Replaying
from jaxscope._core.requests.starts import WithoutArguments
from jaxscope.errors import DtypeMismatchError, ShapeMismatchError


class Group:
    """The variables of all layers.

    Attributes:
        pattern: The full name of a layer's scope, with `{}` for its number.
        prefix: What the full names of all layers begin with.
        position: How many variables were made before.
        settled: Whether the entries were made.
        homes: The cell and index of each variable's stack, by the name relative to a layer's scope;
            none while recording.
    """

    position = 0
    settled = False

    def __init__(self, prefix: str, name: str, length: int, requests: dict[str, Entry]) -> None:
        self.pattern = prefix + name
        self.prefix = prefix + name.partition("{}")[0]
        self.length = length
        self.requests = requests
        self.homes: dict[str, tuple[Any, Any]] = {}

    @property
    def size(self) -> int:
        """How many variables there are, in all layers."""
        return self.length * len(self.requests)

    def find(self, run: Pass) -> bool:
        """Find the stacks of all layers' values; tell whether all of them are given stacked."""
        if isinstance(run, Recording):
            return True
        if not isinstance(run, Replaying):
            return False
        for name, entry in self.requests.items():
            home = run.stack(f"{self.pattern}/{name}")
            if home is None:
                self.homes = {}
                return False
            self.homes[name] = home
            self._check(run, f"{self.pattern}/{name}", entry, home[0].read(home[1]))
        return True

    def shares(self, other: "Group") -> bool:
        """Tell whether a second run of the layers shares these variables."""

        def kinds(group: Group) -> Any:
            return [
                (name, entry.shape, entry.dtype, entry.trainable) for name, entry in group.requests.items()
            ]

        reuses = all(entry.request.reuse is not False for entry in other.requests.values())
        return self.length == other.length and kinds(self) == kinds(other) and reuses

    def entries(self) -> list[Entry]:
        """Return an entry for each variable of each layer, in order of making."""
        return [self._entry(name, index, index) for index in range(self.length) for name in self.requests]

    def stacked(self, name: str) -> Entry:
        """Return an entry for one variable in all layers, by its name relative to a layer's scope."""
        return self._entry(name, "{}", ...)

    def _entry(self, name: str, number: Any, index: Any) -> Entry:
        one = self.requests[name]
        full = f"{self.pattern.replace('{}', str(number))}/{name}"
        shape = (self.length, *one.shape) if index is ... else one.shape
        made = Entry(full, one.request, shape, one.dtype, one.initializer, one.site)
        dtype = one.dtype
        if self.homes:
            made.cell, outer = self.homes[name]
            made.index = _within(outer, index)
            dtype = made.cell.read().dtype
        made.value = jax.ShapeDtypeStruct(shape, dtype)  # what it is; where it is, the cell knows
        return made

    def cells(self) -> list[Any]:
        """Return the homes of those that are not trainable."""
        return [
            self.homes[name][0] for name, one in self.requests.items() if self.homes and not one.trainable
        ]

    def _check(self, run: Pass, name: str, entry: Entry, value: Any) -> None:
        asked = shape = (self.length, *entry.shape)
        if isinstance(entry.initializer, WithoutArguments):
            shape = (
                self.length,
                *value.shape[1:],
            )  # what the function decides may differ from time to time (R4)
        facts: dict[str, Any] = {
            "given": describe(value),
            "asked": f"{entry.dtype}{shape_text(asked)}",
            "at": entry.site,
            "scope": run.describe_scope(),
        }
        if value.shape != shape:
            raise ShapeMismatchError(
                f"the given stack {name!r} has another shape than its layers ask for",
                fix="give the variables of as many layers as the function has",
                **facts,
            )
        if entry.request.explicit and value.dtype != entry.dtype:
            raise DtypeMismatchError(
                f"the given stack {name!r} has another dtype than its layers ask for",
                fix="cast it, or leave out dtype= in the request to take it as it is",
                **facts,
            )


def _within(outer: Any, index: Any) -> Any:
    """Return the index of a layer's part of an array, whose stack is at `outer` in it."""
    if outer is ...:
        return index if index is ... else (index,)
    if index is ...:
        return outer
    # The free axis of the outer index is the layers'.
    free = outer.index(slice(None)) if slice(None) in outer else len(outer)
    return (*outer[:free], index, *outer[free + 1 :])
