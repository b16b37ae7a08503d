"""Lifting: a block is recorded once, with its scope as the root, and run with values for many scopes."""

import collections
from collections.abc import Callable, Hashable, Mapping
from threading import get_ident
from typing import Any, NamedTuple, TypeVar, cast

import jax
import numpy as np

from jaxscope._core.base.calls import Call, Result, is_array
from jaxscope._core.base.sameness import Same
from jaxscope._core.base.sites import here
from jaxscope._core.blocks.keys import GivenStream, Key, RecordedStream, Taken
from jaxscope._core.blocks.recipe import CannotLiftError, CountedScopes, Recipe, Request
from jaxscope._core.model.random_keys import Stream
from jaxscope._core.passes.attempts import finish
from jaxscope._core.passes.entries import Entry
from jaxscope._core.passes.memory import Memory
from jaxscope._core.passes.recording import Recording, placeholder
from jaxscope._core.passes.replaying import Replaying
from jaxscope._core.passes.running import Pass
from jaxscope._core.requests.starts import is_constant
from jaxscope._core.scopes.options import Options
from jaxscope._core.scopes.scope import VariableScope
from jaxscope.errors import StateError, VariableNotFoundError, near

R = TypeVar("R")

# What a block may ask for and still be lifted: all that names relative to its scope can say.
_ALLOWED = frozenset(
    {
        "get_variable",
        "variable_scope",
        "set_variable",
        "random_keys",
        "next_key",
        "jit",
        "scan_layers",
        "ensemble",
        "lift",
    }
)


class _Lifted(Pass):
    """A pass of a block, in which the scope that the block is called in is the root."""

    assuming = True
    has_getters = False

    def lift(self, surroundings: "Surroundings", stream: Stream | None) -> None:
        """Take over what is inherited from the place of the call."""
        self.scope._options = surroundings.options
        self.counts.log += surroundings.entered
        self.streams = () if stream is None else (stream,)
        self.thread = None  # every request is checked: see `check_open`
        self.name_scopes = self.asked = CountedScopes()

    def check_open(self, what: str) -> None:
        if not self.ended and get_ident() == self.owner:
            if what in _ALLOWED:
                return
            raise CannotLiftError(f"js.{what}", here())
        super().check_open(what)

    def admit(self, scope: VariableScope) -> None:
        if scope._books() is not self:
            raise CannotLiftError("a scope object from outside", here())

    def admit_getter(self) -> None:
        self.has_getters = True  # which see names relative to the block's scope

    def admit_use(self, what: str) -> None:
        if not self.ended:
            raise CannotLiftError(what, here())


class _Recorder(_Lifted, Recording):
    """Records what a block asks for."""

    def __init__(self, function: Callable[..., Any], memory: Memory, *, everywhere: bool) -> None:
        super().__init__(function, memory, everywhere=everywhere)
        self.careful += 1  # the long way notes how each variable was asked for
        self.requests: list[Request] = []
        self.taken: list[Key] = []
        self.writes: dict[str, None] = {}
        self.open_stream = lambda key: RecordedStream(key, self.taken, own=True)

    def make(self, entry: Entry, explicit: bool) -> Any:
        regularizer, entry.regularizer = entry.regularizer, None  # called where the variable is made
        value = super().make(entry, explicit)
        if not callable(entry.initializer) and not isinstance(entry.initializer, np.ndarray):
            raise CannotLiftError("an initial value that is computed", entry.site)
        _, _, start, asked_regularizer, reuse, _, kept_in, partitioner, constraint = entry.asked
        plain = (
            asked_regularizer is kept_in is partitioner is constraint is None
            and reuse is not True
            and not is_constant(start)
        )
        self.requests.append(
            Request(
                entry.name,
                entry.shape,
                entry.dtype,
                explicit,
                entry.initializer,
                regularizer,
                reuse,
                entry.trainable,
                entry.collections,
                entry.sharding,
                entry.constraint,
                entry.site,
                entry.asked,
                plain,
            )
        )
        return value

    def recipe(self, result: Any) -> Recipe:
        """Return what the block asked for in this pass, in which it returned `result`."""
        return Recipe(
            self.requests,
            self.taken,
            tuple(self.writes),
            self.counts.entered_below(""),
            tuple(self.asked.asks),
            result,
            numbers_scopes=self.numbers_scopes,
            has_getters=self.has_getters,
        )

    def words(self, name: str) -> Any:
        self.taken.append(Key(name, 0, own=True))
        return np.zeros(2, np.uint32)

    def write(self, entry: Entry, value: Any) -> None:
        super().write(entry, value)
        _check_write(self, entry)
        self.writes[entry.name] = None


class _Player(_Lifted, Replaying):
    """Runs a block with given values, by relative name."""

    taken: "Taken | None" = None  # the keys that the block takes

    def words(self, name: str) -> Any:
        assert self.taken is not None
        return self.taken.parts(Key(name, 0, own=True))[0]

    def _set_value(self, entry: Entry, explicit: bool) -> None:
        # Checked where the variable was asked for, by its full name.
        value = self.given.get(entry.name)
        if value is None:
            raise VariableNotFoundError(
                f"variable {entry.name!r} of a block is not among the values that it is called with",
                at=entry.site,
                near=near(entry.name, self.given),
                fix="call the function with arguments like those that it was lifted with",
            )
        if not hasattr(value, "shape"):
            raise self._not_an_array(entry, value)
        entry.value, entry.shape = value, value.shape

    def make(self, entry: Entry, explicit: bool) -> Any:
        entry.regularizer = None
        return super().make(entry, explicit)

    def write(self, entry: Entry, value: Any) -> None:
        _check_write(self, entry)
        entry.value = value


def _check_write(run: Pass, entry: Entry) -> None:
    if not run.traces.at_root:
        raise StateError(
            f"variable {entry.name!r} of a block is set inside a JAX transform in it",
            code="write_in_block",
            first=run.first(entry),
            again=here(),
            fix="return the new value from the inner function, and set the variable in the block itself",
        )


class Block:
    """A function to lift, and the recipes of the calls of it that were seen lately."""

    LIMIT = 128

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.memory = Memory()
        self._recipes: collections.OrderedDict[Hashable, Recipe] = collections.OrderedDict()

    def recipe(self, run: Pass, call: Call, surroundings: "Surroundings") -> Recipe:
        """Return what the block asks for in such a call, in the current scope.

        Raises:
            CannotLiftError: It asks for something beyond names relative to its scope.
            Exception: What the block raises.
        """
        key: Hashable | None
        try:
            kinds = tuple(map(jax.typeof, call.arrays))
            key = (surroundings._replace(stream=None), surroundings.stream is not None, call.key(), kinds)
            key = (key, trace_context(run))
            hash(key)
        except TypeError:
            key = None  # an array as inherited initializer, say
        found = self._recipes.get(key) if key is not None else None
        if found is None:
            found = self._record(call, surroundings)
            if key is not None:
                self._recipes[key] = found
                if len(self._recipes) > self.LIMIT:
                    self._recipes.popitem(last=False)
        return found

    def _record(self, call: Call, surroundings: "Surroundings") -> Recipe:
        results: list[Any] = []
        stream = surroundings.stream

        def record(passes: list[Any], everywhere: bool) -> None:
            def trace(arrays: Any, key: Any) -> Result:
                args, kwargs = call.join(arrays)
                run = _Recorder(self.function, self.memory, everywhere=everywhere)
                passes.append(run)
                run.lift(surroundings, None if key is None else RecordedStream(key, run.taken, own=False))
                return Result(run.run(*args, **kwargs))

            results[:] = [jax.eval_shape(trace, call.arrays, None if stream is None else stream.key)]

        passes: list[Any] = []
        finish(record, passes)
        return cast(_Recorder, passes[-1]).recipe(results[0].value())

    def play(
        self,
        recipe: Recipe,
        surroundings: "Surroundings",
        values: Mapping[str, Any],
        key: jax.Array | None,
        words: Any,
        counts: Any,
        args: Any,
        kwargs: Any,
    ) -> tuple[Any, dict[str, Any]]:
        """Run the block with values by relative name; return its result, and what it wrote."""
        taken = Taken(recipe.keys, words, counts)
        result: list[tuple[Any, dict[str, Any]]] = []

        def once(passes: list[Any], everywhere: bool) -> None:
            run = _Player(self.function, self.memory, values, "apply_with_state", everywhere=everywhere)
            passes.append(run)
            run.taken = taken
            run.open_stream = lambda key: GivenStream(key, taken, own=True)
            run.lift(surroundings, None if key is None else GivenStream(key, taken, own=False))
            out = run.run(*args, **kwargs)
            result[:] = [(out, {name: run.entries[name].value for name in recipe.writes})]

        passes: list[Any] = []
        finish(once, passes)
        return result[0]


class Surroundings(NamedTuple):
    """What a block takes over from the place of its call.

    Attributes:
        options: The scope's, but for its getters, through which the block's requests go outside.
        stream: The stream of keys that is open.
        entered: Relative names of scopes that count as entered below the current one; for a block that is
            called in a scope of its own there are none.
    """

    options: Options
    stream: Stream | None
    entered: tuple[str, ...] = ()

    @classmethod
    def of(cls, run: Pass) -> "Surroundings":
        """Return those of the place where a pass is now."""
        stream = run.streams[-1] if run.streams else None
        if stream is not None and stream.key is None:
            stream = None
        options = run.scope._options
        if options.custom_getter is not None:
            options = options.changed(custom_getter=None)
        return cls(options, stream)


@jax.jit
def _context() -> Result:
    return Result(None)


def trace_context(run: Pass) -> Hashable:
    """Return what else, beside its arguments, JAX would trace a function anew for: named axes, x64, a mesh.

    JAX itself tells: it traces `_context` for each such context once, and each trace has a result of its own.
    """
    state, context = run.context
    x64 = bool(cast(Any, jax.config).jax_enable_x64)  # may change within a trace
    if context is None or state != (run.traces.current, x64):
        with run.traces.neutral():
            context = Same(jax.eval_shape(_context).rest)
        run.context = ((run.traces.current, x64), context)
    return cast(Hashable, context)


def placeholders(result: Any, *leading: int) -> Any:
    """Return what stands for a result while recording, with further leading axes."""
    return jax.tree.map(
        lambda leaf: placeholder((*leading, *leaf.shape), leaf.dtype) if is_array(leaf) else leaf, result
    )
