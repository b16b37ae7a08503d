"""Initial values: what an initializer argument means, and what shape and dtype it gives (R28 to R32)."""

import functools
import operator
from collections.abc import Callable, Mapping
from typing import Any, cast

import jax
import numpy as np
from jax import core

from jaxscope import initializers, tables
from jaxscope.errors import InitializerError, InvalidShapeError, MissingShapeError
from jaxscope.initializers.base import as_constant, callable_without_arguments
from jaxscope.sites import Site
from jaxscope.values import Value


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


default_for = functools.lru_cache(maxsize=256)(initializers.default_for)


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


#: Sizes beyond this cannot be counted in 64 bits.
_LARGEST = 2**63 - 1


def as_shape(shape: Any, name: str, site: Callable[[], Site]) -> tuple[int | None, ...]:
    """Return a shape as a tuple of sizes.

    Args:
        shape: A sequence of sizes (None: not known), or one size.
        name: The full name of the variable.
        site: Returns the user's file and line.

    Returns:
        A tuple of Python ints and Nones; symbolic sizes of `jax.export` stay as they are.

    Raises:
        InvalidShapeError: A size is negative (code `negative_dimension`), too large, traced, or no
            whole number.
    """
    known = known_shape(shape)
    if known is not None:
        return known
    if isinstance(shape, jax.Array) and not isinstance(shape, core.Tracer):
        shape = np.asarray(shape)
    if isinstance(shape, (str, bytes, Mapping, set, frozenset)):
        shape = (shape,)
    try:
        sizes = tuple(shape)
    except TypeError:
        sizes = (shape,)
    return tuple(_size(size, sizes, name, site) for size in sizes)


def known_shape(shape: Any) -> tuple[int, ...] | None:
    """Return a list or tuple of plain sizes as a tuple; None for all else, which `as_shape` looks into."""
    if type(shape) is list or type(shape) is tuple:
        try:
            return _known(*shape)
        except (TypeError, ValueError):
            return None
    return None


@functools.lru_cache(maxsize=65536, typed=True)
def _known(*sizes: int) -> tuple[int, ...]:
    """Return sizes that are plain; a call of this cache costs less than looking at them again."""
    if all(type(size) is int and 0 <= size <= _LARGEST for size in sizes):
        return sizes
    raise ValueError(sizes)


def _show(size: Any) -> str:
    return tables.describe(size) if isinstance(size, core.Tracer) else repr(size)


def _size(size: Any, shape: Any, name: str, site: Callable[[], Site]) -> Any:
    if size is None or jax.export.is_symbolic_dim(size):
        return size
    code = "invalid_shape"
    if isinstance(size, core.Tracer):
        problem = "a size is traced, and shapes must be known while tracing"
    elif isinstance(size, bool) or not hasattr(size, "__index__"):
        problem = f"{size!r} is not a whole number"
    else:
        try:
            whole = operator.index(size)
        except TypeError:
            whole = None
        if whole is None:
            problem = f"{size!r} is not a whole number"
        elif whole < 0:
            problem, code = f"{whole} is negative", "negative_dimension"
        elif whole > _LARGEST:
            problem = "a size is larger than 2**63 - 1"
        else:
            return whole
    raise InvalidShapeError(
        f"the shape of {name!r} is not valid: {problem}",
        code=code,
        shape=", ".join(map(_show, shape))[:200],
        at=site(),
        fix="pass a list or tuple of whole numbers, such as x.shape[-1:] or [x.shape[-1], 64]",
    )
