"""Element types: what a file's numbers become here, where each of them fits."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxscope.errors import DtypeMismatchError


def here(dtype: Any) -> np.dtype[Any]:
    """Return the element type in which JAX holds numbers of a type: 32 bits for 64, where x64 is off."""
    return np.dtype(jax.dtypes.canonicalize_dtype(dtype)).newbyteorder("=")


def castable(stored: Any, asked: Any) -> bool:
    """Tell whether numbers may be cast on request: fractions to fractions, integers to integers."""
    return any(
        jnp.issubdtype(stored, kind) and jnp.issubdtype(asked, kind)
        for kind in (jnp.floating, jnp.integer, jnp.complexfloating)
    )


def converted(name: str, value: np.ndarray[Any, Any], dtype: Any) -> np.ndarray[Any, Any]:
    """Return numbers in another element type, or an error where one of them does not fit.

    Args:
        name: What the array is called in messages.
        value: The numbers, as the file has them.
        dtype: The element type to have.

    Returns:
        The same array where it has the type.

    Raises:
        DtypeMismatchError: An integer is beyond the type's range, or a finite fraction would become infinite
            (code `needs_x64`).

    Example:
        >>> converted("step", np.array([7], "int64"), "int32")
        array([7], dtype=int32)
    """
    dtype = np.dtype(dtype)
    if value.dtype == dtype:
        return value
    with np.errstate(over="ignore", invalid="ignore"):
        made = value.astype(dtype)
    if not _fits(value, made):
        finite = value[np.isfinite(value)]
        raise DtypeMismatchError(
            f"not all values of {name!r}, {value.dtype.name} in the file, fit {dtype.name}",
            code="needs_x64",
            range=f"{finite.min()} to {finite.max()}",
            fix="turn on 64-bit types, jax.config.update('jax_enable_x64', True), and ask for them;\n"
            "or change the file",
        )
    return made


def _fits(old: np.ndarray[Any, Any], new: np.ndarray[Any, Any]) -> bool:
    if not old.size:
        return True
    if jnp.issubdtype(new.dtype, jnp.integer):
        limits: Any = jnp.iinfo(new.dtype)  # type: ignore[no-untyped-call]
        return int(old.min()) >= int(limits.min) and int(old.max()) <= int(limits.max)
    wide = new.astype(old.dtype) if new.dtype.kind not in "fc" else new  # NumPy's isfinite knows no float8
    return bool((np.isfinite(wide) | ~np.isfinite(old)).all())
