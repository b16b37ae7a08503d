"""Programs: an eager call with inner jitted functions is jitted whole, once for each kind of call."""

import collections
import enum
import warnings
from collections.abc import Callable, Hashable
from typing import Any

import jax
import numpy as np

from jaxscope._core.base.calls import Call, Result
from jaxscope._core.base.sites import here

#: What an eager function may do and a staged one may not: `float(x)`, `if x:`, indexing by `x`, ...
NEEDS_VALUES = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
    jax.errors.NonConcreteBooleanIndexError,
)


class NotPlainError(Exception):
    """Ends a staged call whose result has objects, in which traced values would be lost."""


class Stage:
    """Jitted calls of one function, for the kinds of call that were made lately."""

    #: A Python number among the arguments is part of the program: the oldest programs are dropped.
    LIMIT = 64

    def __init__(self) -> None:
        self._programs: collections.OrderedDict[Hashable, Callable[..., Result] | None] = (
            collections.OrderedDict()
        )

    def call(
        self, function: Callable[..., Any], eagerly: Callable[..., Any], name: Hashable, *args: Any
    ) -> Any:
        """Return `function(*args)`, jitted.

        Args:
            function: What to jit.
            eagerly: What to call instead, with the same arguments, where values are needed.
            name: Tells apart the functions that share this stage.
            *args: Pytrees. Leaves that are no arrays are part of the compiled program.
        """
        call = Call(*args)
        try:
            key = (name, call.key())
        except TypeError as problem:
            return self._fall_back(eagerly, args, f"an argument has no hash ({problem})")
        if key not in self._programs:
            self._programs[key] = _jit(function, call)
            if len(self._programs) > self.LIMIT:
                self._programs.popitem(last=False)
        self._programs.move_to_end(key)
        program = self._programs[key]
        if program is None:
            return eagerly(*args)
        try:
            result = program(call.arrays)
        except NotPlainError as problem:
            self._programs[key] = None
            return self._fall_back(eagerly, args, f"{problem}")
        except NEEDS_VALUES as problem:
            self._programs[key] = None
            reason = str(problem).partition("\n")[0]
            return self._fall_back(eagerly, args, f"the function needs a value while it runs ({reason})")
        return result.value()

    def _fall_back(self, eagerly: Callable[..., Any], args: Any, why: str) -> Any:
        site = here()
        warnings.warn_explicit(
            f"jaxscope runs this call operation by operation, which is slow: {why}. "
            "Call apply under jax.jit, or pass such values as static arguments.",
            UserWarning,
            site.file,
            site.line,
        )
        return eagerly(*args)


def _jit(function: Callable[..., Any], call: Call) -> Callable[..., Result]:
    kept = call.without_arrays()

    def program(arrays: Any) -> Result:
        result = Result(function(*kept.join(arrays)))
        if not all(kept is None or _is_plain(kept[1]) for kept in result.rest.static):
            raise NotPlainError("the function returns an object that is no pytree")
        return result

    return jax.jit(program)


_PLAIN = (bool, int, float, complex, str, bytes, enum.Enum, type, np.dtype)


def _is_plain(leaf: Any) -> bool:
    """Tell whether a leaf surely holds no array, and cannot change."""
    return leaf is None or isinstance(leaf, _PLAIN)
