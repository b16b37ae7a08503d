"""Normalization by the statistics of a batch, and moving averages of them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike

import jaxscope as js
from jaxscope.layers.call import (
    Constraint,
    LayerCall,
    Regularizer,
    at_least_float32,
    made_once,
    promote,
    static_flag,
)


def batch_normalization(
    inputs: ArrayLike,
    axis: int | Iterable[int] = -1,
    momentum: float = 0.99,
    epsilon: float = 1e-3,
    center: bool = True,
    scale: bool = True,
    beta_initializer: Any = js.initializers.zeros,
    gamma_initializer: Any = js.initializers.ones,
    moving_mean_initializer: Any = js.initializers.zeros,
    moving_variance_initializer: Any = js.initializers.ones,
    beta_regularizer: Regularizer = None,
    gamma_regularizer: Regularizer = None,
    beta_constraint: Constraint = None,
    gamma_constraint: Constraint = None,
    training: bool = False,
    trainable: bool = True,
    name: str | None = None,
    reuse: Any = None,
    *,
    fused: bool | None = None,
    axis_name: str | Sequence[str] | None = None,
    updates_collection: str | None = js.GraphKeys.UPDATE_OPS,
    dtype: Any = None,
) -> jax.Array:
    """Return the input with mean 0 and variance 1, times `gamma`, plus `beta`.

    In training, mean and variance are those of the batch, and the moving averages `moving_mean` and
    `moving_variance` take a step towards them, which `net.apply_with_state` returns. Else they are the moving
    averages.

    Args:
        inputs: `[batch, ..., channels]`, of a floating dtype.
        axis: The axis of the channels, or several, which all get statistics of their own.
        momentum: The share of a moving average that stays in a step.
        epsilon: What is added to the variance.
        center: Whether there is a `beta`.
        scale: Whether there is a `gamma`.
        beta_initializer: How `beta` begins.
        gamma_initializer: How `gamma` begins.
        moving_mean_initializer: How `moving_mean` begins.
        moving_variance_initializer: How `moving_variance` begins.
        beta_regularizer: A loss on `beta`, beside that of the scope.
        gamma_regularizer: A loss on `gamma`, beside that of the scope.
        beta_constraint: What an optimizer is to apply to `beta` after each step.
        gamma_constraint: Likewise, to `gamma`.
        training: Whether to use the batch and to take a step.
        trainable: Whether `beta` and `gamma` are trainable; if not, no step is taken either.
        name: The scope's name, used as it is; None for `batch_normalization`, `batch_normalization_1`, ...
        reuse: Whether the scope shares variables: True, `js.AUTO_REUSE`, or None for what surrounds it.
        fused: Whether to do as TF1's fused operation, whose `moving_variance` steps towards the variance over
            n - 1. It is for images of at most 32 bits with channels on axis 1 or 3; None for all those, and
            where it cannot be, it is as False.
        axis_name: The name of an axis of `jax.vmap` or `jax.shard_map`, or several, along which there are
            more parts of the batch.
        updates_collection: The collection that the new moving averages are added to, for whoever wants to see
            them; None for none. They are set in any case.
        dtype: The dtype of the variables; None for the input's, or float32 for 16 bits.

    Returns:
        An array like the input; it is computed in float32 at least.

    Raises:
        InvalidShapeError: An axis is none of the input's.
        InvalidDtypeError: The input is of an integer dtype.
        StateError: In training, and `apply` was called instead of `apply_with_state`.
        TraceError: `training` is traced.

    Source:
        `tf.layers.batch_normalization`.

    Example:
        >>> net = js.transform(lambda x, training: js.layers.batch_normalization(x, training=training))
        >>> x = jnp.array([[1.0], [3.0]])
        >>> variables = net.init(jax.random.key(0), x, False)
        >>> y, state = net.apply_with_state(variables, x, True)
        >>> y.round(2), state["batch_normalization/moving_mean"]
        (Array([[-1.],
               [ 1.]], dtype=float32), Array([0.02], dtype=float32))
    """
    with LayerCall("batch_normalization", inputs, name, reuse, trainable=trainable, dtype=dtype) as call:
        if dtype is None:
            call.widen()
        axes = _axes(call, axis)
        fusible = call.inputs.ndim == 4 and axes in ([1], [3]) and call.inputs.dtype.itemsize <= 4
        gamma = (gamma_initializer, gamma_regularizer, gamma_constraint) if scale else None
        beta = (beta_initializer, beta_regularizer, beta_constraint) if center else None
        return normalize(
            call,
            axes,
            {"gamma": gamma, "beta": beta},
            (moving_mean_initializer, moving_variance_initializer),
            epsilon,
            training=static_flag(training, "training"),
            momentum=momentum if trainable else None,
            unbiased=fusible and fused is not False,
            axis_name=axis_name,
            collection=updates_collection,
        )


def normalize(
    call: LayerCall,
    axes: Sequence[int],
    weights: Mapping[str, Any],
    moving: tuple[Any, Any],
    epsilon: float,
    *,
    training: bool,
    momentum: float | None,
    unbiased: bool,
    axis_name: Any = None,
    collection: str | None,
) -> jax.Array:
    """Return the input of a call, normalized by the batch or by moving averages.

    Args:
        call: The call, whose scope is open.
        axes: The axes of the channels.
        weights: What `gamma` and `beta` are like (initializer, regularizer, constraint), or None for none, in
            order of making.
        moving: How the moving averages begin, of mean and variance.
        epsilon: What is added to the variance.
        training: Whether the statistics are the batch's.
        momentum: The share of a moving average that stays; None for no step.
        unbiased: Whether the variance steps towards that over n - 1.
        axis_name: Named axes along which there are more parts of the batch.
        collection: Where the values of steps are kept.
    """
    x = at_least_float32(call.inputs)
    whole = [size if at in axes else 1 for at, size in enumerate(x.shape)]
    own = whole if len(axes) > 1 else [x.shape[axes[0]]]
    made = {name: kind and call.variable(name, own, *kind) for name, kind in weights.items()}
    mean, stored_mean = call.state("moving_mean", own, moving[0])
    variance, stored_variance = call.state("moving_variance", own, moving[1])
    if training:
        over = tuple(at for at in range(x.ndim) if at not in axes)
        mean, variance = _moments(x, over, axis_name)
        if momentum is not None:
            n = math.prod(x.shape[at] for at in over) * _size(axis_name)
            more = n / (n - 1) if unbiased and n > 1 else 1.0
            _step("moving_mean", stored_mean, mean, momentum, collection)
            _step("moving_variance", stored_variance, variance * more, momentum, collection)
    columns = (mean, variance, made["gamma"], made["beta"])
    x, mean, variance, gamma, beta = promote(x, *(c if c is None else c.reshape(whole) for c in columns))
    factor = lax.rsqrt(variance + epsilon)
    y: jax.Array = (x - mean) * (factor if gamma is None else factor * gamma)
    return (y if beta is None else y + beta).astype(call.inputs.dtype)


def _axes(call: LayerCall, axis: int | Iterable[int]) -> list[int]:
    rank = call.inputs.ndim
    given = [*axis] if isinstance(axis, Iterable) else [axis]
    axes = [one % rank for one in given if -rank <= one < rank]
    if not given or len(set(axes)) < len(given):
        fix = f"pass axes from {-rank} to {rank - 1}, each once"
        raise call.wrong_shape(f"has channels on axis {axis}", fix)
    return axes


def _moments(x: jax.Array, over: tuple[int, ...], axis_name: Any) -> tuple[jax.Array, jax.Array]:
    """Return mean and variance, in the order of the axes that stay, also over named axes."""
    x = made_once(x)
    mean = _over_names(jnp.mean(x, over, keepdims=True), axis_name)
    variance = _over_names(jnp.mean(jnp.square(x - mean), over), axis_name)
    return mean.reshape(variance.shape), variance


def _over_names(x: jax.Array, axis_name: Any) -> jax.Array:
    return x if axis_name is None else lax.pmean(x, axis_name)


def _size(axis_name: Any) -> int:
    return 1 if axis_name is None else lax.axis_size(axis_name)


def _step(name: str, stored: jax.Array, target: jax.Array, momentum: float, collection: str | None) -> None:
    """Let a moving average take its step; TF1 rounds the size of steps to float32."""
    old, target = promote(stored, lax.stop_gradient(target).reshape(stored.shape))
    size = np.float32(1 - momentum).astype(old.dtype)
    new = (old - (old - target) * size).astype(stored.dtype)
    if collection is not None:
        js.add_to_collection(collection, new)
    js.set_variable(name, new)
