"""Programs of blocks: a block's jaxpr, with what it asked for as inputs."""

from typing import Any

from jax.extend import core

from jaxscope._core.passes.recording import label_of


class BlockProgram:
    """What a block computes, as a function of what it asked for and of its arguments.

    Args:
        closed: The jaxpr of the block, in which what it asked for are equations with labels.
    """

    def __init__(self, closed: core.ClosedJaxpr) -> None:
        jaxpr = closed.jaxpr
        equations = _needed(jaxpr)
        inputs = {label_of(equation): equation.outvars[0] for equation in equations if label_of(equation)}
        kept = [equation for equation in equations if label_of(equation) is None]
        self._labels = list(inputs)
        self._consts = closed.consts
        constvars = [*jaxpr.constvars, *inputs.values()]
        self._jaxpr = core.Jaxpr(
            constvars, jaxpr.invars, jaxpr.outvars, kept, jaxpr.effects, jaxpr.debug_info
        )

    def __call__(self, given: dict[Any, Any], arrays: list[Any]) -> list[Any]:
        """Return the results.

        Args:
            given: What was asked for, by label.
            arrays: The block's arguments.
        """
        consts = [*self._consts, *(given[label] for label in self._labels)]
        out: list[Any] = core.jaxpr_as_fun(core.ClosedJaxpr(self._jaxpr, consts))(*arrays)
        return out


def _needed(jaxpr: core.Jaxpr) -> list[Any]:
    """Return the equations on which results or effects depend; the others were made while answering."""
    live = {id(out) for out in jaxpr.outvars}
    kept: list[Any] = []
    for equation in reversed(jaxpr.eqns):
        if equation.effects or any(id(out) in live for out in equation.outvars):
            live.update(map(id, equation.invars))
            kept.append(equation)
    return kept[::-1]
