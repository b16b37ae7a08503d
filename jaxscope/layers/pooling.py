"""Pooling: the largest value, or the mean, of each window."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike

from jaxscope.layers.arrays import at_least_float32
from jaxscope.layers.call import LayerCall
from jaxscope.layers.windows import Sizes, Windows


def max_pooling1d(
    inputs: ArrayLike,
    pool_size: Sizes,
    strides: Sizes,
    padding: str = "valid",
    data_format: str = "channels_last",
    name: str | None = None,
) -> jax.Array:
    """Return the largest value of each window of sequences.

    Args:
        inputs: `[batch, length, channels]`, or `[batch, channels, length]` for channels first.
        pool_size: The size of a window.
        strides: From one window to the next.
        padding: "valid" for none, or "same" for `ceil(length / stride)` results.
        data_format: "channels_last" or "channels_first".
        name: The name of the scope, which has no variables.

    Returns:
        The input's axes, with a value for each window.

    Raises:
        InvalidShapeError: The input has another rank, or is smaller than a window.
        ValueError: An argument has no meaning.

    Source:
        `tf.layers.max_pooling1d`.

    Example:
        >>> x = jnp.arange(6.0).reshape(1, 6, 1)
        >>> js.transform(js.layers.max_pooling1d).apply({}, x, 2, 2)[0, :, 0]
        Array([1., 3., 5.], dtype=float32)
    """
    windows = Windows.of(1, pool_size, strides, padding, data_format)
    return _largest("max_pooling1d", inputs, windows, name)


def max_pooling2d(
    inputs: ArrayLike,
    pool_size: Sizes,
    strides: Sizes,
    padding: str = "valid",
    data_format: str = "channels_last",
    name: str | None = None,
) -> jax.Array:
    """Return the largest value of each window of images.

    Args:
        inputs: `[batch, height, width, channels]`, or `[batch, channels, height, width]` for channels first.
        pool_size: The size of a window, one number or two.
        strides: From one window to the next, one number or two.
        padding: "valid" for none, or "same" for `ceil(size / stride)` results.
        data_format: "channels_last" or "channels_first".
        name: The name of the scope, which has no variables.

    Returns:
        The input's axes, with a value for each window.

    Raises:
        InvalidShapeError: The input has another rank, or is smaller than a window.
        ValueError: An argument has no meaning.

    Source:
        `tf.layers.max_pooling2d`.

    Example:
        >>> js.transform(js.layers.max_pooling2d).apply({}, jnp.ones([1, 4, 6, 3]), 2, 2).shape
        (1, 2, 3, 3)
    """
    windows = Windows.of(2, pool_size, strides, padding, data_format)
    return _largest("max_pooling2d", inputs, windows, name)


def max_pooling3d(
    inputs: ArrayLike,
    pool_size: Sizes,
    strides: Sizes,
    padding: str = "valid",
    data_format: str = "channels_last",
    name: str | None = None,
) -> jax.Array:
    """Return the largest value of each window of volumes.

    Args:
        inputs: `[batch, depth, height, width, channels]`, or `[batch, channels, depth, height, width]`.
        pool_size: The size of a window, one number or three.
        strides: From one window to the next, one number or three.
        padding: "valid" for none, or "same" for `ceil(size / stride)` results.
        data_format: "channels_last" or "channels_first".
        name: The name of the scope, which has no variables.

    Returns:
        The input's axes, with a value for each window.

    Raises:
        InvalidShapeError: The input has another rank, or is smaller than a window.
        ValueError: An argument has no meaning.

    Source:
        `tf.layers.max_pooling3d`.

    Example:
        >>> js.transform(js.layers.max_pooling3d).apply({}, jnp.ones([1, 4, 4, 4, 3]), 2, 2).shape
        (1, 2, 2, 2, 3)
    """
    windows = Windows.of(3, pool_size, strides, padding, data_format)
    return _largest("max_pooling3d", inputs, windows, name)


def average_pooling1d(
    inputs: ArrayLike,
    pool_size: Sizes,
    strides: Sizes,
    padding: str = "valid",
    data_format: str = "channels_last",
    name: str | None = None,
) -> jax.Array:
    """Return the mean of each window of sequences; padding does not count.

    Args:
        inputs: `[batch, length, channels]`, or `[batch, channels, length]` for channels first.
        pool_size: The size of a window.
        strides: From one window to the next.
        padding: "valid" for none, or "same" for `ceil(length / stride)` results.
        data_format: "channels_last" or "channels_first".
        name: The name of the scope, which has no variables.

    Returns:
        The input's axes, with a mean for each window.

    Raises:
        InvalidShapeError: The input has another rank, or is smaller than a window.
        ValueError: An argument has no meaning.

    Source:
        `tf.layers.average_pooling1d`.

    Example:
        >>> x = jnp.arange(6.0).reshape(1, 6, 1)
        >>> js.transform(js.layers.average_pooling1d).apply({}, x, 2, 2)[0, :, 0]
        Array([0.5, 2.5, 4.5], dtype=float32)
    """
    windows = Windows.of(1, pool_size, strides, padding, data_format)
    return _mean("average_pooling1d", inputs, windows, name)


def average_pooling2d(
    inputs: ArrayLike,
    pool_size: Sizes,
    strides: Sizes,
    padding: str = "valid",
    data_format: str = "channels_last",
    name: str | None = None,
) -> jax.Array:
    """Return the mean of each window of images; padding does not count.

    Args:
        inputs: `[batch, height, width, channels]`, or `[batch, channels, height, width]` for channels first.
        pool_size: The size of a window, one number or two.
        strides: From one window to the next, one number or two.
        padding: "valid" for none, or "same" for `ceil(size / stride)` results.
        data_format: "channels_last" or "channels_first".
        name: The name of the scope, which has no variables.

    Returns:
        The input's axes, with a mean for each window.

    Raises:
        InvalidShapeError: The input has another rank, or is smaller than a window.
        ValueError: An argument has no meaning.

    Source:
        `tf.layers.average_pooling2d`.

    Example:
        >>> js.transform(js.layers.average_pooling2d).apply({}, jnp.ones([1, 4, 6, 3]), 2, 2).shape
        (1, 2, 3, 3)
    """
    windows = Windows.of(2, pool_size, strides, padding, data_format)
    return _mean("average_pooling2d", inputs, windows, name)


def average_pooling3d(
    inputs: ArrayLike,
    pool_size: Sizes,
    strides: Sizes,
    padding: str = "valid",
    data_format: str = "channels_last",
    name: str | None = None,
) -> jax.Array:
    """Return the mean of each window of volumes; padding does not count.

    Args:
        inputs: `[batch, depth, height, width, channels]`, or `[batch, channels, depth, height, width]`.
        pool_size: The size of a window, one number or three.
        strides: From one window to the next, one number or three.
        padding: "valid" for none, or "same" for `ceil(size / stride)` results.
        data_format: "channels_last" or "channels_first".
        name: The name of the scope, which has no variables.

    Returns:
        The input's axes, with a mean for each window.

    Raises:
        InvalidShapeError: The input has another rank, or is smaller than a window.
        ValueError: An argument has no meaning.

    Source:
        `tf.layers.average_pooling3d`.

    Example:
        >>> js.transform(js.layers.average_pooling3d).apply({}, jnp.ones([1, 4, 4, 4, 3]), 2, 2).shape
        (1, 2, 2, 2, 3)
    """
    windows = Windows.of(3, pool_size, strides, padding, data_format)
    return _mean("average_pooling3d", inputs, windows, name)


def _largest(kind: str, inputs: ArrayLike, windows: Windows, name: str | None) -> jax.Array:
    with LayerCall(kind, inputs, name, None) as call:
        windows.check(call)
        dtype = call.inputs.dtype
        if jnp.issubdtype(dtype, jnp.bool):
            raise call.wrong_dtype(dtype, is_asked_for=False)
        least = -np.inf if jnp.issubdtype(dtype, jnp.inexact) else np.iinfo(dtype).min
        return _reduce(call.inputs, lax.max, least, windows, windows.pads(call))


def _mean(kind: str, inputs: ArrayLike, windows: Windows, name: str | None) -> jax.Array:
    with LayerCall(kind, inputs, name, None) as call:
        windows.check(call)
        call.check_dtype(is_asked_for=False)
        x = at_least_float32(call.inputs)
        pads = windows.pads(call)
        total = _reduce(x, lax.add, 0, windows, pads)
        if not any(map(any, pads)):
            return (total / math.prod(windows.size)).astype(call.inputs.dtype)
        one_image = jnp.ones(windows.whole(windows.inner(x.shape), 1), x.dtype)
        return (total / _reduce(one_image, lax.add, 0, windows, pads)).astype(call.inputs.dtype)


def _reduce(
    x: jax.Array, operation: Any, start: float, windows: Windows, pads: Sequence[tuple[int, int]]
) -> jax.Array:
    reduced: jax.Array = lax.reduce_window(
        x,
        np.array(start, x.dtype),
        operation,
        windows.whole(windows.size, 1),
        windows.whole(windows.strides, 1),
        windows.whole(pads, (0, 0)),
    )
    return reduced
