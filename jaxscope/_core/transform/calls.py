"""Calls of one function: each runs as it is written, or is jitted whole, as earlier ones have taught."""

from collections.abc import Callable, Mapping
from typing import Any, cast

import jax

from jaxscope._core.base import compat
from jaxscope._core.base.calls import Arguments, Call, Result, narrows
from jaxscope._core.base.forgetful_jit import Program
from jaxscope._core.base.recent import Recent
from jaxscope._core.base.sites import here, warn
from jaxscope._core.passes.learned import Memories, Memory
from jaxscope._core.passes.recording import Recording
from jaxscope._core.passes.replaying import Replaying
from jaxscope._core.passes.restarting import complete
from jaxscope._core.passes.traces import Restart
from jaxscope._core.transform.call_kind import Kind
from jaxscope._core.transform.exploring import NEEDS_VALUES, explore, off_the_record
from jaxscope._core.variables.given import OnDemand, as_given
from jaxscope._core.variables.specs import VariableSpec
from jaxscope._core.variables.tree import Variables
from jaxscope.errors import DtypeMismatchError, VariablesMismatchError

__all__ = ["Calls"]

#: A Python number among the arguments is part of a program: the oldest ones are dropped.
_PROGRAMS = 64
#: Says that programs are kept only for the very same objects.
_PARTICULAR = Program("particular")
#: A run that changes something once, where it is filled in on demand, is no reason to run all that follow.
_OFTEN = 2
_RESTLESS = "the function changes what it reads while it runs"
#: Each reason is told once, and no more than so many.
_WARNINGS = 16


#: Stands for what JAX cannot hold.
_MISFIT = object()

Make = Callable[[Any, bool], Replaying]


class Calls:
    """What is remembered of the calls of one function, and how the next one runs.

    Args:
        function: The user's.
        name: How programs are called.
    """

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        self._function = function
        self._name = name
        self._memories = Memories()
        self._programs: Recent[Program] = Recent(_PROGRAMS)
        self._warned: set[str] = set()

    def record(self, bound: tuple[Any, ...], args: Any, kwargs: Any) -> list[VariableSpec]:
        """Return what variables the function makes.

        Args:
            bound: The arguments that a method has beforehand.
            args: The others by position.
            kwargs: Those by name.
        """
        call = Arguments(bound, args, kwargs)
        kind = self._kind(call)
        memory = self._memories.of(kind.exact)

        def make(_: Any, everywhere: bool) -> Recording:
            return Recording(self._function, memory, everywhere=everywhere)

        specs = off_the_record(make, {}, call, memory, Recording.specs)
        self._settle(kind, call, memory)
        memory.made_at = {spec.name: spec.site for spec in specs}
        # With just these variables given, the function makes the same requests in the same places.
        made = kind.with_variables((spec.name, spec.shape, spec.dtype) for spec in specs)
        self._memories.teach(made, memory)
        return specs

    def replay(self, purpose: str, given: Any, bound: tuple[Any, ...], args: Any, kwargs: Any) -> Any:
        """Run the function with given variables, and return what the method of `Transformed` returns.

        Args:
            purpose: As of `Replaying`.
            given: Full name -> array.
            bound: As in `record`.
            args: Likewise.
            kwargs: Likewise.
        """
        __tracebackhide__ = True
        given = _as_tree(given)
        call = Arguments(bound, args, kwargs, structs=False)
        kind = self._kind(call)
        memory = self._memories.of(kind.exact if kind.calm else kind.with_given(given))
        make = self._maker(purpose, memory)

        def as_written(**how: bool) -> Any:
            __tracebackhide__ = True
            result = _without_references(memory, purpose, make, given, (*bound, *args), kwargs, **how)
            memory.completed = True
            return result

        def learn() -> None:
            explore(self._maker(purpose, memory, dry=True), given, call, memory)
            self._settle(kind, call, memory)

        eager = compat.staging_trace() is None
        if eager and _looked_into():
            return as_written()
        # A pass that starts again repeats effects, and leaves operations behind in the jaxpr around it.
        if not kind.calm and (not memory.completed if kind.known else not eager):
            learn()
        if eager and kind.known and not memory.eagerly:
            if not memory.inner:
                try:
                    return as_written(again=False)
                except Restart as restart:
                    if restart.traces.memory is not memory:
                        raise
                learn()
            if memory.inner and not memory.eagerly:
                variables = Call(_held(given, memory), structs=False, ordered=False)
                if any(variables.static):
                    kind.forget("the given variables are not all arrays that JAX can hold as they are")
                elif place := call.narrowed():
                    kind.forget(f"{place} is an array that jax.jit would make another one of")
                else:
                    return self._jitted(purpose, memory, make, kind, variables, call)
        result = as_written(everywhere=eager and not (kind.calm or memory.completed))
        if eager and memory.inner:
            self._warn(memory.eagerly or kind.why)
        return result

    def _jitted(
        self, purpose: str, memory: Memory, make: Make, kind: Kind, variables: Call, call: Call
    ) -> Any:
        __tracebackhide__ = True

        def body(values: list[Any], arrays: list[Any]) -> Result:
            __tracebackhide__ = True
            (given,) = variables.join(values)
            args, kwargs = call.join(arrays)
            return Result(_without_references(memory, purpose, make, given, args, kwargs))

        def program(key: Any) -> Program:
            return self._programs.get_or(key, lambda: Program(f"{self._name}_{purpose}"))

        key = purpose, kind.key, variables.tree
        found = program(key)
        if found is _PARTICULAR:
            found = program((key, kind.identity))
        result: Result = found(body, kind.arrays, variables.arrays, call.arrays)
        if found.particular:
            self._programs.put((key, kind.identity), found)
            self._programs.put(key, _PARTICULAR)
        return result.value()

    def _maker(self, purpose: str, memory: Memory, *, dry: bool = False) -> Make:
        def make(given: Any, everywhere: bool) -> Replaying:
            return Replaying(self._function, memory, given, purpose, everywhere=everywhere, dry=dry)

        return make

    def _kind(self, call: Arguments) -> Kind:
        kind = Kind(self._function, call)
        if self._memories.restless >= _OFTEN:
            kind.forget(_RESTLESS)
        return kind

    def _settle(self, kind: Kind, call: Arguments, memory: Memory) -> None:
        """Note whether a run changed what the next run reads; if each does so, all have to be run."""
        if kind.known and not kind.calm:
            if Kind(self._function, call).key == kind.key:
                self._memories.restless = 0
            else:
                self._memories.restless += 1
                memory.eagerly = _RESTLESS

    def _warn(self, why: str) -> None:
        """Say once why calls run operation by operation."""
        if why == _RESTLESS and self._memories.restless < _OFTEN:
            return
        if why and why not in self._warned and len(self._warned) < _WARNINGS:
            self._warned.add(why)
            warn(
                f"jaxscope runs this call operation by operation, which is slow: {why}. "
                "Call apply under jax.jit, or pass such values as static arguments."
            )


def _as_tree(given: Any) -> Any:
    """Return given variables as a pytree, which not every mapping is; it does not change with the mapping."""
    if not isinstance(given, Mapping):
        raise VariablesMismatchError(
            f"variables must be a mapping of full names to arrays, not {type(given).__name__}",
            at=here(),
            fix="pass what net.init returned, or a dict such as {'dense/kernel': array}",
        )
    return given if isinstance(given, Variables) or type(given) is dict else OnDemand(given)


def _held(given: Any, memory: Memory) -> Any:
    """Return given variables as JAX holds them; what it does not hold stays as it is."""
    if isinstance(given, OnDemand):
        memory.asked |= given.read.keys()
        given = {name: given[name] for name in memory.asked if name in given}
    elif not any(map(narrows, given.values())):
        return given

    def held(name: str, value: Any) -> Any:
        try:
            return as_given(name, value) if narrows(value) else value
        except DtypeMismatchError:  # which is for a request to tell, if there is one
            return _MISFIT

    made = {name: held(name, given[name]) for name in given}
    return Variables(made, non_trainable=given.non_trainable) if isinstance(given, Variables) else made


def _looked_into() -> bool:
    """Tell whether somebody wants to see the function run as it is written."""
    config = cast(Any, jax.config)
    return bool(config.jax_disable_jit or config.jax_check_tracer_leaks)


def _without_references(
    memory: Memory, purpose: str, make: Make, given: Any, args: Any, kwargs: Any, **how: bool
) -> Any:
    """Run a call, and return what the method returns, by operations that any transform around can take.

    What inner traces write, a reference carries out of them; JAX cannot differentiate or map all that has
    references in it, so the call is traced by itself, and its references become values.
    """
    __tracebackhide__ = True

    def once(given: Any, args: Any, kwargs: Any) -> Any:
        __tracebackhide__ = True

        def call_in(run: Replaying) -> Any:
            __tracebackhide__ = True
            result = run.run(*args, **kwargs)
            if purpose == "apply":
                return result
            return run.born if purpose == "init" else (result, run.state())

        return complete(lambda everywhere: make(given, everywhere), call_in, **how)[1]

    if purpose == "apply_with_state" and memory.written():
        from jaxscope._core.passes.discharge import discharged  # which `import jaxscope` has no time for

        try:
            return discharged(once, given, args, kwargs)
        except NEEDS_VALUES:  # `float(x)` in an eager call: as it is written, then
            if compat.staging_trace() is not None:
                raise
    return once(given, args, kwargs)
