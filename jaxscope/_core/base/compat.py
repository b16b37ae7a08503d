"""The one place that knows JAX's versions, and the shape of its stack frames."""

import contextlib
import functools
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from types import CodeType, FrameType
from typing import Any, cast

import jax
from jax import custom_batching, lax

#: The folders of JAX and of jaxscope, whose frames are not the user's.
JAX_FOLDER = os.path.dirname(os.path.abspath(jax.__file__)) + os.sep
OWN_FOLDER = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..")) + os.sep


def _code(function: Any) -> Any:
    return inspect.unwrap(function).__code__


_PLUMBING = frozenset({inspect.getfile(functools), inspect.getfile(contextlib)})
_RULES_FILE = inspect.getfile(jax.custom_vjp)


def _inner_code(function: Any) -> Iterator[CodeType]:
    """Yield the code of the functions defined in a function: what `jax.vmap(f)` runs, say."""
    return (constant for constant in _code(function).co_consts if isinstance(constant, CodeType))


# Calls of the user's own, by which JAX runs a function from the file of the rules.
_RULE_CALLS = frozenset(
    {
        _code(jax.custom_vjp.__call__),
        _code(jax.custom_jvp.__call__),
        _code(jax.closure_convert),
        *_inner_code(jax.custom_gradient),
    }
)
_WRITE_LOSERS: dict[Any, str] = {
    **dict.fromkeys(_inner_code(jax.vmap), "jax.vmap"),
    **dict.fromkeys(_inner_code(jax.checkpoint), "jax.checkpoint"),
    _code(lax.associative_scan): "jax.lax.associative_scan",
    _code(lax.custom_root): "jax.lax.custom_root",
    _code(lax.custom_linear_solve): "jax.lax.custom_linear_solve",
    _RULES_FILE: "a function with a custom derivative",
    inspect.getfile(inspect.unwrap(jax.shard_map)): "jax.shard_map",
    inspect.getfile(custom_batching.custom_vmap): "a function with a custom batching rule",
}
_LOSERS_FILES = frozenset(key if isinstance(key, str) else key.co_filename for key in _WRITE_LOSERS)
_LOOPS = frozenset(map(_code, (lax.scan, lax.while_loop, lax.fori_loop, lax.map, lax.associative_scan)))


@functools.cache
def tracing() -> Any:
    """Return the module with JAX's functions about traces; importing it takes longer than all of jaxscope."""
    from jax import core as older
    from jax.extend import core as newer

    # jax.extend.core has them since 0.9; before that jax.core had them.
    return newer if hasattr(newer, "get_opaque_trace_state") else older


def trace_state_function() -> Callable[[], Any]:
    """Return JAX's function that gives a name, to be compared by ==, for the present trace."""
    function: Callable[[], Any] = tracing().get_opaque_trace_state
    return function


@functools.cache
def named_scope_function() -> Any:
    """Return what `jax.named_scope` calls after it has looked at the name, which we have done."""
    from jax.extend import source_info_util

    return source_info_util.extend_name_stack


def traces() -> list[Any]:
    """Return the present trace and those around it, innermost first."""
    with tracing().take_current_trace() as innermost:
        found = [innermost]
        while (parent := getattr(found[-1], "parent_trace", None)) is not None:
            found.append(parent)
        return found


def staging_trace(chain: list[Any] | None = None) -> Any:
    """Return the innermost trace (of a chain) that writes operations into a jaxpr; None where they are run.

    The traces of vmap and grad run a function's operations on another trace, their parent.
    """
    chain = traces() if chain is None else chain
    return next((trace for trace in chain if type(trace).__name__ == "DynamicJaxprTrace"), None)


def whole(outside: Sequence[Any], inside: Sequence[Any]) -> int:
    """Return how many of a scan's operands, or results, its body has whole, and not one step's part of.

    These come first. The equation tells their number in other words from release to release, so what counts
    is that a part has an axis less; of a reference, that of what it holds.

    Args:
        outside: The operands or results of the equation.
        inside: Those of its body.
    """

    def axes(atom: Any) -> int:
        return len(getattr(getattr(atom.aval, "inner_aval", atom.aval), "shape", ()))

    return sum(axes(one) == axes(other) for one, other in zip(outside, inside, strict=True))


def in_derivative_rule(stop: Any) -> bool:
    """Tell whether JAX itself is running a derivative rule, outside the call of its function.

    Args:
        stop: The code of the frame beyond which nobody is asked: a pass inside a rule is not repeated.

    Such a rule repeats what the function did, on behalf of the same call: its frames lie between one
    of the file that defines `jax.custom_vjp` and a user's, without a call of the function between.
    """
    frame: FrameType | None = sys._getframe(1)
    inside = False
    while frame is not None and frame.f_code is not stop:
        file = frame.f_code.co_filename
        if frame.f_code in _RULE_CALLS:
            inside = False
        elif file == _RULES_FILE:
            inside = True
        elif inside and not file.startswith((JAX_FOLDER, OWN_FOLDER)) and file not in _PLUMBING:
            return True
        frame = frame.f_back
    return False


def repeats_a_call(stop: Any) -> bool:
    """Tell whether JAX runs a body again here, on behalf of one call of the user's.

    Args:
        stop: The code of the frame beyond which nobody is asked.

    It does so in derivative rules, and in the loops that `jax.disable_jit` runs in Python.
    """
    config = cast(Any, jax.config)
    return (
        in_derivative_rule(stop)
        or (bool(config.jax_disable_jit) and loops_open(stop) > 0)
        or looks_for_nans(stop)
    )


def looks_for_nans(stop: Any) -> bool:
    """Tell whether JAX runs a jitted function again here, to find the operation that made a NaN or an Inf."""
    config = cast(Any, jax.config)
    if not (config.jax_debug_nans or config.jax_debug_infs):
        return False
    return any(
        code.co_name == "maybe_recursive_nan_check" and code.co_filename.startswith(JAX_FOLDER)
        for code in _codes(stop)
    )


def loops_open(stop: Any) -> int:
    """Count the frames of JAX's loops between here and the frame whose code is `stop`."""
    return sum(code in _LOOPS for code in _codes(stop))


def loses_writes(stop: Any) -> str | None:
    """Return the transform between here and `stop` in which JAX loses, repeats or refuses a write."""
    for code in _codes(stop):
        if code.co_filename in _LOSERS_FILES:  # a code object's own hash takes long
            found = _WRITE_LOSERS.get(code) or _WRITE_LOSERS.get(code.co_filename)
            if found is not None:
                return found
    return None


def _codes(stop: Any) -> Iterator[CodeType]:
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_code is not stop:
        yield frame.f_code
        frame = frame.f_back
