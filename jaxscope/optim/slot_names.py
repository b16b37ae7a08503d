"""What TF1 calls the values of an optimizer's state, and of which variables they are."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from jax.core import Tracer

import jaxscope as js
from jaxscope.optim.naming import is_array, named
from jaxscope.optim.states import Optimizer, Slot, Understood

#: The variable that TF1's schedules count with.
STEP = "global_step"


def entries(
    parts: Understood, optimizer: Optimizer, name: str | None
) -> Iterator[tuple[str, Slot, str, Any]]:
    """Yield TF1's full name of each slot of an optimizer, the slot, the variable, and the state's value."""
    for number, slot in enumerate(optimizer.slots):
        suffix = f"/{name or optimizer.name}" + (f"_{number}" if number else "")
        for variable, value in named(getattr(parts.states[slot.at], slot.field)).items():
            if is_array(value):  # others are masked
                yield variable + suffix, slot, variable, value


def powers(parts: Understood, number: int, b1: float, b2: float) -> dict[str, float]:
    """Return what the powers of the Adam of a number are called, each with what it is a power of."""
    before = sum(optimizer.counter is not None for optimizer in parts.optimizers[:number])
    betas = {"b1": b1, "b2": b2} | parts.optimizers[number].betas
    suffix = f"_power_{before}" if before else "_power"
    return {f"beta{which}{suffix}": float(np.asarray(betas[f"b{which}"])) for which in "12"}


def check(parts: Understood, variables: Mapping[str, Any], name: str | None) -> None:
    """Raise `OptimizerError` unless the state is of these variables, with no name for two values."""
    wrong: dict[str, str] = {}
    seen: set[str] = set()
    for optimizer in parts.optimizers:
        for full_name, _, variable, value in entries(parts, optimizer, name):
            if variable not in variables:
                wrong[variable] = f"{variable}: not among the variables"
            elif tuple(np.shape(variables[variable])) != tuple(value.shape):
                shape = np.shape(variables[variable])
                wrong[variable] = f"{variable}: {tuple(value.shape)}, and the variable {shape}"
            if full_name in seen:
                wrong[full_name] = f"{full_name}: two values"
            seen.add(full_name)
    if wrong:
        raise js.errors.OptimizerError(
            "the optimizer's state is not one of these variables, each with one optimizer",
            code="tf1_slots",
            state="\n".join(wrong.values()),
            fix="pass the variables that the optimizer was initialised with; of optimizers that share them,\n"
            "pass the states one by one, with name= for each",
        )


def number_of(count: Any) -> int:
    """Return a count of steps as a number.

    Raises:
        TraceError: It is traced.
        OptimizerError: There are several (code `tf1_slots`).
    """
    if isinstance(count, Tracer):
        raise js.errors.TraceError(
            "TF1 keeps numbers that depend on the count of steps, which is traced here",
            fix="name slots outside of jax.jit and other transforms",
        )
    if np.ndim(count):
        raise js.errors.OptimizerError(
            f"a count of steps is one number, and this is an array of shape {np.shape(count)}",
            code="tf1_slots",
            fix="pass the state of one optimizer: jax.tree.map(lambda leaf: leaf[0], opt_state), say",
        )
    return int(count)
