"""Convolutions of each channel by itself, and those followed by a product over channels."""

from typing import Any

from jaxscope.tf1.base.converting import convert_to_tensor, same_dtype
from jaxscope.tf1.base.errors import TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.tensor import Tensor
from jaxscope.tf1.ops.arrays.shapes import reshape
from jaxscope.tf1.ops.nn.arguments import either, expect_rank, floats
from jaxscope.tf1.ops.nn.convolutions import convolve, one_way_of
from jaxscope.tf1.ops.nn.windows import Windows

__all__ = ["depthwise_conv2d", "depthwise_conv2d_native", "separable_conv2d"]


def _each(kind: str, x: Any, kernel: Any, windows: Windows, name: str | None = None) -> Tensor:
    """Return convolutions of single channels, with a kernel `[height, width, in, multiplier]`."""
    inputs, filters = same_dtype(floats(kind, x), kernel)
    expect_rank(kind, inputs, 4, "input")
    expect_rank(kind, filters, 4, "filter")
    *window, deep, many = filters._held.shape
    channels = windows.channels_of(inputs._held.shape)
    if channels != deep:
        raise TensorValueError(
            f"{kind}: the input has {channels} channels, and the filter is for {deep}",
            code="shapes_disagree",
        )
    return convolve(kind, inputs, reshape(filters, [*window, 1, deep * many]), windows, name)


@export("nn.depthwise_conv2d")
def depthwise_conv2d(
    input: Any,
    filter: Any,
    strides: Any,
    padding: Any,
    rate: Any = None,
    name: str | None = None,
    data_format: Any = None,
    dilations: Any = None,
) -> Tensor:
    """Return a convolution of each channel of images by itself.

    Args:
        input: `[batch, height, width, in]`, or `[batch, in, height, width]` for "NCHW".
        filter: `[height, width, in, multiplier]`: so many results for each channel, side by side.
        strides: One number for each axis.
        padding: "SAME", "VALID", or a pair for each axis.
        rate: From an element of a window to the next, two numbers.
        name: A name for the result.
        data_format: "NHWC" or "NCHW".
        dilations: The newer name of `rate`.

    Raises:
        TensorValueError: If shapes do not fit, an argument has no meaning, or both strides and rate are above
            1 (`tensor_value`, ...).
        TensorTypeError: If dtypes differ, or an argument is of another type (`dtypes_disagree`, ...).
    """
    x, kernel = same_dtype(floats("DepthwiseConv2dNative", input), filter)
    gaps = either("dilations", dilations, "rate", rate)
    windows = one_way_of(Windows.of(2, strides, padding, data_format, gaps, whole=True))
    return _each("DepthwiseConv2dNative", x, kernel, windows, name)


@export("nn.depthwise_conv2d_native")
def depthwise_conv2d_native(
    input: Any,
    filter: Any,
    strides: Any,
    padding: Any,
    data_format: Any = "NHWC",
    dilations: Any = (1, 1, 1, 1),
    name: str | None = None,
) -> Tensor:
    """Return a convolution of each channel of images by itself.

    Args:
        input: `[batch, height, width, in]`, or `[batch, in, height, width]` for "NCHW".
        filter: `[height, width, in, multiplier]`: so many results for each channel, side by side.
        strides: One number for each axis.
        padding: "SAME", "VALID", or a pair for each axis.
        data_format: "NHWC" or "NCHW".
        dilations: From an element of a window to the next.
        name: A name for the result.

    Raises:
        TensorValueError: If shapes do not fit, or an argument has no meaning (`tensor_value`, ...).
        TensorTypeError: If dtypes differ, or an argument is of another type (`dtypes_disagree`, ...).
    """
    x, kernel = same_dtype(floats("DepthwiseConv2dNative", input), filter)
    windows = Windows.of(2, strides, padding, data_format, dilations, whole=True)
    return _each("DepthwiseConv2dNative", x, kernel, windows, name)


@export("nn.separable_conv2d")
def separable_conv2d(
    input: Any,
    depthwise_filter: Any,
    pointwise_filter: Any,
    strides: Any,
    padding: Any,
    rate: Any = None,
    name: str | None = None,
    data_format: Any = None,
    dilations: Any = None,
) -> Tensor:
    """Return a convolution of each channel by itself, and then a product over channels.

    Args:
        input: `[batch, height, width, in]`, or `[batch, in, height, width]` for "NCHW".
        depthwise_filter: `[height, width, in, multiplier]`.
        pointwise_filter: `[1, 1, in * multiplier, out]`.
        strides: One number for each axis.
        padding: "SAME", "VALID", or a pair for each axis.
        rate: From an element of a window to the next, two numbers.
        name: A name for the result.
        data_format: "NHWC" or "NCHW".
        dilations: The newer name of `rate`.

    Raises:
        TensorValueError: If shapes do not fit, an argument has no meaning, or both strides and rate are above
            1 (`tensor_value`, ...).
        TensorTypeError: If dtypes differ, or an argument is of another type (`dtypes_disagree`, ...).
    """
    gaps = either("dilations", dilations, "rate", rate)
    windows = one_way_of(Windows.of(2, strides, padding, data_format, gaps, whole=True))
    depthwise, pointwise = same_dtype(depthwise_filter, pointwise_filter)
    expect_rank("SeparableConv2D", depthwise, 4, "depthwise_filter")
    expect_rank("SeparableConv2D", pointwise, 4, "pointwise_filter")
    deep, many = depthwise._held.shape[2:]
    if pointwise._held.shape[:3] != (1, 1, deep * many):
        raise TensorValueError(
            f"SeparableConv2D: pointwise_filter must be [1, 1, {deep * many}, out], and is "
            f"{pointwise.get_shape()}",
            code="shapes_disagree",
        )
    between = _each("SeparableConv2D", convert_to_tensor(input), depthwise, windows)
    return convolve(
        "SeparableConv2D", between, pointwise, Windows((1, 1), (1, 1), "VALID", windows.last), name
    )
