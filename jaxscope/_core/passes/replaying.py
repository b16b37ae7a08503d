"""Replaying: a pass that reads each variable from the given ones, and keeps what is written."""

from collections.abc import Callable, Hashable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import core

from jaxscope._core.base.describe import describe
from jaxscope._core.base.sites import here
from jaxscope._core.passes import refusals
from jaxscope._core.passes.base_pass import Pass
from jaxscope._core.passes.cells import Cell
from jaxscope._core.passes.entries import Entry
from jaxscope._core.passes.learned import Memory
from jaxscope._core.passes.trace_copies import Loans
from jaxscope._core.requests.starts import WithoutArguments
from jaxscope._core.variables.given import as_given
from jaxscope._core.variables.nesting import way_out
from jaxscope._core.variables.stacks import check_given_once, layer_of, place_in_stack, stacked_names
from jaxscope._core.variables.tree import Variables
from jaxscope.errors import JaxscopeError, ShapeMismatchError, StateError, VariableNotFoundError, near

# Types of arrays that were given: asking `isinstance` for `jax.Array` takes longer than all the rest.
_ARRAYS: set[type] = set()


class Replaying(Pass):
    """A pass that reads each variable from the given ones.

    Args:
        given: Full name -> array.
        purpose: `"apply"`, which writes nothing; `"apply_with_state"`; or `"init"`, in which variables
            that are not given take initial values that are computed from the inputs.
        dry: Whether the pass only learns: it then writes nothing.
        kind: Tells apart the calls that may write other variables.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        memory: Memory,
        given: Mapping[str, Any],
        purpose: str,
        *,
        everywhere: bool,
        dry: bool = False,
        kind: Hashable = None,
        **parts: Any,
    ) -> None:
        super().__init__(function, memory, everywhere=everywhere, **parts)
        self.given: Mapping[str, Any] = given.as_dict() if isinstance(given, Variables) else given
        self.born: dict[str, Any] | None = {} if purpose == "init" else None
        self.sites = memory.sites
        self._kept = given.non_trainable if isinstance(given, Variables) else {}
        self._stacks = stacked_names(self.given)
        if self._stacks:
            check_given_once(self.given)
        self._cells: dict[str, Cell] = {}  # of given arrays that several names share, or inner traces write
        self.abstract = dry
        self._purpose = "dry" if dry else purpose
        self._written = memory.written(kind)
        self._loans = Loans() if self.traces.eager else None
        # A traced value's type is asked for faster than what the value says of it, an array's more slowly.
        self._type_of: Callable[[Any], Any] = _itself if self.traces.eager else jax.typeof
        if self._purpose == "apply_with_state":
            for name in sorted(self._written):
                stacked = place_in_stack(name, self.given) if self._stacks else None
                at = stacked[0] if stacked else name
                if at in self.given:
                    # What inner traces write, JAX carries out of them in a reference.
                    self.cell(at, reference=True)
        self._alone = not (self._stacks or self._cells)

    def is_given(self, name: str) -> bool:
        return name in self.given

    def cell(self, name: str, *, reference: bool = False) -> Cell:
        """Return the one home of a given array."""
        found = self._cells.get(name)
        if found is None:
            value = self._strong(as_given(name, self.given[name]))
            found = self._cells[name] = Cell(value, self._lent, reference=reference)
            self._alone = False
        return found

    def stack(self, name: str) -> tuple[Cell, Any] | None:
        """Return where the variables of all layers are given as one array, by the name with `{}`; or None."""
        if name in self.given:
            return self.cell(name), ...
        place = place_in_stack(name, self.given)
        return None if place is None else (self.cell(place[0]), place[1])

    # --- reading -------------------------------------------------------------------------------

    def begin(self, entry: Entry) -> Any:
        value: Any = self.given.get(entry.name) if self._alone else None
        # Nearly all are like this: an array, given by itself, of the shape and dtype asked for.
        if type(value) in _ARRAYS and callable(entry.initializer):
            kind = self._type_of(value)
            if (
                kind.shape == entry.shape
                and (not entry.request.explicit or kind.dtype == entry.dtype)
                and not kind.weak_type
            ):
                entry.value = value
                return value if self._loans is None else self._lent(value)
        return self._looked_for(entry)

    def _looked_for(self, entry: Entry) -> Any:
        """Give a new entry its value, wherever and whatever it is."""
        name = entry.name
        if isinstance(entry.initializer, core.Tracer) and not self.traces.at_root:
            raise refusals.computed_in_trace(entry, self.describe_scope())
        place = place_in_stack(name, self.given) if self._stacks else None
        if place is not None:
            entry.cell, entry.index = self.cell(place[0]), place[1]
            value = layer_of(entry.cell.read(), entry.index, lambda _, index: self._part(entry.cell, index))
            if value is None:
                raise self._not_in_stack(entry, place[0])
        elif name in self._cells:
            entry.cell = self._cells[name]
            value = entry.cell.read()
        else:
            value = self.given.get(name)
            if value is None and name not in self.given:
                value = self._absent(entry)
        explicit = entry.dtype if entry.request.explicit else None
        if (
            not isinstance(value, jax.Array)
            or value.shape != entry.shape
            or (explicit is not None and value.dtype != explicit)
        ):
            try:
                value = as_given(name, value, entry.shape, explicit)
            except JaxscopeError as error:
                error.add(stack=place and f"{place[0]} {describe(self.given[place[0]])}")
                error.add(at=entry.site, scope=self.describe_scope())
                raise
        _ARRAYS.add(type(value))
        value = self._strong(value)
        entry.shape = value.shape
        entry.value = value
        return self._lent(value)

    def _strong(self, value: Any) -> Any:
        """Return a given value without a weak type; it is cast where it was given, for all who ask."""
        with self.traces.where_it_began():
            return strong(value)

    def read(self, entry: Entry) -> Any:
        cell = entry.cell
        return self._lent(entry.value) if cell is None else self._part(cell, entry.index)

    def _part(self, cell: Cell, index: Any) -> Any:
        return cell.layer(index) if index is not ... and self.traces.at_root else cell.read(index)

    def _lent(self, value: Any) -> Any:
        """Return a value for the present trace, which JAX may keep."""
        traces = self.traces
        return value if self._loans is None or traces.at_root else self._loans.lend(value, traces.current)

    def run(self, /, *args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        try:
            return super().run(*args, **kwargs)
        finally:
            if self._loans is not None:
                self._loans.close()

    def _absent(self, entry: Entry) -> Any:
        start = entry.initializer
        if self.born is None or (callable(start) and not isinstance(start, WithoutArguments)):
            raise self._not_found(entry)
        if not self.traces.at_root:
            raise refusals.computed_in_trace(entry, self.describe_scope())
        value = jnp.asarray(start.value() if isinstance(start, WithoutArguments) else start)
        self.traces.look()
        self.born[entry.name] = value = strong(value)
        return value

    def _not_in_stack(self, entry: Entry, name: str) -> JaxscopeError:
        stack = f"{name} {describe(entry.cell.read())}"
        if len(entry.cell.read().shape) >= len(entry.index):
            return self._not_found(entry, stack=stack)
        return ShapeMismatchError(
            f"the given stack {name!r} has no axis of layers, of which {entry.name!r} would be one",
            given=stack,
            at=entry.site,
            scope=self.describe_scope(),
            fix="give the variables of all layers stacked, as variables.stack makes them",
        )

    def _not_found(self, entry: Entry, **facts: Any) -> VariableNotFoundError:
        return VariableNotFoundError(
            f"variable {entry.name!r} is not among the given variables",
            at=entry.site,
            scope=self.describe_scope(),
            **facts,
            near=near(entry.name, self.given),
            fix=way_out(self.given, [entry.name])
            or "give it: net.init(key, *args) with these arguments makes it; a checkpoint's names can be "
            "changed by variables.rename(...)",
        )

    # --- writing -------------------------------------------------------------------------------

    def check_write(self, entry: Entry) -> None:
        super().check_write(entry)
        if self._purpose == "apply":
            raise StateError(
                f"apply would lose what is written to variable {entry.name!r}",
                code="write_in_apply",
                first=self.first(entry),
                again=here(),
                fix="call net.apply_with_state(variables, ...), which returns (result, state)",
            )

    def write(self, entry: Entry, value: Any) -> None:
        self.check_write(entry)
        inner = not self.traces.at_root
        if inner:
            self._written.add(entry.name)
        if self._purpose != "apply_with_state":
            return
        cell = entry.cell
        if inner and (cell is None or not cell.is_reference):
            self.traces.restart()
        if cell is None:
            entry.value = value
        else:
            self._write_cell(entry, cell, value)

    def _write_cell(self, entry: Entry, cell: Cell, value: jax.Array) -> None:
        try:
            cell.write(value, entry.index)
        except Exception as problem:
            if "differentiated" not in str(problem):
                raise
            raise StateError(
                f"variable {entry.name!r} is set to a value that is differentiated inside the function",
                code="write_in_transform",
                first=self.first(entry),
                again=here(),
                fix="set it to jax.lax.stop_gradient(value), or set it outside the inner jax.grad",
            ) from problem

    def state(self) -> Variables:
        """Return every non-trainable variable, after the run."""
        values: dict[str, Any] = dict(self._kept)
        cells = [cell for group in self.books.groups.values() for cell in group.cells()]
        for entry in self.books.entries.values():
            if not entry.trainable:
                if entry.cell is None:
                    values[entry.name] = entry.value
                else:
                    cells.append(entry.cell)
        for name, cell in self._cells.items():
            if name in values or any(cell is one for one in cells):
                values[name] = cell.read()
        return Variables(values, non_trainable=values)


def _itself(value: Any) -> Any:
    return value


def strong(value: Any) -> Any:
    """Return an array without a weak type: a variable has a dtype."""
    return value.astype(value.dtype) if getattr(value, "weak_type", False) else value
