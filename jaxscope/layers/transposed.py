"""Transposed convolutions, which spread each pixel over a window."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

import jaxscope as js
from jaxscope.layers.arrays import promote
from jaxscope.layers.call import Activation, Constraint, LayerCall, Regularizer
from jaxscope.layers.windows import Sizes, Windows


def conv2d_transpose(  # noqa: D417 - what all layers have is described in `dense`
    inputs: ArrayLike,
    filters: int,
    kernel_size: Sizes,
    strides: Sizes = (1, 1),
    padding: str = "valid",
    data_format: str = "channels_last",
    activation: Activation = None,
    use_bias: bool = True,
    kernel_initializer: Any = None,
    bias_initializer: Any = js.initializers.zeros,
    kernel_regularizer: Regularizer = None,
    bias_regularizer: Regularizer = None,
    activity_regularizer: Regularizer = None,
    kernel_constraint: Constraint = None,
    bias_constraint: Constraint = None,
    trainable: bool = True,
    name: str | None = None,
    reuse: Any = None,
    *,
    dtype: Any = None,
) -> jax.Array:
    """Return a transposed convolution of images: the gradient of a convolution, used as a layer.

    The variables are `kernel` `[height, width, filters, in]` and `bias` `[filters]`. The other arguments are
    those of `js.layers.dense`.

    Args:
        inputs: `[batch, height, width, in]`, or `[batch, in, height, width]` for channels first.
        filters: The number of the result's channels.
        kernel_size: The size of a window, one number or two.
        strides: From one window of the result to the next, one number or two.
        padding: "same" for a result of `size * stride`, "valid" for one of
            `size * stride + max(kernel - stride, 0)`.
        data_format: "channels_last" or "channels_first".

    Returns:
        The input's axes, larger, with `filters` channels.

    Raises:
        InvalidShapeError: The input has another rank.
        ValueError: An argument has no meaning.

    Source:
        `tf.layers.conv2d_transpose`.

    Example:
        >>> net = js.transform(lambda x: js.layers.conv2d_transpose(x, 4, 3, strides=2, padding="same"))
        >>> variables = net.init(jax.random.key(0), jnp.ones([1, 5, 6, 3]))
        >>> variables["conv2d_transpose/kernel"].shape
        (3, 3, 4, 3)
        >>> net.apply(variables, jnp.ones([1, 5, 6, 3])).shape
        (1, 10, 12, 4)
    """
    windows = Windows.of(2, kernel_size, strides, padding, data_format)
    with LayerCall("conv2d_transpose", inputs, name, reuse, trainable=trainable, dtype=dtype) as call:
        kernel = (kernel_initializer, kernel_regularizer, kernel_constraint)
        bias = (bias_initializer, bias_regularizer, bias_constraint) if use_bias else None
        return call.finish(_spread(call, windows, filters, kernel, bias), activation, activity_regularizer)


def conv3d_transpose(  # noqa: D417 - what all layers have is described in `dense`
    inputs: ArrayLike,
    filters: int,
    kernel_size: Sizes,
    strides: Sizes = (1, 1, 1),
    padding: str = "valid",
    data_format: str = "channels_last",
    activation: Activation = None,
    use_bias: bool = True,
    kernel_initializer: Any = None,
    bias_initializer: Any = js.initializers.zeros,
    kernel_regularizer: Regularizer = None,
    bias_regularizer: Regularizer = None,
    activity_regularizer: Regularizer = None,
    kernel_constraint: Constraint = None,
    bias_constraint: Constraint = None,
    trainable: bool = True,
    name: str | None = None,
    reuse: Any = None,
    *,
    dtype: Any = None,
) -> jax.Array:
    """Return a transposed convolution of volumes.

    The variables are `kernel` `[depth, height, width, filters, in]` and `bias` `[filters]`. The other
    arguments are those of `js.layers.dense`.

    Args:
        inputs: `[batch, depth, height, width, in]`, or `[batch, in, ...]` for channels first.
        filters: The number of the result's channels.
        kernel_size: The size of a window, one number or three.
        strides: From one window of the result to the next, one number or three.
        padding: "same" for a result of `size * stride`, "valid" for one of
            `size * stride + max(kernel - stride, 0)`.
        data_format: "channels_last" or "channels_first".

    Returns:
        The input's axes, larger, with `filters` channels.

    Raises:
        InvalidShapeError: The input has another rank.
        ValueError: An argument has no meaning.

    Source:
        `tf.layers.conv3d_transpose`.

    Example:
        >>> net = js.transform(lambda x: js.layers.conv3d_transpose(x, 4, 2, strides=2))
        >>> variables = net.init(jax.random.key(0), jnp.ones([1, 3, 3, 3, 2]))
        >>> net.apply(variables, jnp.ones([1, 3, 3, 3, 2])).shape
        (1, 6, 6, 6, 4)
    """
    windows = Windows.of(3, kernel_size, strides, padding, data_format)
    with LayerCall("conv3d_transpose", inputs, name, reuse, trainable=trainable, dtype=dtype) as call:
        kernel = (kernel_initializer, kernel_regularizer, kernel_constraint)
        bias = (bias_initializer, bias_regularizer, bias_constraint) if use_bias else None
        return call.finish(_spread(call, windows, filters, kernel, bias), activation, activity_regularizer)


def _spread(call: LayerCall, windows: Windows, filters: int, kernel_is: Any, bias_is: Any) -> jax.Array:
    channels = windows.check(call)
    kernel = call.variable("kernel", [*windows.size, filters, channels], *kernel_is)
    bias = None if bias_is is None else call.variable("bias", [filters], *bias_is)
    x, kernel, bias = promote(call.inputs, kernel, bias)
    pads, inner = [], []
    for axis, size, step in zip(windows.inner(x.shape), windows.size, windows.strides, strict=True):
        more = max(size - step, 0)
        begin, whole = (more // 2, axis * step) if windows.padding == "same" else (0, axis * step + more)
        pads.append((size - 1 - begin, whole + begin - ((axis - 1) * step + 1)))
        inner.append(whole)
    if 0 in windows.inner(x.shape):  # nothing to spread, and JAX would make an element of it
        last = (x.shape[0], *inner, filters)
        outputs = jnp.zeros(last if windows.last else (last[0], filters, *inner), x.dtype)
    else:
        outputs = lax.conv_transpose(
            x,
            kernel,
            windows.strides,
            pads,
            dimension_numbers=windows.dimension_numbers,
            transpose_kernel=True,
        )
    return windows.add_bias(outputs, bias)
