"""Inlining: a jaxpr whose calls of several results are written out, so that each can be had alone."""

from collections.abc import Mapping
from typing import Any

from jax.extend.core import ClosedJaxpr, Literal, Var

from jaxscope.interop.dependencies import called


def inlined(closed: ClosedJaxpr) -> ClosedJaxpr:
    """Return the same function without the borders of `jax.jit`, `jax.checkpoint` and the like in it.

    A call of one result stays: most are JAX's own, one for each way of drawing, and JAX keeps them.
    """
    jaxpr = closed.jaxpr
    equations: list[Any] = []
    constants = dict(zip(jaxpr.constvars, closed.consts, strict=True))
    known = _write(jaxpr.eqns, {}, equations, constants)
    made = jaxpr.replace(
        constvars=list(constants),
        eqns=equations,
        outvars=[_of(atom, known) for atom in jaxpr.outvars],
        debug_info=jaxpr.debug_info._replace(arg_names=("",) * len(jaxpr.invars), result_paths=None),
    )
    return ClosedJaxpr(made, list(constants.values()))


def _write(
    equations: Any, known: dict[Any, Any], written: list[Any], constants: dict[Any, Any]
) -> dict[Any, Any]:
    """Write equations out; return what stands for their variables, of which `known` has the first."""
    for equation in equations:
        taken = [_of(atom, known) for atom in equation.invars]
        inner = _inner(equation)
        if inner is None:
            made = [Var(var.aval) for var in equation.outvars]
            written.append(equation.replace(invars=taken, outvars=made))
        else:
            # One jaxpr may be called several times: each has variables of its own.
            body = getattr(inner, "jaxpr", inner)
            inside = dict(zip(body.invars, taken, strict=True))
            for var, const in zip(body.constvars, getattr(inner, "consts", ()), strict=True):
                inside[var] = Var(var.aval)
                constants[inside[var]] = const
            inside = _write(body.eqns, inside, written, constants)
            made = [_of(atom, inside) for atom in body.outvars]
        known.update(zip(equation.outvars, made, strict=True))
    return known


def _inner(equation: Any) -> Any:
    """Return the jaxpr of a call of several results; None of anything else."""
    if equation.primitive.name.startswith("custom_") or len(equation.outvars) < 2:
        return None
    return called(equation)


def _of(atom: Any, known: Mapping[Any, Any]) -> Any:
    return atom if isinstance(atom, Literal) else known.get(atom, atom)
