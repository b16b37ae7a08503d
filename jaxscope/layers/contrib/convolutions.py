"""contrib's convolutions of images, which pad and rectify unless told otherwise."""

from collections.abc import Mapping
from typing import Any

import jax
from jax.typing import ArrayLike

import jaxscope as js
from jaxscope.layers import convolutions as plain
from jaxscope.layers import separable, transposed
from jaxscope.layers.call import Activation, Regularizer
from jaxscope.layers.contrib.scope import Collections, Normalizer, data_format_of, finish, model_scope
from jaxscope.layers.windows import Sizes


def conv2d(
    inputs: ArrayLike,
    num_outputs: int,
    kernel_size: Sizes,
    stride: Sizes = 1,
    padding: str = "SAME",
    data_format: str | None = None,
    rate: Sizes = 1,
    activation_fn: Activation = jax.nn.relu,
    normalizer_fn: Normalizer = None,
    normalizer_params: Mapping[str, Any] | None = None,
    weights_initializer: Any = js.initializers.glorot_uniform,
    weights_regularizer: Regularizer = None,
    biases_initializer: Any = js.initializers.zeros,
    biases_regularizer: Regularizer = None,
    reuse: Any = None,
    variables_collections: Collections = None,
    outputs_collections: Any = None,
    trainable: bool = True,
    scope: Any = None,
) -> jax.Array:
    """Return a convolution of images; the variables are `weights` and `biases`.

    Args:
        inputs: `[batch, height, width, in]`, or `[batch, in, height, width]` for NCHW.
        num_outputs: The number of the result's channels.
        kernel_size: The size of a window, one number or two.
        stride: From one window to the next, one number or two.
        padding: "SAME" or "VALID".
        data_format: "NHWC" or "NCHW"; None for the first.
        rate: From one element of a window to the next.
        activation_fn: A function of the result; None for none.
        normalizer_fn: What normalizes the result before that, in the place of biases.
        normalizer_params: Its further arguments.
        weights_initializer: How `weights` begins.
        weights_regularizer: A loss on the weights.
        biases_initializer: How `biases` begins; None for no biases.
        biases_regularizer: A loss on the biases.
        reuse: Whether the scope shares variables.
        variables_collections: Further collections of the variables.
        outputs_collections: Collections to add the result to.
        trainable: Whether the variables are trainable.
        scope: The scope; None for `Conv`, `Conv_1`, ...

    Returns:
        The input's axes, with `num_outputs` channels.

    Raises:
        JaxscopeError: As `js.layers.conv2d`.

    Source:
        `tf.contrib.layers.conv2d`.

    Example:
        >>> net = js.transform(lambda x: js.layers.contrib.conv2d(x, 3, 3))
        >>> list(net.spec(jnp.ones([1, 5, 5, 2])))
        ['Conv/weights', 'Conv/biases']
    """
    with model_scope(scope, "Conv", reuse, variables_collections):
        outputs = plain.conv2d(
            inputs,
            num_outputs,
            kernel_size,
            stride,
            padding,
            data_format_of(data_format),
            rate,
            use_bias=normalizer_fn is None and biases_initializer is not None,
            kernel_initializer=weights_initializer,
            bias_initializer=biases_initializer,
            kernel_regularizer=weights_regularizer,
            bias_regularizer=biases_regularizer,
            trainable=trainable,
            name="",
        )
        return finish(outputs, normalizer_fn, normalizer_params, activation_fn, outputs_collections)


def conv2d_transpose(
    inputs: ArrayLike,
    num_outputs: int,
    kernel_size: Sizes,
    stride: Sizes = 1,
    padding: str = "SAME",
    data_format: str | None = "NHWC",
    activation_fn: Activation = jax.nn.relu,
    normalizer_fn: Normalizer = None,
    normalizer_params: Mapping[str, Any] | None = None,
    weights_initializer: Any = js.initializers.glorot_uniform,
    weights_regularizer: Regularizer = None,
    biases_initializer: Any = js.initializers.zeros,
    biases_regularizer: Regularizer = None,
    reuse: Any = None,
    variables_collections: Collections = None,
    outputs_collections: Any = None,
    trainable: bool = True,
    scope: Any = None,
) -> jax.Array:
    """Return a transposed convolution of images; the variables are `weights` and `biases`.

    Args:
        inputs: `[batch, height, width, in]`, or `[batch, in, height, width]` for NCHW.
        num_outputs: The number of the result's channels.
        kernel_size: The size of a window, one number or two.
        stride: From one window of the result to the next, one number or two.
        padding: "SAME" or "VALID".
        data_format: "NHWC" or "NCHW".
        activation_fn: A function of the result; None for none.
        normalizer_fn: What normalizes the result before that, in the place of biases.
        normalizer_params: Its further arguments.
        weights_initializer: How `weights` begins.
        weights_regularizer: A loss on the weights.
        biases_initializer: How `biases` begins; None for no biases.
        biases_regularizer: A loss on the biases.
        reuse: Whether the scope shares variables.
        variables_collections: Further collections of the variables.
        outputs_collections: Collections to add the result to.
        trainable: Whether the variables are trainable.
        scope: The scope; None for `Conv2d_transpose`, `Conv2d_transpose_1`, ...

    Returns:
        The input's axes, larger, with `num_outputs` channels.

    Raises:
        JaxscopeError: As `js.layers.conv2d_transpose`.

    Source:
        `tf.contrib.layers.conv2d_transpose`.

    Example:
        >>> net = js.transform(lambda x: js.layers.contrib.conv2d_transpose(x, 3, 3, stride=2))
        >>> list(net.spec(jnp.ones([1, 5, 5, 2])))
        ['Conv2d_transpose/weights', 'Conv2d_transpose/biases']
    """
    with model_scope(scope, "Conv2d_transpose", reuse, variables_collections):
        outputs = transposed.conv2d_transpose(
            inputs,
            num_outputs,
            kernel_size,
            stride,
            padding,
            data_format_of(data_format),
            use_bias=normalizer_fn is None and biases_initializer is not None,
            kernel_initializer=weights_initializer,
            bias_initializer=biases_initializer,
            kernel_regularizer=weights_regularizer,
            bias_regularizer=biases_regularizer,
            trainable=trainable,
            name="",
        )
        return finish(outputs, normalizer_fn, normalizer_params, activation_fn, outputs_collections)


def separable_conv2d(
    inputs: ArrayLike,
    num_outputs: int | None,
    kernel_size: Sizes,
    depth_multiplier: int = 1,
    stride: Sizes = 1,
    padding: str = "SAME",
    data_format: str | None = "NHWC",
    rate: Sizes = 1,
    activation_fn: Activation = jax.nn.relu,
    normalizer_fn: Normalizer = None,
    normalizer_params: Mapping[str, Any] | None = None,
    weights_initializer: Any = js.initializers.glorot_uniform,
    pointwise_initializer: Any = None,
    weights_regularizer: Regularizer = None,
    biases_initializer: Any = js.initializers.zeros,
    biases_regularizer: Regularizer = None,
    reuse: Any = None,
    variables_collections: Collections = None,
    outputs_collections: Any = None,
    trainable: bool = True,
    scope: Any = None,
) -> jax.Array:
    """Return a convolution of images in two steps: of each channel by itself, then of the channels.

    Args:
        inputs: `[batch, height, width, in]`, or `[batch, in, height, width]` for NCHW.
        num_outputs: The number of the result's channels; None for the first step alone.
        kernel_size: The size of a window, one number or two.
        depth_multiplier: How many results each channel has in the first step.
        stride: From one window to the next, one number or two.
        padding: "SAME" or "VALID".
        data_format: "NHWC" or "NCHW".
        rate: From one element of a window to the next.
        activation_fn: A function of the result; None for none.
        normalizer_fn: What normalizes the result before that, in the place of biases.
        normalizer_params: Its further arguments.
        weights_initializer: How `depthwise_weights` begins.
        pointwise_initializer: How `pointwise_weights` begins; None for the same.
        weights_regularizer: A loss on both.
        biases_initializer: How `biases` begins; None for no biases.
        biases_regularizer: A loss on the biases.
        reuse: Whether the scope shares variables.
        variables_collections: Further collections of the variables.
        outputs_collections: Collections to add the result to.
        trainable: Whether the variables are trainable.
        scope: The scope; None for `SeparableConv2d`, `SeparableConv2d_1`, ...

    Returns:
        The input's axes, with `num_outputs` (or `in * depth_multiplier`) channels.

    Raises:
        JaxscopeError: As `js.layers.separable_conv2d`.

    Source:
        `tf.contrib.layers.separable_conv2d`.

    Example:
        >>> net = js.transform(lambda x: js.layers.contrib.separable_conv2d(x, 3, 3))
        >>> for name in net.spec(jnp.ones([1, 5, 5, 2])):
        ...     print(name)
        SeparableConv2d/depthwise_weights
        SeparableConv2d/pointwise_weights
        SeparableConv2d/biases
    """
    shared: dict[str, Any] = {
        "kernel_size": kernel_size,
        "strides": stride,
        "padding": padding,
        "data_format": data_format_of(data_format),
        "dilation_rate": rate,
        "depth_multiplier": depth_multiplier,
        "use_bias": normalizer_fn is None and biases_initializer is not None,
        "depthwise_initializer": weights_initializer,
        "bias_initializer": biases_initializer,
        "depthwise_regularizer": weights_regularizer,
        "bias_regularizer": biases_regularizer,
        "trainable": trainable,
        "name": "",
    }
    with model_scope(scope, "SeparableConv2d", reuse, variables_collections):
        if num_outputs is None:
            outputs = separable.depthwise_conv2d(inputs, **shared)
        else:
            outputs = separable.separable_conv2d(
                inputs,
                num_outputs,
                pointwise_initializer=pointwise_initializer or weights_initializer,
                pointwise_regularizer=weights_regularizer,
                **shared,
            )
        return finish(outputs, normalizer_fn, normalizer_params, activation_fn, outputs_collections)
