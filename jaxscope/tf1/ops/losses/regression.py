"""Losses of numbers that are near or far: squares, absolute differences, logarithms, angles."""

from typing import Any

import jax.numpy as jnp

import jaxscope as js
from jaxscope.tf1.base.errors import TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute, static_axes
from jaxscope.tf1.base.tensor import Tensor
from jaxscope.tf1.ops.losses.collecting import keep
from jaxscope.tf1.ops.losses.weighing import Reduction, as_float32, check_weights, pair, safe_quotient, weigh
from jaxscope.tf1.ops.math.elementwise import distance
from jaxscope.tf1.ops.nn.arguments import either, expect_rank

__all__ = [
    "absolute_difference",
    "cosine_distance",
    "huber_loss",
    "log_loss",
    "mean_pairwise_squared_error",
    "mean_squared_error",
]

_LOSSES = js.GraphKeys.LOSSES
_MEAN = Reduction.SUM_BY_NONZERO_WEIGHTS


@export("losses.absolute_difference")
def absolute_difference(
    labels: Any,
    predictions: Any,
    weights: Any = 1.0,
    scope: str | None = None,
    loss_collection: Any = _LOSSES,
    reduction: Any = _MEAN,
) -> Tensor:
    """Return `abs(predictions - labels)`, weighed and joined.

    Args:
        labels: Numbers.
        predictions: Numbers, of the same shape.
        weights: As in `tf.losses.compute_weighted_loss`.
        scope: A name for the loss.
        loss_collection: The collection to which it is added; None for none.
        reduction: One of `tf.losses.Reduction`.

    Raises:
        TensorValueError: If shapes do not fit, or there is no such reduction (`shapes_disagree`, ...).
    """
    y, x = pair("absolute_difference", labels, predictions)
    losses = compute("absolute_difference", lambda x, y: distance(x - y), x, y)
    return weigh("absolute_difference", losses, weights, scope, loss_collection, reduction)


@export("losses.mean_squared_error")
def mean_squared_error(
    labels: Any,
    predictions: Any,
    weights: Any = 1.0,
    scope: str | None = None,
    loss_collection: Any = _LOSSES,
    reduction: Any = _MEAN,
) -> Tensor:
    """Return `(predictions - labels) ** 2`, weighed and joined.

    Args:
        labels: Numbers.
        predictions: Numbers, of the same shape.
        weights: As in `tf.losses.compute_weighted_loss`.
        scope: A name for the loss.
        loss_collection: The collection to which it is added; None for none.
        reduction: One of `tf.losses.Reduction`.

    Raises:
        TensorValueError: If shapes do not fit, or there is no such reduction (`shapes_disagree`, ...).
    """
    y, x = pair("mean_squared_error", labels, predictions)
    losses = compute("mean_squared_error", lambda x, y: jnp.square(x - y), x, y)
    return weigh("mean_squared_error", losses, weights, scope, loss_collection, reduction)


@export("losses.huber_loss")
def huber_loss(
    labels: Any,
    predictions: Any,
    weights: Any = 1.0,
    delta: Any = 1.0,
    scope: str | None = None,
    loss_collection: Any = _LOSSES,
    reduction: Any = _MEAN,
) -> Tensor:
    """Return half the squares of differences up to delta, and straight lines from there, weighed and joined.

    Args:
        labels: Numbers.
        predictions: Numbers, of the same shape.
        weights: As in `tf.losses.compute_weighted_loss`.
        delta: Where the lines begin.
        scope: A name for the loss.
        loss_collection: The collection to which it is added; None for none.
        reduction: One of `tf.losses.Reduction`.

    Raises:
        TensorValueError: If shapes do not fit, or there is no such reduction (`shapes_disagree`, ...).
    """
    y, x = pair("huber_loss", labels, predictions)
    end = as_float32(delta)

    def run(x: Any, y: Any, delta: Any) -> Any:
        error = distance(x - y)
        square = jnp.minimum(error, delta)
        return 0.5 * jnp.square(square) + delta * (error - square)

    return weigh(
        "huber_loss", compute("huber_loss", run, x, y, end), weights, scope, loss_collection, reduction
    )


@export("losses.log_loss")
def log_loss(
    labels: Any,
    predictions: Any,
    weights: Any = 1.0,
    epsilon: float = 1e-7,
    scope: str | None = None,
    loss_collection: Any = _LOSSES,
    reduction: Any = _MEAN,
) -> Tensor:
    """Return `-labels * log(p + epsilon) - (1 - labels) * log(1 - p + epsilon)`, weighed and joined.

    Args:
        labels: Probabilities.
        predictions: Probabilities p, of the same shape.
        weights: As in `tf.losses.compute_weighted_loss`.
        epsilon: What keeps logarithms finite.
        scope: A name for the loss.
        loss_collection: The collection to which it is added; None for none.
        reduction: One of `tf.losses.Reduction`.

    Raises:
        TensorValueError: If shapes do not fit, or there is no such reduction (`shapes_disagree`, ...).
    """
    y, x = pair("log_loss", labels, predictions)

    def run(x: Any, y: Any) -> Any:
        return -y * jnp.log(x + epsilon) - (1 - y) * jnp.log(1 - x + epsilon)

    return weigh("log_loss", compute("log_loss", run, x, y), weights, scope, loss_collection, reduction)


@export("losses.cosine_distance")
def cosine_distance(
    labels: Any,
    predictions: Any,
    axis: Any = None,
    weights: Any = 1.0,
    scope: str | None = None,
    loss_collection: Any = _LOSSES,
    reduction: Any = _MEAN,
    dim: Any = None,
) -> Tensor:
    """Return one less the products of vectors of length 1, weighed and joined.

    Args:
        labels: Vectors of length 1 along an axis.
        predictions: Likewise, of the same shape.
        axis: The axis.
        weights: As in `tf.losses.compute_weighted_loss`.
        scope: A name for the loss.
        loss_collection: The collection to which it is added; None for none.
        reduction: One of `tf.losses.Reduction`.
        dim: The older name of `axis`.

    Raises:
        TensorValueError: If shapes do not fit, or there is no axis (`shapes_disagree`, `tensor_value`).
    """
    along = either("axis", axis, "dim", dim)
    if along is None:
        raise TensorValueError("cosine_distance needs axis")
    y, x = pair("cosine_distance", labels, predictions)
    over = static_axes(along, len(x._held.shape))
    losses = compute("cosine_distance", lambda x, y: 1 - jnp.sum(x * y, over, keepdims=True), x, y)
    return weigh("cosine_distance", losses, weights, scope, loss_collection, reduction)


@export("losses.mean_pairwise_squared_error")
def mean_pairwise_squared_error(
    labels: Any,
    predictions: Any,
    weights: Any = 1.0,
    scope: str | None = None,
    loss_collection: Any = _LOSSES,
) -> Tensor:
    """Return the mean, over pairs of elements of an example, of squared differences of their differences.

    Args:
        labels: Numbers, `[batch, ...]`.
        predictions: Numbers, of the same shape.
        weights: A number, or a tensor of the same rank that broadcasts to the labels.
        scope: A name for the loss.
        loss_collection: The collection to which it is added; None for none.

    Raises:
        TensorValueError: If shapes do not fit (`shapes_disagree`).
    """
    kind = "mean_pairwise_squared_error"
    if weights is None:
        raise TensorValueError(f"{kind}: weights must not be None")
    y, x = pair(kind, labels, predictions)
    given = as_float32(weights)
    expect_rank(kind, x, 1, "predictions", at_least=True)
    check_weights(kind, given, x)
    inner = tuple(range(1, len(x._held.shape)))

    def run(x: Any, y: Any, w: Any) -> Any:
        apart = x - y
        present = jnp.broadcast_to(jnp.asarray(w) != 0, apart.shape)
        number = jnp.sum(present, inner, keepdims=True, dtype=jnp.float32)
        squares = jnp.sum(jnp.square(apart), inner, keepdims=True)
        total = jnp.sum(apart, inner, keepdims=True)
        first = 2 * safe_quotient(squares, jnp.maximum(number - 1, 0))
        second = 2 * safe_quotient(jnp.square(total), jnp.maximum(number * (number - 1), 0))
        loss = jnp.sum((first - second) * w)
        return jnp.where(jnp.sum(number) > 0, loss, jnp.zeros_like(loss))

    return keep(compute(kind, run, x, y, given), loss_collection, scope or kind)
