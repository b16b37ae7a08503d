"""Checking an initializer before it runs: can it be called, and does it give what was asked for?"""

import inspect
from typing import Any

import jax
import numpy as np
from jax.core import Tracer

from jaxscope._core.base.recent import Recent
from jaxscope._core.drawing.tasks import as_array
from jaxscope._core.initializers.base import (
    Initializer,
    canonical,
    check_static,
    describe,
    instance_of,
    is_constant,
    kind_of,
)
from jaxscope.errors import InitializerError

__all__ = ["check", "examine"]


class _Outcome:
    """What an abstract call of a foreign initializer showed."""

    def __init__(
        self,
        problem: str = "",
        shape: tuple[int, ...] | None = None,
        dtype: str = "",
        *,
        keyless: bool = False,
        makes_one: bool = False,
    ) -> None:
        self.problem = problem  # why it could not be called
        self.shape = shape  # None: what it gave is no array
        self.dtype = dtype  # or the type of what it gave
        self.keyless = keyless  # it gave numbers, though its key was traced
        self.makes_one = makes_one  # it gave a function: perhaps the initializer that it makes


_outcomes: Recent[_Outcome] = Recent(1024)


def check(name: str, initializer: Any, shape: Any, dtype: Any, site: object = None) -> None:
    """Raise an error if an initializer cannot give a variable's first value.

    Nothing is computed: jaxscope's own initializers are known, others are traced once for each kind.

    Args:
        name: Full name of the variable, for the message.
        initializer: A callable `(key, shape, dtype)`, a class of such, or a constant.
        shape: Axis lengths, in elements.
        dtype: Element type.
        site: Where it was asked for, for the message.

    Raises:
        InitializerError: A call does not fit the signature (code `init_call_failed`), or the result has
            another shape (`init_wrong_shape`) or dtype (`init_wrong_dtype`).
        Exception: What the initializer itself raises passes unchanged.

    Source:
        Rule R31.

    Example:
        >>> check("w", lambda key, shape, dtype: 0.5, (2,), "float32")
        Traceback (most recent call last):
            ...
        jaxscope.errors.InitializerError: the initializer of variable 'w' gives float32[], not float32[2]
        ...
    """
    examine(name, instance_of(initializer), tuple(shape), canonical(dtype), site)


def examine(name: str, initializer: Any, shape: tuple[int, ...], dtype: np.dtype[Any], site: object) -> bool:
    """Do what `check` does; return whether the initializer is known to make no use of its key."""
    if isinstance(initializer, Initializer) or is_constant(initializer):
        problem = check_static(initializer, dtype, shape)
        if problem is not None:
            raise _error(problem[0], f"the initializer of variable {name!r} {problem[1]}", initializer, site)
        return False
    kind = kind_of(initializer)
    try:
        if kind is None:
            outcome = _outcome(initializer, shape, dtype)
        else:
            setting = kind, shape, dtype, canonical(np.int64)
            outcome = _outcomes.get_or(setting, lambda: _outcome(initializer, shape, dtype))
    except Exception as problem:
        problem.add_note(
            f"in the initializer of variable {name!r}" + (f", asked for at {site}" if site else "")
        )
        raise
    if outcome.problem:
        raise _error(
            "init_call_failed",
            f"the initializer of variable {name!r} cannot be called: {outcome.problem}",
            initializer,
            site,
        )
    if outcome.shape is None:
        summary = f"the initializer of variable {name!r} gives a {outcome.dtype}, which is no array"
        raise _error("init_wrong_dtype", summary, initializer, site, _CALL_IT if outcome.makes_one else "")
    if outcome.shape != shape or outcome.dtype != dtype.name:
        code = "init_wrong_shape" if outcome.shape != shape else "init_wrong_dtype"
        got, asked = _typed(outcome.dtype, outcome.shape), _typed(dtype.name, shape)
        summary = f"the initializer of variable {name!r} gives {got}, not {asked}"
        raise _error(code, summary, initializer, site)
    return outcome.keyless


_FIXES_OF_OURS = {
    "init_wrong_shape": "ask for a shape that it can fill, or use another initializer",
    "init_wrong_dtype": "ask for a dtype that it can give, or use another initializer",
}
_CALL_IT = "pass what it returns: it makes initializers, so call it first, as in glorot_uniform()"
_FIXES = {
    "init_call_failed": "let it take (key, shape, dtype)",
    "init_wrong_shape": "return an array of the shape that it is called with",
    "init_wrong_dtype": "return an array of the dtype that it is called with, or ask for another dtype",
}


def _error(code: str, summary: str, initializer: Any, site: object, fix: str = "") -> InitializerError:
    given = "" if is_constant(initializer) else describe(initializer)
    ours = isinstance(initializer, Initializer) or is_constant(initializer)
    fix = fix or (_FIXES_OF_OURS if ours else _FIXES)[code]
    return InitializerError(summary, code=code, initializer=given, at=site, fix=fix)


def _typed(dtype: str, shape: tuple[int, ...]) -> str:
    return f"{dtype}[{','.join(map(str, shape))}]"


def _outcome(initializer: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> _Outcome:
    found: list[_Outcome] = []

    # A function of its own each time: JAX would take the trace of an earlier one from its cache.
    def call(data: jax.Array) -> Any:
        key = jax.random.wrap_key_data(data, impl="threefry2x32")
        try:
            signature = inspect.signature(initializer)
            if next(iter(signature.parameters), "") == "shape":
                found.append(_Outcome(problem="it takes the shape first, not the key"))
                return None
            signature.bind(key, shape, dtype)
        except TypeError as error:
            found.append(_Outcome(problem=str(error)))
            return None
        except ValueError:  # Python knows no signature
            pass
        result = initializer(key, shape, dtype)
        array = as_array(result)
        if array is None:
            found.append(_Outcome(dtype=type(result).__name__, makes_one=callable(result)))
        else:
            traced = isinstance(array, Tracer)
            name = canonical(array.dtype).name
            found.append(_Outcome(shape=tuple(array.shape), dtype=name, keyless=not traced))
        return None

    jax.eval_shape(call, np.zeros(2, np.uint32))
    return found[-1]
