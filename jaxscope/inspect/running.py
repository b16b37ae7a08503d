"""Running a program step by step: what passes through scopes is kept, and what is not finite noted."""

import functools
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import core
from jax.extend.core import Literal, Var

from jaxscope.inspect.leaves import on_host
from jaxscope.inspect.programs import Program, Step
from jaxscope.scans import whole

#: Bits of what is noted of a value.
NAN, INF = 1, 2
#: Operations whose result has NaN, or infinite elements, just where their operand has some.
_ALIKE = frozenset({"abs", "broadcast_in_dim", "copy", "neg", "reshape", "rev", "squeeze", "transpose"})


class Kept:
    """What was kept of a run: values by scope, and notes, of the program and of the bodies of its loops.

    Attributes:
        values: Program -> number -> value; those of bodies with a leading axis for each loop around them.
        notes: Program -> an array of bytes, one for each number: whether it has NaN, or infinite elements.
    """

    def __init__(self) -> None:
        self.values: dict[Program, dict[int, Any]] = {}
        self.notes: dict[Program, Any] = {}


def run(
    program: Program, inputs: Sequence[Any], wanted: Mapping[Program, Collection[int]]
) -> tuple[list[Any], Kept]:
    """Return the results of a program, and what was to be kept.

    Args:
        program: The program.
        inputs: Its inputs.
        wanted: The numbers of the values to keep, of it and of each body.
    """
    kept = Kept()
    values: dict[int, Any] = {**dict(zip(program.inputs, inputs, strict=True)), **program.constants}
    notes: dict[int, Any] = {number: note(value) for number, value in values.items()}
    last = program.last_uses()
    needed = {*wanted[program], *(one for one in program.results if isinstance(one, int))}
    for at, step in enumerate(program.steps):
        operands = [one.val if isinstance(one, Literal) else values[one] for one in step.inputs]
        outs = _looped(step, operands, wanted, kept) if step.body is not None else _evaluated(step, operands)
        of = step.inputs[0] if step.equation.primitive.name in _ALIKE else None
        for number, value in zip(step.outputs, outs, strict=True):
            values[number] = value
            notes[number] = notes[of] if isinstance(of, int) and value.size else note(value)
        for number in {*step.outputs, *(one for one in step.inputs if isinstance(one, int))}:
            # What nobody needs any more need not stay in memory.
            if number not in needed and last.get(number, at) <= at:
                values.pop(number, None)
    kept.values[program] = {number: values[number] for number in wanted[program]}
    kept.notes[program] = _stacked([notes.get(number, 0) for number in range(program.count)])
    results = [jnp.asarray(one.val) if isinstance(one, Literal) else values[one] for one in program.results]
    return results, kept


def _evaluated(step: Step, operands: Sequence[Any]) -> Sequence[Any]:
    """Return the results of one equation; as a jaxpr of its own, so that JAX evaluates it as it does any."""
    atoms = zip(step.equation.invars, operands, strict=True)
    given = {atom: value for atom, value in atoms if isinstance(atom, Var)}
    return core.eval_jaxpr(step.alone, (), *given.values())


def _looped(step: Step, operands: Sequence[Any], wanted: Any, kept: Kept) -> list[Any]:
    """Return the results of a loop, whose steps give what is to be kept of them beside their own results."""
    params, body = step.equation.params, step.body
    assert body is not None
    # Which are carried is told in other words from release to release; what is scanned has an axis more.
    inner = params["jaxpr"].jaxpr
    carried = whole(step.equation.outvars, inner.outvars)
    constants = whole(step.equation.invars, inner.invars) - carried
    found: list[tuple[Any, Any]] = []

    def one(carry: Any, each: Any) -> Any:
        outs, inner = run(body, [*operands[:constants], *carry, *each], wanted)
        leaves = (list(inner.values.items()), list(inner.notes.items()))
        found[:] = [([program for program, _ in items] for items in leaves)]  # type: ignore[list-item]
        arrays = [[value for _, value in items] for items in leaves]
        return outs[:carried], (outs[carried:], arrays)

    carry, (rest, (values, notes)) = jax.lax.scan(
        one,
        operands[constants : constants + carried],
        operands[constants + carried :],
        length=params["length"],
        reverse=params["reverse"],
    )
    for_values, for_notes = found[0]
    kept.values.update(zip(for_values, values, strict=True))
    kept.notes.update(zip(for_notes, notes, strict=True))
    return [*carry, *rest]


# --- notes -----------------------------------------------------------------------------------------


def note(value: Any) -> Any:
    """Return the bits that tell whether an array has NaN, or infinite elements."""
    dtype = getattr(value, "dtype", None)
    if dtype is None:
        return note(np.asarray(value))
    if not jnp.issubdtype(dtype, jnp.inexact):
        return np.uint8(0)
    if isinstance(value, core.Tracer) or (isinstance(value, jax.Array) and not on_host(value)):
        return _noted(value)
    there = np.asarray(value)
    if np.isfinite(there).all():
        return np.uint8(0)
    return np.uint8(NAN * bool(np.isnan(there).any()) + INF * bool(np.isinf(there).any()))


@functools.partial(jax.jit, inline=True)
def _noted(value: jax.Array) -> jax.Array:
    # One reduction for both, of booleans: of others XLA has not all on several devices.
    both = jnp.stack([jnp.isnan(value), jnp.isinf(value)])
    found = jnp.any(both, axis=tuple(range(1, both.ndim))).astype(jnp.uint8)
    return found[0] * NAN | found[1] * INF


def _stacked(notes: list[Any]) -> Any:
    if any(isinstance(one, jax.Array) for one in notes):
        return jnp.stack([jnp.asarray(one, jnp.uint8) for one in notes])
    return np.array(notes, np.uint8)
