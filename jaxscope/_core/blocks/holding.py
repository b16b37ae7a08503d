"""Holding: what a function sets in a trace of its own stays there, until that has ended."""

from collections.abc import Iterable
from typing import Any

import jax

from jaxscope._core.base import compat
from jaxscope._core.base.sites import Site
from jaxscope._core.blocks.border import written_in_transform
from jaxscope._core.passes.base_pass import Pass
from jaxscope._core.passes.border import Border, Inner, Kind
from jaxscope._core.passes.cells import Cell
from jaxscope._core.passes.entries import Entry
from jaxscope._core.requests.request import Request


class WrittenInsideError(BaseException):
    """Ends a trace in which a variable is set inside a trace of JAX's; it begins again with a Ref for it.

    Args:
        name: The full name of the variable.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class Holding(Inner):
    """Holds what a function sets, until its trace has ended; reads the rest in the trace around it.

    Args:
        run: The pass.
        outer: The border around.
        written_inside: The full names of the variables that are set in traces inside of the function's: each
            has a Ref, out of which JAX carries what is written.

    Attributes:
        values: What the function has set, by full name.
        entries: Its variables.
        sources: The variables that were read, by the address of the value.
        made: The variables that the function has made.
        losses: What regularizers have returned for them.
        taken: The objects that keys were taken of.
    """

    def __init__(self, run: Pass, outer: Border, written_inside: set[str]) -> None:
        super().__init__(outer)
        self.values: dict[str, Any] = {}
        self.entries: dict[str, Entry] = {}
        self.sources: dict[int, Entry] = {}
        self.made: list[Entry] = []
        self.losses: list[Any] = []
        self.taken: list[Any] = []
        self._read: list[Any] = []  # which keeps their addresses
        self._references: dict[str, Any] = {}
        self._written_inside = written_inside
        self._run = run
        self._outside: Any = compat.traces()[0]
        self._inside: Any = None

    def start(self) -> None:
        """Note that the function begins, in the present trace."""
        self._inside = compat.traces()[0]

    def end(self) -> list[Any]:
        """Return the values that the function has set, in the order of `entries`; it has ended."""
        for name in self.entries.keys() & self._references.keys():
            self.values[name] = self._references[name][...]
        return [self.values[name] for name in self.entries]

    def release(self) -> None:
        """Let go of what belongs to the trace, which ends."""
        self.values.clear()
        self.losses.clear()
        self._references.clear()
        self._inside = None

    # --- values --------------------------------------------------------------------------------

    def begin(self, run: Kind, entry: Entry) -> Any:
        self.made.append(entry)
        with self._run.traces.aside(self._outside):
            value = self.outer.begin(run, entry)
        return self._given(entry, value)

    def read(self, run: Kind, entry: Entry) -> Any:
        name = entry.name
        if name in self._references:
            return self._references[name][...]
        if name in self.values:
            return self.values[name]
        with self._run.traces.aside(self._outside):
            value = self.outer.read(run, entry)
        return self._given(entry, value)

    def _given(self, entry: Entry, value: Any) -> Any:
        """Return a value from outside, from now on in a Ref where traces inside write it."""
        if entry.name in self._written_inside:
            with self._run.traces.aside(self._inside):
                self._references[entry.name] = jax.new_ref(value)
            return self._references[entry.name][...]
        self._read.append(value)
        self.sources[id(value)] = entry
        return value

    def read_stack(self, cell: Cell, index: Any, names: Iterable[str]) -> Any:
        if any(name in self.values or name in self._written_inside for name in names):
            return None
        with self._run.traces.aside(self._outside):
            return self.outer.read_stack(cell, index, names)

    def write(self, run: Kind, entry: Entry, value: Any) -> None:
        self._run.check_write(entry)
        name = entry.name
        if name in self._written_inside:
            if name not in self._references:
                self.read(run, entry)
            self._references[name][...] = value
        elif self._run.traces.at_border:
            self.values[name] = value
        elif self.outer.stands_in:
            raise written_in_transform(self._run, entry)
        else:
            raise WrittenInsideError(name)
        self.outer.will_write(name)
        self.entries[name] = entry

    # --- what else is noted --------------------------------------------------------------------

    def asked(self, name: str, request: Request, value: Any, site: Site) -> Any:
        found = super().asked(name, request, value, site)
        here = name in self._references or value is self.values.get(name, self)
        return value if request.getter is None and here else found

    def took(self, given: Any, scope: str, parts: tuple[Any, Any]) -> tuple[Any, Any]:
        self.taken.append(given)
        return super().took(given, scope, parts)

    def keeps(self, loss: Any) -> None:
        if self._run.traces.at_border:
            self.losses.append(loss)

    def variable_of(self, value: Any, known: Entry | None) -> Entry | None:
        names = [name for name, held in self.values.items() if held is value]
        found = self.entries[names[0]] if names else self.outer.variable_of(value, known)
        # The books still have the value that a variable had before it was set here.
        return None if found is not None and not names and found.name in self.values else found
