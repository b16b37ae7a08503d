"""`tf.train.ExponentialMovingAverage`."""

from typing import Any

import jax.numpy as jnp

import jaxscope as js
from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.errors import TensorTypeError, TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute
from jaxscope.tf1.base.tensor import Operation, Tensor
from jaxscope.tf1.ops.train.slots import new_slot
from jaxscope.tf1.ops.variables import collections
from jaxscope.tf1.ops.variables.variable import Variable

__all__ = ["ExponentialMovingAverage", "assign_moving_average"]


@export("train.ExponentialMovingAverage")
class ExponentialMovingAverage:
    """Moving averages of variables and tensors: `average = decay * average + (1 - decay) * value`.

    Args:
        decay: The share that stays in a step.
        num_updates: How many steps were taken, by which the decay is `min(decay, (1 + n) / (10 + n))`; None
            for the decay as it is.
        zero_debias: Whether averages of tensors, which begin with zeros, are corrected for that.
        name: The last part of the averages' names.

    Example:
        >>> @js.transform
        ... def net():
        ...     w = js.tf1.get_variable("w", [], initializer=js.tf1.ones_initializer())
        ...     ema = ExponentialMovingAverage(0.9)
        ...     ema.apply([w])
        ...     return ema.average(w).name
        >>> net.apply_with_state(net.init(jax.random.key(0)))[0]
        'w/ExponentialMovingAverage:0'
    """

    def __init__(
        self,
        decay: Any,
        num_updates: Any = None,
        zero_debias: bool = False,
        name: str = "ExponentialMovingAverage",
    ) -> None:
        self._decay, self._num_updates, self._zero_debias, self._name = decay, num_updates, zero_debias, name

    @property
    def name(self) -> str:
        """The last part of the averages' names."""
        return self._name

    @property
    def _averages(self) -> dict[Any, Variable]:
        """The averages of this pass."""
        return js.per_pass(("jaxscope.tf1 averages", self), dict)

    def apply(self, var_list: Any = None) -> Operation:
        """Let the averages take a step, at once, and make those that are not there.

        Args:
            var_list: Variables and tensors; all trainable and averaged variables if left out.

        Raises:
            TensorTypeError: If one is not of fractions (`tensor_type`).
            TensorValueError: If one has an average of this name already (`tensor_value`).
            StateError: In `net.apply`, which keeps no state; call `net.apply_with_state`.
        """
        if var_list is None:
            var_list = _averaged()
        averages = self._averages
        for var in var_list:
            if not var.dtype.is_floating:
                raise TensorTypeError(f"The variables must be half, float, or double: {var.name}")
            key = _key(var)
            if key in averages:
                raise TensorValueError(f"Moving average already computed for: {var.name}")
            if isinstance(var, Variable):
                averages[key] = new_slot(var, self._name, var.initialized_value()._held)
                collections.add_to_collection(js.GraphKeys.MOVING_AVERAGE_VARIABLES, var)
            else:
                # TensorFlow's names of tensors begin with their name scope: `a/a/moments/Squeeze/...`.
                within = js.get_variable_scope().original_name_scope
                averages[key] = new_slot(var, self._name, within=within)
        decay = self._share()
        for var in var_list:
            average = averages[_key(var)]
            debias = self._zero_debias and not isinstance(var, Variable)
            assign_moving_average(average, var, decay, zero_debias=debias)
        return Operation(self._name, "NoOp")

    def _share(self) -> Tensor:
        decay = convert_to_tensor(self._decay, "float32")
        if self._num_updates is None:
            return decay
        updates = convert_to_tensor(self._num_updates)

        def least(decay: Any, n: Any) -> Any:
            n = jnp.asarray(n).astype(jnp.float32)
            return jnp.minimum(decay, (1 + n) / (10 + n))

        return compute("Minimum", least, decay, updates)

    def average(self, var: Any) -> Variable | None:
        """Return the average of a variable, or None before `apply`.

        Args:
            var: The variable or tensor.
        """
        return self._averages.get(_key(var))

    def average_name(self, var: Any) -> str:
        """Return the full name of the average of a variable.

        Args:
            var: The variable or tensor.
        """
        return f"{var.op.name}/{self._name}"

    def variables_to_restore(self, moving_avg_variables: Any = None) -> dict[str, Variable]:
        """Return variables by the names to read them under: the averages' for those that have one.

        Args:
            moving_avg_variables: Those that have one; all trainable and averaged ones if left out.
        """
        averaged = _averaged() if moving_avg_variables is None else list(moving_avg_variables)
        found = {self.average_name(one): one for one in averaged}
        names = {one.op.name for one in averaged}
        others = [one for one in collections.global_variables() if one.op.name not in names]
        return {**{one.op.name: one for one in others}, **found}


def _averaged() -> list[Any]:
    """Return the variables that have averages unless others are told: all trainable and averaged ones."""
    both = [*collections.trainable_variables(), *collections.moving_average_variables()]
    return list(dict.fromkeys(both))


def _key(var: Any) -> Any:
    return var.op.name if isinstance(var, Variable) else var


@export("python.training.moving_averages.assign_moving_average")
def assign_moving_average(
    variable: Any, value: Any, decay: Any, zero_debias: bool = True, name: str | None = None
) -> Tensor:
    """Let a moving average take a step, at once, and return it.

    Args:
        variable: The average.
        value: What it goes towards.
        decay: The share that stays.
        zero_debias: Whether it began with zeros, which is corrected: variables `biased` and `local_step` are
            beside it.
        name: A name for the result.
    """
    new, share = convert_to_tensor(value), convert_to_tensor(decay, "float32")

    def stepped(old: Any, new: Any, share: Any) -> Any:
        return old - (old - new) * (1 - jnp.asarray(share, jnp.asarray(old).dtype))

    stored = new_slot(variable, "biased") if zero_debias else variable
    after = compute("Sub", stepped, stored.value(), new, share, known=False)
    if not zero_debias:
        result: Tensor = variable.assign(after, name=name)
        return result
    count = new_slot(variable, "local_step", shape=())
    stored.assign(after)
    count.assign_add(1.0)

    def unbiased(biased: Any, n: Any, share: Any) -> Any:
        return biased / (1 - share**n)

    after = compute("RealDiv", unbiased, stored.value(), count.value(), share, known=False)
    corrected: Tensor = variable.assign(after, name=name)
    return corrected
