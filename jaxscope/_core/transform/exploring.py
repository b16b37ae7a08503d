"""Exploring: a call is run abstractly and off the record, so that the real run need not start again."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import jax

from jaxscope._core.base.calls import Arguments, Call, Result
from jaxscope._core.passes.base_pass import Pass
from jaxscope._core.passes.learned import Memory
from jaxscope._core.passes.restarting import complete
from jaxscope.errors import JaxscopeError

__all__ = ["NEEDS_VALUES", "explore", "off_the_record"]

Run = TypeVar("Run", bound=Pass)
T = TypeVar("T")

#: What an eager function may do and an abstract one may not: `float(x)`, `if x:`, indexing by `x`, ...
NEEDS_VALUES = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
    jax.errors.NonConcreteBooleanIndexError,
)


def off_the_record(
    make: Callable[[Any, bool], Run],
    given: Mapping[str, Any],
    call: Arguments,
    memory: Memory,
    take: Callable[[Run], T],
    *,
    everywhere: bool = False,
) -> T:
    """Run a call abstractly; note in its memory why it cannot be jitted; return what is wanted of the pass.

    No pass is alive when the trace ends, which JAX checks under `jax.checking_leaks`.

    Args:
        make: Returns a pass; called with the variables and whether it is to have the real key everywhere.
        given: The variables.
        call: The arguments.
        memory: What is known of such calls.
        take: Returns what is wanted of the pass; no array among it.
        everywhere: Whether the first pass is to have the real key everywhere.
    """
    variables = Call(given, ordered=False)
    memory.eagerly = None

    taken: list[T] = []  # JAX may remember what a function returned

    def trace(values: list[Any], arrays: list[Any]) -> tuple[()]:
        (given,) = variables.join(values)
        args, kwargs = call.join(arrays)
        run, result = complete(
            lambda everywhere: make(given, everywhere),
            lambda run: run.run(*args, **kwargs),
            everywhere=everywhere,
        )
        filled = call.filled(arrays, args, kwargs)
        if filled is not None:
            memory.eagerly = f"the function changes {filled} while it runs"
        elif not Result(result).plain:
            memory.eagerly = "the function returns an object that is no pytree"
        taken.append(take(run))
        return ()

    # `trace` is a function of its own, so that JAX has no older trace of it.
    jax.eval_shape(trace, variables.arrays, call.arrays)
    memory.completed = True
    return taken.pop()


def explore(
    make: Callable[[Any, bool], Pass], given: Mapping[str, Any], call: Arguments, memory: Memory
) -> None:
    """Learn where inner traces make requests, and whether the call can be jitted.

    An error of the user's code comes again in the real pass; or else the code cannot be abstract.

    Raises:
        JaxscopeError: A request breaks a rule.
    """
    try:
        off_the_record(make, given, call, memory, lambda _: None, everywhere=True)
    except NEEDS_VALUES as problem:
        memory.eagerly = f"the function needs a value while it runs ({_line(problem)})"
    except JaxscopeError:
        raise
    except Exception as problem:  # noqa: BLE001
        memory.eagerly = f"the function cannot be traced ({type(problem).__name__}: {_line(problem)})"


def _line(problem: Exception) -> str:
    return str(problem).partition("\n")[0]
