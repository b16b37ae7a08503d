"""`optimize_loss` of contrib and `create_train_op` of slim: a loss, its gradients and a step at once."""

from collections.abc import Callable
from typing import Any

import jaxscope as js
from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.errors import TensorValueError, UnimplementedError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.tensor import Tensor, is_tensor
from jaxscope.tf1.ops.math.clipping import clip_by_global_norm, clip_by_norm
from jaxscope.tf1.ops.train.global_step import get_global_step, get_or_create_global_step
from jaxscope.tf1.ops.train.optimizer import Optimizer
from jaxscope.tf1.ops.train.optimizers import (
    AdagradOptimizer,
    AdamOptimizer,
    GradientDescentOptimizer,
    MomentumOptimizer,
    RMSPropOptimizer,
)
from jaxscope.tf1.ops.variables import collections
from jaxscope.tf1.ops.variables.getting import get_variable
from jaxscope.tf1.ops.variables.scopes import variable_scope

__all__ = ["create_train_op", "optimize_loss"]

_USE_GLOBAL_STEP = 0
_OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "Adagrad": AdagradOptimizer,
    "Adam": AdamOptimizer,
    "Momentum": lambda rate: MomentumOptimizer(rate, 0.9),
    "RMSProp": RMSPropOptimizer,
    "SGD": GradientDescentOptimizer,
}


@export("contrib.training.create_train_op", "contrib.slim.learning.create_train_op")
def create_train_op(
    total_loss: Any,
    optimizer: Optimizer,
    global_step: Any = _USE_GLOBAL_STEP,
    update_ops: Any = None,
    variables_to_train: Any = None,
    clip_gradient_norm: float = 0,
    summarize_gradients: bool = False,
    gate_gradients: Any = 1,
    aggregation_method: Any = None,
    colocate_gradients_with_ops: bool = False,
    gradient_multipliers: Any = None,
    check_numerics: bool = True,
    transform_grads_fn: Any = None,
) -> Tensor:
    """Change variables so that a loss falls, at once, inside of `tf1.train_step`, and return the loss.

    Args:
        total_loss: The loss.
        optimizer: The optimizer.
        global_step: A variable to add 1 to; the global step if left out, None for none.
        update_ops: Without meaning here: what was assigned is done.
        variables_to_train: The variables; all trainable ones if left out.
        clip_gradient_norm: What the norm of each gradient is clipped to; 0 for none.
        summarize_gradients: Without meaning here.
        gate_gradients: Without meaning here.
        aggregation_method: Without meaning here.
        colocate_gradients_with_ops: Without meaning here.
        gradient_multipliers: Variable to what its gradient is multiplied by.
        check_numerics: Without meaning here: `jax.config.update("jax_debug_nans", True)` checks.
        transform_grads_fn: A function of the pairs of gradients and variables.

    Raises:
        GraphLifeError: Outside of `tf1.train_step` (`graph_life`).
    """
    step = get_or_create_global_step() if global_step is _USE_GLOBAL_STEP else global_step
    loss = convert_to_tensor(total_loss)
    pairs: Any = optimizer.compute_gradients(loss, variables_to_train)
    if transform_grads_fn is not None:
        pairs = transform_grads_fn(pairs)
    pairs = _multiplied(pairs, gradient_multipliers)
    if clip_gradient_norm > 0:
        pairs = [
            (None if grad is None else clip_by_norm(grad, clip_gradient_norm), var) for grad, var in pairs
        ]
    optimizer.apply_gradients(pairs, step)
    collections.add_to_collection("train_op", loss)
    return loss


def _multiplied(pairs: Any, multipliers: Any) -> Any:
    factors = {getattr(key, "name", key): factor for key, factor in (multipliers or {}).items()}
    return [
        (grad * factors[var.name] if grad is not None and var.name in factors else grad, var)
        for grad, var in pairs
    ]


@export("contrib.layers.optimize_loss")
def optimize_loss(
    loss: Any,
    global_step: Any,
    learning_rate: Any,
    optimizer: Any,
    gradient_noise_scale: Any = None,
    gradient_multipliers: Any = None,
    clip_gradients: Any = None,
    learning_rate_decay_fn: Any = None,
    update_ops: Any = None,
    variables: Any = None,
    name: str | None = None,
    summaries: Any = None,
    colocate_gradients_with_ops: bool = False,
    increment_global_step: bool = True,
) -> Tensor:
    """Change variables so that a loss falls, at once, inside of `tf1.train_step`, and return the loss.

    Args:
        loss: The loss.
        global_step: A variable to add 1 to; the global step of the pass if None.
        learning_rate: The rate: a number, which becomes the variable `learning_rate`, a tensor, or None.
        optimizer: An optimizer, its class, a function of the rate, or "SGD", "Adam", "Adagrad", "Momentum",
            "RMSProp".
        gradient_noise_scale: Must be None.
        gradient_multipliers: Variable or name to what its gradient is multiplied by.
        clip_gradients: What the norm of all gradients together is clipped to, or a function of the pairs.
        learning_rate_decay_fn: A function of rate and step that returns the rate.
        update_ops: Without meaning here: what was assigned is done.
        variables: The variables; all trainable ones if left out.
        name: The scope; None for `OptimizeLoss`.
        summaries: Without meaning here.
        colocate_gradients_with_ops: Without meaning here.
        increment_global_step: Whether to add 1 to the step.

    Raises:
        GraphLifeError: Outside of `tf1.train_step` (`graph_life`).
        TensorValueError: If the optimizer or the rate has no meaning (`tensor_value`).
        UnimplementedError: With `gradient_noise_scale` (`unimplemented`).
    """
    del update_ops, summaries, colocate_gradients_with_ops
    if gradient_noise_scale is not None:
        raise UnimplementedError("optimize_loss adds no noise to gradients", fix="optax.add_noise")
    tensor = convert_to_tensor(loss)
    step = get_global_step() if global_step is None else global_step
    with variable_scope(name, "OptimizeLoss", [loss, global_step]):
        rate = learning_rate
        if isinstance(learning_rate, float | int):
            start = js.initializers.constant(float(learning_rate))
            rate = get_variable("learning_rate", [], "float32", start, trainable=False)
        if rate is not None and learning_rate_decay_fn is not None:
            if step is None:
                raise TensorValueError("global_step is required for learning_rate_decay_fn")
            rate = learning_rate_decay_fn(rate, step)
        chosen = _optimizer(optimizer, rate)
        pairs: Any = chosen.compute_gradients(tensor, variables)
        pairs = _multiplied(pairs, gradient_multipliers)
        if callable(clip_gradients):
            pairs = clip_gradients(pairs)
        elif clip_gradients is not None:
            grads, _ = clip_by_global_norm([grad for grad, _ in pairs], clip_gradients)
            pairs = list(zip(grads, [var for _, var in pairs], strict=True))
        chosen.apply_gradients(pairs, step if increment_global_step else None, "train")
    return tensor


def _optimizer(optimizer: Any, rate: Any) -> Optimizer:
    if isinstance(optimizer, Optimizer):
        return optimizer
    make = _OPTIMIZERS.get(optimizer) if isinstance(optimizer, str) else optimizer
    if not callable(make) or is_tensor(make):
        raise TensorValueError(f"{optimizer!r} is no optimizer", known=", ".join(_OPTIMIZERS))
    if rate is None and isinstance(optimizer, str | type):
        raise TensorValueError("Learning rate is None", fix="pass learning_rate=")
    made: Any = make() if rate is None else make(rate)
    if not isinstance(made, Optimizer):
        raise TensorValueError(f"{optimizer!r} gave no optimizer, but {made!r}")
    return made
