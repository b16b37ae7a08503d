"""Checks of arguments that all layers share, and the user's line for errors about them."""

import contextlib
import operator
import os
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike

import jaxscope as js

# Where there are frames that are not the user's: jaxscope, JAX, and Python's wrappers.
_NOT_USERS = (*(os.path.dirname(str(module.__file__)) for module in (js, jax)), contextlib.__file__)


def users_line() -> str:
    """Return the innermost line that is the user's, for an error."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_NOT_USERS):
        frame = frame.f_back
    return f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno} in {frame.f_code.co_name}"


def as_array(value: ArrayLike, what: str) -> jax.Array:
    """Return an array; raise `TypeError` for what cannot be one."""
    try:
        return jnp.asarray(value)
    except (TypeError, ValueError) as problem:
        raise TypeError(f"{what} must be an array, not {type(value).__name__}: {problem}") from problem


def whole_number(value: Any, name: str) -> int:
    """Return a whole number; raise `TypeError` for anything else."""
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be a whole number, not {value!r}") from None


def static_flag(value: Any, name: str) -> bool:
    """Return a flag as True or False; it decides what is traced, so it cannot be traced itself."""
    if isinstance(value, Tracer):
        raise js.errors.TraceError(
            f"{name} decides what a layer computes, and is traced here",
            code="traced_flag",
            at=users_line(),
            fix=f"pass {name} as a Python bool: close over it, or name it in static_argnames of jax.jit",
        )
    if value is not None and not (
        isinstance(value, bool | np.bool_) or (type(value) is int and value in {0, 1})
    ):
        raise TypeError(f"{name} must be True or False, not {value!r}")
    return bool(value)
