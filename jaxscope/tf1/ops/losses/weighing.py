"""How losses by element become one: weights and reductions."""

from typing import Any

import jax.numpy as jnp

import jaxscope as js
from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.errors import TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute, value_if_known
from jaxscope.tf1.base.tensor import Tensor
from jaxscope.tf1.ops.losses.collecting import keep
from jaxscope.tf1.ops.math.casts import cast
from jaxscope.tf1.ops.math.pairs import no_nan

__all__ = [
    "Reduction",
    "as_float32",
    "check_weights",
    "compute_weighted_loss",
    "pair",
    "safe_quotient",
    "weigh",
]

_LOSSES = js.GraphKeys.LOSSES


@export("losses.Reduction")
class Reduction:
    """How weighted losses are joined.

    Attributes:
        NONE: Not at all.
        SUM: Their sum.
        SUM_OVER_BATCH_SIZE: The sum over the number of elements.
        MEAN: The sum over the sum of weights.
        SUM_BY_NONZERO_WEIGHTS: The sum over the number of weights that are not 0.
        SUM_OVER_NONZERO_WEIGHTS: The same, its older name.
    """

    NONE = "none"
    SUM = "weighted_sum"
    SUM_OVER_BATCH_SIZE = "weighted_sum_over_batch_size"
    MEAN = "weighted_mean"
    SUM_BY_NONZERO_WEIGHTS = "weighted_sum_by_nonzero_weights"
    SUM_OVER_NONZERO_WEIGHTS = SUM_BY_NONZERO_WEIGHTS

    @classmethod
    def all(cls) -> tuple[str, ...]:
        """Return all of them."""
        return (
            cls.NONE,
            cls.SUM,
            cls.MEAN,
            cls.SUM_OVER_BATCH_SIZE,
            cls.SUM_OVER_NONZERO_WEIGHTS,
            cls.SUM_BY_NONZERO_WEIGHTS,
        )

    @classmethod
    def validate(cls, key: Any) -> None:
        """Raise `ValueError` unless it is one of them."""
        if key not in cls.all():
            raise TensorValueError(f"{key!r} is no reduction of losses: {', '.join(cls.all())}")


def as_float32(value: Any) -> Tensor:
    """Return a value as a tensor of float32."""
    return cast(value, "float32")


def pair(kind: str, labels: Any, predictions: Any, second: str = "predictions") -> tuple[Tensor, Tensor]:
    """Return labels and predictions as tensors of float32 and one shape.

    Raises:
        TensorValueError: If one is None, or the shapes differ (`tensor_value`, `shapes_disagree`).
    """
    if labels is None or predictions is None:
        raise TensorValueError(f"{kind} needs both labels and {second}")
    x, y = as_float32(predictions), as_float32(labels)
    if x._held.shape != y._held.shape:
        raise TensorValueError(
            f"{kind}: labels of {y.get_shape()} and {second} of {x.get_shape()} must have one shape",
            code="shapes_disagree",
        )
    return y, x


@export("losses.compute_weighted_loss")
def compute_weighted_loss(
    losses: Any,
    weights: Any = 1.0,
    scope: str | None = None,
    loss_collection: Any = _LOSSES,
    reduction: Any = Reduction.SUM_BY_NONZERO_WEIGHTS,
) -> Tensor:
    """Return the losses times weights, as one number.

    Args:
        losses: Losses by element; they are weighed in float32.
        weights: A number, or a tensor of the same rank that broadcasts to the losses.
        scope: A name for the loss.
        loss_collection: The collection to which it is added; None for none.
        reduction: How they are joined, one of `tf.losses.Reduction`.

    Raises:
        TensorValueError: If weights do not broadcast, or there is no such reduction (`tensor_value`).
    """
    return weigh("weighted_loss", losses, weights, scope, loss_collection, reduction)


def weigh(kind: str, losses: Any, weights: Any, scope: str | None, collection: Any, reduction: Any) -> Tensor:
    """Return `compute_weighted_loss`, named by the kind of loss where no scope is given."""
    Reduction.validate(reduction)
    if weights is None:
        raise TensorValueError(f"{kind}: weights must not be None")
    tensor, given = convert_to_tensor(losses), convert_to_tensor(weights)
    check_weights(kind, given, tensor)
    number = None if given._held.shape else value_if_known(given)
    if number is None:
        loss = compute(kind, lambda x, w: _joined(x, w, reduction), tensor, given)
    else:
        loss = compute(kind, lambda x: _joined(x, float(number), reduction), tensor)
    return keep(loss, collection, scope or kind)


def check_weights(kind: str, weights: Tensor, losses: Tensor) -> None:
    """Raise `TensorValueError` unless weights broadcast to losses."""
    mine, its = weights._held.shape, losses._held.shape
    if mine and (len(mine) != len(its) or any(m not in {1, n} for m, n in zip(mine, its, strict=True))):
        raise TensorValueError(
            f"{kind}: weights of {weights.get_shape()} do not broadcast to losses of {losses.get_shape()}",
            code="shapes_disagree",
            fix="the same rank, with sizes of 1 where a weight is for all",
        )


def _joined(losses: Any, weights: Any, reduction: str) -> Any:
    """Return losses times weights, joined; weights are an array, or a number that is known."""
    wide = jnp.asarray(losses).astype(jnp.float32)
    known = isinstance(weights, float)
    if not known:
        weights = jnp.asarray(weights).astype(jnp.float32)
    weighted = wide if known and weights == 1 else wide * weights
    if reduction == Reduction.NONE:
        return weighted.astype(losses.dtype)
    total = jnp.sum(weighted)
    if reduction == Reduction.SUM:
        return total.astype(losses.dtype)
    if reduction == Reduction.SUM_OVER_BATCH_SIZE:
        number: Any = float(wide.size)
    elif reduction == Reduction.MEAN:
        number = wide.size * weights if known else jnp.sum(jnp.broadcast_to(weights, wide.shape))
    elif known:
        number = float(wide.size if weights else 0)
    else:
        number = jnp.sum(jnp.broadcast_to(weights != 0, wide.shape), dtype=jnp.float32)
    return safe_quotient(total, number).astype(losses.dtype)


def safe_quotient(total: Any, number: Any) -> Any:
    """Return the quotient, or 0 where the number is 0."""
    if isinstance(number, float):
        return total / number if number else jnp.zeros_like(total)
    return no_nan(total, number)
