"""Pooling: the largest number, or the mean, of each window."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.errors import TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute
from jaxscope.tf1.base.tensor import Tensor
from jaxscope.tf1.ops.nn.arguments import (
    MISSING,
    either,
    expect_given,
    expect_rank,
    floats,
    least_of,
    real_numbers,
    widened,
)
from jaxscope.tf1.ops.nn.windows import Windows, channels_last, pads_of, sized

__all__ = ["avg_pool", "avg_pool1d", "avg_pool3d", "max_pool", "max_pool1d", "max_pool3d", "pool"]


def _pool(
    kind: str,
    value: Any,
    rank: int,
    ksize: Any,
    strides: Any,
    padding: Any,
    data_format: Any,
    name: str | None,
    gaps: tuple[int, ...] = (),
) -> Tensor:
    """Return the largest numbers, for a kind that starts with "Max", or means."""
    largest = kind.startswith("Max")
    last = channels_last(data_format, rank)
    tensor = real_numbers(kind, value) if largest else floats(kind, value)
    expect_rank(kind, tensor, rank + 2, "input")
    window = sized(ksize, rank, "ksize", last=last)
    steps = sized(strides, rank, "strides", last=last)
    if window[0] != 1 or steps[0] != 1:
        raise TensorValueError(
            f"{kind} does not pool over the batch, as ksize={ksize!r}, strides={strides!r} do"
        )
    pads = pads_of(padding, rank, last=last, explicit=largest)
    shape = tensor._held.shape
    all_axes = Windows(steps, gaps or (1,) * len(steps), pads, last)
    if isinstance(pads, tuple):
        all_axes = all_axes._replace(pads=((0, 0), *pads, (0, 0)) if last else ((0, 0), (0, 0), *pads))
    all_axes.counts(kind, shape, window)
    reducer = _largest if largest else _mean
    return compute(kind, lambda x: reducer(x, window, all_axes), tensor, name=name)


def _reduce(x: Any, function: Any, start: float, window: Sequence[int], windows: Windows) -> Any:
    gaps = windows.dilations if max(windows.dilations) > 1 else None
    return lax.reduce_window(
        x, np.array(start, x.dtype), function, window, windows.strides, windows.pads, window_dilation=gaps
    )


def _largest(x: Any, window: Sequence[int], windows: Windows) -> Any:
    found: jax.Array = _reduce(jnp.asarray(x), lax.max, least_of(x.dtype), window, windows)
    return found


def _mean(x: Any, window: Sequence[int], windows: Windows) -> Any:
    wide = widened(x)
    total: jax.Array = _reduce(wide, lax.add, 0, window, windows)
    pads = windows.pads_for(x.shape, window)
    if not any(map(any, pads)):
        return (total / math.prod(window)).astype(x.dtype)
    ones = jnp.ones(
        [1 if edge == 1 else size for edge, size in zip(window, x.shape, strict=True)], wide.dtype
    )
    flat = windows._replace(
        strides=tuple(step if edge > 1 else 1 for edge, step in zip(window, windows.strides, strict=True)),
        pads=pads,
    )
    return (total / _reduce(ones, lax.add, 0, window, flat)).astype(x.dtype)


@export("nn.max_pool", "nn.max_pool_v2")
def max_pool(
    value: Any = MISSING,
    ksize: Any = MISSING,
    strides: Any = MISSING,
    padding: Any = MISSING,
    data_format: Any = "NHWC",
    name: str | None = None,
    input: Any = None,
) -> Tensor:
    """Return the largest number of each window of images.

    Args:
        value: `[batch, height, width, channels]`, or `[batch, channels, height, width]` for "NCHW".
        ksize: The size of a window: one number, two, or one for each axis.
        strides: From a window to the next, in the same forms.
        padding: "SAME", "VALID", or a pair for each axis; padding is never the largest.
        data_format: "NHWC" or "NCHW".
        name: A name for the result.
        input: The newer name of `value`.

    Raises:
        TensorValueError: If shapes do not fit, or an argument has no meaning (`tensor_value`, ...).
        TensorTypeError: If it is of another dtype (`tensor_type`).
    """
    expect_given("max_pool", value=value, ksize=ksize, strides=strides, padding=padding)
    x = either("input", input, "value", value)
    return _pool("MaxPool", x, 2, ksize, strides, padding, data_format, name)


@export("nn.max_pool2d")
def max_pool2d(
    input: Any, ksize: Any, strides: Any, padding: Any, data_format: Any = "NHWC", name: str | None = None
) -> Tensor:
    """Return the largest number of each window of images.

    Args:
        input: `[batch, height, width, channels]`, or `[batch, channels, height, width]` for "NCHW".
        ksize: The size of a window: one number, two, or one for each axis.
        strides: From a window to the next, in the same forms.
        padding: "SAME", "VALID", or a pair for each axis; padding is never the largest.
        data_format: "NHWC" or "NCHW".
        name: A name for the result.

    Raises:
        TensorValueError: If shapes do not fit, or an argument has no meaning (`tensor_value`, ...).
        TensorTypeError: If it is of another dtype (`tensor_type`).
    """
    return _pool("MaxPool", input, 2, ksize, strides, padding, data_format, name)


@export("nn.max_pool1d")
def max_pool1d(
    input: Any, ksize: Any, strides: Any, padding: Any, data_format: Any = "NWC", name: str | None = None
) -> Tensor:
    """Return the largest number of each window of sequences.

    Args:
        input: `[batch, length, channels]`, or `[batch, channels, length]` for "NCW".
        ksize: The size of a window.
        strides: From a window to the next.
        padding: "SAME" or "VALID".
        data_format: "NWC" or "NCW".
        name: A name for the result.

    Raises:
        TensorValueError: If shapes do not fit, or an argument has no meaning (`tensor_value`, ...).
        TensorTypeError: If it is of another dtype (`tensor_type`).
    """
    return _pool("MaxPool1D", input, 1, ksize, strides, padding, data_format, name)


@export("nn.max_pool3d")
def max_pool3d(
    input: Any, ksize: Any, strides: Any, padding: Any, data_format: Any = "NDHWC", name: str | None = None
) -> Tensor:
    """Return the largest number of each window of volumes.

    Args:
        input: `[batch, depth, height, width, channels]`, or channels second for "NCDHW".
        ksize: The size of a window: one number, three, or one for each axis.
        strides: From a window to the next, in the same forms.
        padding: "SAME" or "VALID".
        data_format: "NDHWC" or "NCDHW".
        name: A name for the result.

    Raises:
        TensorValueError: If shapes do not fit, or an argument has no meaning (`tensor_value`, ...).
        TensorTypeError: If it is of another dtype (`tensor_type`).
    """
    return _pool("MaxPool3D", input, 3, ksize, strides, padding, data_format, name)


@export("nn.avg_pool", "nn.avg_pool2d", "nn.avg_pool_v2")
def avg_pool(
    value: Any = MISSING,
    ksize: Any = MISSING,
    strides: Any = MISSING,
    padding: Any = MISSING,
    data_format: Any = "NHWC",
    name: str | None = None,
    input: Any = None,
) -> Tensor:
    """Return the mean of each window of images; padding does not count.

    Args:
        value: `[batch, height, width, channels]`, or `[batch, channels, height, width]` for "NCHW".
        ksize: The size of a window: one number, two, or one for each axis.
        strides: From a window to the next, in the same forms.
        padding: "SAME" or "VALID".
        data_format: "NHWC" or "NCHW".
        name: A name for the result.
        input: The newer name of `value`.

    Raises:
        TensorValueError: If shapes do not fit, or an argument has no meaning (`tensor_value`, ...).
        TensorTypeError: If it is of another dtype (`tensor_type`).
    """
    expect_given("avg_pool", value=value, ksize=ksize, strides=strides, padding=padding)
    x = either("input", input, "value", value)
    return _pool("AvgPool", x, 2, ksize, strides, padding, data_format, name)


@export("nn.avg_pool1d")
def avg_pool1d(
    input: Any, ksize: Any, strides: Any, padding: Any, data_format: Any = "NWC", name: str | None = None
) -> Tensor:
    """Return the mean of each window of sequences; padding does not count.

    Args:
        input: `[batch, length, channels]`, or `[batch, channels, length]` for "NCW".
        ksize: The size of a window.
        strides: From a window to the next.
        padding: "SAME" or "VALID".
        data_format: "NWC" or "NCW".
        name: A name for the result.

    Raises:
        TensorValueError: If shapes do not fit, or an argument has no meaning (`tensor_value`, ...).
        TensorTypeError: If it is of another dtype (`tensor_type`).
    """
    return _pool("AvgPool1D", input, 1, ksize, strides, padding, data_format, name)


@export("nn.avg_pool3d")
def avg_pool3d(
    input: Any, ksize: Any, strides: Any, padding: Any, data_format: Any = "NDHWC", name: str | None = None
) -> Tensor:
    """Return the mean of each window of volumes; padding does not count.

    Args:
        input: `[batch, depth, height, width, channels]`, or channels second for "NCDHW".
        ksize: The size of a window: one number, three, or one for each axis.
        strides: From a window to the next, in the same forms.
        padding: "SAME" or "VALID".
        data_format: "NDHWC" or "NCDHW".
        name: A name for the result.

    Raises:
        TensorValueError: If shapes do not fit, or an argument has no meaning (`tensor_value`, ...).
        TensorTypeError: If it is of another dtype (`tensor_type`).
    """
    return _pool("AvgPool3D", input, 3, ksize, strides, padding, data_format, name)


@export("nn.pool")
def pool(
    input: Any,
    window_shape: Any,
    pooling_type: str,
    padding: Any,
    dilation_rate: Any = None,
    strides: Any = None,
    name: str | None = None,
    data_format: Any = None,
    dilations: Any = None,
) -> Tensor:
    """Return the largest number, or the mean, of each window of sequences, images or volumes.

    Args:
        input: `[batch, *sizes, channels]`, or `[batch, channels, *sizes]` for a format that starts with "NC".
        window_shape: The size of a window, a number for each inner axis.
        pooling_type: "MAX" or "AVG".
        padding: "SAME" or "VALID".
        dilation_rate: From an element of a window to the next; not above 1 with "SAME" or with strides.
        strides: From a window to the next, not more than its size; None for 1.
        name: A name for the result.
        data_format: "NWC", "NCW", "NHWC", "NCHW", "NDHWC", "NCDHW", or None.
        dilations: The newer name of `dilation_rate`.

    Raises:
        TensorValueError: If shapes do not fit, or an argument has no meaning (`tensor_value`, ...).
        TensorTypeError: If it is of another dtype (`tensor_type`).
    """
    tensor = convert_to_tensor(input)
    rank = len(tensor._held.shape) - 2
    if rank not in {1, 2, 3} or pooling_type not in {"MAX", "AVG"}:
        raise TensorValueError(
            f'pool takes rank 3, 4 or 5, and "MAX" or "AVG", not {tensor.get_shape()}, {pooling_type!r}'
        )
    last = channels_last(data_format, rank)
    window = sized(window_shape, rank, "window_shape", last=last)
    steps = sized(strides, rank, "strides", last=last)
    gaps = sized(either("dilations", dilations, "dilation_rate", dilation_rate), rank, "dilations", last=last)
    if max(gaps) > 1 and (max(steps) > 1 or padding == "SAME"):
        raise TensorValueError('dilations above 1 go neither with strides nor with padding="SAME"')
    if any(step > edge for step, edge in zip(steps, window, strict=True)):
        raise TensorValueError(f"strides {strides!r} are larger than the window {window_shape!r}")
    kind = "MaxPool" if pooling_type == "MAX" else "AvgPool"
    return _pool(kind, tensor, rank, window, steps, padding, data_format, name, gaps)
