"""Lifting: what a block asks for, by names relative to its scope, so that one trace serves many scopes."""

import collections
from collections.abc import Callable, Hashable, Mapping
from threading import get_ident
from typing import Any, NamedTuple, TypeVar, cast

import jax
import numpy as np

from jaxscope.errors import StateError, TraceError
from jaxscope.passes import Entry, Pass, current
from jaxscope.random import fold, words_for
from jaxscope.recording import Recording
from jaxscope.replaying import Replaying
from jaxscope.request import ask_for, ask_through
from jaxscope.scopes import Options, Reuse, VariableScope
from jaxscope.sites import Site, here
from jaxscope.staging import Call, Result
from jaxscope.streams import Stream, check_taking
from jaxscope.tracing import Memory, finish
from jaxscope.variables import Variables

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


class CannotLiftError(BaseException):
    """Ends the recording of a block that asks for something beyond names relative to its scope."""

    def __init__(self, what: str, site: Site) -> None:
        super().__init__(what)
        self.what = what
        self.site = site


class Request(NamedTuple):
    """One variable that a block makes, by its relative name, as it asked for it."""

    name: str
    shape: tuple[int, ...]
    dtype: Any
    explicit: bool
    initializer: Any
    regularizer: Any
    reuse: Reuse
    trainable: bool
    collections: tuple[str, ...]
    partitioner: Any
    constraint: Any
    site: Site

    def ask(self, run: Pass, scope: str, getter: Callable[..., Any] | None = None) -> Any:
        """Ask for the variable in a pass, below the scope whose names begin with `scope`."""
        constant = not callable(self.initializer)
        arguments = (
            scope + self.name,
            None if constant else self.shape,
            self.dtype,
            self.initializer,
            self.regularizer,
            self.reuse,
            self.trainable,
            self.collections,
            self.partitioner,
            self.constraint,
        )
        if getter is not None:
            return ask_through(run, getter, self.explicit, *arguments)
        # Errors and specs show the line in the block, not the block's call.
        return ask_for(run, self.explicit, *arguments, site=self.site)


class Recipe:
    """What a block asks for: variables, keys, scopes that it enters, and what it returns."""

    def __init__(self, run: "_Recorder", result: Any) -> None:
        self.requests = run.requests
        self.keys = run.taken
        self.entered = run.entered_paths()
        self.numbers_scopes = run.numbers_scopes
        self.writes = tuple(run.writes)
        self.result = result  # of shapes and dtypes
        self.program: Any = None  # the jitted block, where it is called by `js.jit`

    def key_arguments(self, run: Pass, stream: Stream | None, scopes: list[str]) -> tuple[Any, Any]:
        """Return words and counts of the block's keys in each of some scopes, and count them as taken.

        Args:
            run: The pass that the block is called in.
            stream: The stream that is open around the block.
            scopes: Full names of the scopes that the block runs in, one after the other.

        Returns:
            uint32[scopes, keys, 2] and uint32[scopes, keys]; None for both where the block takes no keys.
        """
        if not self.keys:
            return None, None
        if stream is not None:
            check_taking(run, stream)
        words = np.zeros((len(scopes), len(self.keys), 2), np.uint32)
        counts = np.zeros((len(scopes), len(self.keys)), np.uint32)
        if stream is not None:
            for i, scope in enumerate(scopes):
                for j, (relative, _) in enumerate(self.keys):
                    name = "/".join(part for part in (scope, relative) if part)
                    words[i, j] = words_for(name)
                    counts[i, j] = stream.counts.get(name, 0)
                    stream.counts[name] = int(counts[i, j]) + 1
        return words, counts


class _Lifted(Pass):
    """A pass of a block, in which the scope that the block is called in is the root."""

    assuming = True

    def lift(self, options: Options, stream: Stream | None) -> None:
        """Take over what is inherited from the place of the call."""
        self.scope._options = options
        self.streams = () if stream is None else (stream,)
        self.thread = -1  # so that every request is checked: see `check_open`

    def check_open(self, what: str) -> None:
        if not self.ended and get_ident() == self.owner:
            if what in _ALLOWED:
                return
            raise CannotLiftError(f"js.{what}", here())
        super().check_open(what)

    def admit(self, scope: VariableScope) -> None:
        if scope._books() is not self:
            raise CannotLiftError("a scope object from outside", here())


class _Recorder(_Lifted, Recording):
    """Records what a block asks for."""

    def __init__(self, function: Callable[..., Any], memory: Memory, *, everywhere: bool) -> None:
        super().__init__(function, memory, everywhere=everywhere)
        self.requests: list[Request] = []
        self.taken: list[tuple[str, int]] = []
        self.writes: dict[str, None] = {}

    def make(self, entry: Entry, explicit: bool) -> Any:
        regularizer, entry.regularizer = entry.regularizer, None  # called where the variable is made
        value = super().make(entry, explicit)
        if not callable(entry.initializer) and not isinstance(entry.initializer, np.ndarray):
            raise CannotLiftError("an initial value that is computed", entry.site)
        self.requests.append(
            Request(
                entry.name,
                entry.shape,
                entry.dtype,
                explicit,
                entry.initializer,
                regularizer,
                self.scope._options.reuse,
                entry.trainable,
                entry.collections,
                entry.sharding,
                entry.constraint,
                entry.site,
            )
        )
        return value

    def write(self, entry: Entry, value: Any) -> None:
        super().write(entry, value)
        _check_write(self, entry)
        self.writes[entry.name] = None

    def entered_paths(self) -> list[str]:
        """Return the relative names of the scopes that count as entered at the end of the block."""
        return list(self.counts.root.entered_below())


class _Player(_Lifted, Replaying):
    """Runs a block with given values, by relative name."""

    def _set_value(self, entry: Entry, explicit: bool) -> None:
        # Checked where the variable was asked for, by its full name.
        entry.value = self.given[entry.name]
        entry.shape = entry.value.shape
        entry.regularizer = None

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
            first=str(entry),
            again=here(),
            fix="return the new value from the inner function, and set the variable in the block itself",
        )


class _RecordedStream(Stream):
    """Notes which keys a block takes."""

    def __init__(self, key: jax.Array, taken: list[tuple[str, int]]) -> None:
        super().__init__(key)
        self.loops = 0
        self._taken = taken

    def derive(self, scope: str, count: int) -> jax.Array:
        self._taken.append((scope, count))
        return super().derive(scope, count)


class _GivenStream(Stream):
    """Hands out the keys of the scope that a block runs in, whose words and counts are arguments."""

    def __init__(self, key: jax.Array, order: list[tuple[str, int]], words: Any, counts: Any) -> None:
        super().__init__(key)
        self.loops = 0
        self._order = order
        self._words = words
        self._counts = counts

    def derive(self, scope: str, count: int) -> jax.Array:
        at = self._order.index((scope, count))
        return jax.random.fold_in(fold(self.key, self._words[at]), self._counts[at])  # type: ignore[arg-type]


class Block:
    """A function to lift, and the recipes of the calls of it that were seen lately."""

    LIMIT = 128

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.memory = Memory()
        self._recipes: collections.OrderedDict[Hashable, Recipe] = collections.OrderedDict()

    def recipe(self, run: Pass, call: Call) -> Recipe:
        """Return what the block asks for in such a call, in the current scope.

        Raises:
            CannotLiftError: It asks for something beyond names relative to its scope.
            Exception: What the block raises.
        """
        options, stream = inherited(run)
        key: Hashable | None
        try:
            key = (options, stream is not None, call.key(), tuple(map(jax.typeof, call.arrays)))
            hash(key)
        except TypeError:
            key = None  # an array as inherited initializer, say
        found = self._recipes.get(key) if key is not None else None
        if found is None:
            found = self._record(call, options, stream)
            if key is not None:
                self._recipes[key] = found
                if len(self._recipes) > self.LIMIT:
                    self._recipes.popitem(last=False)
        return found

    def _record(self, call: Call, options: Options, stream: Stream | None) -> Recipe:
        results: list[Any] = []

        def record(passes: list[Any], everywhere: bool) -> None:
            def trace(arrays: Any, key: Any) -> Result:
                args, kwargs = call.join(arrays)
                run = _Recorder(self.function, self.memory, everywhere=everywhere)
                passes.append(run)
                run.lift(options, None if key is None else _RecordedStream(key, run.taken))
                return Result(run.run(*args, **kwargs))

            results[:] = [jax.eval_shape(trace, call.arrays, None if stream is None else stream.key)]

        passes: list[Any] = []
        finish(record, passes)
        return Recipe(passes[-1], results[0].value())

    def play(
        self,
        recipe: Recipe,
        options: Options,
        values: Mapping[str, Any],
        key: jax.Array | None,
        words: Any,
        counts: Any,
        args: Any,
        kwargs: Any,
    ) -> tuple[Any, dict[str, Any]]:
        """Run the block with values by relative name; return its result, and what it wrote."""
        result: list[tuple[Any, dict[str, Any]]] = []

        def once(passes: list[Any], everywhere: bool) -> None:
            run = _Player(self.function, self.memory, values, "apply_with_state", everywhere=everywhere)
            passes.append(run)
            run.lift(options, None if key is None else _GivenStream(key, recipe.keys, words, counts))
            out = run.run(*args, **kwargs)
            result[:] = [(out, {name: run.entries[name].value for name in recipe.writes})]

        passes: list[Any] = []
        finish(once, passes)
        return result[0]


def inherited(run: Pass) -> tuple[Options, Stream | None]:
    """Return what a block takes over from the place of its call: options (but getters) and the key stream."""
    stream = run.streams[-1] if run.streams else None
    if stream is not None and stream.key is None:
        stream = None
    return run.scope._options._replace(custom_getter=None), stream


def _check_pure(recipe: Recipe) -> None:
    if recipe.keys or recipe.writes:
        raise CannotLiftError("js.next_key" if recipe.keys else "js.set_variable", here())


def lift(block: Callable[..., R], *args: Any, **kwargs: Any) -> tuple[Callable[..., R], Variables]:
    """Return a block as a pure function of its variables, and the variables, which are made here.

    For the places where JAX lets no function read a value from outside: a function with a custom derivative
    that is differentiated with respect to it, or a `jax.shard_map` over Explicit axes.

    Args:
        block: A function that asks for variables in the current scope.
        *args: Arguments like those of the later calls.
        **kwargs: Likewise.

    Returns:
        `(function, values)`: `function(values, *args, **kwargs)` is what `block(*args, **kwargs)` would
        return here, and asks for nothing; `values` are named relative to the current scope.

    Raises:
        TraceError: The block writes variables, takes random keys, or asks for something that relative
            names cannot say (code `cannot_lift`).
        JaxscopeError: As the block's requests.

    Example:
        >>> import jax, jax.numpy as jnp, jaxscope as js
        >>> def scaled(x):
        ...     return x * js.get_variable("scale", [])
        >>> @js.transform
        ... def net(x):
        ...     function, values = js.lift(scaled, x)
        ...     custom = jax.custom_vjp(function)
        ...     custom.defvjp(
        ...         lambda values, x: (function(values, x), (values, x)),
        ...         lambda saved, g: jax.vjp(function, *saved)[1](jnp.clip(g, -1, 1)),
        ...     )
        ...     return custom(values, x)
        >>> jax.grad(net.apply)({"scale": jnp.float32(2)}, 3.0)
        {'scale': Array(3., dtype=float32)}
    """
    run = current("lift")
    lifted = Block(block)
    options, _ = inherited(run)
    call = Call(args, kwargs)
    try:
        recipe = lifted.recipe(run, call)
        _check_pure(recipe)
    except CannotLiftError as problem:
        raise TraceError(
            f"js.lift makes a pure function of its block, and the block uses {problem.what}",
            code="cannot_lift",
            at=problem.site,
            scope=run.describe_scope(),
            fix="keep that out of the block: pass keys in, and return what is to be written",
        ) from None
    except Exception:
        block(*args, **kwargs)  # says what is wrong by the full names
        raise
    getter = run.scope.custom_getter
    values = {request.name: request.ask(run, run.scope._prefix, getter) for request in recipe.requests}
    for path in recipe.entered:
        run.counts.enter(run.frame.node.at(path))

    def function(values: Mapping[str, Any], *args: Any, **kwargs: Any) -> R:
        result, _ = lifted.play(recipe, options, values, None, None, None, args, kwargs)
        return cast(R, result)

    frozen = [request.name for request in recipe.requests if not request.trainable]
    return function, Variables(values, non_trainable=frozen)
