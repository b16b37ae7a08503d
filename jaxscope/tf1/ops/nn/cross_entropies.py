"""Cross entropies of logits and labels, by element or example."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from jaxscope.tf1.base.converting import convert_to_tensor, same_dtype
from jaxscope.tf1.base.errors import InvalidArgumentError, TensorTypeError, TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute, static_axis
from jaxscope.tf1.base.tensor import Tensor, known_value
from jaxscope.tf1.ops.nn.arguments import either, expect_rank, floats, same_shape, widened

__all__ = [
    "log_poisson_loss",
    "sigmoid_cross_entropy_with_logits",
    "softmax_cross_entropy_with_logits",
    "softmax_cross_entropy_with_logits_v2",
    "sparse_softmax_cross_entropy_with_logits",
    "weighted_cross_entropy_with_logits",
]


@jax.custom_jvp
def _cross_entropy(labels: jax.Array, logits: jax.Array) -> Any:
    return -jnp.sum(labels * jax.nn.log_softmax(logits), -1)


@_cross_entropy.defjvp
def _cross_entropy_jvp(primals: tuple[Any, Any], tangents: tuple[Any, Any]) -> tuple[jax.Array, jax.Array]:
    # The gradient by logits is softmax - labels in TensorFlow, also where labels do not sum to 1.
    (labels, logits), (labels_dot, logits_dot) = primals, tangents
    logs = jax.nn.log_softmax(logits)
    dot = jnp.sum((jnp.exp(logs) - labels) * logits_dot, -1) - jnp.sum(logs * labels_dot, -1)
    return -jnp.sum(labels * logs, -1), dot


def _named_only(kind: str, sentinel: Any, labels: Any, logits: Any) -> None:
    if sentinel is not None:
        raise TensorValueError(f"{kind} takes arguments by name only", fix=f"{kind}(labels=..., logits=...)")
    if labels is None or logits is None:
        raise TensorValueError(f"{kind} needs both labels and logits")


@export("nn.softmax_cross_entropy_with_logits_v2")
def softmax_cross_entropy_with_logits_v2(
    labels: Any, logits: Any, axis: Any = None, name: str | None = None, dim: Any = None
) -> Tensor:
    """Return `-sum(labels * log_softmax(logits))` over an axis.

    Args:
        labels: Probabilities, cast to the dtype of the logits; gradients flow through them.
        logits: A tensor of floats, of the same shape; float16 is computed in float32.
        axis: The axis of the classes; None for the last one.
        name: A name for the result.
        dim: The older name of `axis`.

    Raises:
        TensorValueError: If shapes do not fit, or both `axis` and `dim` are given (`shapes_disagree`, ...).
        TensorTypeError: If the logits are of another dtype (`tensor_type`).
    """
    return _softmax_cross_entropy(labels, logits, either("axis", axis, "dim", dim), name, stopped=False)


@export("nn.softmax_cross_entropy_with_logits")
def softmax_cross_entropy_with_logits(
    _sentinel: Any = None,
    labels: Any = None,
    logits: Any = None,
    dim: Any = -1,
    name: str | None = None,
    axis: Any = None,
) -> Tensor:
    """Return `-sum(labels * log_softmax(logits))` over an axis, with no gradient for the labels.

    Args:
        _sentinel: Takes nothing: arguments are given by name.
        labels: Probabilities, cast to the dtype of the logits.
        logits: A tensor of floats, of the same shape; float16 is computed in float32.
        dim: The axis of the classes.
        name: A name for the result.
        axis: The newer name of `dim`.

    Raises:
        TensorValueError: If shapes do not fit, or arguments are not given by name (`shapes_disagree`, ...).
        TensorTypeError: If the logits are of another dtype (`tensor_type`).
    """
    _named_only("softmax_cross_entropy_with_logits", _sentinel, labels, logits)
    return _softmax_cross_entropy(labels, logits, dim if axis is None else axis, name, stopped=True)


def _softmax_cross_entropy(labels: Any, logits: Any, axis: Any, name: str | None, *, stopped: bool) -> Tensor:
    kind = "SoftmaxCrossEntropyWithLogits"
    if labels is None or logits is None:
        raise TensorValueError(f"{kind} needs both labels and logits")
    x, y = floats(kind, logits), convert_to_tensor(labels)
    expect_rank(kind, x, 1, "logits", at_least=True)
    rank, shape = len(x._held.shape), y._held.shape
    where = static_axis(-1 if axis is None else axis, rank)
    mine, its = x._held.shape, (1,) * (rank - len(shape)) + shape if where == rank - 1 else shape
    rows = (
        math.prod(mine) // max(mine[where], 1),
        math.prod(its) // max(its[where], 1) if len(its) == rank else 0,
    )
    fits = len(its) == rank and (mine[where] == its[where] or 1 in {mine[where], its[where]})
    if not fits or (rows[0] != rows[1] and rows[1] != 1):
        raise TensorValueError(
            f"{kind}: logits of {x.get_shape()} and labels of {y.get_shape()} do not fit",
            code="shapes_disagree",
        )

    def run(y: Any, x: Any) -> Any:
        wide = widened(x)
        y = jnp.asarray(y).astype(wide.dtype)
        if stopped:
            y = jax.lax.stop_gradient(y)
        if y.shape != wide.shape:
            y, wide = jnp.broadcast_arrays(y, wide)
        if where != wide.ndim - 1:
            y, wide = jnp.moveaxis(y, where, -1), jnp.moveaxis(wide, where, -1)
        return _cross_entropy(y, wide).astype(x.dtype)

    return compute(kind, run, y, x, name=name)


@export("nn.sparse_softmax_cross_entropy_with_logits")
def sparse_softmax_cross_entropy_with_logits(
    _sentinel: Any = None, labels: Any = None, logits: Any = None, name: str | None = None
) -> Tensor:
    """Return `-log_softmax(logits)` of the class that a label names.

    Args:
        _sentinel: Takes nothing: arguments are given by name.
        labels: int32 or int64, of the logits' shape without the last axis.
        logits: A tensor of floats, with classes along the last axis; float16 is computed in float32.
        name: A name for the result.

    Raises:
        TensorValueError: If shapes do not fit, or arguments are not given by name (`shapes_disagree`, ...).
        TensorTypeError: If logits or labels are of another dtype (`tensor_type`).
        InvalidArgumentError: If labels known while tracing are out of range (`invalid_argument`).
    """
    kind = "sparse_softmax_cross_entropy_with_logits"
    _named_only(kind, _sentinel, labels, logits)
    y, x = convert_to_tensor(labels), convert_to_tensor(logits)
    expect_rank(kind, x, 1, "logits", at_least=True)
    if len(y._held.shape) != len(x._held.shape) - 1 or y._held.shape != x._held.shape[:-1]:
        raise TensorValueError(
            f"{kind}: labels of {y.get_shape()} must have the shape of logits, {x.get_shape()}, without the "
            "last axis",
            code="shapes_disagree",
            fix="softmax_cross_entropy_with_logits_v2, if labels are probabilities",
        )
    x = floats(kind, x)
    if y.dtype not in {"int32", "int64"}:
        raise TensorTypeError(f"{kind}: labels are int32 or int64, not {y.dtype.name}")
    known, classes = known_value(y), x._held.shape[-1]
    if known is not None and known.size and (known.min() < 0 or known.max() >= classes):
        raise InvalidArgumentError(f"{kind}: labels {known.min()} to {known.max()} are not in [0, {classes})")

    def run(y: Any, x: Any) -> Any:
        wide = widened(x)
        logs = jnp.take_along_axis(jax.nn.log_softmax(wide), jnp.expand_dims(y, -1), -1)
        return -jnp.squeeze(logs, -1).astype(x.dtype)

    return compute(kind, run, y, x, name=name)


@export("nn.sigmoid_cross_entropy_with_logits")
def sigmoid_cross_entropy_with_logits(
    _sentinel: Any = None, labels: Any = None, logits: Any = None, name: str | None = None
) -> Tensor:
    """Return `-labels * log(sigmoid(logits)) - (1 - labels) * log(1 - sigmoid(logits))`, by element.

    Args:
        _sentinel: Takes nothing: arguments are given by name.
        labels: Probabilities, of the dtype and shape of the logits.
        logits: A tensor of floats.
        name: A name for the result.

    Raises:
        TensorValueError: If shapes differ, or arguments are not given by name (`shapes_disagree`, ...).
        TensorTypeError: If the dtypes differ (`dtypes_disagree`).
    """
    kind = "sigmoid_cross_entropy_with_logits"
    _named_only(kind, _sentinel, labels, logits)
    x, y = _pair(kind, logits, labels)

    def run(x: Any, y: Any) -> Any:
        above = x >= 0  # by choices, not by `maximum`, whose derivative where logits are 0 is another one
        return jnp.where(above, x, 0) - x * y + jnp.log1p(jnp.exp(jnp.where(above, -x, x)))

    return compute(kind, run, x, y, name=name)


def _pair(kind: str, logits: Any, labels: Any) -> tuple[Tensor, Tensor]:
    x, y = convert_to_tensor(logits), convert_to_tensor(labels)
    same_shape(kind, x, y, "logits and labels")
    x, y = same_dtype(floats(kind, x), y)
    return x, y


@export("nn.weighted_cross_entropy_with_logits")
def weighted_cross_entropy_with_logits(
    labels: Any = None,
    logits: Any = None,
    pos_weight: Any = None,
    name: str | None = None,
    targets: Any = None,
) -> Tensor:
    """Return the cross entropy of a sigmoid, in which what the labels affirm has a weight, by element.

    Args:
        labels: Probabilities, of the dtype and shape of the logits.
        logits: A tensor of floats.
        pos_weight: The factor of the part that `labels` multiplies.
        name: A name for the result.
        targets: The older name of `labels`.

    Raises:
        TensorValueError: If shapes differ, or an argument is missing or given twice (`shapes_disagree`, ...).
        TensorTypeError: If the dtypes differ (`dtypes_disagree`).
    """
    kind = "weighted_cross_entropy_with_logits"
    given = either("labels", labels, "targets", targets)
    if given is None or logits is None or pos_weight is None:
        raise TensorValueError(f"{kind} needs labels, logits and pos_weight")
    x, y = _pair(kind, logits, given)
    weight = convert_to_tensor(pos_weight, x.dtype)

    def run(x: Any, y: Any, weight: Any) -> Any:
        factor = 1 + (weight - 1) * y
        return (1 - y) * x + factor * (jnp.log1p(jnp.exp(-jnp.abs(x))) + jax.nn.relu(-x))

    return compute(kind, run, x, y, weight, name=name)


@export("nn.log_poisson_loss")
def log_poisson_loss(
    targets: Any, log_input: Any, compute_full_loss: bool = False, name: str | None = None
) -> Tensor:
    """Return `exp(log_input) - log_input * targets`, by element.

    Args:
        targets: Numbers of events, of the dtype and shape of the other.
        log_input: The logarithm of what is expected.
        compute_full_loss: Whether Stirling's approximation of the logarithm of `targets!` is added.
        name: A name for the result.

    Raises:
        TensorValueError: If shapes differ (`shapes_disagree`).
        TensorTypeError: If dtypes differ (`dtypes_disagree`).
    """
    x, y = _pair("log_poisson_loss", log_input, targets)

    def run(x: Any, y: Any) -> Any:
        loss = jnp.exp(x) - x * y
        if not compute_full_loss:
            return loss
        stirling = y * jnp.log(y) - y + 0.5 * jnp.log(2 * jnp.pi * y)
        return loss + jnp.where((y >= 0) & (y <= 1), jnp.zeros_like(y), stirling)

    return compute("log_poisson_loss", run, x, y, name=name)
