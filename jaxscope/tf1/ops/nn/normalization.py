"""Normalization by given or own statistics: batch norm, local responses, length."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxscope.tf1.base.converting import convert_to_tensor, same_dtype
from jaxscope.tf1.base.errors import TensorTypeError, TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute, compute_tree, static_axes, static_int
from jaxscope.tf1.base.tensor import Tensor
from jaxscope.tf1.ops.math.elementwise import squares
from jaxscope.tf1.ops.nn.arguments import either, expect_rank, floats
from jaxscope.tf1.ops.nn.windows import channels_last

__all__ = [
    "batch_norm_with_global_normalization",
    "batch_normalization",
    "fused_batch_norm",
    "l2_loss",
    "l2_normalize",
    "local_response_normalization",
]


@export("nn.batch_normalization")
def batch_normalization(
    x: Any, mean: Any, variance: Any, offset: Any, scale: Any, variance_epsilon: Any, name: str | None = None
) -> Tensor:
    """Return `scale * (x - mean) / sqrt(variance + epsilon) + offset`.

    Args:
        x: A tensor of floats.
        mean: What broadcasts to it.
        variance: Likewise.
        offset: Likewise, or None for 0.
        scale: Likewise, or None for 1.
        variance_epsilon: A small number.
        name: A name for the result.

    Raises:
        TensorTypeError: If it is of another dtype (`tensor_type`).
        TensorValueError: If the shapes do not broadcast (`tensor_value`).
    """
    tensor, middle, spread = floats("BatchNorm", x), convert_to_tensor(mean), convert_to_tensor(variance)
    epsilon = convert_to_tensor(variance_epsilon, spread.dtype)
    more = [same_dtype(spread, one)[1] for one in (scale, offset) if one is not None]

    def run(x: Any, mean: Any, variance: Any, epsilon: Any, *more: Any) -> Any:
        left = iter(more)
        inverse = lax.rsqrt(variance + epsilon)
        if scale is not None:
            inverse = inverse * next(left)
        shift = -mean * inverse if offset is None else next(left) - mean * inverse
        return x * inverse.astype(x.dtype) + shift.astype(x.dtype)

    return compute("BatchNorm", run, tensor, middle, spread, epsilon, *more, name=name)


@export("nn.batch_norm_with_global_normalization")
def batch_norm_with_global_normalization(
    t: Any = None,
    m: Any = None,
    v: Any = None,
    beta: Any = None,
    gamma: Any = None,
    variance_epsilon: Any = None,
    scale_after_normalization: Any = None,
    name: str | None = None,
    input: Any = None,
    mean: Any = None,
    variance: Any = None,
) -> Tensor:
    """Return `tf.nn.batch_normalization`, in its older form.

    Args:
        t: A tensor of floats.
        m: The mean.
        v: The variance.
        beta: The offset.
        gamma: The scale.
        variance_epsilon: A small number.
        scale_after_normalization: Whether `gamma` is used.
        name: A name for the result.
        input: The newer name of `t`.
        mean: The newer name of `m`.
        variance: The newer name of `v`.

    Raises:
        TensorTypeError: If it is of another dtype (`tensor_type`).
        TensorValueError: If the shapes do not broadcast (`tensor_value`).
    """
    x = either("input", input, "t", t)
    middle, spread = either("mean", mean, "m", m), either("variance", variance, "v", v)
    scale = gamma if scale_after_normalization else None
    return batch_normalization(x, middle, spread, beta, scale, variance_epsilon, name)


@export("nn.fused_batch_norm")
def fused_batch_norm(
    x: Any,
    scale: Any,
    offset: Any,
    mean: Any = None,
    variance: Any = None,
    epsilon: float = 0.001,
    data_format: Any = "NHWC",
    is_training: bool = True,
    name: str | None = None,
    exponential_avg_factor: float = 1.0,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return images normalized by their own statistics or by given ones, and the statistics.

    Args:
        x: `[batch, height, width, channels]`, or `[batch, channels, height, width]` for "NCHW".
        scale: `[channels]`.
        offset: `[channels]`.
        mean: Given means, where not training.
        variance: Given variances, where not training.
        epsilon: A small number, at least 1.001e-5.
        data_format: "NHWC" or "NCHW"; "NDHWC" or "NCDHW" for volumes.
        is_training: Whether the statistics are those of `x`.
        name: A name for the result.
        exponential_avg_factor: The share of the new statistics in what is returned, beside the given ones.

    Returns:
        The images; mean and variance, that over n - 1. No gradient flows through these two.

    Raises:
        TensorTypeError: If it is of another dtype (`tensor_type`).
        TensorValueError: If shapes do not fit, or statistics are given in training, or not given else
            (`rank`, `tensor_value`).
    """
    tensor = floats("FusedBatchNorm", x)
    if tensor.dtype == "float64":
        raise TensorTypeError("FusedBatchNorm takes float32, float16 or bfloat16, not float64")
    rank = 3 if str(data_format) in {"NDHWC", "NCDHW"} else 2
    expect_rank("FusedBatchNorm", tensor, rank + 2, "x")
    last = channels_last(data_format, rank)
    given = [one for one in (mean, variance) if one is not None]
    mixed = exponential_avg_factor != 1.0
    if len(given) != (0 if is_training and not mixed else 2):
        raise TensorValueError(
            "fused_batch_norm takes mean and variance where it is not training, and only there",
            fix="is_training=False, or no mean and variance",
        )
    tensors = [convert_to_tensor(one, "float32") for one in (scale, offset, *given)]
    channels = tensor._held.shape[-1 if last else 1]
    for one in tensors:
        if one._held.shape != (channels,):
            raise TensorValueError(
                f"FusedBatchNorm: {one.get_shape()} was given for {channels} channels", code="shapes_disagree"
            )
    axes = tuple(axis for axis in range(rank + 2) if axis != (rank + 1 if last else 1))
    along = (channels,) if last else (channels, *(1,) * rank)
    small = max(epsilon, 1.001e-5)

    def run(x: Any, scale: Any, offset: Any, *given: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
        wide = jnp.asarray(x).astype(scale.dtype)
        if is_training:
            mean = jnp.mean(wide, axes)
            variance = jnp.mean(jnp.square(wide - jnp.reshape(mean, along)), axes)
            n = wide.size // max(channels, 1)
            told = mean, variance * (n / max(n - 1, 1))
        else:
            mean, variance = (lax.stop_gradient(jnp.asarray(one)) for one in given)
            told = mean, variance
        if is_training and mixed:
            share = exponential_avg_factor
            told = tuple(old * (1 - share) + new * share for old, new in zip(given, told, strict=True))
        inverse = jnp.reshape(lax.rsqrt(variance + small) * scale, along)
        y = (wide - jnp.reshape(mean, along)) * inverse + jnp.reshape(offset, along)
        return y.astype(x.dtype), lax.stop_gradient(told[0]), lax.stop_gradient(told[1])

    found: tuple[Tensor, Tensor, Tensor] = compute_tree("FusedBatchNorm", run, tensor, *tensors, name=name)
    return found


@export("nn.lrn", "nn.local_response_normalization")
def local_response_normalization(
    input: Any,
    depth_radius: Any = 5,
    bias: Any = 1,
    alpha: Any = 1,
    beta: Any = 0.5,
    name: str | None = None,
) -> Tensor:
    """Return `x / (bias + alpha * sum of squares of channels nearby) ** beta`.

    Args:
        input: `[batch, height, width, channels]`.
        depth_radius: How many channels count on each side.
        bias: A number.
        alpha: A number.
        beta: A number.
        name: A name for the result.

    Raises:
        TensorTypeError: If it is of another dtype than float32, float16, bfloat16 (`tensor_type`).
        TensorValueError: If it is not of rank 4 (`rank`).
    """
    tensor = floats("LRN", input)
    if tensor.dtype == "float64":
        raise TensorTypeError("LRN takes float32, float16 or bfloat16, not float64")
    expect_rank("LRN", tensor, 4, "input")
    radius = static_int(depth_radius, "depth_radius")

    def run(x: Any) -> Any:
        zero, window = np.zeros([], x.dtype), (1, 1, 1, 2 * radius + 1)
        near = lax.reduce_window(jnp.square(x), zero, lax.add, window, (1, 1, 1, 1), "SAME")
        return x / (bias + alpha * near) ** beta

    return compute("LRN", run, tensor, name=name)


@export("nn.l2_normalize", "math.l2_normalize", "linalg.l2_normalize")
def l2_normalize(
    x: Any, axis: Any = None, epsilon: float = 1e-12, name: str | None = None, dim: Any = None
) -> Tensor:
    """Return `x / sqrt(max(sum(x ** 2), epsilon))`, with the sum over axes.

    Args:
        x: A tensor of floats, or of complex numbers.
        axis: The axes; None for all.
        epsilon: The least sum.
        name: A name for the result.
        dim: The older name of `axis`.

    Raises:
        TensorTypeError: If it is of another dtype (`tensor_type`).
        TensorValueError: If an axis is out of range, or both `axis` and `dim` are given (`tensor_value`).
    """
    tensor = floats("L2Normalize", x, complexes=True)
    over = static_axes(either("axis", axis, "dim", dim), len(tensor._held.shape))

    def run(x: Any) -> Any:
        return x * lax.rsqrt(jnp.maximum(jnp.sum(squares(x), over, keepdims=True), epsilon))

    return compute("L2Normalize", run, tensor, name=name)


@export("nn.l2_loss")
def l2_loss(t: Any, name: str | None = None) -> Tensor:
    """Return half the sum of squares.

    Args:
        t: A tensor of floats.
        name: A name for the result.

    Raises:
        TensorTypeError: If it is of another dtype (`tensor_type`).
    """
    return compute("L2Loss", lambda x: jnp.sum(jnp.square(x)) / 2, floats("L2Loss", t), name=name)
