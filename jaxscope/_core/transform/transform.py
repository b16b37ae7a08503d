"""transform: a function that asks for variables becomes spec, init and apply, which are pure."""

import contextlib
import functools
import types
from collections.abc import Callable, Hashable, Mapping
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, cast, overload

import jax

from jaxscope._core.base import compat
from jaxscope._core.base.calls import Call
from jaxscope._core.base.sites import here
from jaxscope._core.drawing.keys import as_key
from jaxscope._core.passes.attempts import finish, finished
from jaxscope._core.passes.memory import Memory
from jaxscope._core.passes.recording import Recording
from jaxscope._core.passes.replaying import Replaying
from jaxscope._core.passes.running import Pass
from jaxscope._core.passes.traces import Restart, retire_neutral
from jaxscope._core.transform.programs import NEEDS_VALUES, Stage
from jaxscope._core.variables.specs import FROM_INPUTS, VariableSpecs
from jaxscope._core.variables.tree import Variables
from jaxscope.errors import VariablesMismatchError

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
S = TypeVar("S")


class Transformed(Generic[P, R]):
    """A function together with the life of its variables: `spec`, `init` and `apply`; made by `transform`.

    Called like the function, inside another transformed function, it asks for its variables there.

    Example:
        >>> import jax.numpy as jnp, jaxscope as js
        >>> scale = js.transform(lambda x: x * js.get_variable("scale", []))
        >>> net = js.transform(lambda x: scale(x) + js.get_variable("offset", []))
        >>> list(net.spec(1.0))
        ['offset', 'scale']
        >>> net.apply({"offset": jnp.float32(1), "scale": jnp.float32(2)}, 3.0)
        Array(7., dtype=float32)
    """

    def __init__(self, fun: Callable[P, R]) -> None:
        self._fun: Callable[..., R] = fun
        self._bound: tuple[Any, ...] = ()
        self._memory = Memory()
        self._stage = Stage()
        functools.update_wrapper(self, fun)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
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
        bound: Transformed[..., R] = Transformed(self._fun)
        functools.update_wrapper(bound, types.MethodType(self._fun, instance))  # its signature has no `self`
        bound._bound = (*self._bound, instance)
        bound._memory, bound._stage = self._memory, self._stage
        return bound

    def __repr__(self) -> str:
        return f"<transformed {getattr(self._fun, '__qualname__', self._fun)}>"

    # --- recording -----------------------------------------------------------------------------

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
        call = Call((*self._bound, *args), kwargs)

        def record(passes: list[Pass], everywhere: bool) -> None:
            def trace(arrays: Any) -> tuple[()]:
                args, kwargs = call.join(arrays)
                run = Recording(self._fun, self._memory, everywhere=everywhere, kind=call.kind())
                passes.append(run)
                run.run(*args, **kwargs)
                return ()

            # `trace` is a function of its own, so that JAX has no older trace of it.
            jax.eval_shape(trace, call.arrays)

        passes: list[Pass] = []
        finish(record, passes)
        self._memory.completed = True
        specs = cast(Recording, passes[-1]).specs()
        self._memory.made_at = {spec.name: spec.site for spec in specs}
        return VariableSpecs(specs)

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
        if not isinstance(given, Mapping):
            raise VariablesMismatchError(
                f"variables must be a mapping of full names to arrays, not {type(given).__name__}",
                at=here(),
                fix="pass what net.init returned, or a dict such as {'dense/kernel': array}",
            )
        memory = self._memory
        replay = _Replay(purpose, given, (*self._bound, *args), kwargs)
        eager = compat.staging_trace() is None
        if eager and (memory.places or memory.written(replay.kind)):
            return self._staged(replay)
        if not eager and not memory.completed:
            # A pass that starts again leaves operations behind in the jaxpr around it.
            self._explore(replay)
        passes: list[Pass] = []
        result: list[Any] = []

        def attempt(passes: list[Pass], everywhere: bool) -> None:
            result[:] = [self._run(replay, passes, everywhere=everywhere)]

        noted = memory.sites
        if not finished(attempt, passes, everywhere=False):
            if memory.sites and not noted:
                return self._replay(purpose, given, args, kwargs)
            self._explore(replay)
            if eager:
                return self._staged(replay)
            finish(attempt, passes, everywhere=True)
        memory.completed = True
        return result[0]

    def _run(self, replay: "_Replay", passes: list[Pass], *, everywhere: bool, dry: bool = False) -> Any:
        purpose = replay.purpose
        run = Replaying(
            self._fun,
            self._memory,
            replay.given,
            purpose,
            everywhere=everywhere,
            dry=dry,
            kind=replay.kind,
        )
        passes.append(run)
        result = run.run(*replay.args, **replay.kwargs)
        if purpose == "apply":
            return result
        return run.born if purpose == "init" else (result, run.state())

    def _explore(self, replay: "_Replay") -> None:
        """Learn abstractly, and off the record, where inner traces make requests."""
        call = Call(replay.given, replay.args, replay.kwargs)

        def attempt(passes: list[Pass], everywhere: bool) -> None:
            def trace(arrays: Any) -> tuple[()]:
                self._run(replay.of(*call.join(arrays)), passes, everywhere=everywhere, dry=True)
                return ()

            with contextlib.suppress(*NEEDS_VALUES):  # the real pass meets the same, and says so
                jax.eval_shape(trace, call.arrays)

        finish(attempt, [], everywhere=True)
        self._memory.completed = True

    def _staged(self, replay: "_Replay") -> Any:
        purpose = replay.purpose  # all that a program, which outlives this call, may keep of it

        def function(everywhere: bool) -> Callable[..., Any]:
            def run(given: Any, args: Any, kwargs: Any) -> Any:
                passes: list[Pass] = []
                result = self._run(_Replay(purpose, given, args, kwargs), passes, everywhere=everywhere)
                if passes[-1].traces.aborted:  # and the function caught the Restart
                    retire_neutral()
                    passes[-1].traces.restart()
                return result

            return run

        def stage(everywhere: bool) -> Any:
            name = (purpose, everywhere)
            arguments = replay.given, replay.args, replay.kwargs
            return self._stage.call(function(everywhere), function(True), name, *arguments)

        everywhere = False
        while True:
            try:
                return stage(everywhere)
            except Restart as restart:
                if restart.traces.memory is not self._memory:
                    raise  # another function's, around this one
                everywhere = True


class _Replay:
    """One call of `apply`, `apply_with_state`, or of the part of `init` that needs the inputs."""

    def __init__(self, purpose: str, given: Any, args: Any, kwargs: Any) -> None:
        self.purpose = purpose
        self.given = given
        self.args = args
        self.kwargs = kwargs

    @property
    def kind(self) -> Hashable:
        """What tells apart the calls that may write other variables."""
        return Call(self.args, self.kwargs).kind() if self.purpose == "apply_with_state" else None

    def of(self, given: Any, args: Any, kwargs: Any) -> "_Replay":
        """Return the same kind of call with other arrays."""
        return _Replay(self.purpose, given, args, kwargs)


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
