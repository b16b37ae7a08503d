"""Means and variances: `tf.nn.moments` and its like."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxscope.tf1.base.converting import convert_to_tensor, same_dtype
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute_tree, static_axes
from jaxscope.tf1.base.tensor import Tensor, wrap
from jaxscope.tf1.ops.math.pairs import squared_difference
from jaxscope.tf1.ops.math.reductions import reduce_mean
from jaxscope.tf1.ops.nn.arguments import either, floats

__all__ = ["moments", "normalize_moments", "sufficient_statistics", "weighted_moments"]


@export("nn.moments")
def moments(
    x: Any,
    axes: Any,
    shift: Any = None,
    name: str | None = None,
    keep_dims: Any = None,
    keepdims: Any = None,
) -> tuple[Tensor, Tensor]:
    """Return the mean and the variance over axes.

    Args:
        x: A tensor of numbers; float16 is computed in float32.
        axes: The axes.
        shift: Without meaning, as in TensorFlow.
        name: A name for the result.
        keep_dims: The older name of `keepdims`.
        keepdims: Whether the axes stay, of size one.

    Raises:
        TensorTypeError: If it is of another dtype (`tensor_type`).
        TensorValueError: If an axis is out of range (`tensor_value`).
    """
    tensor = convert_to_tensor(x)
    over = static_axes(axes, len(tensor._held.shape), "axes")
    keep = bool(either("keepdims", keepdims, "keep_dims", keep_dims))
    if not tensor.dtype.is_floating:  # whole numbers have means that are cut, as tf.reduce_mean's
        middle = reduce_mean(tensor, axes, keepdims=True)
        squares = squared_difference(tensor, middle)
        return reduce_mean(tensor, axes, keepdims=keep, name=name), reduce_mean(squares, axes, keepdims=keep)

    def run(x: Any) -> tuple[jax.Array, jax.Array]:
        wide = x.astype(jnp.float32) if x.dtype == jnp.float16 else x
        mean = jnp.mean(wide, over, keepdims=True)
        variance = jnp.mean(jnp.square(wide - mean), over, keepdims=keep)
        return (mean if keep else jnp.squeeze(mean, over)).astype(x.dtype), variance.astype(x.dtype)

    found: tuple[Tensor, Tensor] = compute_tree("Moments", run, tensor)
    # The names are TensorFlow's, since those of moving averages are made of them.
    last = ("mean", "variance") if keep else ("Squeeze", "Squeeze_1")
    mean, variance = (
        wrap(one._held, one._kind, f"{(name or 'moments').rstrip('/')}/{part}", one._compute)
        for one, part in zip(found, last, strict=True)
    )
    return mean, variance


@export("nn.weighted_moments")
def weighted_moments(
    x: Any,
    axes: Any,
    frequency_weights: Any,
    name: str | None = None,
    keep_dims: Any = None,
    keepdims: Any = None,
) -> tuple[Tensor, Tensor]:
    """Return the mean and the variance over axes, where each number has a weight.

    Args:
        x: A tensor of floats; float16 is computed in float32.
        axes: The axes.
        frequency_weights: Weights, which broadcast to `x`; they are cast to its dtype.
        name: A name for the result.
        keep_dims: The older name of `keepdims`.
        keepdims: Whether the axes stay, of size one.

    Raises:
        TensorTypeError: If it is of another dtype (`tensor_type`).
        TensorValueError: If an axis is out of range, or the weights do not broadcast (`tensor_value`).
    """
    tensor, weights = floats("WeightedMoments", x), convert_to_tensor(frequency_weights)
    over = static_axes(axes, len(tensor._held.shape), "axes")
    keep = bool(either("keepdims", keepdims, "keep_dims", keep_dims))

    def run(x: Any, w: Any) -> tuple[jax.Array, jax.Array]:
        wide = x.astype(jnp.float32) if x.dtype == jnp.float16 else x
        w = jnp.asarray(w).astype(wide.dtype)
        total = jnp.sum(jnp.broadcast_to(w, jnp.broadcast_shapes(w.shape, x.shape)), over, keepdims=True)
        mean = jnp.sum(w * wide, over, keepdims=True) / total
        variance = jnp.sum(w * jnp.square(wide - mean), over, keepdims=True) / total
        if not keep:
            mean, variance = jnp.squeeze(mean, over), jnp.squeeze(variance, over)
        return mean.astype(x.dtype), variance.astype(x.dtype)

    found: tuple[Tensor, Tensor] = compute_tree("WeightedMoments", run, tensor, weights, name=name)
    return found


@export("nn.sufficient_statistics")
def sufficient_statistics(
    x: Any,
    axes: Any,
    shift: Any = None,
    keep_dims: Any = None,
    name: str | None = None,
    keepdims: Any = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Return what mean and variance over axes are computed of.

    Args:
        x: A tensor of floats.
        axes: The axes.
        shift: A number near the mean, which is subtracted first; or None.
        keep_dims: The older name of `keepdims`.
        name: A name for the result.
        keepdims: Whether the axes stay, of size one.

    Returns:
        How many numbers there are for each result, their sum, the sum of their squares, and the shift.

    Raises:
        TensorTypeError: If it is of another dtype (`tensor_type`).
        TensorValueError: If an axis is out of range (`tensor_value`).
    """
    tensor = floats("SufficientStatistics", x)
    shape = tensor._held.shape
    over = static_axes(axes, len(shape), "axes")
    keep = bool(either("keepdims", keepdims, "keep_dims", keep_dims))
    by = None if shift is None else convert_to_tensor(shift, tensor.dtype)
    size = math.prod(shape if over is None else [shape[axis] for axis in over])

    def run(x: Any, *by: Any) -> tuple[jax.Array, jax.Array]:
        moved = x - by[0] if by else x
        return jnp.sum(moved, over, keepdims=keep), jnp.sum(jnp.square(moved), over, keepdims=keep)

    tensors = [tensor] if by is None else [tensor, by]
    mean, variance = compute_tree("SufficientStatistics", run, *tensors, name=name)
    return wrap(np.asarray(size, tensor.dtype.dtype), "Const"), mean, variance, by


@export("nn.normalize_moments")
def normalize_moments(
    counts: Any, mean_ss: Any, variance_ss: Any, shift: Any, name: str | None = None
) -> tuple[Tensor, Tensor]:
    """Return mean and variance of what `tf.nn.sufficient_statistics` returns.

    Args:
        counts: How many numbers there were.
        mean_ss: Their sum.
        variance_ss: The sum of their squares.
        shift: What was subtracted from them before, or None.
        name: A name for the result.

    Raises:
        TensorTypeError: If dtypes differ (`dtypes_disagree`).
        TensorValueError: If the shapes do not broadcast (`tensor_value`).
    """
    tensors = same_dtype(counts, mean_ss, variance_ss, *([] if shift is None else [shift]))

    def run(counts: Any, mean: Any, variance: Any, *by: Any) -> tuple[jax.Array, jax.Array]:
        divisor = jnp.reciprocal(counts)
        shifted = mean * divisor
        return shifted + by[0] if by else shifted, variance * divisor - jnp.square(shifted)

    found: tuple[Tensor, Tensor] = compute_tree("NormalizeMoments", run, *tensors, name=name)
    return found
