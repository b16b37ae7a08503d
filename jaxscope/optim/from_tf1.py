"""The state of an optimizer from the slots of a TF1 checkpoint."""

import itertools
from collections.abc import Mapping
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

import jaxscope as js
from jaxscope.optim.naming import map_named, named
from jaxscope.optim.powers import count_of, least_count
from jaxscope.optim.slot_names import STEP, check, entries, number_of, powers
from jaxscope.optim.states import understand


def from_tf1_slots(
    opt_state: Any,
    variables: Any,
    slots: Mapping[str, Any],
    *,
    name: str | None = None,
    b1: float = 0.9,
    b2: float = 0.999,
    step: int | None = None,
) -> Any:
    """Return an optimizer's state with the values of TF1's slots; the inverse of `tf1_slots`.

    Adam's count of steps is that after which `beta1_power` has its value. After some 800 steps that is 0, and
    `beta2_power` tells the count. Where both are 0 (after 87,000 steps), it is `step`, or if that is unknown
    the least count with such powers; the corrections are 1 from there on, so that no result depends on it.

    TF1 and optax then make the same steps, but for what the state does not hold: give the optimizer TF1's
    hyperparameters. Adam's `epsilon` is not corrected by `beta2_power` in TF1 (the "epsilon hat" of its
    paper); `optax.adagrad` needs `eps=0`; a new state of `optax.rmsprop` is TF1's with `initial_scale=1.0`.

    Args:
        opt_state: A state of the optimizer, made for these variables: `optimizer.init(variables)`, say, or
            `jax.eval_shape` of it. Its values are not looked at.
        variables: The variables that it is of.
        slots: Full name -> array: a whole checkpoint, of which the slots alone are read.
        name: As of `tf1_slots`.
        b1: Likewise.
        b2: Likewise.
        step: The number of steps made, for schedules; None for `global_step` among the slots, else Adam's
            count.

    Returns:
        A state of the structure and dtypes of `opt_state`.

    Raises:
        ImportError: optax is not installed.
        OptimizerError: Parts of the state are of no optimizer of TF1 (code `tf1_state`); or slots are missing
            or of another shape, powers are none of `b1` and `b2`, or nothing tells a schedule's step (code
            `tf1_slots`). The error lists all of them.

    Example:
        >>> import jaxscope as js, optax
        >>> variables = js.Variables({"w": jnp.ones(2)})
        >>> slots = {
        ...     "w/Adam": np.ones(2),
        ...     "w/Adam_1": np.ones(2),
        ...     "beta1_power": 0.81,
        ...     "beta2_power": 0.998001,
        ... }
        >>> state = js.optim.from_tf1_slots(optax.adam(1e-3).init(variables), variables, slots)
        >>> state[0].count
        Array(1, dtype=int32)
    """
    if not isinstance(cast(object, slots), Mapping):
        raise js.errors.OptimizerError(
            f"slots are a mapping of full names to arrays, not {type(slots).__name__}",
            code="tf1_slots",
            fix="pass what the checkpoint has, by name",
        )
    parts = understand(opt_state, "from_tf1_slots")
    check(parts, named(variables), name)
    reader = _Reader(slots)
    if step is None and STEP in slots:
        step = number_of(slots[STEP])
    states = list(parts.states)
    counts: list[int] = []
    for number, optimizer in enumerate(parts.optimizers):
        values: dict[tuple[int, str], dict[str, Any]] = {}
        for full_name, slot, variable, old in entries(parts, optimizer, name):
            if slot.sign:
                value = reader.value(full_name, tuple(old.shape))
                made = old if value is None else _like(old, value, slot.sign)
                values.setdefault((slot.at, slot.field), {})[variable] = made
        for (at, field), of in values.items():
            tree = map_named(lambda name, old, of=of: of.get(name, old), getattr(states[at], field))
            states[at] = states[at]._replace(**{field: tree})
        if optimizer.counter is not None:
            counts.append(reader.count(powers(parts, number, b1, b2), step))
            old = states[optimizer.counter]
            states[optimizer.counter] = old._replace(count=jnp.asarray(counts[-1], old.count.dtype))
    if parts.counters and step is None:
        if not counts:
            reader.problems["step"].append(
                f"a schedule counts steps, and neither {STEP!r} nor step= has them"
            )
        step = counts[0] if counts else 0
    reader.check()
    for at, old in zip(parts.counters, parts.counts(), strict=True):
        new = jnp.asarray(step, old.dtype)
        states[at] = states[at]._replace(count=new) if hasattr(states[at], "_fields") else new
    return jax.tree.unflatten(parts.structure, states)


class _Reader:
    """Slots as they are asked for, and all that is wrong with them."""

    def __init__(self, slots: Mapping[str, Any]) -> None:
        self.slots = slots
        self.problems: dict[str, list[str]] = {"missing": [], "shape": [], "powers": [], "step": []}

    def value(self, full_name: str, shape: tuple[int, ...]) -> Any:
        """Return a slot's value, or None where there is none of that shape; of a stack, from its layers."""
        levels = full_name.count("{}")
        if full_name in self.slots:
            value = self.slots[full_name]
            if tuple(np.shape(value)) == shape:
                return value
            self.problems["shape"].append(f"{full_name} {tuple(np.shape(value))}, not {shape}")
        elif levels:
            numbers = itertools.product(*map(range, shape[:levels]))
            layers = [self.value(_numbered(full_name, of), shape[levels:]) for of in numbers]
            if not any(layer is None for layer in layers):
                return np.stack([np.asarray(layer) for layer in layers]).reshape(shape)
        else:
            near = js.errors.near(full_name, self.slots)
            self.problems["missing"].append(full_name + (f"; near names: {near}" if near else ""))
        return None

    def count(self, asked: Mapping[str, float], step: int | None) -> int:
        """Return after how many steps the powers have their values; 0 where there are problems."""
        counts: dict[str, int | None] = {}
        for name, beta in asked.items():
            value = self.value(name, ())
            try:
                if value is not None:
                    counts[name] = count_of(beta, float(np.asarray(value)))
            except ValueError as problem:
                self.problems["powers"].append(f"{name}: {problem}")
        known = {name: count for name, count in counts.items() if count is not None}
        if len(set(known.values())) > 1:
            told = ", ".join(f"{name} says {count} steps" for name, count in known.items())
            self.problems["powers"].append(told)
        if known:
            return next(iter(known.values()))
        return max(step or 0, *map(least_count, asked.values())) if len(counts) == len(asked) else 0

    def check(self) -> None:
        """Raise `OptimizerError` with all problems, if there are any."""
        if any(self.problems.values()):
            raise js.errors.OptimizerError(
                "the slots are not those of this optimizer's state",
                code="tf1_slots",
                **{kind: "\n".join(rows) for kind, rows in self.problems.items()},
                fix="pass the slots of this optimizer and of these variables; `rename` gives other names,\n"
                "and b1= and b2= are the decay rates of the optimizer that was saved",
            )


def _numbered(full_name: str, numbers: tuple[int, ...]) -> str:
    for number in numbers:
        full_name = full_name.replace("{}", str(number), 1)
    return full_name


def _like(old: Any, value: Any, sign: int) -> Any:
    """Return a slot's value for a state, of the dtype, and on the devices, of the old value there."""
    made = jnp.asarray(value).astype(old.dtype) * sign
    spread = isinstance(old, jax.Array) and len(old.sharding.device_set) > 1
    return jax.device_put(made, old.sharding) if spread else made
