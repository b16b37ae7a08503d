"""Programs of blocks: a block's jaxpr, with what it asked for as inputs."""

from functools import cached_property
from typing import Any

from jax.extend import core

from jaxscope._core.passes.recording import label_of


class BlockProgram:
    """What a block computes, as a function of what it asked for and of its arguments.

    Args:
        closed: The jaxpr of the block, in which what it asked for are equations with labels.

    Attributes:
        through: For each result, if it is but handed through, which input it is: the number of an argument,
            or the label of what was asked for; else None.
    """

    def __init__(self, closed: core.ClosedJaxpr) -> None:
        jaxpr = closed.jaxpr
        equations = needed(jaxpr)
        inputs = {label_of(equation): equation.outvars[0] for equation in equations if label_of(equation)}
        kept = [equation for equation in equations if label_of(equation) is None]
        self._labels = list(inputs)
        # What is but handed through: an argument, by its number, or what was asked for, by its label.
        places = {id(var): at for at, var in enumerate(jaxpr.invars)}
        places |= {id(var): label for label, var in inputs.items()}
        self.through: list[Any] = [places.get(id(out)) for out in jaxpr.outvars]
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

    @cached_property
    def skeleton(self) -> Any:
        """The operations and their types, apart from weak types: equal for programs that compute the same."""
        return _skeleton(self._jaxpr)


def _skeleton(jaxpr: Any) -> Any:
    found: list[Any] = []
    for equation in jaxpr.eqns:
        types = [(out.aval.shape, out.aval.dtype) for out in equation.outvars]
        if equation.primitive.name == "convert_element_type" and types == [
            (equation.invars[0].aval.shape, equation.invars[0].aval.dtype)
        ]:
            continue  # from a weak type or to one
        inner = [
            _skeleton(getattr(part, "jaxpr", part))
            for value in equation.params.values()
            for part in (value if isinstance(value, tuple) else (value,))
            if isinstance(part, core.ClosedJaxpr | core.Jaxpr)
        ]
        found.append((equation.primitive.name, types, inner))
    return found


def needed(jaxpr: core.Jaxpr) -> list[Any]:
    """Return the equations on which results or effects depend; the others were made while answering."""
    live = {id(out) for out in jaxpr.outvars}
    kept: list[Any] = []
    for equation in reversed(jaxpr.eqns):
        if equation.effects or any(id(out) in live for out in equation.outvars):
            live.update(map(id, equation.invars))
            kept.append(equation)
    return kept[::-1]
