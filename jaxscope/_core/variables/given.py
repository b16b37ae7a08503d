"""Given values: what is given for a variable becomes a `jax.Array`, or an error that names the variable."""

from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxscope._core.base import compat
from jaxscope._core.base.describe import describe, shape_text
from jaxscope._core.initializers.base import holds
from jaxscope.errors import DtypeMismatchError, ShapeMismatchError


class OnDemand(Mapping[str, Any]):
    """Given variables of which each is read when it is asked for, once: a file's, say.

    It is read where they were given, though an inner trace ask for it: what a mapping computes serves all.

    Args:
        values: Full name -> anything.

    Attributes:
        read: Those that were read.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values
        self._trace = compat.traces()[0]
        self.read: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self.read:
            with compat.tracing().set_current_trace(self._trace):
                self.read[name] = self._values[name]
        return self.read[name]

    def __contains__(self, name: object) -> bool:
        return name in self.read or name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def as_given(
    name: str, value: Any, shape: tuple[int | None, ...] | None = None, dtype: Any = None
) -> jax.Array:
    """Return what is given for a variable as an array that it may have.

    A `jax.Array` stays what it is. NumPy's arrays and scalars, and what converts itself (`__jax_array__`,
    `__array__`: parameters of other libraries, datasets in files), become new arrays, of the type in which
    JAX holds such values here.

    Args:
        name: The variable's full name, for messages.
        value: Anything.
        shape: The shape to have; None for any, and in it for any size.
        dtype: The dtype to have; None for any.

    Returns:
        The array. An array of 64-bit numbers is one of 32 bits where x64 is off, if all of them fit.

    Raises:
        DtypeMismatchError: It is no array (code `not_an_array`), of another dtype, or of numbers that
            32 bits do not hold (code `needs_x64`).
        ShapeMismatchError: It is of another shape.

    Example:
        >>> as_given("n", np.array(3)).dtype, as_given("w", jnp.ones((3, 2)), (None, 2)).shape
        (dtype('int32'), (3, 2))
    """
    array = value if isinstance(value, jax.Array) else _converted(name, value)
    if shape is not None and array.shape != shape and not fits(shape, array.shape):
        raise ShapeMismatchError(
            f"the given variable {name!r} has another shape than its function asks for",
            given=describe(value),
            asked=f"{array.dtype if dtype is None else dtype}{shape_text(shape)}",
            fix="give the variable that this function was initialized with, or an input of the shape that it "
            "was initialized for; or convert the variable",
        )
    if dtype is not None and array.dtype != dtype:
        raise DtypeMismatchError(
            f"the given variable {name!r} has another dtype than its function asks for",
            given=describe(value),
            asked=f"{dtype}{shape_text(array.shape)}",
            fix="cast it, or leave out dtype= in the request to take it as it is",
        )
    return array


def fits(asked: tuple[int | None, ...], found: tuple[int, ...]) -> bool:
    """Tell whether a shape asked for fits the one found: equal but for None, which fits any size (R25)."""
    return len(asked) == len(found) and all(a is None or a == f for a, f in zip(asked, found, strict=True))


def _converted(name: str, value: Any) -> jax.Array:
    kind = type(value)
    try:
        if hasattr(kind, "__jax_array__"):
            value = value.__jax_array__()
        elif hasattr(kind, "__array__") and not isinstance(value, np.ndarray):
            value = np.asarray(value)
    except Exception as problem:
        problem.add_note(f"in converting the given variable {name!r}, of type {kind.__name__}, to an array")
        raise
    if isinstance(value, jax.Array):
        return value
    # A masked array would lose its mask.
    if not isinstance(value, np.ndarray) or isinstance(value, np.ma.MaskedArray):
        raise _no_array(name, f"but {kind.__name__}")
    native = value.astype(value.dtype.newbyteorder("="), copy=False)
    dtype = jax.dtypes.canonicalize_dtype(native.dtype)
    with np.errstate(over="ignore"):
        narrow = native.astype(dtype, copy=False)
    if dtype != native.dtype and not holds(narrow, native):
        raise _too_large(name, native, dtype)
    try:
        # Concrete, also where an inner trace asks; a copy, so that later writes into the array do not show.
        with jax.ensure_compile_time_eval():
            return jnp.array(narrow)
    except TypeError as problem:
        raise _no_array(name, f"of numbers but {describe(value)}") from problem


def _no_array(name: str, what: str) -> DtypeMismatchError:
    return DtypeMismatchError(
        f"the given variable {name!r} is not an array {what}",
        code="not_an_array",
        fix="give a jax.Array or a NumPy array",
    )


def _too_large(name: str, value: np.ndarray[Any, Any], dtype: Any) -> DtypeMismatchError:
    return DtypeMismatchError(
        f"the given variable {name!r} is {describe(value)}, and not all of its values fit {dtype}",
        code="needs_x64",
        range=f"{np.nanmin(value)} to {np.nanmax(value)}",
        fix=f"turn on 64-bit types, jax.config.update('jax_enable_x64', True), or give it as {dtype}",
    )
