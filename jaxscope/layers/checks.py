"""Checks of arguments that all layers share."""

import operator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike

import jaxscope as js
from jaxscope.sites import users_line


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
