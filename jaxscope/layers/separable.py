"""Convolutions of each channel by itself, and those that mix the channels in a second step."""

from typing import Any

import jax
from jax import lax
from jax.typing import ArrayLike

import jaxscope as js
from jaxscope.layers.arrays import promote
from jaxscope.layers.call import Activation, Constraint, LayerCall, Regularizer
from jaxscope.layers.convolutions import CAUSAL
from jaxscope.layers.windows import Sizes, Windows


def depthwise_conv2d(  # noqa: D417 - what all layers have is described in `dense`
    inputs: ArrayLike,
    kernel_size: Sizes,
    strides: Sizes = (1, 1),
    padding: str = "valid",
    depth_multiplier: int = 1,
    data_format: str = "channels_last",
    dilation_rate: Sizes = (1, 1),
    activation: Activation = None,
    use_bias: bool = True,
    depthwise_initializer: Any = None,
    bias_initializer: Any = js.initializers.zeros,
    depthwise_regularizer: Regularizer = None,
    bias_regularizer: Regularizer = None,
    activity_regularizer: Regularizer = None,
    depthwise_constraint: Constraint = None,
    bias_constraint: Constraint = None,
    trainable: bool = True,
    name: str | None = None,
    reuse: Any = None,
    *,
    dtype: Any = None,
) -> jax.Array:
    """Return a convolution of images that leaves the channels apart.

    The variables are `depthwise_kernel` `[height, width, in, multiplier]` and `bias` `[in * multiplier]`. The
    other arguments are those of `js.layers.dense`.

    Args:
        inputs: `[batch, height, width, in]`, or `[batch, in, height, width]` for channels first.
        kernel_size: The size of a window, one number or two.
        strides: From one window to the next, one number or two.
        padding: "valid" for none, or "same" for `ceil(size / stride)` results.
        depth_multiplier: How many results each channel has; those of one channel lie together.
        data_format: "channels_last" or "channels_first".
        dilation_rate: From one element of a window to the next, one number or two.

    Returns:
        The input's axes, with `in * depth_multiplier` channels.

    Raises:
        InvalidShapeError: The input has another rank, or is smaller than a window.
        ValueError: An argument has no meaning, or both strides and dilation_rate are above 1.

    Source:
        `tf.keras.layers.DepthwiseConv2D` for names and arguments, `tf.nn.depthwise_conv2d` for what it
        computes.

    Example:
        >>> net = js.transform(lambda x: js.layers.depthwise_conv2d(x, 3, depth_multiplier=2))
        >>> {name: v.shape for name, v in net.init(jax.random.key(0), jnp.ones([1, 5, 5, 3])).items()}
        {'depthwise_conv2d/bias': (6,), 'depthwise_conv2d/depthwise_kernel': (3, 3, 3, 2)}
    """
    windows = Windows.of(2, kernel_size, strides, padding, data_format, dilation_rate)
    with LayerCall("depthwise_conv2d", inputs, name, reuse, trainable=trainable, dtype=dtype) as call:
        channels = windows.check(call)
        kernel = call.variable(
            "depthwise_kernel",
            [*windows.size, channels, depth_multiplier],
            depthwise_initializer,
            depthwise_regularizer,
            depthwise_constraint,
        )
        bias = None
        if use_bias:
            shape = [channels * depth_multiplier]
            bias = call.variable("bias", shape, bias_initializer, bias_regularizer, bias_constraint)
        x, kernel, bias = promote(call.inputs, kernel, bias)
        outputs = windows.add_bias(_each_channel(call, windows, x, kernel), bias)
        return call.finish(outputs, activation, activity_regularizer)


def separable_conv1d(  # noqa: D417 - what all layers have is described in `dense`
    inputs: ArrayLike,
    filters: int,
    kernel_size: Sizes,
    strides: Sizes = 1,
    padding: str = "valid",
    data_format: str = "channels_last",
    dilation_rate: Sizes = 1,
    depth_multiplier: int = 1,
    activation: Activation = None,
    use_bias: bool = True,
    depthwise_initializer: Any = None,
    pointwise_initializer: Any = None,
    bias_initializer: Any = js.initializers.zeros,
    depthwise_regularizer: Regularizer = None,
    pointwise_regularizer: Regularizer = None,
    bias_regularizer: Regularizer = None,
    activity_regularizer: Regularizer = None,
    depthwise_constraint: Constraint = None,
    pointwise_constraint: Constraint = None,
    bias_constraint: Constraint = None,
    trainable: bool = True,
    name: str | None = None,
    reuse: Any = None,
    *,
    dtype: Any = None,
) -> jax.Array:
    """Return a convolution of sequences in two steps: of each channel by itself, then of the channels.

    The variables are `depthwise_kernel` `[size, in, multiplier]`, `pointwise_kernel`
    `[1, in * multiplier, filters]` and `bias` `[filters]`. The other arguments are those of
    `js.layers.conv1d`.

    Args:
        inputs: `[batch, length, in]`, or `[batch, in, length]` for channels first.
        filters: The number of the result's channels.
        kernel_size: The size of a window of the first step.
        depth_multiplier: How many results each channel has in the first step.

    Returns:
        The input's axes, with `filters` channels.

    Raises:
        InvalidShapeError: The input has another rank, or is smaller than a window.
        ValueError: An argument has no meaning, or both strides and dilation_rate are above 1.

    Source:
        `tf.layers.separable_conv1d`.

    Example:
        >>> net = js.transform(lambda x: js.layers.separable_conv1d(x, 4, 3, use_bias=False))
        >>> for name, v in net.init(jax.random.key(0), jnp.ones([1, 7, 2])).items():
        ...     print(name, v.shape)
        separable_conv1d/depthwise_kernel (3, 2, 1)
        separable_conv1d/pointwise_kernel (1, 2, 4)
    """
    windows = Windows.of(1, kernel_size, strides, padding, data_format, dilation_rate, CAUSAL)
    with LayerCall("separable_conv1d", inputs, name, reuse, trainable=trainable, dtype=dtype) as call:
        depthwise = (depthwise_initializer, depthwise_regularizer, depthwise_constraint)
        pointwise = (pointwise_initializer, pointwise_regularizer, pointwise_constraint)
        bias = (bias_initializer, bias_regularizer, bias_constraint) if use_bias else None
        outputs = _in_two_steps(call, windows, filters, depth_multiplier, depthwise, pointwise, bias)
        return call.finish(outputs, activation, activity_regularizer)


def separable_conv2d(  # noqa: D417 - what all layers have is described in `dense`
    inputs: ArrayLike,
    filters: int,
    kernel_size: Sizes,
    strides: Sizes = (1, 1),
    padding: str = "valid",
    data_format: str = "channels_last",
    dilation_rate: Sizes = (1, 1),
    depth_multiplier: int = 1,
    activation: Activation = None,
    use_bias: bool = True,
    depthwise_initializer: Any = None,
    pointwise_initializer: Any = None,
    bias_initializer: Any = js.initializers.zeros,
    depthwise_regularizer: Regularizer = None,
    pointwise_regularizer: Regularizer = None,
    bias_regularizer: Regularizer = None,
    activity_regularizer: Regularizer = None,
    depthwise_constraint: Constraint = None,
    pointwise_constraint: Constraint = None,
    bias_constraint: Constraint = None,
    trainable: bool = True,
    name: str | None = None,
    reuse: Any = None,
    *,
    dtype: Any = None,
) -> jax.Array:
    """Return a convolution of images in two steps: of each channel by itself, then of the channels.

    The variables are `depthwise_kernel` `[height, width, in, multiplier]`, `pointwise_kernel`
    `[1, 1, in * multiplier, filters]` and `bias` `[filters]`. The other arguments are those of
    `js.layers.conv2d`.

    Args:
        inputs: `[batch, height, width, in]`, or `[batch, in, height, width]` for channels first.
        filters: The number of the result's channels.
        kernel_size: The size of a window of the first step, one number or two.
        depth_multiplier: How many results each channel has in the first step.

    Returns:
        The input's axes, with `filters` channels.

    Raises:
        InvalidShapeError: The input has another rank, or is smaller than a window.
        ValueError: An argument has no meaning, or both strides and dilation_rate are above 1.

    Source:
        `tf.layers.separable_conv2d`.

    Example:
        >>> net = js.transform(lambda x: js.layers.separable_conv2d(x, 4, 3, use_bias=False))
        >>> for name, v in net.init(jax.random.key(0), jnp.ones([1, 7, 7, 2])).items():
        ...     print(name, v.shape)
        separable_conv2d/depthwise_kernel (3, 3, 2, 1)
        separable_conv2d/pointwise_kernel (1, 1, 2, 4)
    """
    windows = Windows.of(2, kernel_size, strides, padding, data_format, dilation_rate)
    with LayerCall("separable_conv2d", inputs, name, reuse, trainable=trainable, dtype=dtype) as call:
        depthwise = (depthwise_initializer, depthwise_regularizer, depthwise_constraint)
        pointwise = (pointwise_initializer, pointwise_regularizer, pointwise_constraint)
        bias = (bias_initializer, bias_regularizer, bias_constraint) if use_bias else None
        outputs = _in_two_steps(call, windows, filters, depth_multiplier, depthwise, pointwise, bias)
        return call.finish(outputs, activation, activity_regularizer)


def _in_two_steps(
    call: LayerCall,
    windows: Windows,
    filters: int,
    multiplier: int,
    depthwise_is: Any,
    pointwise_is: Any,
    bias_is: Any,
) -> jax.Array:
    channels = windows.check(call)
    depthwise = call.variable("depthwise_kernel", [*windows.size, channels, multiplier], *depthwise_is)
    ones = (1,) * len(windows.size)
    pointwise = call.variable("pointwise_kernel", [*ones, channels * multiplier, filters], *pointwise_is)
    bias = None if bias_is is None else call.variable("bias", [filters], *bias_is)
    x, depthwise, pointwise, bias = promote(call.inputs, depthwise, pointwise, bias)
    outputs = lax.conv_general_dilated(
        _each_channel(call, windows, x, depthwise),
        pointwise,
        ones,
        "VALID",
        dimension_numbers=windows.dimension_numbers,
    )
    return windows.add_bias(outputs, bias)


def _each_channel(call: LayerCall, windows: Windows, x: jax.Array, kernel: jax.Array) -> jax.Array:
    *size, channels, multiplier = kernel.shape
    return lax.conv_general_dilated(
        x,
        kernel.reshape(*size, 1, channels * multiplier),
        windows.strides,
        windows.pads(call),
        rhs_dilation=windows.dilation,
        dimension_numbers=windows.dimension_numbers,
        feature_group_count=channels,
    )
