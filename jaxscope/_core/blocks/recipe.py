"""Recipes: what a block asks for, how that is asked for in another scope, and what it then computes."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxscope._core.base.calls import Call, Result
from jaxscope._core.base.immutable import Value
from jaxscope._core.base.sameness import Look
from jaxscope._core.base.sites import here
from jaxscope._core.blocks.border import Asked, BlockFailedError, CannotLiftError, Noting, Took
from jaxscope._core.blocks.program import BlockProgram
from jaxscope._core.model.random_keys import check_taking
from jaxscope._core.passes.around import Around
from jaxscope._core.passes.entries import Entry
from jaxscope._core.passes.running import Pass


class Answers(NamedTuple):
    """What a block gets in one scope.

    Attributes:
        values: By the keys of its requests.
        parts: Words and count of each key that it takes, in order.
    """

    values: dict[Any, Any]
    parts: list[tuple[Any, Any]]


class Recipe:
    """What a block asks for, recorded in one scope of a pass; it lives as long as the pass.

    Attributes:
        events: The requests and the keys taken, in order.
        result: The types of what it returns, as the arrays of a `Result`.
        prefix: What the names in its scope began with where it was recorded.
        writes: The types of the variables that it sets, by relative name.
        numbers: Whether it asks for default names.
        before: The scopes below its own that were entered before, by relative name.
        program: The jitted block, where it is called by `js.jit`.
    """

    program: Any = None

    def __init__(self, run: Pass, function: Callable[..., Any], call: Call, floor: int) -> None:
        """Record a block in the current scope; afterwards the books are as they were.

        Raises:
            CannotLiftError: It asks for something that cannot be repeated for another scope.
            BlockFailedError: From what the block raises.
        """
        scopes = run.scopes
        root = scopes.current
        self.prefix = root._prefix
        self._name = root._name
        self._space = scopes.names.path
        border = Noting(run, floor)
        below = scopes.counts.entered_below(root._name)
        self.before = tuple(path.removeprefix(root._prefix) for path in below)
        mark, numbered = run.mark(), scopes.numbers
        scopes.numbers = False
        arguments: list[Any] = []
        rest: list[Call] = []

        def trace(arrays: Any) -> Any:
            run.traces.adopt()
            border.begin()
            arguments[:] = arrays
            args, kwargs = call.join(arrays)
            result = Result(function(*args, **kwargs))
            rest.append(result.rest)
            return result.arrays, [border.values[name] for name in border.writes]

        try:
            with run.during(lambda around: around._replace(border=border)), run.traces.nested():
                closed = jax.make_jaxpr(trace)(call.arrays)
        except Exception as problem:
            raise BlockFailedError from problem
        finally:
            self.numbers, scopes.numbers = scopes.numbers, scopes.numbers or numbered
            self._entered = scopes.counts.log[mark[1][0] :]
            self._asks = scopes.names.since(mark[1][1])
            run.undo(mark)
        run.traces.look()
        if border.refusals:
            raise CannotLiftError("an error that it has caught", here(), loop=True)
        for event in border.events:
            _check_outside(event, closed.consts)
        self._entries = border.plain
        self._rest = rest[-1]
        cut = len(closed.out_avals) - len(border.writes)
        self.result = closed.out_avals[:cut]
        names = [name.removeprefix(self.prefix) for name in border.writes]
        self.writes = dict(zip(names, closed.out_avals[cut:], strict=True))
        self._program = BlockProgram(closed)
        stream = run.around.stream
        self.events = [_placed(event, stream, arguments, closed.consts) for event in border.events]

    # --- what it asks for ----------------------------------------------------------------------

    @property
    def takes_keys(self) -> bool:
        """Whether it takes random keys."""
        return any(isinstance(event, Took) for event in self.events)

    @property
    def takes_shared_keys(self) -> bool:
        """Whether it takes keys from the stream that is open around it."""
        return any(isinstance(event, Took) and event.given is STREAM for event in self.events)

    @property
    def plain(self) -> bool:
        """Whether no getter, creator or regularizer has a say in what it asks for."""
        return all(
            isinstance(event, Took)
            or (event.request.getter is None and not event.creators and event.request.regularizer is None)
            for event in self.events
        )

    @property
    def variables(self) -> dict[str, Entry]:
        """The variables that it asks for without getters, by relative name."""
        return {name.removeprefix(self.prefix): entry for name, entry in self._entries.items()}

    # --- asking in another scope ---------------------------------------------------------------

    def ask(self, run: Pass, arguments: list[Any]) -> Answers | None:
        """Ask for all that the block asks for, in the current scope; None where a type is another.

        Args:
            run: The pass.
            arguments: The arrays of the call; None for those that are not the same in all scopes.
        """
        prefix = run.scopes.current._prefix
        values: dict[Any, Any] = {}
        parts: list[tuple[Any, Any]] = []
        inside: dict[Any, object] = {}
        for event in self.events:
            if isinstance(event, Took):
                parts.append(self._take(event, run, prefix, arguments, inside))
                continue
            name = prefix + event.name.removeprefix(self.prefix)
            if event.creators is run.around.creators:
                value = run.ask(name, event.request, event.site)
            else:
                with run.during(_with_creators(event.creators)):
                    value = run.ask(name, event.request, event.site)
            if not isinstance(value, jax.Array) or jax.typeof(value) != event.type:
                return None
            values[event.key] = value
        return Answers(values, parts)

    def take(self, run: Pass, scope: str, arguments: list[Any]) -> list[tuple[Any, Any]]:
        """Return words and counts of the keys that it takes in a scope, and count them as taken."""
        inside: dict[Any, object] = {}
        taken = [event for event in self.events if isinstance(event, Took)]
        return [self._take(event, run, scope + "/", arguments, inside) for event in taken]

    def _take(
        self, event: Took, run: Pass, prefix: str, arguments: list[Any], inside: dict[Any, object]
    ) -> tuple[Any, Any]:
        given: Any = event.given
        if given is STREAM:
            check_taking(run, run.around.stream)
            given = run.around.stream.given
        elif isinstance(given, _Argument) and arguments[given.at] is not None:
            given = arguments[given.at]
        elif isinstance(given, _Argument | _Inside):
            given = inside.setdefault(given, object())
        scope = event.scope.removeprefix(self.prefix) if event.scope != self._name else ""
        return run.key_parts(given, (prefix + scope).removesuffix("/"))

    def enter(self, run: Pass) -> None:
        """Enter into the books, below the current scope, the scopes that the block enters."""
        prefix, cut = run.scopes.current._prefix, len(self.prefix)
        run.scopes.counts.log += [prefix + event[cut:] for event in self._entered]
        if run.traces.memory.numbered:
            run.scopes.names.again(self._asks, self._space, run.books.entries)
        elif self._asks:
            run.scopes.skipped = True
        run.books.changed()

    # --- computing -----------------------------------------------------------------------------

    def stack(self, rows: list[list[tuple[Any, Any]]]) -> tuple[Any, Any]:
        """Return words and counts of keys, as uint32[scopes, keys, 2] and uint32[scopes, keys]."""
        if not self.takes_keys:
            return None, None
        return _stacked(rows, 0), _stacked(rows, 1)

    def compute(
        self, values: dict[Any, Any], words: Any, counts: Any, arrays: list[Any]
    ) -> tuple[list[Any], dict[str, Any]]:
        """Return the arrays of the block's result, and what it sets.

        Args:
            values: By the keys of its requests.
            words: uint32[keys, 2], or None.
            counts: uint32[keys], or None.
            arrays: Those of its arguments.
        """
        given = dict(values)
        if words is not None:
            for at in range(len(words)):
                given["words", at], given["count", at] = words[at], counts[at]
        out = self._program(given, arrays)
        cut = len(out) - len(self.writes)
        return out[:cut], dict(zip(self.writes, out[cut:], strict=True))

    def returned(self, arrays: Any) -> Any:
        """Return what the block returns, with such arrays in it."""
        return self._rest.join(arrays)[0]


def _with_creators(creators: tuple[Any, ...]) -> Callable[[Around], Around]:
    return lambda around: around._replace(creators=creators)


#: Stands for the key of the stream that is open around the block.
STREAM: Any = object()


class _Argument(NamedTuple):
    """Stands for a key that is one of the block's arguments."""

    at: int


class _Inside(NamedTuple):
    """Stands for a key that the block makes, by its number."""

    number: int


def _placed(event: Asked | Took, stream: Any, arguments: list[Any], closed_over: list[Any]) -> Asked | Took:
    """Return an event that says where its given key comes from, and keeps nothing of the block's trace."""
    if isinstance(event, Asked):
        return event
    given = event.given
    if stream is not None and given is stream.given:
        return event._replace(given=STREAM)
    for at, argument in enumerate(arguments):
        if argument is given:
            return event._replace(given=_Argument(at))
    if not isinstance(given, Tracer) or any(given is one for one in closed_over):
        return event  # from outside
    return event._replace(given=_Inside(id(given)))


def _check_outside(event: Asked | Took, closed_over: list[Any]) -> None:
    """Raise `CannotLiftError` where a function in a request may hold what the block has computed.

    The request is repeated outside, where such a value is gone.
    """
    if isinstance(event, Took):
        return
    request = event.request
    functions = (
        request.getter,
        request.initializer,
        request.regularizer,
        request.constraint,
        request.partitioner,
        *event.creators,
    )
    for function in functions:
        if function is not None and not isinstance(function, Value):
            look = Look()
            look.see(function)
            if any(all(tracer is not one for one in closed_over) for tracer in look.tracers):
                raise CannotLiftError("a function that closes over a traced value", event.site, loop=True)


def _stacked(rows: list[list[tuple[Any, Any]]], part: int) -> Any:
    cells = [[pair[part] for pair in row] for row in rows]
    if any(isinstance(cell, jax.Array) for row in cells for cell in row):  # those of a block around this one
        return jnp.stack([jnp.stack([jnp.asarray(cell, np.uint32) for cell in row]) for row in cells])
    return np.array(cells, np.uint32)
