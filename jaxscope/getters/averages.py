"""Averages: what weights were in the last steps, to evaluate with."""

# ruff: noqa: N801 - getters are called as functions are
import dataclasses
from typing import Any

import jax

from jaxscope.getters.arguments import check_flag, check_name, check_number
from jaxscope.getters.asking import Asked, Start
from jaxscope.getters.getter import Getter
from jaxscope.getters.requests import Request
from jaxscope.getters.weights import wide_dtype
from jaxscope.getters.where import Where


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class ema(Getter):
    """Return a getter that keeps a moving average of each trained variable, and gives it in evaluation.

    The average is state below the variable's name, in float32 at least, and begins as the variable does.
    With `training` the model gets the variables themselves, and each average goes a share of `1 - decay` of
    its way to the variable, once in each call of `net.apply_with_state`; the variable is what it is before
    the step of the optimizer. Without `training` the model gets the averages. It is for trainable variables
    of a floating dtype, and for those that getters in front of it ask for in their place. A loss is on the
    variable itself.

    Args:
        decay: The share of an average that stays in a step, from 0 to 1.
        where: A regular expression that full names match at their start, a predicate of a
            `js.getters.Request`, or None for all.
        training: Whether to use the variables and to take a step: a Python bool, given where the getter is
            made.
        name: The average's name below the variable's; as given, TF1's in its checkpoints.

    Raises:
        GetterError: An argument is none (code `getter_argument`).
        StateError: With `training`, in plain `net.apply`, or in a transform that loses what is written.
        VariableNotFoundError: At the end of a call, in which the pattern matched nothing.

    Source:
        `tf.train.ExponentialMovingAverage`.

    Example:
        >>> @js.transform
        ... def net(training):
        ...     with js.variable_scope("", custom_getter=js.getters.ema(0.9, training=training)):
        ...         return js.get_variable("w", [])
        >>> variables = {"w": jnp.float32(1), "w/ExponentialMovingAverage": jnp.float32(0)}
        >>> w, state = net.apply_with_state(variables, True)
        >>> print(f"{w:.1f} {net.apply(variables | state, False):.1f}")
        1.0 0.1
    """

    decay: float
    where: Where = None
    training: bool = False
    name: str = "ExponentialMovingAverage"

    follows = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_flag(self, "training")
        check_name(self, "name")
        check_number(self, "decay", "a number from 0 to 1", "0.999", most=1)

    def unfit(self, request: Request) -> str:
        if not request.floating:
            return "is of no floating dtype"
        return "is frozen" if request.frozen else ""

    def get(self, asked: Asked) -> jax.Array:
        value = asked.base()
        wide = wide_dtype(value.dtype)
        average = asked.state(
            self.name,
            value.shape,
            wide,
            asked.start(Start(_as, dtype=wide), value.shape),
            axes=range(value.ndim),
        )
        if not self.training:
            return average.value.astype(value.dtype)
        if average.made:
            old, new = average.value, jax.lax.stop_gradient(value).astype(average.value.dtype)
            average.set(old - (old - new) * (1 - self.decay))
        return value


def _as(value: jax.Array, dtype: Any) -> jax.Array:
    return value.astype(dtype)
