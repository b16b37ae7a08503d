"""transform: a function that asks for variables becomes spec, init and apply, which are pure."""

from collections.abc import Callable, Mapping
from types import MethodType
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, cast, overload

import jax

from jaxscope._core.base.sites import here
from jaxscope._core.base.wrapper import Wrapper
from jaxscope._core.drawing.keys import as_key
from jaxscope._core.transform.calls import Calls
from jaxscope._core.transform.named_methods import part
from jaxscope._core.variables.specs import FROM_INPUTS, VariableSpecs
from jaxscope._core.variables.tree import Variables

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
S = TypeVar("S")


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

    traces = False  # by itself, that is

    def __init__(self, fun: Callable[P, R], /) -> None:
        super().__init__(fun)
        self._fun: Callable[..., R] = fun
        self._bound: tuple[Any, ...] = ()
        self._calls = Calls(fun, str(getattr(self, "__name__", "function")))

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
        bound: Transformed[..., R] = object.__new__(type(self))
        Wrapper.__init__(bound, MethodType(self._fun, instance))  # whose signature has no `self`
        bound._fun, bound._bound, bound._calls = self._fun, (*self._bound, instance), self._calls
        return bound

    def __repr__(self) -> str:
        return f"<transformed {getattr(self._fun, '__qualname__', self._fun)}>"

    def _repr_html_(self) -> str:
        from jaxscope._core.variables.notebooks import function_html

        return function_html(self._fun)

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
        return VariableSpecs(self._calls.record(self._bound, args, kwargs))

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
        __tracebackhide__ = True
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
        __tracebackhide__ = True
        return cast("tuple[R, Variables]", self._replay("apply_with_state", variables, args, kwargs))

    def _replay(self, purpose: str, given: Any, args: Any, kwargs: Any) -> Any:
        __tracebackhide__ = True
        return self._calls.replay(purpose, given, self._bound, args, kwargs)


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
