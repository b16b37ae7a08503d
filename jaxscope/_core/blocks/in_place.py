"""In place: a function is traced where it is called, and what it leaves behind is taken out of its trace."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
from jax.core import Tracer
from jax.extend import core

from jaxscope._core.base.calls import Call, Result
from jaxscope._core.base.describe import shown
from jaxscope._core.base.sameness import Look
from jaxscope._core.blocks.holding import Holding, WrittenInsideError
from jaxscope._core.blocks.program import needed
from jaxscope._core.passes import collecting
from jaxscope._core.passes.base_pass import Pass
from jaxscope._core.passes.entries import Added, Entry


class HiddenTracerError(Exception):
    """Something that is no array, and goes out of the function, holds a value that it has computed."""


class InPlace:
    """One call of a function, whose trace is its own, and whose requests are those of the pass.

    The function closes over its arguments, so that they are the very objects that they are outside, as are
    the variables. What it sets, and adds to collections, come out of its program beside its result; `settle`
    puts them in their places.

    Args:
        run: The pass.
        function: Called once, without arguments.

    Attributes:
        inputs: All arrays that the program takes.
        program: The program, from those to what it computes.
        written: The full names of the variables that it sets.

    Raises:
        Exception: As the function; called as it is, it fails again.
        HiddenTracerError: It can be called only as it is.
    """

    def __init__(self, run: Pass, function: Callable[[], Any]) -> None:
        self._run = run
        self._result: Call
        self._added: list[_AddedHere] = []
        self._lost: list[Entry] = []
        self._results: list[int] = []
        self._counts: Any = None
        mark, written_inside = run.mark(), set[str]()
        while True:
            self._holding = Holding(run, run.around.border, written_inside)
            try:
                closed = self._traced(function)
                break
            except WrittenInsideError as problem:
                written_inside.add(problem.name)
                run.undo(mark)
        if written_inside:
            from jaxscope._core.passes.discharge import without_references  # which few blocks need

            closed = without_references(closed)
        jaxpr = closed.jaxpr
        self.inputs = closed.consts
        self.written = set(self._holding.entries)
        # What is but handed through stays the object that it is.
        places = {id(var): at for at, var in enumerate(jaxpr.constvars)}
        self._through = [places.get(id(out)) for out in jaxpr.outvars]
        self._keys = self._taken_inside()
        outs = [out for out, at in zip(jaxpr.outvars, self._through, strict=True) if at is None]
        debug_info = jaxpr.debug_info._replace(result_paths=None)
        self.program = core.Jaxpr(jaxpr.constvars, [], outs, needed(jaxpr), jaxpr.effects, debug_info)

    def _traced(self, function: Callable[[], Any]) -> core.ClosedJaxpr:
        run, holding = self._run, self._holding
        start = len(run.books.added)

        def trace() -> list[Any]:
            run.traces.adopt()
            holding.start()
            result = Result(function())
            run.traces.look()
            self._results = [id(array) for array in result.arrays]
            self._result = result.rest
            added = [_AddedHere(one) for one in run.books.added[start:] if run.traces.is_here(one.state)]
            self._added = [one for one in added if one.traced]
            losses = {id(loss) for loss in holding.losses}
            self._lost = [
                one
                for one in holding.made  # of what was set since, the loss is another one
                if one.loss is not None and id(one.loss[1]()) in losses and one.name not in holding.entries
            ]
            values = holding.end()
            counts = [len(one.traced) for one in self._added]
            self._counts = len(result.arrays), len(values), counts, len(self._lost)
            _check([kept for one in (self._result.static, *(a.kept for a in added)) for kept in one])
            outs = [
                *result.arrays,
                *values,
                *(leaf for one in self._added for leaf in one.traced),
                *(one.loss[1]() for one in self._lost),
            ]
            for one in self._added:
                one.release()
            holding.release()
            return outs

        with run.during(lambda around: around._replace(border=holding)), run.traces.nested():
            closed = jax.make_jaxpr(trace)()
        run.traces.look()
        return closed

    def _taken_inside(self) -> list[tuple[Any, dict[str, int]] | None]:
        """Return for each new array that is returned, if keys were taken of it, itself and their counts."""
        given = {id(one): one for one in self._holding.taken if isinstance(one, Tracer)}
        self._holding.taken.clear()
        for outside in self.inputs:  # which stay what they are
            given.pop(id(outside), None)
        return [
            (given[at], self._run.books.taken(given[at])) if at in given else None for at in self._results
        ]

    def compute(self, inputs: list[Any]) -> list[Any]:
        """Return what the program computes of other inputs."""
        computed: list[Any] = core.jaxpr_as_fun(core.ClosedJaxpr(self.program, inputs))()
        return computed

    def parts(self, inputs: list[Any], computed: list[Any]) -> tuple[list[Any], list[Any]]:
        """Return the arrays of the result, and all else that comes out, for `settle`."""
        following = iter(computed)
        outs = [next(following) if at is None else inputs[at] for at in self._through]
        cut = sum(kept is None for kept in self._result.static)
        return outs[:cut], outs[cut:]

    def result(self, arrays: list[Any]) -> Any:
        """Return what the function returned, with such arrays in it."""
        for array, taken in zip(arrays, self._keys, strict=True):
            if taken is not None:
                self._run.books.retake(array, taken[1])
                self._holding.outer.becomes(taken[0], array)
        return self._result.join(arrays)[0]

    def settle(self, rest: list[Any]) -> None:
        """Set what the function sets, and finish what it has added to collections."""
        run, values = self._run, iter(rest)
        for entry in self._holding.entries.values():
            self._holding.outer.write(run, entry, next(values))
        for one in self._added:
            one.finish(run, values)
        for entry in self._lost:
            collecting.keep_loss(run, entry, run.value_of(entry), next(values))

    def variable_of(self, value: Any) -> Entry | None:
        """Return the entry of the variable that an input is, as it was read; None if it is another value."""
        return self._holding.sources.get(id(value))

    @property
    def adds(self) -> bool:
        """Whether it computes something that it adds to a collection."""
        return bool(self._added)

    def is_like(self, other: "InPlace") -> bool:
        """Tell whether as many things come out of another function, in the same order."""
        return self._through == other._through and self._counts == other._counts


class _AddedHere:
    """A value that was added to a collection, some parts of which were computed here."""

    def __init__(self, added: Added) -> None:
        self._added = added
        leaves, self._tree = jax.tree.flatten(added.value if added.entry is None else None)
        self.traced = [leaf for leaf in leaves if isinstance(leaf, Tracer)]
        self.kept = [None if isinstance(leaf, Tracer) else (leaf,) for leaf in leaves]

    def release(self) -> None:
        """Let go of what belongs to the trace, which ends."""
        self.traced = []
        self._added.value = None

    def finish(self, run: Pass, values: Iterator[Any]) -> None:
        """Put values into the places of what was computed here."""
        leaves = [next(values) if kept is None else kept[0] for kept in self.kept]
        self._added.value = jax.tree.unflatten(self._tree, leaves)
        self._added.state = run.traces.here


def _check(kept: list[Any]) -> None:
    for one in kept:
        if one is not None:
            look = Look(alive=True)
            look.see(one[0])
            if look.tracers:
                raise HiddenTracerError(f"{shown(one[0])} holds what the block has computed, and is no array")
