"""Dependencies: what each result of a jaxpr depends on, also inside of loops and calls."""

from collections.abc import Collection, Sequence
from typing import Any

from jax.extend.core import Literal

from jaxscope.scans import whole

#: What a value depends on: some of KEY and INPUTS.
Flags = frozenset[str]

KEY, INPUTS = "key", "inputs"
NOTHING: Flags = frozenset()
KEY_ALONE: Flags = frozenset([KEY])
INPUT: Flags = frozenset([INPUTS])

#: Equations that run one jaxpr once on their operands, and their parameters that may have it.
CALLS = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "remat2": "jaxpr",
    "remat": "jaxpr",
    "checkpoint": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "custom_vjp_call_jaxpr": "fun_jaxpr",
}


def called(equation: Any) -> Any:
    """Return the jaxpr, closed or not, that an equation runs once on its operands; None if there is none."""
    inner = equation.params.get(CALLS.get(equation.primitive.name, ""))
    if inner is None:
        return None
    body = getattr(inner, "jaxpr", inner)
    fits = len(body.invars) == len(equation.invars) and len(body.outvars) == len(equation.outvars)
    return inner if fits else None


def dependencies(
    jaxpr: Any, inputs: Sequence[Flags], constants: Sequence[Flags] = (), known: Collection[Any] = ()
) -> list[Flags]:
    """Return what each result of a jaxpr depends on.

    Args:
        jaxpr: The jaxpr.
        inputs: What each of its inputs depends on.
        constants: Likewise; nothing if left out.
        known: Variables whose values are known, so that they depend on nothing.
    """
    flags: dict[Any, Flags] = dict(zip(jaxpr.invars, inputs, strict=True))
    flags.update(zip(jaxpr.constvars, constants or [NOTHING] * len(jaxpr.constvars), strict=True))

    def of(atom: Any) -> Flags:
        return NOTHING if isinstance(atom, Literal) or atom in known else flags[atom]

    for equation in jaxpr.eqns:
        results = _of_equation(equation, [of(atom) for atom in equation.invars])
        flags.update(zip(equation.outvars, results, strict=True))
    return [of(atom) for atom in jaxpr.outvars]


def _of_equation(equation: Any, taken: list[Flags]) -> list[Flags]:
    if equation.primitive.name == "scan":
        return _of_scan(equation, taken)
    inner = called(equation)
    if inner is not None:
        return dependencies(getattr(inner, "jaxpr", inner), taken)
    return [NOTHING.union(*taken)] * len(equation.outvars)


def _of_scan(equation: Any, taken: list[Flags]) -> list[Flags]:
    """Return what a scan's results depend on: a carry, on what it depends on after any number of steps."""
    body = equation.params["jaxpr"].jaxpr
    # Which are carried is told in other words from release to release; what is scanned has an axis more.
    count = whole(equation.outvars, body.outvars)
    first = whole(equation.invars, body.invars) - count
    carry = taken[first : first + count]
    while True:
        results = dependencies(body, [*taken[:first], *carry, *taken[first + count :]])
        grown = [old | new for old, new in zip(carry, results[:count], strict=True)]
        if grown == carry:
            return [*carry, *results[count:]]
        carry = grown
