"""TensorFlow 1's optimizers, by its formulas and its names of slots."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

import jaxscope as js
from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute
from jaxscope.tf1.base.tensor import Tensor
from jaxscope.tf1.ops.train.optimizer import Optimizer

__all__ = [
    "AdadeltaOptimizer",
    "AdagradOptimizer",
    "AdamOptimizer",
    "GradientDescentOptimizer",
    "MomentumOptimizer",
    "RMSPropOptimizer",
]


class _Formula(Optimizer):
    """An optimizer with a learning rate, whose numbers are tensors of a variable's dtype."""

    _rate: Any

    def _number(self, value: Any, like: Any) -> Tensor:
        number = convert_to_tensor(self._call_if_callable(value))
        kind = like.dtype.dtype
        return compute("Cast", lambda x: jnp.asarray(x).astype(kind), number)

    def _set(self, var: Any, kind: str, formula: Callable[..., Any], *values: Any) -> Tensor:
        """Give a variable what a formula makes of its value and others."""
        tensors = [convert_to_tensor(value) for value in values]
        result: Tensor = var.assign(compute(kind, formula, var.value(), *tensors, known=False))
        return result


def _mean(mean: Any, stays: Any, new: Any) -> Any:
    """Return a moving mean after a step."""
    return mean + (new - mean) * (1 - stays)


def _mean_of_squares(mean: Any, stays: Any, new: Any) -> Any:
    """Return a moving mean of squares after a step."""
    return _mean(mean, stays, new * new)


@export("train.GradientDescentOptimizer")
class GradientDescentOptimizer(_Formula):
    """`w -= learning_rate * g`.

    Args:
        learning_rate: The rate.
        use_locking: Without meaning here.
        name: Its name.
    """

    def __init__(self, learning_rate: Any, use_locking: bool = False, name: str = "GradientDescent") -> None:
        super().__init__(use_locking, name)
        self._rate = learning_rate

    def _apply_dense(self, grad: Any, var: Any) -> Any:
        rate = self._number(self._rate, var)
        return self._set(var, "ApplyGradientDescent", lambda w, r, g: w - r * g, rate, grad)


@export("train.MomentumOptimizer")
class MomentumOptimizer(_Formula):
    """`a = momentum * a + g`, `w -= learning_rate * a`; with Nesterov's, `w -= rate * (g + momentum * a)`.

    Args:
        learning_rate: The rate.
        momentum: The share of the sum that stays.
        use_locking: Without meaning here.
        name: Its name; the slot is `w/Momentum`.
        use_nesterov: Whether to look ahead.
    """

    def __init__(
        self,
        learning_rate: Any,
        momentum: Any,
        use_locking: bool = False,
        name: str = "Momentum",
        use_nesterov: bool = False,
    ) -> None:
        super().__init__(use_locking, name)
        self._rate, self._momentum, self._nesterov = learning_rate, momentum, use_nesterov

    def _create_slots(self, var_list: Any) -> None:
        for var in var_list:
            self._zeros_slot(var, "momentum", self._name)

    def _apply_dense(self, grad: Any, var: Any) -> Any:
        rate, share = self._number(self._rate, var), self._number(self._momentum, var)
        slot = self.get_slot(var, "momentum")
        a = self._set(slot, "Momentum", lambda a, m, g: a * m + g, share, grad)
        if self._nesterov:
            return self._set(
                var, "ApplyMomentum", lambda w, r, m, g, a: w - (r * g + r * m * a), rate, share, grad, a
            )
        return self._set(var, "ApplyMomentum", lambda w, r, a: w - r * a, rate, a)


@export("train.AdamOptimizer", "contrib.opt.LazyAdamOptimizer")
class AdamOptimizer(_Formula):
    """Adam, with epsilon beside the square root that is not corrected, as TensorFlow has it.

    `rate = learning_rate * sqrt(1 - beta2 ** t) / (1 - beta1 ** t)`, `m += (g - m) * (1 - beta1)`,
    `v += (g * g - v) * (1 - beta2)`, `w -= rate * m / (sqrt(v) + epsilon)`.

    Args:
        learning_rate: The rate.
        beta1: The share of the mean that stays.
        beta2: The share of the mean of squares that stays.
        epsilon: What is added to the root.
        use_locking: Without meaning here.
        name: Its name; the slots are `w/Adam` and `w/Adam_1`, and there are `beta1_power`, `beta2_power`.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta1: Any = 0.9,
        beta2: Any = 0.999,
        epsilon: Any = 1e-8,
        use_locking: bool = False,
        name: str = "Adam",
    ) -> None:
        super().__init__(use_locking, name)
        self._rate, self._beta1, self._beta2, self._epsilon = learning_rate, beta1, beta2, epsilon

    def _create_slots(self, var_list: Any) -> None:
        first = min(var_list, key=lambda var: var.name)
        for number in ("beta1", "beta2"):
            start = self._number(getattr(self, f"_{number}"), first)
            self._create_non_slot_variable(start, f"{number}_power", first)
        for var in var_list:
            self._zeros_slot(var, "m", self._name)
            self._zeros_slot(var, "v", self._name)

    def _powers(self) -> list[Any]:
        return [self._get_non_slot_variable(f"{number}_power") for number in ("beta1", "beta2")]

    def _apply_dense(self, grad: Any, var: Any) -> Any:
        numbers = [self._number(one, var) for one in (self._rate, self._epsilon)]
        beta1, beta2 = self._number(self._beta1, var), self._number(self._beta2, var)
        powers = [self._number(one.value(), var) for one in self._powers()]
        m = self._set(self.get_slot(var, "m"), "Adam", _mean, beta1, grad)
        v = self._set(self.get_slot(var, "v"), "Adam", _mean_of_squares, beta2, grad)

        def changed(w: Any, rate: Any, epsilon: Any, p1: Any, p2: Any, m: Any, v: Any) -> Any:
            return w - rate * jnp.sqrt(1 - p2) / (1 - p1) * m / (jnp.sqrt(v) + epsilon)

        return self._set(var, "ApplyAdam", changed, *numbers, *powers, m, v)

    def _finish(self, update_ops: Any, name_scope: str) -> Any:
        for power, beta in zip(self._powers(), (self._beta1, self._beta2), strict=True):
            self._set(power, "Mul", lambda p, b: p * b, self._number(beta, power))
        return super()._finish(update_ops, name_scope)


@export("train.RMSPropOptimizer")
class RMSPropOptimizer(_Formula):
    """`s += (g * g - s) * (1 - decay)`, `a = momentum * a + learning_rate * g / sqrt(s + epsilon)`, `w -= a`.

    Args:
        learning_rate: The rate.
        decay: The share of the mean of squares, which begins with 1, that stays.
        momentum: The share of the step before that stays.
        epsilon: What is added under the root.
        use_locking: Without meaning here.
        centered: Whether the square of the mean of gradients is taken off under the root.
        name: Its name; the slots are `w/RMSProp`, `w/RMSProp_1`, and a third one if centered.
    """

    def __init__(
        self,
        learning_rate: Any,
        decay: Any = 0.9,
        momentum: Any = 0.0,
        epsilon: Any = 1e-10,
        use_locking: bool = False,
        centered: bool = False,
        name: str = "RMSProp",
    ) -> None:
        super().__init__(use_locking, name)
        self._rate, self._decay, self._momentum, self._epsilon = learning_rate, decay, momentum, epsilon
        self._centered = centered

    def _create_slots(self, var_list: Any) -> None:
        for var in var_list:
            ones = js.initializers.ones()
            self._get_or_make_slot_with_initializer(var, ones, None, None, "rms", self._name)
            if self._centered:
                self._zeros_slot(var, "mg", self._name)
            self._zeros_slot(var, "momentum", self._name)

    def _apply_dense(self, grad: Any, var: Any) -> Any:
        rate, decay, momentum, epsilon = (
            self._number(one, var) for one in (self._rate, self._decay, self._momentum, self._epsilon)
        )
        s = self._set(self.get_slot(var, "rms"), "RMSProp", _mean_of_squares, decay, grad)
        if self._centered:
            mg = self._set(self.get_slot(var, "mg"), "RMSProp", _mean, decay, grad)
            s = compute("Sub", lambda s, m: s - m * m, s, mg)

        def moved(a: Any, m: Any, r: Any, g: Any, s: Any, e: Any) -> Any:
            return m * a + r * g / jnp.sqrt(s + e)

        slot = self.get_slot(var, "momentum")
        a = self._set(slot, "RMSProp", moved, momentum, rate, grad, s, epsilon)
        return self._set(var, "ApplyRMSProp", lambda w, a: w - a, a)


@export("train.AdagradOptimizer")
class AdagradOptimizer(_Formula):
    """`a += g * g`, `w -= learning_rate * g / sqrt(a)`.

    Args:
        learning_rate: The rate.
        initial_accumulator_value: What the sum of squares begins with.
        use_locking: Without meaning here.
        name: Its name; the slot is `w/Adagrad`.
    """

    def __init__(
        self,
        learning_rate: Any,
        initial_accumulator_value: float = 0.1,
        use_locking: bool = False,
        name: str = "Adagrad",
    ) -> None:
        super().__init__(use_locking, name)
        if initial_accumulator_value <= 0:
            raise ValueError(f"initial_accumulator_value must be positive: {initial_accumulator_value}")
        self._rate, self._start = learning_rate, initial_accumulator_value

    def _create_slots(self, var_list: Any) -> None:
        for var in var_list:
            start = js.initializers.constant(self._start)
            self._get_or_make_slot_with_initializer(var, start, None, None, "accumulator", self._name)

    def _apply_dense(self, grad: Any, var: Any) -> Any:
        rate = self._number(self._rate, var)
        a = self._set(self.get_slot(var, "accumulator"), "Adagrad", lambda a, g: a + g * g, grad)
        return self._set(var, "ApplyAdagrad", lambda w, r, g, a: w - r * g / jnp.sqrt(a), rate, grad, a)


@export("train.AdadeltaOptimizer")
class AdadeltaOptimizer(_Formula):
    """`s += (g * g - s) * (1 - rho)`, `u = g * sqrt(d + epsilon) / sqrt(s + epsilon)`,
    `d += (u * u - d) * (1 - rho)`, `w -= learning_rate * u`.

    Args:
        learning_rate: The rate.
        rho: The share of the means of squares that stays.
        epsilon: What is added under the roots.
        use_locking: Without meaning here.
        name: Its name; the slots are `w/Adadelta` and `w/Adadelta_1`.
    """  # noqa: D205

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: Any = 0.95,
        epsilon: Any = 1e-8,
        use_locking: bool = False,
        name: str = "Adadelta",
    ) -> None:
        super().__init__(use_locking, name)
        self._rate, self._rho, self._epsilon = learning_rate, rho, epsilon

    def _create_slots(self, var_list: Any) -> None:
        for var in var_list:
            self._zeros_slot(var, "accum", self._name)
            self._zeros_slot(var, "accum_update", self._name)

    def _apply_dense(self, grad: Any, var: Any) -> Any:
        rate, rho, epsilon = (self._number(one, var) for one in (self._rate, self._rho, self._epsilon))
        s = self._set(self.get_slot(var, "accum"), "Adadelta", _mean_of_squares, rho, grad)
        d = self.get_slot(var, "accum_update")
        u = compute(
            "Adadelta",
            lambda g, d, s, e: g * jnp.sqrt(d + e) / jnp.sqrt(s + e),
            grad,
            convert_to_tensor(d),
            s,
            epsilon,
        )
        self._set(d, "Adadelta", _mean_of_squares, rho, u)
        return self._set(var, "ApplyAdadelta", lambda w, r, u: w - r * u, rate, u)
