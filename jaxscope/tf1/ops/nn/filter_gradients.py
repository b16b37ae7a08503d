"""Gradients of convolutions by their filters: `tf.nn.conv2d_backprop_filter` and its like."""

from typing import Any

import jax

from jaxscope.tf1.base.converting import same_dtype
from jaxscope.tf1.base.errors import TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute, static_shape
from jaxscope.tf1.base.tensor import Tensor, wrap
from jaxscope.tf1.ops.nn.arguments import floats
from jaxscope.tf1.ops.nn.convolutions import convolve
from jaxscope.tf1.ops.nn.windows import Windows

__all__ = ["conv2d_backprop_filter", "conv3d_backprop_filter"]


def _by_filter(
    kind: str, input: Any, filter_sizes: Any, out_backprop: Any, windows: Windows, name: str | None
) -> Tensor:
    """Return the gradient of a convolution, which is linear in its filter."""
    x, gradient = same_dtype(floats(kind, input), out_backprop)
    sizes = static_shape(filter_sizes, "filter_sizes")

    def run(x: Any, gradient: Any) -> Any:
        def forward(w: Any) -> Any:
            return convolve(kind, wrap(x), wrap(w), windows)._held

        like = jax.ShapeDtypeStruct(sizes, x.dtype)
        wanted = jax.eval_shape(forward, like).shape
        if wanted != gradient.shape:
            raise TensorValueError(
                f"{kind}: out_backprop must be of {wanted}, and is of {gradient.shape}",
                code="shapes_disagree",
            )
        return jax.linear_transpose(forward, like)(gradient)[0]

    return compute(kind, run, x, gradient, name=name)


@export("nn.conv2d_backprop_filter")
def conv2d_backprop_filter(
    input: Any,
    filter_sizes: Any,
    out_backprop: Any,
    strides: Any = None,
    padding: Any = None,
    use_cudnn_on_gpu: Any = True,
    data_format: Any = "NHWC",
    dilations: Any = (1, 1, 1, 1),
    name: str | None = None,
) -> Tensor:
    """Return the gradient of a convolution of images by its filter.

    Args:
        input: `[batch, height, width, in]`, or `[batch, in, height, width]` for "NCHW".
        filter_sizes: The filter's shape, known while tracing.
        out_backprop: The gradient by the convolution's result.
        strides: Those of the convolution: one number, two, or one for each axis.
        padding: "SAME", "VALID", or a pair for each axis.
        use_cudnn_on_gpu: Without meaning here.
        data_format: "NHWC" or "NCHW".
        dilations: From an element of a window to the next.
        name: A name for the result.

    Raises:
        TensorValueError: If shapes do not fit, or an argument has no meaning (`shapes_disagree`, ...).
        TensorTypeError: If dtypes differ, or an argument is of another type (`dtypes_disagree`, ...).
    """
    windows = Windows.of(2, strides, padding, data_format, dilations)
    return _by_filter("Conv2DBackpropFilter", input, filter_sizes, out_backprop, windows, name)


@export("nn.conv3d_backprop_filter", "nn.conv3d_backprop_filter_v2")
def conv3d_backprop_filter(
    input: Any,
    filter_sizes: Any,
    out_backprop: Any,
    strides: Any,
    padding: Any,
    data_format: Any = "NDHWC",
    dilations: Any = (1, 1, 1, 1, 1),
    name: str | None = None,
) -> Tensor:
    """Return the gradient of a convolution of volumes by its filter.

    Args:
        input: `[batch, depth, height, width, in]`, or channels second for "NCDHW".
        filter_sizes: The filter's shape, known while tracing.
        out_backprop: The gradient by the convolution's result.
        strides: Those of the convolution, one number for each axis.
        padding: "SAME" or "VALID".
        data_format: "NDHWC" or "NCDHW".
        dilations: From an element of a window to the next.
        name: A name for the result.

    Raises:
        TensorValueError: If shapes do not fit, or an argument has no meaning (`shapes_disagree`, ...).
        TensorTypeError: If dtypes differ, or an argument is of another type (`dtypes_disagree`, ...).
    """
    windows = Windows.of(3, strides, padding, data_format, dilations, whole=True, explicit=False)
    return _by_filter("Conv3DBackpropFilterV2", input, filter_sizes, out_backprop, windows, name)
