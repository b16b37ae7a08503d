"""Initial values: what an initializer argument means, and what shape and dtype it gives (R28 to R32)."""

import functools
from collections.abc import Callable
from typing import Any, cast

import jax
import jax.numpy as jnp

from jaxscope._core.base.immutable import Value
from jaxscope._core.base.sites import Site
from jaxscope._core.initializers.base import Initializer, as_constant, callable_without_arguments
from jaxscope.errors import InitializerError, MissingShapeError


class WithoutArguments(Value):
    """An initializer made of a function that decides shape and dtype by itself (R30)."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self.function = function

    def value(self) -> Any:
        """Return what the function gives, as an array."""
        return as_constant(self.function())

    def __call__(self, key: jax.Array, shape: tuple[int, ...], dtype: Any) -> Any:
        return self.value()


def is_constant(initializer: Any) -> bool:
    """Tell whether an initializer argument is a value rather than a function."""
    return initializer is not None and not callable(initializer)


def constant(name: str, value: Any, site: Site) -> Any:
    """Return a constant as an array, or raise `InitializerError` with the variable's name."""
    try:
        return as_constant(value)
    except InitializerError as problem:
        raise InitializerError(
            f"variable {name!r}: {problem.summary}", code=problem.code, at=site, fix=problem.fix
        ) from None
    except ValueError as problem:  # NumPy's, of lists of different lengths
        raise InitializerError(
            f"the initial value of {name!r} is no array: {problem}",
            code="init_call_failed",
            at=site,
            fix="pass lists of equal lengths",
        ) from None


@functools.lru_cache(maxsize=256)
def default_for(dtype: Any) -> Initializer | None:
    """Return the initializer of a variable that names none (rule R28).

    Args:
        dtype: Element type of the variable.

    Returns:
        `glorot_uniform()` for floating dtypes, `zeros()` for integers and bool, None for others.

    Example:
        >>> default_for(np.float32), default_for(bool), default_for(np.complex64)
        (glorot_uniform(), zeros(), None)
    """
    # Imported when they are asked for: `import jaxscope` has no time for all initializers.
    if jnp.issubdtype(dtype, jnp.floating):
        from jaxscope._core.initializers.scaling import glorot_uniform

        return glorot_uniform()
    if jnp.issubdtype(dtype, jnp.integer) or jnp.issubdtype(dtype, jnp.bool_):
        from jaxscope._core.initializers.elementary import zeros

        return zeros()
    return None


def resolve(
    name: str, initializer: Any, shape: tuple[int | None, ...] | None, dtype: Any, explicit: bool, site: Any
) -> tuple[Any, tuple[int, ...] | None, Any]:
    """Return what a new variable starts from: initializer, shape and dtype.

    Args:
        name: The full name.
        initializer: The one asked for or inherited, or None.
        shape: The shape asked for, None where it was not, with None for sizes not known.
        dtype: The dtype asked for or inherited.
        explicit: Whether the call itself gave the dtype.
        site: The user's file and line; None if whoever calls adds it.

    Returns:
        `(initializer, shape, dtype)`; shape and dtype are None where a `WithoutArguments` decides them.

    Raises:
        MissingShapeError: There is neither a shape nor an initializer (R23, 11).
        InitializerError: The initializer does not fit shape or dtype (R23, 11 to 13).
    """
    if initializer is None:
        if shape is None:
            raise MissingShapeError(
                f"variable {name!r} is new and has no shape",
                at=site,
                fix="pass a shape, or a constant as initializer to take the shape from; to get a variable "
                "that exists, open its scope with reuse=True",
            )
        initializer = default_for(dtype)
        if initializer is None:
            raise InitializerError(
                f"there is no default initializer for {dtype}, the dtype of {name!r}",
                code="no_default_for_dtype",
                at=site,
                fix="pass initializer=",
            )
    elif not callable(initializer):
        value = constant(name, initializer, site)
        if explicit and value.dtype != dtype:
            raise dtype_conflict(name, value.dtype, dtype, site)
        return value, value.shape, value.dtype
    elif shape is None or None in shape:
        function = initializer() if isinstance(initializer, type) else initializer
        if callable_without_arguments(function):
            return WithoutArguments(function), None, None
    return initializer, _full(name, shape, site), dtype


def _full(name: str, shape: tuple[int | None, ...] | None, site: Site) -> tuple[int, ...]:
    if shape is None or None in shape:
        raise InitializerError(
            f"the initializer of {name!r} needs a full shape, and the one given is {shape}",
            code="init_needs_full_shape",
            at=site,
            fix="pass a shape of whole numbers",
        )
    return cast("tuple[int, ...]", shape)


def dtype_conflict(name: str, given: Any, asked: Any, site: Site) -> InitializerError:
    """Return the error for a constant whose dtype is not the one that the call asks for."""
    return InitializerError(
        f"the initial value of {name!r} is {given}, and the call asks for {asked}",
        code="constant_dtype_conflict",
        at=site,
        fix=f"convert the constant, or leave out dtype= to have {given}",
    )
