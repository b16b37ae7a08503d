"""transform: a function that asks for variables becomes spec, init and apply, which are pure."""

import warnings
from collections.abc import Callable, Mapping
from types import MethodType
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, cast, overload

import jax

from jaxscope._core.base import compat
from jaxscope._core.base.calls import Arguments, Call, Result
from jaxscope._core.base.program import Program
from jaxscope._core.base.recent import Recent
from jaxscope._core.base.sites import here
from jaxscope._core.base.wrapper import Wrapper
from jaxscope._core.drawing.keys import as_key
from jaxscope._core.passes.attempts import complete
from jaxscope._core.passes.memory import Memories, Memory
from jaxscope._core.passes.recording import Recording
from jaxscope._core.passes.replaying import Replaying
from jaxscope._core.passes.traces import Restart
from jaxscope._core.transform.exploring import NEEDS_VALUES, explore, off_the_record
from jaxscope._core.transform.kind import Kind
from jaxscope._core.transform.parts import part
from jaxscope._core.variables.specs import FROM_INPUTS, VariableSpecs
from jaxscope._core.variables.tree import Variables
from jaxscope.errors import VariablesMismatchError

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
S = TypeVar("S")


#: A Python number among the arguments is part of the program: the oldest programs are dropped.
_PROGRAMS = 64
#: Says that programs are kept for single objects only.
_PARTICULAR = Program("particular")


class Transformed(Wrapper, Generic[P, R]):
    """A function together with the life of its variables: `spec`, `init` and `apply`; made by `transform`.

    Called like the function, inside another transformed function, it asks for its variables there.

    Example:
        >>> import jax.numpy as jnp, jaxscope as js
        >>> scale = js.transform(lambda x: x * js.get_variable("scale", []))
        >>> net = js.transform(lambda x: scale(x) + js.get_variable("offset", []))
        >>> list(net.spec(1.0))
        ['scale', 'offset']
        >>> net.apply({"offset": jnp.float32(1), "scale": jnp.float32(2)}, 3.0)
        Array(7., dtype=float32)
    """

    def __init__(self, fun: Callable[P, R], /) -> None:
        super().__init__(fun)
        self._fun: Callable[..., R] = fun
        self._bound: tuple[Any, ...] = ()
        self._memories = Memories()
        self._programs: Recent[Program] = Recent(_PROGRAMS)

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function as it is: its requests go to the pass that is running here.

        Raises:
            NoPassError: No transformed function is running, and this one makes a request.
        """
        return self._fun(*self._bound, *args, **kwargs)

    @overload
    def __get__(self, instance: None, owner: type) -> "Transformed[P, R]": ...
    @overload
    def __get__(
        self: "Transformed[Concatenate[S, Q], R]", instance: S, owner: type
    ) -> "Transformed[Q, R]": ...
    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        # Shares what was learned and compiled: the instance is an argument like the others.
        bound: Transformed[..., R] = Transformed(
            MethodType(self._fun, instance)
        )  # whose signature has no `self`
        bound._fun, bound._bound = self._fun, (*self._bound, instance)
        bound._memories, bound._programs = self._memories, self._programs
        return bound

    def __repr__(self) -> str:
        return f"<transformed {getattr(self._fun, '__qualname__', self._fun)}>"

    # --- recording -----------------------------------------------------------------------------

    @part
    def spec(self, /, *args: P.args, **kwargs: P.kwargs) -> VariableSpecs:
        """Return what variables the function makes for such arguments; computes and allocates nothing.

        Args:
            *args: As of the function. Arrays may be `jax.ShapeDtypeStruct`s; all that is not an array
                (booleans, strings, None, Python numbers) is passed on as it is.
            **kwargs: Likewise.

        Returns:
            One spec for each variable.

        Raises:
            JaxscopeError: A request breaks a rule.

        Example:
            >>> import jax, jax.numpy as jnp, jaxscope as js
            >>> net = js.transform(lambda x: x @ js.get_variable("w", [x.shape[-1], 2**20]))
            >>> net.spec(jax.ShapeDtypeStruct((8, 2**20), jnp.float32)).nbytes
            4398046511104
        """
        call = Arguments(self._bound, args, kwargs)
        kind = self._kind(call)
        memory = self._memories.of(kind.exact)

        def make(_: Any, everywhere: bool) -> Recording:
            return Recording(self._fun, memory, everywhere=everywhere)

        specs = off_the_record(make, {}, call, memory, Recording.specs)
        self._settle(kind, call, memory)
        memory.made_at = {spec.name: spec.site for spec in specs}
        return VariableSpecs(specs)

    @part
    def init(self, key: jax.Array, /, *args: P.args, **kwargs: P.kwargs) -> Variables:
        """Return initial values for the variables that the function makes for such arguments.

        Args:
            key: A typed key (`jax.random.key(0)`) or a legacy one. Each value depends on (key, full
                name, shape, dtype, initializer) alone.
            *args: As of the function; arrays or `jax.ShapeDtypeStruct`s, but real arrays where an
                initial value is computed from them.
            **kwargs: Likewise.

        Returns:
            One array for each variable.

        Raises:
            KeyStreamError: `key` is no key, or a batch of keys.
            JaxscopeError: A request breaks a rule, or an initializer fails.

        Example:
            >>> import jax, jaxscope as js
            >>> net = js.transform(
            ...     lambda x: x * js.get_variable("scale", [], initializer=js.initializers.ones)
            ... )
            >>> net.init(jax.random.key(0), 1.0)["scale"]
            Array(1., dtype=float32)
        """
        as_key(key, here())
        specs = self.spec(*args, **kwargs)
        values = specs.select(lambda spec: spec.initializer is not FROM_INPUTS).init(key)
        if len(values) == len(specs):
            return values
        born = self._replay("init", values, args, kwargs)
        return specs.bind({**values, **born})

    # --- replaying -----------------------------------------------------------------------------

    @part
    def apply(self, variables: Mapping[str, Any], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Return what the function returns, with the given variables; makes and writes nothing.

        Args:
            variables: `Variables`, or any mapping of full names to arrays. Names that the function
                does not ask for are ignored.
            *args: As of the function.
            **kwargs: Likewise.

        Returns:
            The function's result.

        Raises:
            VariableNotFoundError: A variable that the function asks for is not given.
            ShapeMismatchError: A given variable has another shape than asked for.
            DtypeMismatchError: A given variable has another dtype than asked for, or is no array.
            StateError: The function writes a variable.
            JaxscopeError: A request breaks a rule.

        Example:
            >>> import jax.numpy as jnp, jaxscope as js
            >>> net = js.transform(lambda x: x @ js.get_variable("w", [2]))
            >>> net.apply({"w": jnp.ones(2)}, jnp.arange(2.0))
            Array(1., dtype=float32)
        """
        return cast(R, self._replay("apply", variables, args, kwargs))

    @part
    def apply_with_state(
        self, variables: Mapping[str, Any], /, *args: P.args, **kwargs: P.kwargs
    ) -> tuple[R, Variables]:
        """Return what the function returns, and every non-trainable variable after the call.

        Args:
            variables: As in `apply`.
            *args: As of the function.
            **kwargs: Likewise.

        Returns:
            `(result, state)`; `variables | state` holds what the next call should be given.

        Raises:
            JaxscopeError: As `apply`, except that writing is allowed.

        Example:
            >>> import jax.numpy as jnp, jaxscope as js
            >>> @js.transform
            ... def count():
            ...     js.set_variable("n", js.get_variable("n", [], "int32", trainable=False) + 1)
            >>> _, state = count.apply_with_state({"n": jnp.int32(4)})
            >>> state["n"]
            Array(5, dtype=int32)
        """
        return cast("tuple[R, Variables]", self._replay("apply_with_state", variables, args, kwargs))

    def _replay(self, purpose: str, given: Any, args: Any, kwargs: Any) -> Any:
        __tracebackhide__ = True
        if not isinstance(given, Mapping):
            raise VariablesMismatchError(
                f"variables must be a mapping of full names to arrays, not {type(given).__name__}",
                at=here(),
                fix="pass what net.init returned, or a dict such as {'dense/kernel': array}",
            )
        call = Arguments(self._bound, args, kwargs, structs=False)
        kind = self._kind(call)
        memory = self._memories.of(kind.exact)
        eager = compat.staging_trace() is None
        make = self._maker(purpose, memory)
        known = kind.known and eager

        def run(**how: bool) -> Any:
            __tracebackhide__ = True
            result = _without_references(memory, purpose, make, given, (*self._bound, *args), kwargs, **how)
            memory.completed = True
            return result

        config = cast(Any, jax.config)
        if eager and (config.jax_disable_jit or config.jax_check_tracer_leaks):
            return run()  # as it is written: somebody wants to look into it
        # A pass that starts again repeats effects, and leaves operations behind in the jaxpr around it.
        if not kind.calm and (not memory.completed if kind.known else not eager):
            self._explore(purpose, given, call, kind, memory)
        if known and not memory.inner and not memory.eagerly:
            try:
                return run(again=False)
            except Restart as restart:
                if restart.traces.memory is not memory:
                    raise
            self._explore(purpose, given, call, kind, memory)
        if known and memory.inner and not memory.eagerly:
            return self._jitted(purpose, given, call, kind, memory)
        result = run(everywhere=eager and not (kind.calm or memory.completed))
        if eager and memory.inner and not (memory.eagerly == _RESTLESS and self._memories.restless < _OFTEN):
            _warn(self._memories.warned, memory.eagerly or kind.why)
        return result

    def _explore(self, purpose: str, given: Any, call: Arguments, kind: Kind, memory: Memory) -> None:
        explore(self._maker(purpose, memory, dry=True), given, call, memory)
        self._settle(kind, call, memory)

    def _jitted(self, purpose: str, given: Any, call: Arguments, kind: Kind, memory: Memory) -> Any:
        __tracebackhide__ = True
        if not isinstance(given, Variables) and type(given) is not dict:
            given = dict(given)  # not every mapping is a pytree, and it may change
        variables = Call(given, structs=False)
        make = self._maker(purpose, memory)

        def body(values: list[Any], arrays: list[Any]) -> Result:
            (given,) = variables.join(values)
            args, kwargs = call.join(arrays)
            return Result(_without_references(memory, purpose, make, given, args, kwargs))

        result: Result = self._program((purpose, kind.key, variables.tree), kind, body, variables, call)
        return result.value()

    def _program(self, key: Any, kind: Kind, body: Any, variables: Call, call: Call) -> Any:
        __tracebackhide__ = True
        programs, name = self._programs, f"{getattr(self, '__name__', 'function')}_{key[0]}"
        program = programs.get_or(key, lambda: Program(name))
        if program is _PARTICULAR:
            program = programs.get_or((key, kind.identity), lambda: Program(name))
            return program(body, kind.arrays, variables.arrays, call.arrays)
        result = program(body, kind.arrays, variables.arrays, call.arrays)
        if program.particular:
            programs.put((key, kind.identity), program)
            programs.put(key, _PARTICULAR)
        return result

    def _maker(self, purpose: str, memory: Memory, *, dry: bool = False) -> Callable[[Any, bool], Replaying]:
        def make(given: Any, everywhere: bool) -> Replaying:
            return Replaying(self._fun, memory, given, purpose, everywhere=everywhere, dry=dry)

        return make

    def _kind(self, call: Arguments) -> Kind:
        kind = Kind(self._fun, call)
        if self._memories.restless >= _OFTEN:
            kind.forget(_RESTLESS)
        return kind

    def _settle(self, kind: Kind, call: Arguments, memory: Memory) -> None:
        """Note whether a run changed what the next run reads; if each does so, all have to be run."""
        if kind.known and not kind.calm:
            if Kind(self._fun, call).key == kind.key:
                self._memories.restless = 0
            else:
                self._memories.restless += 1
                memory.eagerly = _RESTLESS


_RESTLESS = "the function changes what it reads while it runs"
#: A run that changes something once, as where it is filled in on demand, is no reason to run all.
_OFTEN = 2
#: Each reason is told once, and no more than so many.
_WARNINGS = 16


def _without_references(
    memory: Memory,
    purpose: str,
    make: Callable[[Any, bool], Replaying],
    given: Any,
    args: Any,
    kwargs: Any,
    **how: bool,
) -> Any:
    """Run a call, and return what the method returns, by operations that any transform around can take.

    What inner traces write, a reference carries out of them; JAX cannot differentiate or map all that has
    references in it, so the call is traced by itself, and its references become values.
    """
    __tracebackhide__ = True

    def once(given: Any, args: Any, kwargs: Any) -> Any:
        return complete(
            lambda everywhere: make(given, everywhere),
            lambda run: _outcome(purpose, run, run.run(*args, **kwargs)),
            **how,
        )[1]

    if purpose == "apply_with_state" and memory.written():
        from jaxscope._core.passes.discharge import discharged  # which `import jaxscope` has no time for

        try:
            return discharged(once, given, args, kwargs)
        except NEEDS_VALUES:  # `float(x)` in an eager call: as it is written, then
            if compat.staging_trace() is not None:
                raise
    return once(given, args, kwargs)


def _outcome(purpose: str, run: Replaying, result: Any) -> Any:
    """Return what a method of `Transformed` returns."""
    if purpose == "apply":
        return result
    return run.born if purpose == "init" else (result, run.state())


def _warn(warned: set[str], why: str) -> None:
    """Say once why calls run operation by operation."""
    if why and why not in warned and len(warned) < _WARNINGS:
        warned.add(why)
        site = here()
        warnings.warn_explicit(
            f"jaxscope runs this call operation by operation, which is slow: {why}. "
            "Call apply under jax.jit, or pass such values as static arguments.",
            UserWarning,
            site.file,
            site.line,
        )


def transform(fun: Callable[P, R]) -> Transformed[P, R]:
    """Return `fun` with `spec`, `init` and `apply`: pure functions over an immutable pytree.

    Args:
        fun: A function that asks for variables by `get_variable`. Its arguments may be any pytrees;
            leaves that are no arrays stay Python values. Methods and `functools.partial`s will do.

    Returns:
        A `Transformed`. Also a decorator.

    Raises:
        TypeError: `fun` is not callable.

    Example:
        >>> import jax, jax.numpy as jnp, jaxscope as js
        >>> @js.transform
        ... def linear(x):
        ...     return x @ js.get_variable("w", [x.shape[-1], 2], initializer=js.initializers.ones)
        >>> variables = linear.init(jax.random.key(0), jnp.ones(3))
        >>> jax.jit(linear.apply)(variables, jnp.ones(3))
        Array([3., 3.], dtype=float32)
    """
    if isinstance(fun, Transformed):
        return fun
    if not callable(fun):
        raise TypeError(f"js.transform takes a function, not {type(fun).__name__}")
    return Transformed(fun)
