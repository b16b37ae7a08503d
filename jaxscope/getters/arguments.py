"""Arguments of getters: what each may be."""

import math
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxscope as js


def wrong(getter: object, argument: str, wanted: str, given: Any, example: str) -> Exception:
    """Return the error of an argument that says nothing."""
    return js.errors.GetterError(
        f"{argument} of js.getters.{type(getter).__name__} is {wanted}, not {given!r}",
        code="getter_argument",
        fix=f"pass {argument}={example}, say",
    )


def check_where(getter: Any) -> None:
    """Raise `GetterError` unless `where` is a regular expression, a function or None."""
    where: Any = getter.where
    if where is None or callable(where) or isinstance(where, re.Pattern):
        return
    wanted, example = "a regular expression or a function of a js.getters.Request", 'r".*/kernel"'
    if not isinstance(where, str):
        raise wrong(getter, "where", wanted, where, example)
    try:
        re.compile(where)
    except re.error as problem:
        raise wrong(getter, "where", f"{wanted} ({problem})", where, example) from None


def check_whole(getter: Any, argument: str, least: int | None = None) -> None:
    """Raise `GetterError` unless an argument is a whole number, of a least size."""
    value = getattr(getter, argument)
    if isinstance(value, bool) or not isinstance(value, int) or (least is not None and value < least):
        wanted = "a whole number" if least is None else f"a whole number from {least} on"
        raise wrong(getter, argument, wanted, value, str(least or -1))


def check_flag(getter: Any, argument: str) -> None:
    """Raise `GetterError` unless an argument is True or False: it decides what is traced."""
    value = getattr(getter, argument)
    if not isinstance(value, bool | np.bool_):
        wanted = "a Python bool, known where the function is traced"
        raise wrong(getter, argument, wanted, type(value).__name__, "True")


def check_number(getter: Any, argument: str, wanted: str, example: str, most: float = math.inf) -> None:
    """Raise `GetterError` unless an argument is a number, from 0 to a largest one where there is one."""
    value = getattr(getter, argument)
    number = not isinstance(value, bool) and isinstance(value, int | float | np.integer | np.floating)
    if not number or not math.isfinite(value) or (most < math.inf and not 0 <= value <= most):
        raise wrong(getter, argument, wanted, value, example)


def check_name(getter: Any, argument: str) -> None:
    """Raise `GetterError` unless an argument is a string that is not empty."""
    value = getattr(getter, argument)
    if not isinstance(value, str) or not value:
        raise wrong(getter, argument, "a name", value, '"mine"')


def check_factor(getter: Any, argument: str) -> None:
    """Raise `GetterError` unless an argument is a number, an array of such, or a function."""
    value = getattr(getter, argument)
    if callable(value) or isinstance(value, jax.Array):
        return
    try:
        dtype = np.asarray(value).dtype
    except (TypeError, ValueError):
        dtype = np.dtype(object)
    if isinstance(value, bool) or not (jnp.issubdtype(dtype, jnp.floating) or dtype.kind in "iu"):
        raise wrong(getter, argument, "a number, an array, or a function of a request", value, "0.5")
