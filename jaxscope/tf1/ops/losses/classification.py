"""Losses of logits: cross entropies and the hinge."""

from typing import Any

import jax

import jaxscope as js
from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.errors import TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute
from jaxscope.tf1.base.tensor import Tensor
from jaxscope.tf1.ops.arrays.shapes import squeeze
from jaxscope.tf1.ops.losses.weighing import Reduction, pair, weigh
from jaxscope.tf1.ops.math.casts import cast
from jaxscope.tf1.ops.nn.arguments import same_shape
from jaxscope.tf1.ops.nn.cross_entropies import (
    sigmoid_cross_entropy_with_logits,
    softmax_cross_entropy_with_logits,
    sparse_softmax_cross_entropy_with_logits,
)

__all__ = ["hinge_loss", "sigmoid_cross_entropy", "softmax_cross_entropy", "sparse_softmax_cross_entropy"]

_LOSSES = js.GraphKeys.LOSSES
_MEAN = Reduction.SUM_BY_NONZERO_WEIGHTS


@export("losses.hinge_loss")
def hinge_loss(
    labels: Any,
    logits: Any,
    weights: Any = 1.0,
    scope: str | None = None,
    loss_collection: Any = _LOSSES,
    reduction: Any = _MEAN,
) -> Tensor:
    """Return `max(1 - (2 * labels - 1) * logits, 0)`, weighed and joined.

    Args:
        labels: 0 or 1.
        logits: Numbers, of the same shape.
        weights: As in `tf.losses.compute_weighted_loss`.
        scope: A name for the loss.
        loss_collection: The collection to which it is added; None for none.
        reduction: One of `tf.losses.Reduction`.

    Raises:
        TensorValueError: If shapes do not fit, or there is no such reduction (`shapes_disagree`, ...).
    """
    y, x = pair("hinge_loss", labels, logits, "logits")
    losses = compute("hinge_loss", lambda x, y: jax.nn.relu(1 - (2 * y - 1) * x), x, y)
    return weigh("hinge_loss", losses, weights, scope, loss_collection, reduction)


@export("losses.sigmoid_cross_entropy")
def sigmoid_cross_entropy(
    multi_class_labels: Any,
    logits: Any,
    weights: Any = 1.0,
    label_smoothing: float = 0,
    scope: str | None = None,
    loss_collection: Any = _LOSSES,
    reduction: Any = _MEAN,
) -> Tensor:
    """Return cross entropies of sigmoids, weighed and joined.

    Args:
        multi_class_labels: Probabilities, cast to the dtype of the logits.
        logits: A tensor of floats, of the same shape.
        weights: As in `tf.losses.compute_weighted_loss`.
        label_smoothing: The share by which labels are drawn towards a half.
        scope: A name for the loss.
        loss_collection: The collection to which it is added; None for none.
        reduction: One of `tf.losses.Reduction`.

    Raises:
        TensorValueError: If shapes do not fit, or there is no such reduction (`shapes_disagree`, ...).
        TensorTypeError: If the logits are not of floats (`tensor_type`).
    """
    kind = "sigmoid_cross_entropy_loss"
    if multi_class_labels is None or logits is None:
        raise TensorValueError(f"{kind} needs both multi_class_labels and logits")
    x = convert_to_tensor(logits)
    y = cast(multi_class_labels, x.dtype)
    same_shape(kind, x, y, "logits and labels")
    if label_smoothing > 0:
        y = compute("Smooth", lambda y: y * (1 - label_smoothing) + 0.5 * label_smoothing, y)
    losses = sigmoid_cross_entropy_with_logits(labels=y, logits=x)
    return weigh(kind, losses, weights, scope, loss_collection, reduction)


@export("losses.softmax_cross_entropy")
def softmax_cross_entropy(
    onehot_labels: Any,
    logits: Any,
    weights: Any = 1.0,
    label_smoothing: float = 0,
    scope: str | None = None,
    loss_collection: Any = _LOSSES,
    reduction: Any = _MEAN,
) -> Tensor:
    """Return cross entropies of softmaxes, weighed and joined; no gradient flows through the labels.

    Args:
        onehot_labels: Probabilities, cast to the dtype of the logits.
        logits: A tensor of floats, of the same shape, with classes along the last axis.
        weights: As in `tf.losses.compute_weighted_loss`, for the shape without the last axis.
        label_smoothing: The share by which labels are drawn towards equal ones.
        scope: A name for the loss.
        loss_collection: The collection to which it is added; None for none.
        reduction: One of `tf.losses.Reduction`.

    Raises:
        TensorValueError: If shapes do not fit, or there is no such reduction (`shapes_disagree`, ...).
        TensorTypeError: If the logits are not of floats (`tensor_type`).
    """
    kind = "softmax_cross_entropy_loss"
    if onehot_labels is None or logits is None:
        raise TensorValueError(f"{kind} needs both onehot_labels and logits")
    x = convert_to_tensor(logits)
    y = cast(onehot_labels, x.dtype)
    same_shape(kind, x, y, "logits and labels")
    if label_smoothing > 0:
        share = label_smoothing / max(*y._held.shape[-1:], 1)
        y = compute("Smooth", lambda y: y * (1 - label_smoothing) + share, y)
    losses = softmax_cross_entropy_with_logits(labels=y, logits=x)
    return weigh(kind, losses, weights, scope, loss_collection, reduction)


@export("losses.sparse_softmax_cross_entropy")
def sparse_softmax_cross_entropy(
    labels: Any,
    logits: Any,
    weights: Any = 1.0,
    scope: str | None = None,
    loss_collection: Any = _LOSSES,
    reduction: Any = _MEAN,
) -> Tensor:
    """Return cross entropies of softmaxes and the classes that labels name, weighed and joined.

    Args:
        labels: int32 or int64, of the logits' shape without the last axis, or with an axis of 1 instead.
        logits: A tensor of floats, with classes along the last axis.
        weights: As in `tf.losses.compute_weighted_loss`, for the labels' shape.
        scope: A name for the loss.
        loss_collection: The collection to which it is added; None for none.
        reduction: One of `tf.losses.Reduction`.

    Raises:
        TensorValueError: If shapes do not fit, or there is no such reduction (`shapes_disagree`, ...).
        TensorTypeError: If logits or labels are of another dtype (`tensor_type`).
    """
    kind = "sparse_softmax_cross_entropy_loss"
    if labels is None or logits is None or weights is None:
        raise TensorValueError(f"{kind} needs labels, logits and weights")
    y, x = convert_to_tensor(labels), convert_to_tensor(logits)
    ranks = len(x._held.shape) - len(y._held.shape)
    if ranks == 0:
        y = _without_last(y)
    elif ranks == 2:
        x = _without_last(x)
    if not isinstance(weights, int | float):
        given = convert_to_tensor(weights)
        weights = _without_last(given) if len(given._held.shape) - len(y._held.shape) == 1 else given
    losses = sparse_softmax_cross_entropy_with_logits(labels=y, logits=x)
    return weigh(kind, losses, weights, scope, loss_collection, reduction)


def _without_last(tensor: Tensor) -> Tensor:
    """Return a tensor without its last axis, if that is of size 1."""
    if tensor._held.shape[-1:] != (1,):
        return tensor
    return squeeze(tensor, -1)
