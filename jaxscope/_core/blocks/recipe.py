"""Recipes: what a block asks for, how that is asked for in another scope, and what it then computes."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax

from jaxscope._core.base.calls import Call, Result
from jaxscope._core.base.immutable import Value
from jaxscope._core.base.sameness import Look
from jaxscope._core.base.sites import Site, here
from jaxscope._core.blocks import taken
from jaxscope._core.blocks.border import Asked, BlockFailedError, CannotLiftError, Noting, Put, Took
from jaxscope._core.blocks.collected import Collected
from jaxscope._core.blocks.program import BlockProgram
from jaxscope._core.passes.base_pass import Pass
from jaxscope._core.passes.entries import Entry
from jaxscope._core.passes.keeping import Keeping


class Answers(NamedTuple):
    """What a block gets in one scope.

    Attributes:
        values: By the keys of its requests.
        parts: Words and count of each key that it takes, in order.
        places: How many variables were made before each value that it adds to a collection.
    """

    values: dict[Any, Any]
    parts: list[tuple[Any, Any]]
    places: list[int]


class Outcome(NamedTuple):
    """What a block comes to.

    Attributes:
        arrays: Those of its result.
        writes: What it sets, by relative name.
        added: The arrays of each value that it adds to a collection.
        rest: What getters leave behind, where they are computed with it.
    """

    arrays: list[Any]
    writes: dict[str, Any]
    added: list[list[Any]]
    rest: Sequence[Any] = ()


class Recipe:
    """What a block asks for, recorded in one scope of a pass; it lives as long as the pass.

    Attributes:
        events: The requests, the keys taken and the values added, in order.
        types: The types of what it comes to.
        prefix: What the names in its scope began with where it was recorded.
        names: The relative names of the variables that it sets.
        collected: What it adds to collections, in order.
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
        before = len(run.books.added)
        scopes.numbers = False
        kept, run.keeping = run.keeping, Keeping()  # getters run again, outside of the block
        stream = run.around.stream
        rest: list[Call] = []
        results: list[int] = []
        self.collected: list[Collected] = []

        def trace(arrays: Any) -> Any:
            run.traces.adopt()
            border.start()
            args, kwargs = call.join(arrays)
            result = Result(function(*args, **kwargs))
            rest.append(result.rest)
            results[:] = [id(array) for array in result.arrays]
            there = set(map(id, run.books.added[before:]))
            border.events = [
                taken.placed(event, stream, arrays) if isinstance(event, Took) else event
                for event in border.events
                if not isinstance(event, Put) or id(event.added) in there
            ]
            puts = [event for event in border.events if isinstance(event, Put)]
            self.collected = [Collected(put, self.prefix) for put in puts]
            added = [collected.release() for collected in self.collected]
            writes = [border.values[name] for name in border.writes]
            border.release()
            return result.arrays, writes, added

        try:
            with run.during(lambda around: around._replace(border=border)), run.traces.nested():
                closed = jax.make_jaxpr(trace)(call.arrays)
        except Exception as problem:
            raise BlockFailedError from problem
        finally:
            run.keeping = kept
            self.numbers, scopes.numbers = scopes.numbers, scopes.numbers or numbered
            self._entered = scopes.counts.log[mark[1][0] :]
            self._asks = scopes.names.since(mark[1][1])
            run.undo(mark)
        run.traces.look()
        border.check_templates()
        if border.refusals:
            raise CannotLiftError("an error that it has caught", here(), loop=True)
        self._check_outside(border, closed.consts)
        self._entries = border.plain
        self._rest = rest[-1]
        self.names = [name.removeprefix(self.prefix) for name in border.writes]
        self._results = sum(kept is None for kept in self._rest.static)
        self.types = self._parted(closed.out_avals)
        self._program = BlockProgram(closed)
        self.events = [
            taken.placed_inside(event, closed.consts, results) if isinstance(event, Took) else event
            for event in border.events
        ]

    def _check_outside(self, border: Noting, closed_over: list[Any]) -> None:
        """Raise `CannotLiftError` where what goes out of the block may hold what the block has computed.

        Requests are repeated outside, where such a value is gone.
        """
        for event in border.events:
            if isinstance(event, Asked):
                request = event.request
                functions = (
                    request.getter,
                    request.initializer,
                    request.regularizer,
                    request.constraint,
                    request.partitioner,
                    *event.creators,
                )
                _check(functions, closed_over, event.site)
        for collected in self.collected:
            _check(collected.kept, closed_over, collected.site)

    # --- what it asks for ----------------------------------------------------------------------

    @property
    def takes_keys(self) -> bool:
        """Whether it takes random keys."""
        return any(isinstance(event, Took) for event in self.events)

    @property
    def takes_shared_keys(self) -> bool:
        """Whether it takes keys from the stream that is open around it."""
        return any(isinstance(event, Took) and event.given is taken.STREAM for event in self.events)

    @property
    def plain(self) -> bool:
        """Whether nothing but the layer's own name has a say in what it asks for and adds.

        No getter, creator, regularizer or template; and no variable, or thing of Python's, in a collection.
        """
        return all(
            event.request.getter is None
            and not event.creators
            and not event.frozen
            and event.request.regularizer is None
            for event in self.events
            if isinstance(event, Asked)
        ) and all(collected.is_stacked for collected in self.collected)

    @property
    def variables(self) -> dict[str, Entry]:
        """The variables that it asks for without getters, by relative name."""
        return {name.removeprefix(self.prefix): entry for name, entry in self._entries.items()}

    @property
    def skeleton(self) -> Any:
        """What it computes, apart from weak types, and what it asks for."""
        asked = [(event.name, event.type) for event in self.events if isinstance(event, Asked)]
        return asked, self._program.skeleton

    # --- asking in another scope ---------------------------------------------------------------

    def ask(self, run: Pass, arguments: list[Any]) -> Answers | None:
        """Ask for all that the block asks for, in the current scope; None where a type is another.

        Args:
            run: The pass.
            arguments: The arrays of the call; None for those that are not the same in all scopes.
        """
        prefix = run.scopes.current._prefix
        answers = Answers({}, [], [])
        inside: dict[Any, object] = {}
        for event in self.events:
            if isinstance(event, Put):
                answers.places.append(run.books.made)
                continue
            if isinstance(event, Took):
                scope = self._scope(event.scope, prefix)
                answers.parts.append(taken.parts_of(event, run, scope, arguments, inside))
                continue
            value = self._asked(run, event, prefix)
            if not isinstance(value, jax.Array) or jax.typeof(value) != event.type:
                return None
            answers.values[event.key] = value
        return answers

    def take(self, run: Pass, scope: str, arguments: list[Any]) -> list[tuple[Any, Any]]:
        """Return words and counts of the keys that it takes in a scope, and count them as taken."""
        inside: dict[Any, object] = {}
        return [
            taken.parts_of(event, run, self._scope(event.scope, scope + "/"), arguments, inside)
            for event in self.events
            if isinstance(event, Took)
        ]

    def _asked(self, run: Pass, event: Asked, prefix: str) -> Any:
        """Return what a request gets in another scope."""
        name = prefix + event.name.removeprefix(self.prefix)
        if event.request.getter is None and not event.creators and not event.frozen and not run.around.frozen:
            return run.ask(name, event.request, event.site)
        with (
            run.during(lambda around: around._replace(creators=event.creators, frozen=event.frozen)),
            run.scopes.standing_in(self._scope(event.scope, prefix), event.options),
        ):
            return run.ask(name, event.request, event.site)

    def _scope(self, scope: str, prefix: str) -> str:
        """Return the full name of a scope, where the names of the block begin with another prefix."""
        own = scope.removeprefix(self.prefix) if scope != self._name else ""
        return (prefix + own).removesuffix("/")

    def enter(self, run: Pass) -> dict[str, str]:
        """Enter into the books, below the current scope, the scopes that the block enters.

        Returns:
            The path of name scopes here, by what it was where the block was recorded.
        """
        prefix, cut = run.scopes.current._prefix, len(self.prefix)
        run.scopes.counts.log += [prefix + event[cut:] for event in self._entered]
        paths = {self._space: run.scopes.names.path}
        if run.traces.memory.numbered:
            paths = run.scopes.names.again(self._asks, self._space, run.books.entries)
        elif self._asks:
            run.scopes.skipped = True
        run.books.changed()
        return paths

    # --- computing -----------------------------------------------------------------------------

    def stack(self, rows: list[list[tuple[Any, Any]]]) -> tuple[Any, Any]:
        """Return words and counts of keys, as uint32[scopes, keys, 2] and uint32[scopes, keys]."""
        return taken.stacked(rows) if self.takes_keys else (None, None)

    def compute(self, values: dict[Any, Any], words: Any, counts: Any, arrays: list[Any]) -> Outcome:
        """Return what the block comes to.

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
        return self._parted(self._program(given, arrays))

    def _parted(self, out: Any) -> Outcome:
        """Return the results of the block's program as what they are."""
        following = iter(out)
        arrays = [next(following) for _ in range(self._results)]
        writes = {name: next(following) for name in self.names}
        added = [[next(following) for _ in range(collected.count)] for collected in self.collected]
        return Outcome(arrays, writes, added)

    def returned(self, arrays: Any, given: dict[Any, Any] | None = None) -> Any:
        """Return what the block returns, with such arrays in it.

        Args:
            arrays: In its order.
            given: Its inputs, by number and by label, if what is handed through is to stay what it is.
        """
        if given is not None:
            pairs = zip(arrays, self._program.through, strict=False)
            arrays = [array if at is None else given.get(at, array) for array, at in pairs]
        return self._rest.join(arrays)[0]


def _check(things: Any, closed_over: list[Any], site: Site) -> None:
    for thing in things:
        if thing is not None and not isinstance(thing, Value | str):
            look = Look()
            look.see(thing)
            if any(all(tracer is not one for one in closed_over) for tracer in look.tracers):
                raise CannotLiftError("a function that closes over a traced value", site, loop=True)
