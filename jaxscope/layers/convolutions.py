"""Convolutions over one, two and three axes."""

from typing import Any

import jax
from jax import lax
from jax.typing import ArrayLike

import jaxscope as js
from jaxscope.layers.arrays import promote
from jaxscope.layers.call import Activation, Constraint, LayerCall, Regularizer
from jaxscope.layers.windows import Sizes, Windows

CAUSAL = ("valid", "same", "causal")


def conv1d(  # noqa: D417 - what all layers have is described in `dense`
    inputs: ArrayLike,
    filters: int,
    kernel_size: Sizes,
    strides: Sizes = 1,
    padding: str = "valid",
    data_format: str = "channels_last",
    dilation_rate: Sizes = 1,
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
    """Return a convolution of sequences.

    The variables are `kernel` `[size, in, filters]` and `bias` `[filters]`. The other arguments are those of
    `js.layers.dense`.

    Args:
        inputs: `[batch, length, in]`, or `[batch, in, length]` for channels first.
        filters: The number of the result's channels.
        kernel_size: The size of a window.
        strides: From one window to the next.
        padding: "valid" for none, "same" for `ceil(length / stride)` results, or "causal" for a padded start.
        data_format: "channels_last" or "channels_first".
        dilation_rate: From one element of a window to the next.

    Returns:
        The input's axes, with `filters` channels.

    Raises:
        InvalidShapeError: The input has another rank, or is smaller than a window.
        ValueError: An argument has no meaning, or both strides and dilation_rate are above 1.

    Source:
        `tf.layers.conv1d`.

    Example:
        >>> net = js.transform(lambda x: js.layers.conv1d(x, 4, 3))
        >>> {name: v.shape for name, v in net.init(jax.random.key(0), jnp.ones([2, 7, 3])).items()}
        {'conv1d/bias': (4,), 'conv1d/kernel': (3, 3, 4)}
    """
    windows = Windows.of(1, kernel_size, strides, padding, data_format, dilation_rate, CAUSAL)
    with LayerCall("conv1d", inputs, name, reuse, trainable=trainable, dtype=dtype) as call:
        kernel = (kernel_initializer, kernel_regularizer, kernel_constraint)
        bias = (bias_initializer, bias_regularizer, bias_constraint) if use_bias else None
        return call.finish(_convolve(call, windows, filters, kernel, bias), activation, activity_regularizer)


def conv2d(  # noqa: D417 - what all layers have is described in `dense`
    inputs: ArrayLike,
    filters: int,
    kernel_size: Sizes,
    strides: Sizes = (1, 1),
    padding: str = "valid",
    data_format: str = "channels_last",
    dilation_rate: Sizes = (1, 1),
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
    """Return a convolution of images.

    The variables are `kernel` `[height, width, in, filters]` and `bias` `[filters]`. The other arguments are
    those of `js.layers.dense`.

    Args:
        inputs: `[batch, height, width, in]`, or `[batch, in, height, width]` for channels first.
        filters: The number of the result's channels.
        kernel_size: The size of a window, one number or two.
        strides: From one window to the next, one number or two.
        padding: "valid" for none, or "same" for `ceil(size / stride)` results.
        data_format: "channels_last" or "channels_first".
        dilation_rate: From one element of a window to the next, one number or two.

    Returns:
        The input's axes, with `filters` channels.

    Raises:
        InvalidShapeError: The input has another rank, or is smaller than a window.
        ValueError: An argument has no meaning, or both strides and dilation_rate are above 1.

    Source:
        `tf.layers.conv2d`.

    Example:
        >>> net = js.transform(lambda x: js.layers.conv2d(x, 4, 3, padding="same", activation=jax.nn.relu))
        >>> variables = net.init(jax.random.key(0), jnp.ones([1, 5, 6, 3]))
        >>> {name: v.shape for name, v in variables.items()}
        {'conv2d/bias': (4,), 'conv2d/kernel': (3, 3, 3, 4)}
        >>> net.apply(variables, jnp.ones([1, 5, 6, 3])).shape
        (1, 5, 6, 4)
    """
    windows = Windows.of(2, kernel_size, strides, padding, data_format, dilation_rate)
    with LayerCall("conv2d", inputs, name, reuse, trainable=trainable, dtype=dtype) as call:
        kernel = (kernel_initializer, kernel_regularizer, kernel_constraint)
        bias = (bias_initializer, bias_regularizer, bias_constraint) if use_bias else None
        return call.finish(_convolve(call, windows, filters, kernel, bias), activation, activity_regularizer)


def conv3d(  # noqa: D417 - what all layers have is described in `dense`
    inputs: ArrayLike,
    filters: int,
    kernel_size: Sizes,
    strides: Sizes = (1, 1, 1),
    padding: str = "valid",
    data_format: str = "channels_last",
    dilation_rate: Sizes = (1, 1, 1),
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
    """Return a convolution of volumes.

    The variables are `kernel` `[depth, height, width, in, filters]` and `bias` `[filters]`. The other
    arguments are those of `js.layers.dense`.

    Args:
        inputs: `[batch, depth, height, width, in]`, or `[batch, in, ...]` for channels first.
        filters: The number of the result's channels.
        kernel_size: The size of a window, one number or three.
        strides: From one window to the next, one number or three.
        padding: "valid" for none, or "same" for `ceil(size / stride)` results.
        data_format: "channels_last" or "channels_first".
        dilation_rate: From one element of a window to the next, one number or three.

    Returns:
        The input's axes, with `filters` channels.

    Raises:
        InvalidShapeError: The input has another rank, or is smaller than a window.
        ValueError: An argument has no meaning, or both strides and dilation_rate are above 1.

    Source:
        `tf.layers.conv3d`.

    Example:
        >>> net = js.transform(lambda x: js.layers.conv3d(x, 4, 2, strides=2))
        >>> variables = net.init(jax.random.key(0), jnp.ones([1, 4, 4, 4, 1]))
        >>> net.apply(variables, jnp.ones([1, 4, 4, 4, 1])).shape
        (1, 2, 2, 2, 4)
    """
    windows = Windows.of(3, kernel_size, strides, padding, data_format, dilation_rate)
    with LayerCall("conv3d", inputs, name, reuse, trainable=trainable, dtype=dtype) as call:
        kernel = (kernel_initializer, kernel_regularizer, kernel_constraint)
        bias = (bias_initializer, bias_regularizer, bias_constraint) if use_bias else None
        return call.finish(_convolve(call, windows, filters, kernel, bias), activation, activity_regularizer)


def _convolve(call: LayerCall, windows: Windows, filters: int, kernel_is: Any, bias_is: Any) -> jax.Array:
    """Return the convolution; (initializer, regularizer, constraint) say what kernel and bias are like."""
    channels = windows.check(call)
    kernel = call.variable("kernel", [*windows.size, channels, filters], *kernel_is)
    bias = None if bias_is is None else call.variable("bias", [filters], *bias_is)
    x, kernel, bias = promote(call.inputs, kernel, bias)
    outputs = lax.conv_general_dilated(
        x,
        kernel,
        windows.strides,
        windows.pads(call),
        rhs_dilation=windows.dilation,
        dimension_numbers=windows.dimension_numbers,
    )
    return windows.add_bias(outputs, bias)
