"""Transposed convolutions: gradients of convolutions by their inputs, with a result of any fitting size."""

from typing import Any, cast

import jax.numpy as jnp
from jax import lax

from jaxscope.tf1.base.converting import convert_to_tensor, same_dtype
from jaxscope.tf1.base.errors import InvalidArgumentError, TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute, static_int, static_shape
from jaxscope.tf1.base.tensor import Tensor
from jaxscope.tf1.ops.nn.arguments import either, expect_rank
from jaxscope.tf1.ops.nn.windows import Windows

__all__ = [
    "atrous_conv2d_transpose",
    "conv1d_transpose",
    "conv2d_backprop_input",
    "conv2d_transpose",
    "conv3d_transpose",
    "conv_transpose",
    "spread",
]


def spread(
    kind: str, value: Any, kernel: Any, output_shape: Any, windows: Windows, name: str | None = None
) -> Tensor:
    """Return the transposed convolution of a value with a kernel `[*window, out, in]`.

    Args:
        kind: TensorFlow's kind of operation.
        value: The value.
        kernel: The kernel of a convolution from the result to the value.
        output_shape: The result's shape, known while tracing.
        windows: How that convolution slides.
        name: A name for the result.

    Raises:
        TensorTypeError: If the dtypes differ (`dtypes_disagree`).
        TensorValueError: If the shapes do not fit (`rank`, `shapes_disagree`).
        InvalidArgumentError: If that convolution of the result is not of the value's size (`sizes_disagree`).
        NotStaticError: If the shape is not known while tracing (`not_static`).
    """
    inputs, filters = same_dtype(value, kernel)
    rank = len(windows.strides)
    expect_rank(kind, inputs, rank + 2, "value")
    expect_rank(kind, filters, rank + 2, "filter")
    if output_shape is None:
        raise TensorValueError(f"{kind} needs output_shape")
    given, shape = static_shape(output_shape, "output_shape"), inputs._held.shape
    if len(given) == rank:  # the newer form, which leaves batch and channels out
        out = filters._held.shape[-2]
        given = (shape[0], *given, out) if windows.last else (shape[0], out, *given)
    if len(given) != rank + 2:
        raise TensorValueError(f"{kind}: output_shape must have {rank + 2} sizes, and is {list(given)}")
    *window, out, deep = filters._held.shape
    wanted, channels = windows.channels_of(given), windows.channels_of(shape)
    if deep != channels or wanted % max(out, 1) or given[0] != shape[0]:
        raise TensorValueError(
            f"{kind}: a filter [*window, out, in] of {filters.get_shape()} does not lead from "
            f"{inputs.get_shape()} to {list(given)}",
            code="shapes_disagree",
        )
    groups = wanted // max(out, 1)
    small, large = windows.inner_of(shape), windows.inner_of(given)
    counts = windows.counts(kind, large, window)
    if counts != small:
        raise InvalidArgumentError(
            f"{kind}: a convolution of {list(large)} gives {list(counts)}, and the value has {list(small)}",
            code="sizes_disagree",
            fix="another output_shape: size * stride is right for padding SAME",
        )
    pads: list[tuple[int, int]] = []
    for (before, _), edge, gap, step, size, whole in zip(
        windows.pads_for(large, window), window, windows.dilations, windows.strides, small, large, strict=True
    ):
        first = (edge - 1) * gap - before
        pads.append((first, whole + (edge - 1) * gap - first - (size - 1) * step - 1))

    def run(x: Any, w: Any) -> Any:
        if 0 in small:  # nothing to spread, and JAX would make an element of it
            return jnp.zeros(given, x.dtype)
        w = jnp.flip(w, tuple(range(rank)))
        if groups > 1:  # the channels of each group lie side by side
            w = jnp.concatenate(jnp.split(w, groups, -1), -2)
        return lax.conv_general_dilated(
            x,
            w,
            (1,) * rank,
            pads,
            lhs_dilation=windows.strides,
            rhs_dilation=windows.dilations,
            dimension_numbers=(windows.axes, f"{windows.letters}OI", windows.axes),
            feature_group_count=groups,
        )

    return compute(kind, run, inputs, filters, name=name)


@export("nn.conv1d_transpose")
def conv1d_transpose(
    input: Any,
    filters: Any,
    output_shape: Any,
    strides: Any,
    padding: Any = "SAME",
    data_format: Any = "NWC",
    dilations: Any = None,
    name: str | None = None,
) -> Tensor:
    """Return a transposed convolution of sequences.

    Args:
        input: `[batch, length, in]`, or `[batch, in, length]` for "NCW".
        filters: `[window, out, in]`.
        output_shape: The result's shape, known while tracing.
        strides: From a window of the result to the next.
        padding: "SAME" or "VALID".
        data_format: "NWC" or "NCW".
        dilations: From an element of a window to the next.
        name: A name for the result.

    Raises:
        TensorValueError: If shapes do not fit, or an argument has no meaning (`tensor_value`, ...).
        TensorTypeError: If dtypes differ (`dtypes_disagree`).
    """
    windows = Windows.of(1, strides, padding, data_format, dilations, explicit=False)
    return spread("Conv1DTranspose", input, filters, output_shape, windows, name)


@export("nn.conv2d_transpose")
def conv2d_transpose(
    value: Any = None,
    filter: Any = None,
    output_shape: Any = None,
    strides: Any = None,
    padding: Any = "SAME",
    data_format: Any = "NHWC",
    name: str | None = None,
    input: Any = None,
    filters: Any = None,
    dilations: Any = None,
) -> Tensor:
    """Return a transposed convolution of images.

    Args:
        value: `[batch, height, width, in]`, or `[batch, in, height, width]` for "NCHW".
        filter: `[height, width, out, in]`.
        output_shape: The result's shape, known while tracing.
        strides: From a window of the result to the next: one number, two, or one for each axis.
        padding: "SAME", "VALID", or a pair for each axis.
        data_format: "NHWC" or "NCHW".
        name: A name for the result.
        input: The newer name of `value`.
        filters: The newer name of `filter`.
        dilations: From an element of a window to the next.

    Raises:
        TensorValueError: If shapes do not fit, or an argument has no meaning (`tensor_value`, ...).
        InvalidArgumentError: If output_shape is not one that leads back (`sizes_disagree`).
        TensorTypeError: If dtypes differ (`dtypes_disagree`).
    """
    x, w = same_dtype(either("input", input, "value", value), either("filters", filters, "filter", filter))
    windows = Windows.of(2, strides, padding, data_format, dilations)
    return spread("Conv2DTranspose", x, w, output_shape, windows, name)


@export("nn.conv3d_transpose")
def conv3d_transpose(
    value: Any,
    filter: Any = None,
    output_shape: Any = None,
    strides: Any = None,
    padding: Any = "SAME",
    data_format: Any = "NDHWC",
    name: str | None = None,
    input: Any = None,
    filters: Any = None,
    dilations: Any = None,
) -> Tensor:
    """Return a transposed convolution of volumes.

    Args:
        value: `[batch, depth, height, width, in]`, or `[batch, in, depth, height, width]` for "NCDHW".
        filter: `[depth, height, width, out, in]`.
        output_shape: The result's shape, known while tracing.
        strides: From a window of the result to the next: one number, three, or one for each axis.
        padding: "SAME" or "VALID".
        data_format: "NDHWC" or "NCDHW".
        name: A name for the result.
        input: The newer name of `value`.
        filters: The newer name of `filter`.
        dilations: From an element of a window to the next.

    Raises:
        TensorValueError: If shapes do not fit, or an argument has no meaning (`tensor_value`, ...).
        InvalidArgumentError: If output_shape is not one that leads back (`sizes_disagree`).
        TensorTypeError: If dtypes differ (`dtypes_disagree`).
    """
    x, w = same_dtype(either("input", input, "value", value), either("filters", filters, "filter", filter))
    windows = Windows.of(3, strides, padding, data_format, dilations, explicit=False)
    return spread("Conv3DTranspose", x, w, output_shape, windows, name)


@export("nn.conv_transpose")
def conv_transpose(
    input: Any,
    filters: Any,
    output_shape: Any,
    strides: Any,
    padding: Any = "SAME",
    data_format: Any = None,
    dilations: Any = None,
    name: str | None = None,
) -> Tensor:
    """Return a transposed convolution of sequences, images or volumes, by the length of output_shape.

    Args:
        input: `[batch, *sizes, in]`, or `[batch, in, *sizes]` for a format that starts with "NC".
        filters: `[*window, out, in]`.
        output_shape: The result's shape, known while tracing.
        strides: From a window of the result to the next.
        padding: "SAME" or "VALID".
        data_format: "NWC", "NCW", "NHWC", "NCHW", "NDHWC", "NCDHW", or None.
        dilations: From an element of a window to the next.
        name: A name for the result.

    Raises:
        TensorValueError: If shapes do not fit, or an argument has no meaning (`tensor_value`, ...).
        TensorTypeError: If dtypes differ (`dtypes_disagree`).
    """
    rank = len(convert_to_tensor(input)._held.shape) - 2
    if rank not in {1, 2, 3}:
        raise TensorValueError("conv_transpose takes inputs of rank 3, 4 or 5", code="rank")
    windows = Windows.of(rank, strides, padding, data_format, dilations)
    return spread("ConvTranspose", input, filters, output_shape, windows, name)


@export("nn.conv2d_backprop_input")
def conv2d_backprop_input(
    input_sizes: Any,
    filter: Any = None,
    out_backprop: Any = None,
    strides: Any = None,
    padding: Any = None,
    use_cudnn_on_gpu: Any = True,
    data_format: Any = "NHWC",
    dilations: Any = (1, 1, 1, 1),
    name: str | None = None,
    filters: Any = None,
) -> Tensor:
    """Return the gradient of a convolution of images by its input.

    Args:
        input_sizes: The input's shape, known while tracing.
        filter: `[height, width, in, out]`.
        out_backprop: The gradient by the convolution's result.
        strides: Those of the convolution: one number, two, or one for each axis.
        padding: "SAME", "VALID", or a pair for each axis.
        use_cudnn_on_gpu: Without meaning here.
        data_format: "NHWC" or "NCHW".
        dilations: From an element of a window to the next.
        name: A name for the result.
        filters: The newer name of `filter`.

    Raises:
        TensorValueError: If shapes do not fit, or an argument has no meaning (`tensor_value`, ...).
        TensorTypeError: If dtypes differ, or the padding is of another type (`dtypes_disagree`, ...).
    """
    w = convert_to_tensor(either("filters", filters, "filter", filter))
    windows = Windows.of(2, strides, padding, data_format, dilations)
    sizes = static_shape(input_sizes, "input_sizes")
    return spread("Conv2DBackpropInput", convert_to_tensor(out_backprop, w.dtype), w, sizes, windows, name)


@export("nn.atrous_conv2d_transpose")
def atrous_conv2d_transpose(
    value: Any, filters: Any, output_shape: Any, rate: Any, padding: Any, name: str | None = None
) -> Tensor:
    """Return the transpose of `tf.nn.atrous_conv2d`.

    Args:
        value: `[batch, height, width, in]`.
        filters: `[height, width, out, in]`.
        output_shape: The result's shape, known while tracing.
        rate: From an element of a window to the next.
        padding: "SAME" or "VALID".
        name: A name for the result.

    Raises:
        TensorValueError: If shapes do not fit, or an argument has no meaning (`tensor_value`, ...).
        TensorTypeError: If dtypes differ (`dtypes_disagree`).
    """
    windows = Windows.of(2, 1, padding, None, cast("Any", static_int(rate, "rate")))
    return spread("AtrousConv2DTranspose", value, filters, output_shape, windows, name)
