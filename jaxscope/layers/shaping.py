"""Layers without variables: flatten and dropout."""

import math
import operator
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jax.typing import ArrayLike

import jaxscope as js
from jaxscope.layers.call import LayerCall
from jaxscope.layers.checks import static_flag
from jaxscope.layers.windows import channels_last


def flatten(inputs: ArrayLike, name: str | None = None, data_format: str = "channels_last") -> jax.Array:
    """Return each example as one row.

    Args:
        inputs: `[batch, ...]`; a vector gets a second axis of size 1.
        name: The name of the scope, which has no variables.
        data_format: With "channels_first" the channels go last before, so that the rows are those of a model
            with channels last.

    Returns:
        `[batch, size of an example]`.

    Raises:
        InvalidShapeError: The input is a scalar.

    Source:
        `tf.layers.flatten`.

    Example:
        >>> js.transform(js.layers.flatten).apply({}, jnp.ones([2, 3, 4])).shape
        (2, 12)
    """
    first = not channels_last(data_format)
    with LayerCall("flatten", inputs, name, None) as call:
        x = call.inputs
        if x.ndim == 0:
            raise call.wrong_shape("takes an input with a batch axis", "pass x[None] for one example")
        if first and x.ndim > 2:
            x = jnp.moveaxis(x, 1, -1)
        return x.reshape(x.shape[0], math.prod(x.shape[1:]))


def dropout(
    inputs: ArrayLike,
    rate: float | jax.Array = 0.5,
    noise_shape: Sequence[int | None] | None = None,
    seed: int | None = None,
    training: bool = False,
    name: str | None = None,
) -> jax.Array:
    """Return the input with a share of its elements set to 0, and the others larger by as much.

    The key comes from `js.next_key()`, so that in training a stream has to be open: `with
    js.random_keys(key):`.

    Args:
        inputs: Any shape, of a floating dtype.
        rate: The share that is dropped, from 0 (dropout does nothing) to less than 1.
        noise_shape: The shape of the mask, which is broadcast to that of the input; None for an axis as the
            input has it.
        seed: A whole number that is folded into the key: another one gives another mask.
        training: False for the input as it is.
        name: The name of the scope, which has no variables; the key depends on it.

    Returns:
        An array like the input.

    Raises:
        ValueError: The rate is not in [0, 1).
        KeyStreamError: In training, no stream of keys is open, or the call is in a loop.
        InvalidShapeError: A mask of noise_shape does not broadcast to the input.
        TraceError: `training` is traced.

    Source:
        `tf.layers.dropout`; its `seed` alone made the mask, which depends on the stream of keys here.

    Example:
        >>> @js.transform
        ... def net(x, key):
        ...     with js.random_keys(key):
        ...         return js.layers.dropout(x, 0.25, training=True)
        >>> y = net.apply({}, jnp.ones(1000), jax.random.key(0))
        >>> sorted(set(y.tolist())), bool(jnp.mean(y == 0) < 0.3)
        ([0.0, 1.3333333730697632], True)
    """
    if not isinstance(rate, Tracer) and (isinstance(rate, str) or not 0 <= rate < 1):
        raise ValueError(f"rate must be at least 0 and below 1, not {rate!r}")
    with LayerCall("dropout", inputs, name, None) as call:
        x = call.inputs
        if not static_flag(training, "training") or (isinstance(rate, int | float) and rate == 0):
            return x
        call.check_dtype(is_asked_for=False)
        shape = x.shape if noise_shape is None else _mask_shape(call, noise_shape)
        key = js.next_key()
        if seed is not None:
            key = jax.random.fold_in(key, operator.index(seed) % 2**32)
        kept = 1 - rate
        mask = jax.random.bernoulli(key, jnp.asarray(kept, jnp.float32), shape)
        return jnp.where(mask, x / jnp.asarray(kept, x.dtype), jnp.zeros([], x.dtype))


def _mask_shape(call: LayerCall, noise_shape: Sequence[int | None]) -> tuple[int, ...]:
    shape = call.inputs.shape
    given = list(noise_shape)
    if len(given) != len(shape) or not all(
        size in {None, 1, own} for size, own in zip(given, shape, strict=True)
    ):
        raise call.wrong_shape(
            f"has noise_shape={given}, which does not broadcast to the input",
            "give each axis the input's size, None for the same, or 1 for one mask along it",
        )
    return tuple(own if size is None else size for size, own in zip(given, shape, strict=True))
