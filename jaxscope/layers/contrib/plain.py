"""contrib's layers without variables."""

from collections.abc import Sequence
from typing import Any

import jax
from jax.typing import ArrayLike

import jaxscope as js
from jaxscope.layers import pooling, shaping
from jaxscope.layers.contrib.scope import data_format_of, finish
from jaxscope.layers.windows import Sizes


def max_pool2d(
    inputs: ArrayLike,
    kernel_size: Sizes,
    stride: Sizes = 2,
    padding: str = "VALID",
    data_format: str | None = "NHWC",
    outputs_collections: Any = None,
    scope: Any = None,
) -> jax.Array:
    """Return the largest value of each window of images.

    Args:
        inputs: `[batch, height, width, channels]`, or `[batch, channels, height, width]` for NCHW.
        kernel_size: The size of a window, one number or two.
        stride: From one window to the next, one number or two.
        padding: "SAME" or "VALID".
        data_format: "NHWC" or "NCHW".
        outputs_collections: Collections to add the result to.
        scope: The scope, which has no variables; None for `MaxPool2D`.

    Returns:
        The input's axes, with a value for each window.

    Raises:
        JaxscopeError: As `js.layers.max_pooling2d`.

    Source:
        `tf.contrib.layers.max_pool2d`.

    Example:
        >>> js.transform(js.layers.contrib.max_pool2d).apply({}, jnp.ones([1, 4, 6, 3]), 2).shape
        (1, 2, 3, 3)
    """
    with js.variable_scope(scope, "MaxPool2D"):
        windows = (kernel_size, stride, padding, data_format_of(data_format))
        return finish(pooling.max_pooling2d(inputs, *windows, name=""), None, None, None, outputs_collections)


def avg_pool2d(
    inputs: ArrayLike,
    kernel_size: Sizes,
    stride: Sizes = 2,
    padding: str = "VALID",
    data_format: str | None = "NHWC",
    outputs_collections: Any = None,
    scope: Any = None,
) -> jax.Array:
    """Return the mean of each window of images; padding does not count.

    Args:
        inputs: `[batch, height, width, channels]`, or `[batch, channels, height, width]` for NCHW.
        kernel_size: The size of a window, one number or two.
        stride: From one window to the next, one number or two.
        padding: "SAME" or "VALID".
        data_format: "NHWC" or "NCHW".
        outputs_collections: Collections to add the result to.
        scope: The scope, which has no variables; None for `AvgPool2D`.

    Returns:
        The input's axes, with a mean for each window.

    Raises:
        JaxscopeError: As `js.layers.average_pooling2d`.

    Source:
        `tf.contrib.layers.avg_pool2d`.

    Example:
        >>> js.transform(js.layers.contrib.avg_pool2d).apply({}, jnp.ones([1, 4, 6, 3]), 2).shape
        (1, 2, 3, 3)
    """
    with js.variable_scope(scope, "AvgPool2D"):
        windows = (kernel_size, stride, padding, data_format_of(data_format))
        outputs = pooling.average_pooling2d(inputs, *windows, name="")
        return finish(outputs, None, None, None, outputs_collections)


def flatten(inputs: ArrayLike, outputs_collections: Any = None, scope: Any = None) -> jax.Array:
    """Return each example as one row.

    Args:
        inputs: `[batch, ...]`.
        outputs_collections: Collections to add the result to.
        scope: The scope, which has no variables; None for `Flatten`.

    Returns:
        `[batch, size of an example]`.

    Source:
        `tf.contrib.layers.flatten`.

    Example:
        >>> js.transform(js.layers.contrib.flatten).apply({}, jnp.ones([2, 3, 4])).shape
        (2, 12)
    """
    with js.variable_scope(scope, "Flatten"):
        return finish(shaping.flatten(inputs, name=""), None, None, None, outputs_collections)


def dropout(
    inputs: ArrayLike,
    keep_prob: float | jax.Array = 0.5,
    noise_shape: Sequence[int | None] | None = None,
    is_training: bool = True,
    outputs_collections: Any = None,
    scope: Any = None,
    seed: int | None = None,
) -> jax.Array:
    """Return the input with all but a share of its elements set to 0, in training unless told otherwise.

    Args:
        inputs: Any shape, of a floating dtype.
        keep_prob: The share that is kept.
        noise_shape: The shape of the mask.
        is_training: False for the input as it is.
        outputs_collections: Collections to add the result to.
        scope: The scope, which has no variables; None for `Dropout`.
        seed: A whole number that is folded into the key.

    Returns:
        An array like the input.

    Raises:
        JaxscopeError: As `js.layers.dropout`.

    Source:
        `tf.contrib.layers.dropout`.

    Example:
        >>> x = jnp.ones(3)
        >>> js.transform(js.layers.contrib.dropout).apply({}, x, is_training=False)
        Array([1., 1., 1.], dtype=float32)
    """
    with js.variable_scope(scope, "Dropout"):
        outputs = shaping.dropout(inputs, 1 - keep_prob, noise_shape, seed, is_training, name="")
        return finish(outputs, None, None, None, outputs_collections)
