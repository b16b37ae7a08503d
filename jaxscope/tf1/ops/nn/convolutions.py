"""Convolutions: `tf.nn.conv1d`, `conv2d`, `conv3d`, `convolution`, `atrous_conv2d`."""

from typing import Any

from jax import lax

from jaxscope.tf1.base.converting import convert_to_tensor, same_dtype
from jaxscope.tf1.base.errors import TensorTypeError, TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute, static_int
from jaxscope.tf1.base.tensor import Tensor
from jaxscope.tf1.ops.nn.arguments import either, expect_rank
from jaxscope.tf1.ops.nn.windows import Windows

__all__ = ["atrous_conv2d", "conv1d", "conv2d", "conv3d", "convolution", "convolve", "one_way_of", "operands"]


def operands(kind: str, x: Any, kernel: Any) -> tuple[Tensor, Tensor]:
    """Return an input and a kernel as tensors of one dtype, which TensorFlow looks at before all else.

    Raises:
        TensorTypeError: If the dtypes differ, or are not of real numbers (`dtypes_disagree`, `tensor_type`).
    """
    inputs, filters = same_dtype(x, kernel)
    if not (inputs.dtype.is_floating or (inputs.dtype == "int32" and kind != "Conv3D")):
        raise TensorTypeError(f"{kind} takes tensors of floats, not of {inputs.dtype.name}")
    return inputs, filters


def convolve(kind: str, x: Any, kernel: Any, windows: Windows, name: str | None = None) -> Tensor:
    """Return the convolution of an input with a kernel `[*window, in, out]`.

    Args:
        kind: TensorFlow's kind of operation.
        x: The input.
        kernel: The kernel; its `in` divides the input's channels, which are then convolved in groups.
        windows: How it slides.
        name: A name for the result.

    Raises:
        TensorTypeError: If the dtypes differ, or are not of real numbers (`dtypes_disagree`, `tensor_type`).
        TensorValueError: If the shapes do not fit (`rank`, `shapes_disagree`, `window_too_large`).
    """
    inputs, filters = operands(kind, x, kernel)
    rank = len(windows.strides)
    expect_rank(kind, inputs, rank + 2, "input")
    expect_rank(kind, filters, rank + 2, "filter")
    shape, (*window, deep, out) = inputs._held.shape, filters._held.shape
    channels = windows.channels_of(shape)
    if not deep or channels % deep:
        raise TensorValueError(
            f"{kind}: {channels} channels are not a multiple of the {deep} that the filter takes",
            code="shapes_disagree",
            fix="a filter has the shape [*window, in, out]",
        )
    groups = channels // deep
    if groups and out % groups:
        raise TensorValueError(f"{kind}: {out} results cannot be made by {groups} groups of channels")
    windows.counts(kind, windows.inner_of(shape), window)

    def run(x: Any, w: Any) -> Any:
        return lax.conv_general_dilated(
            x,
            w,
            windows.strides,
            windows.pads,
            rhs_dilation=windows.dilations,
            dimension_numbers=(windows.axes, f"{windows.letters}IO", windows.axes),
            feature_group_count=groups,
        )

    return compute(kind, run, inputs, filters, name=name)


@export("nn.conv1d")
def conv1d(
    value: Any = None,
    filters: Any = None,
    stride: Any = None,
    padding: Any = None,
    use_cudnn_on_gpu: Any = None,
    data_format: Any = None,
    name: str | None = None,
    input: Any = None,
    dilations: Any = None,
) -> Tensor:
    """Return a convolution of sequences.

    Args:
        value: `[batch, length, in]`, or `[batch, in, length]` for "NCW".
        filters: `[window, in, out]`.
        stride: From a window to the next.
        padding: "SAME" or "VALID".
        use_cudnn_on_gpu: Without meaning here.
        data_format: "NWC" or "NCW"; "NHWC" and "NCHW" mean these.
        name: A name for the result.
        input: The newer name of `value`.
        dilations: From an element of a window to the next.

    Raises:
        TensorValueError: If shapes do not fit, or an argument has no meaning (`tensor_value`, ...).
        TensorTypeError: If dtypes differ, or the padding is no string (`dtypes_disagree`, `tensor_type`).
    """
    x, kernel = operands("Conv1D", either("input", input, "value", value), filters)
    windows = Windows.of(1, stride, padding, data_format, dilations, explicit=False, also=("NHWC", "NCHW"))
    return convolve("Conv1D", x, kernel, windows, name)


@export("nn.conv2d")
def conv2d(
    input: Any,
    filter: Any = None,
    strides: Any = None,
    padding: Any = None,
    use_cudnn_on_gpu: Any = True,
    data_format: Any = "NHWC",
    dilations: Any = (1, 1, 1, 1),
    name: str | None = None,
    filters: Any = None,
) -> Tensor:
    """Return a convolution of images.

    Args:
        input: `[batch, height, width, in]`, or `[batch, in, height, width]` for "NCHW".
        filter: `[height, width, in, out]`; an `in` that divides the input's makes groups.
        strides: One number, two, or one for each axis.
        padding: "SAME", "VALID", or a pair for each axis.
        use_cudnn_on_gpu: Without meaning here.
        data_format: "NHWC" or "NCHW".
        dilations: From an element of a window to the next, in the forms of `strides`.
        name: A name for the result.
        filters: The newer name of `filter`.

    Raises:
        TensorValueError: If shapes do not fit, or an argument has no meaning (`tensor_value`, ...).
        TensorTypeError: If dtypes differ, or the padding is of another type (`dtypes_disagree`, ...).
    """
    x, kernel = operands("Conv2D", input, either("filters", filters, "filter", filter))
    windows = Windows.of(2, strides, padding, data_format, dilations)
    return convolve("Conv2D", x, kernel, windows, name)


@export("nn.conv3d")
def conv3d(
    input: Any,
    filter: Any = None,
    strides: Any = None,
    padding: Any = None,
    data_format: Any = "NDHWC",
    dilations: Any = (1, 1, 1, 1, 1),
    name: str | None = None,
    filters: Any = None,
) -> Tensor:
    """Return a convolution of volumes.

    Args:
        input: `[batch, depth, height, width, in]`, or `[batch, in, depth, height, width]` for "NCDHW".
        filter: `[depth, height, width, in, out]`.
        strides: One number for each axis.
        padding: "SAME" or "VALID".
        data_format: "NDHWC" or "NCDHW".
        dilations: From an element of a window to the next.
        name: A name for the result.
        filters: The newer name of `filter`.

    Raises:
        TensorValueError: If shapes do not fit, or an argument has no meaning (`tensor_value`, ...).
        TensorTypeError: If dtypes differ, or an argument is of another type (`dtypes_disagree`, ...).
    """
    x, kernel = operands("Conv3D", input, either("filters", filters, "filter", filter))
    windows = Windows.of(3, strides, padding, data_format, dilations, whole=True, explicit=False)
    return convolve("Conv3D", x, kernel, windows, name)


@export("nn.convolution")
def convolution(
    input: Any,
    filter: Any = None,
    padding: Any = None,
    strides: Any = None,
    dilation_rate: Any = None,
    name: str | None = None,
    data_format: Any = None,
    filters: Any = None,
    dilations: Any = None,
) -> Tensor:
    """Return a convolution of sequences, images or volumes, by the rank of the input.

    Args:
        input: `[batch, *sizes, in]`, or `[batch, in, *sizes]` for a format that starts with "NC".
        filter: `[*window, in, out]`.
        padding: "SAME" or "VALID".
        strides: One number for each inner axis.
        dilation_rate: From an element of a window to the next, one for each inner axis.
        name: A name for the result.
        data_format: "NWC", "NCW", "NHWC", "NCHW", "NDHWC", "NCDHW", or None.
        filters: The newer name of `filter`.
        dilations: The newer name of `dilation_rate`.

    Raises:
        TensorValueError: If shapes do not fit, an argument has no meaning, or both strides and dilations are
            above 1 (`tensor_value`, ...).
        TensorTypeError: If dtypes differ, or the padding is no string (`dtypes_disagree`, ...).
    """
    tensor = convert_to_tensor(input)
    rank = len(tensor._held.shape) - 2
    if rank not in {1, 2, 3}:
        raise TensorValueError(
            f"convolution takes inputs of rank 3, 4 or 5, not {tensor.get_shape()}", code="rank"
        )
    gaps = either("dilations", dilations, "dilation_rate", dilation_rate)
    windows = one_way_of(Windows.of(rank, strides, padding, data_format, gaps))
    return convolve("Convolution", tensor, either("filters", filters, "filter", filter), windows, name)


def one_way_of(windows: Windows) -> Windows:
    """Return windows; raise `TensorValueError` where both strides and dilations are above 1."""
    if max(windows.strides) > 1 and max(windows.dilations) > 1:
        raise TensorValueError(
            f"strides {list(windows.strides)} and dilations {list(windows.dilations)} are both above 1"
        )
    return windows


@export("nn.atrous_conv2d")
def atrous_conv2d(value: Any, filters: Any, rate: Any, padding: Any, name: str | None = None) -> Tensor:
    """Return a convolution of images with holes in its windows.

    Args:
        value: `[batch, height, width, in]`.
        filters: `[height, width, in, out]`.
        rate: From an element of a window to the next.
        padding: "SAME" or "VALID".
        name: A name for the result.

    Raises:
        TensorValueError: If shapes do not fit, or an argument has no meaning (`tensor_value`, ...).
        TensorTypeError: If dtypes differ, or an argument is of another type (`dtypes_disagree`, ...).
    """
    windows = Windows.of(2, 1, padding, None, static_int(rate, "rate"))
    return convolve("AtrousConv2D", value, filters, windows, name)
