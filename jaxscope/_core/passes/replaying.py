"""Replaying: a pass that reads each variable from the given ones, and keeps what is written."""

import itertools
import re
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxscope._core.base.describe import describe
from jaxscope._core.base.sites import Site, here
from jaxscope._core.passes.entries import Entry
from jaxscope._core.passes.memory import Memory
from jaxscope._core.passes.running import Pass, fits
from jaxscope._core.requests.arguments import known_shape
from jaxscope._core.requests.graph_keys import GLOBAL
from jaxscope._core.requests.starts import WithoutArguments
from jaxscope._core.variables.specs import VariableSpec
from jaxscope._core.variables.tree import Variables
from jaxscope.errors import (
    DtypeMismatchError,
    ShapeMismatchError,
    StateError,
    VariableNotFoundError,
    near,
)

_NUMPY = (np.ndarray, np.generic)
_NO_VALUES = frozenset({jax.ShapeDtypeStruct, VariableSpec})  # though they have shape and dtype

# A layer's number in a name, or `{}` for all layers; and how many layers may be nested in stacks.
_NUMBERS = re.compile(r"\{\}|(?<!\d)(?:0|[1-9]\d*)(?!\d)")
_NESTED = 3


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
    ) -> None:
        super().__init__(function, memory, everywhere=everywhere, kind=kind)
        values = given.as_dict() if isinstance(given, Variables) else given
        kinds = set(map(type, values.values()))
        if any(issubclass(kind, _NUMPY) for kind in kinds):
            # Here, not where one is asked for, which may be in an inner trace.
            values = {n: jnp.asarray(v) if isinstance(v, _NUMPY) else v for n, v in values.items()}
        self.given: Mapping[str, Any] = values
        self.born: dict[str, Any] | None = {} if purpose == "init" else None
        self._variables = given if isinstance(given, Variables) else None
        self._purpose = purpose
        self._dry = dry
        self._refs: dict[str, Any] = {}
        self.sites = memory.sites
        if purpose == "apply_with_state" and not dry:
            # What inner traces write, JAX carries out of them in a reference.
            for name in sorted(self.written):
                at = name if name in self.given else (self.place_in_stack(name) or ("",))[0]
                if at in self.given and at not in self._refs:
                    self._refs[at] = jax.new_ref(self.given[at])
        if (
            self.sites
            or self._refs
            or any(kind in _NO_VALUES or not hasattr(kind, "shape") for kind in kinds)
        ):
            self.careful += 1

    def take(
        self,
        name: str,
        shape: Any,
        dtype: Any,
        initializer: Any,
        trainable: bool,
        explicit: bool = False,
        site: Site | None = None,
    ) -> jax.Array | None:
        value: jax.Array | None = self.given.get(name)
        if value is None or self.careful or self.creators or name in self.entries:
            return None
        known = known_shape(shape)
        if known is None or known != getattr(value, "shape", None) or (explicit and dtype != value.dtype):
            return None
        entry = self.entries[name] = Entry(name, known, dtype)
        entry.value = value
        if not trainable:
            entry.keep_in(GLOBAL, trainable=False)
        if self.traces.active:
            self._note(name)
        return value

    def read(self, entry: Entry) -> Any:
        reference, at = self._reference(entry.name)
        return entry.value if reference is None else reference[at]

    def _reference(self, name: str) -> tuple[Any, Any]:
        """Return the reference that holds a variable, and where in it; None where none does."""
        if not self._refs:
            return None, ...
        if name in self._refs or name in self.given:
            return self._refs.get(name), ...
        stacked, index = self.place_in_stack(name) or ("", 0)
        return self._refs.get(stacked), index

    def write(self, entry: Entry, value: Any) -> None:
        self.check_write(entry)
        if self._purpose == "apply":
            raise StateError(
                f"apply would lose what is written to variable {entry.name!r}",
                code="write_in_apply",
                first=self.first(entry),
                again=here(),
                fix="call net.apply_with_state(variables, ...), which returns (result, state)",
            )
        if self._dry or self._purpose == "init":
            self._note_write(entry)
            return
        reference, at = self._reference(entry.name)
        if reference is not None:
            self._note_write(entry)
            self._write_reference(entry, reference, at, value)
        elif self.traces.at_root:
            entry.value = value
        else:
            self._note_write(entry)
            self.traces.restart()

    def _write_reference(self, entry: Entry, reference: Any, at: Any, value: jax.Array) -> None:
        try:
            reference[at] = value
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
        frozen = () if self._variables is None else self._variables.non_trainable
        values = {name: self.given[name] for name in frozen}
        for entry in self.entries.values():
            if entry.trainable or entry.stacked:
                continue
            place = None if entry.name in self.given else self.place_in_stack(entry.name)
            if place is None:
                values[entry.name] = self.read(entry)
            else:
                name, index = place
                values[name] = values.get(name, self.given[name]).at[index].set(self.read(entry))
        for group in self.groups.values():
            values.update(group.state())
        values.update((name, reference[...]) for name, reference in self._refs.items())
        return Variables(values, non_trainable=values)

    def place_in_stack(self, name: str) -> tuple[str, tuple[Any, ...]] | None:
        """Return the name and index at which variables of layers are given stacked, or None.

        Args:
            name: A full name, in which `{}` stands for all layers and a number may be one of many.
        """
        tokens = list(_NUMBERS.finditer(name))
        numbers = [token for token in tokens if token[0] != "{}"]
        for count in range(1, min(len(numbers), _NESTED) + 1):
            for chosen in itertools.combinations(numbers, count):
                stacked = name
                for token in reversed(chosen):
                    stacked = f"{stacked[: token.start()]}{{}}{stacked[token.end() :]}"
                if stacked in self.given:
                    kept = [token for token in tokens if token in chosen or token[0] == "{}"]
                    return stacked, tuple(int(t[0]) if t in chosen else slice(None) for t in kept)
        return None

    def _set_value(self, entry: Entry, explicit: bool) -> None:
        value = self.given.get(entry.name)
        if value is None:
            value = self._absent(entry)
        try:
            shape = value.shape
        except AttributeError:
            raise self._not_an_array(entry, value) from None
        if type(value) in _NO_VALUES:
            raise self._not_an_array(entry, value)
        if shape != entry.shape and entry.shape is not None and not fits(entry.shape, shape):
            raise ShapeMismatchError(
                f"the given variable {entry.name!r} has another shape than its function asks for",
                given=describe(value),
                asked=describe(entry),
                at=entry.site,
                scope=self.describe_scope(),
                fix="give the variable that this function was initialized with, or convert it",
            )
        if explicit and entry.dtype is not None and value.dtype != entry.dtype:
            raise DtypeMismatchError(
                f"the given variable {entry.name!r} has another dtype than its function asks for",
                given=describe(value),
                asked=describe(entry),
                at=entry.site,
                scope=self.describe_scope(),
                fix="cast it, or leave out dtype= in the request to take it as it is",
            )
        entry.shape = shape
        entry.value = value
        if self._refs:
            entry.value = self.read(entry)

    def _absent(self, entry: Entry) -> Any:
        if self.born is not None:
            start = entry.initializer
            if isinstance(start, WithoutArguments) or not callable(start):
                self.check_from_inputs(entry)
                value = start.value() if isinstance(start, WithoutArguments) else start
                self.born[entry.name] = value = jnp.asarray(value)
                return value
        if entry.name in self.given:
            raise self._not_an_array(entry, None)
        place = self.place_in_stack(entry.name)
        if place is not None:
            stack, index = self.given[place[0]], place[1]
            shape = getattr(stack, "shape", None)
            if shape is None:
                raise self._not_an_array(entry, stack)
            if len(shape) >= len(index) and all(at < size for at, size in zip(index, shape, strict=False)):
                return stack[index]
        raise VariableNotFoundError(
            f"variable {entry.name!r} is not among the given variables",
            at=entry.site,
            scope=self.describe_scope(),
            near=near(entry.name, self.given),
            fix="give it: net.init(key, *args) with these arguments makes it; a checkpoint's names can be "
            "changed by variables.rename(...)",
        )

    def _not_an_array(self, entry: Entry, value: Any) -> DtypeMismatchError:
        return DtypeMismatchError(
            f"the given variable {entry.name!r} is not an array but {type(value).__name__}",
            code="not_an_array",
            at=entry.site,
            scope=self.describe_scope(),
            fix="give a jax.Array or a NumPy array",
        )
