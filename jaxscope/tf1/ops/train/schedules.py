"""Learning rates as functions of the step, by TensorFlow 1's formulas."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from jaxscope.tf1.base.converting import convert_many, convert_to_tensor
from jaxscope.tf1.base.errors import TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute
from jaxscope.tf1.base.tensor import Tensor

__all__ = [
    "cosine_decay",
    "cosine_decay_restarts",
    "exponential_decay",
    "inverse_time_decay",
    "linear_cosine_decay",
    "natural_exp_decay",
    "piecewise_constant",
    "polynomial_decay",
]


def _of_step(
    kind: str, rate: Any, step: Any, numbers: list[Any], formula: Callable[..., Any], name: str | None
) -> Tensor:
    """Return a formula of the rate, the step and further numbers, all in the dtype of the rate."""
    if step is None:
        raise TensorValueError("global_step is required for decays of learning rates", code="no_global_step")
    rate = convert_to_tensor(rate)
    steps = convert_to_tensor(step)
    dtype = rate.dtype.dtype
    rest = [convert_to_tensor(one) for one in numbers]

    def computed(rate: Any, step: Any, *rest: Any) -> Any:
        return formula(
            jnp.asarray(rate), jnp.asarray(step).astype(dtype), *(jnp.asarray(x).astype(dtype) for x in rest)
        )

    return compute(kind, computed, rate, steps, *rest, name=name)


def _of_times(
    kind: str,
    rate: Any,
    step: Any,
    numbers: list[Any],
    staircase: bool,
    formula: Callable[..., Any],
    name: str | None,
) -> Tensor:
    """Return a formula of the rate, how many times the first of the numbers has passed, and the others."""

    def of_step(rate: Any, step: Any, steps: Any, *rest: Any) -> Any:
        times = step / steps
        return formula(rate, jnp.floor(times) if staircase else times, *rest)

    return _of_step(kind, rate, step, numbers, of_step, name)


@export("train.exponential_decay")
def exponential_decay(
    learning_rate: Any,
    global_step: Any,
    decay_steps: Any,
    decay_rate: Any,
    staircase: bool = False,
    name: str | None = None,
) -> Tensor:
    """Return `learning_rate * decay_rate ** (global_step / decay_steps)`.

    Args:
        learning_rate: The rate at step 0.
        global_step: The step.
        decay_steps: After how many steps the rate is multiplied.
        decay_rate: By what.
        staircase: Whether the exponent is rounded down.
        name: A name for the result.

    Raises:
        TensorValueError: If there is no step (`no_global_step`).
    """

    def formula(rate: Any, times: Any, factor: Any) -> Any:
        return rate * factor**times

    numbers = [decay_steps, decay_rate]
    return _of_times("ExponentialDecay", learning_rate, global_step, numbers, staircase, formula, name)


@export("train.natural_exp_decay")
def natural_exp_decay(
    learning_rate: Any,
    global_step: Any,
    decay_steps: Any,
    decay_rate: Any,
    staircase: bool = False,
    name: str | None = None,
) -> Tensor:
    """Return `learning_rate * exp(-decay_rate * global_step / decay_steps)`.

    Args:
        learning_rate: The rate at step 0.
        global_step: The step.
        decay_steps: The unit of steps.
        decay_rate: How fast the rate falls.
        staircase: Whether the quotient of steps is rounded down.
        name: A name for the result.

    Raises:
        TensorValueError: If there is no step (`no_global_step`).
    """

    def formula(rate: Any, times: Any, factor: Any) -> Any:
        return rate * jnp.exp(-factor * times)

    numbers = [decay_steps, decay_rate]
    return _of_times("NaturalExpDecay", learning_rate, global_step, numbers, staircase, formula, name)


@export("train.inverse_time_decay")
def inverse_time_decay(
    learning_rate: Any,
    global_step: Any,
    decay_steps: Any,
    decay_rate: Any,
    staircase: bool = False,
    name: str | None = None,
) -> Tensor:
    """Return `learning_rate / (1 + decay_rate * global_step / decay_steps)`.

    Args:
        learning_rate: The rate at step 0.
        global_step: The step.
        decay_steps: The unit of steps.
        decay_rate: How fast the rate falls.
        staircase: Whether the quotient of steps is rounded down.
        name: A name for the result.

    Raises:
        TensorValueError: If there is no step (`no_global_step`).
    """

    def formula(rate: Any, times: Any, factor: Any) -> Any:
        return rate / (1 + factor * times)

    numbers = [decay_steps, decay_rate]
    return _of_times("InverseTimeDecay", learning_rate, global_step, numbers, staircase, formula, name)


@export("train.polynomial_decay")
def polynomial_decay(
    learning_rate: Any,
    global_step: Any,
    decay_steps: Any,
    end_learning_rate: Any = 0.0001,
    power: Any = 1.0,
    cycle: bool = False,
    name: str | None = None,
) -> Tensor:
    """Return a rate that falls to its end within a number of steps.

    Args:
        learning_rate: The rate at step 0.
        global_step: The step.
        decay_steps: After how many steps the end is reached.
        end_learning_rate: The rate at the end.
        power: The power of the way that is left.
        cycle: Whether to begin again, with a longer way each time, or else to stay at the end.
        name: A name for the result.

    Raises:
        TensorValueError: If there is no step (`no_global_step`).
    """

    def formula(rate: Any, step: Any, steps: Any, end: Any, power: Any) -> Any:
        if cycle:
            steps = steps * jnp.where(step == 0, 1, jnp.ceil(step / steps)).astype(rate.dtype)
        else:
            step = jnp.minimum(step, steps)
        return (rate - end) * (1 - step / steps) ** power + end

    numbers = [decay_steps, end_learning_rate, power]
    return _of_step("PolynomialDecay", learning_rate, global_step, numbers, formula, name)


@export("train.piecewise_constant", "train.piecewise_constant_decay")
def piecewise_constant(x: Any, boundaries: Any, values: Any, name: str | None = None) -> Tensor:
    """Return the value of the interval in which the step is.

    Args:
        x: The step.
        boundaries: Where intervals end, themselves inside.
        values: A value for each interval, one more than boundaries.
        name: A name for the result.

    Raises:
        TensorValueError: If there are more or fewer values (`tensor_value`).
        TensorTypeError: If the values are of several dtypes (`dtypes_disagree`).
    """
    if len(boundaries) != len(values) - 1:
        raise TensorValueError("there must be one value more than boundaries")
    step = convert_to_tensor(x)
    ends = [convert_to_tensor(one) for one in boundaries]
    ends = [
        convert_to_tensor(one, step.dtype) if isinstance(one, int | float) else end
        for one, end in zip(boundaries, ends, strict=True)
    ]
    rates = convert_many(list(values))

    def chosen(step: Any, *rest: Any) -> Any:
        ends, rates = rest[: len(boundaries)], rest[len(boundaries) :]
        result = rates[-1]
        for end, rate in reversed(list(zip(ends, rates[:-1], strict=True))):
            result = jnp.where(jnp.asarray(step) <= end, rate, result)
        return jnp.asarray(result)

    return compute("PiecewiseConstant", chosen, step, *ends, *rates, name=name)


@export("train.cosine_decay")
def cosine_decay(
    learning_rate: Any, global_step: Any, decay_steps: Any, alpha: float = 0.0, name: str | None = None
) -> Tensor:
    """Return a rate that falls as half a cosine.

    Args:
        learning_rate: The rate at step 0.
        global_step: The step.
        decay_steps: After how many steps the end is reached.
        alpha: The share of the rate that is left at the end.
        name: A name for the result.

    Raises:
        TensorValueError: If there is no step (`no_global_step`).
    """

    def formula(rate: Any, step: Any, steps: Any) -> Any:
        share = jnp.minimum(step, steps) / steps
        decayed = (1 - alpha) * (0.5 * (1 + jnp.cos(jnp.pi * share))) + alpha
        return rate * decayed

    return _of_step("CosineDecay", learning_rate, global_step, [decay_steps], formula, name)


@export("train.cosine_decay_restarts")
def cosine_decay_restarts(
    learning_rate: Any,
    global_step: Any,
    first_decay_steps: Any,
    t_mul: float = 2.0,
    m_mul: float = 1.0,
    alpha: float = 0.0,
    name: str | None = None,
) -> Tensor:
    """Return a rate that falls as half a cosine, and begins again.

    Args:
        learning_rate: The rate at step 0.
        global_step: The step.
        first_decay_steps: How long the first fall takes.
        t_mul: By what each is longer than the one before.
        m_mul: By what its rate is multiplied.
        alpha: The share of the rate that is left at the end.
        name: A name for the result.

    Raises:
        TensorValueError: If there is no step (`no_global_step`).
    """

    def formula(rate: Any, step: Any, steps: Any) -> Any:
        share = step / steps
        if t_mul == 1.0:
            restart = jnp.floor(share)
            share = share - restart
        else:
            restart = jnp.floor(jnp.log(1 - share * (1 - t_mul)) / jnp.log(jnp.asarray(t_mul, rate.dtype)))
            before = (1 - t_mul**restart) / (1 - t_mul)
            share = (share - before) / t_mul**restart
        decayed = 0.5 * m_mul**restart * (1 + jnp.cos(jnp.pi * share))
        return rate * ((1 - alpha) * decayed + alpha)

    return _of_step("CosineDecayRestarts", learning_rate, global_step, [first_decay_steps], formula, name)


@export("train.linear_cosine_decay")
def linear_cosine_decay(
    learning_rate: Any,
    global_step: Any,
    decay_steps: Any,
    num_periods: float = 0.5,
    alpha: float = 0.0,
    beta: float = 0.001,
    name: str | None = None,
) -> Tensor:
    """Return a rate that falls as a line times a cosine.

    Args:
        learning_rate: The rate at step 0.
        global_step: The step.
        decay_steps: After how many steps the end is reached.
        num_periods: How many periods the cosine has.
        alpha: What is added to the line.
        beta: What is added to the product.
        name: A name for the result.

    Raises:
        TensorValueError: If there is no step (`no_global_step`).
    """

    def formula(rate: Any, step: Any, steps: Any) -> Any:
        step = jnp.minimum(step, steps)
        line = (steps - step) / steps
        cosine = 0.5 * (1 + jnp.cos(jnp.pi * 2 * num_periods * step / steps))
        return rate * ((alpha + line) * cosine + beta)

    return _of_step("LinearCosineDecay", learning_rate, global_step, [decay_steps], formula, name)
