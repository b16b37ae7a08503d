"""Normalization of each example by itself: layer, group, instance and root mean square."""

from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

import jaxscope as js
from jaxscope.layers.arrays import at_least_float32, made_once, promote, with_rank_of
from jaxscope.layers.call import Activation, Constraint, LayerCall, Regularizer
from jaxscope.layers.checks import whole_number
from jaxscope.layers.windows import channels_last
from jaxscope.sites import warn


def layer_norm(
    inputs: ArrayLike,
    center: bool = True,
    scale: bool = True,
    activation: Activation = None,
    reuse: Any = None,
    trainable: bool = True,
    begin_norm_axis: int | None = None,
    begin_params_axis: int = -1,
    name: str | None = None,
    *,
    epsilon: float | None = None,
    beta_initializer: Any = js.initializers.zeros,
    gamma_initializer: Any = js.initializers.ones,
    beta_regularizer: Regularizer = None,
    gamma_regularizer: Regularizer = None,
    beta_constraint: Constraint = None,
    gamma_constraint: Constraint = None,
    dtype: Any = None,
) -> jax.Array:
    """Return each example with mean 0 and variance 1 over its axes, times `gamma`, plus `beta`.

    As in TF1, the mean goes over all axes but the first, where nothing else is said: in `[batch, time,
    width]` over times, too, so that a causal model would see what follows. Transformers want it over the last
    axis alone: `begin_norm_axis=-1`. So a `UserWarning` asks for the axis where there are more than two.

    Args:
        inputs: `[batch, ...]`, of a floating dtype.
        center: Whether there is a `beta`.
        scale: Whether there is a `gamma`.
        activation: A function of the result; None for none.
        reuse: Whether the scope shares variables: True, `js.AUTO_REUSE`, or None for what surrounds it.
        trainable: Whether the variables are trainable.
        begin_norm_axis: The first axis that the mean goes over; all later ones belong to it. None for TF1's
            1, with a warning where that is not the last one.
        begin_params_axis: The first axis that `beta` and `gamma` have; they have all later ones.
        name: The scope's name, used as it is; None for `LayerNorm`, `LayerNorm_1`, ...
        epsilon: What is added to the variance; None for TF1's 1e-12, or 1e-3 for float16.
        beta_initializer: How `beta` begins.
        gamma_initializer: How `gamma` begins.
        beta_regularizer: A loss on `beta`, beside that of the scope.
        gamma_regularizer: A loss on `gamma`, beside that of the scope.
        beta_constraint: What an optimizer is to apply to `beta` after each step.
        gamma_constraint: Likewise, to `gamma`.
        dtype: The dtype of the variables; None for the input's.

    Returns:
        An array like the input; sums are taken in float32 at least.

    Raises:
        InvalidShapeError: An axis is none of the input's.
        InvalidDtypeError: The input is of an integer dtype.

    Source:
        `tf.contrib.layers.layer_norm`.

    Example:
        >>> net = js.transform(lambda x: js.layers.layer_norm(x, begin_norm_axis=-1))
        >>> list(net.spec(jnp.ones([2, 3, 4])))
        ['LayerNorm/beta', 'LayerNorm/gamma']
        >>> variables = net.init(jax.random.key(0), jnp.ones([1, 2]))
        >>> net.apply(variables, jnp.array([[1.0, 3.0]]))
        Array([[-1.,  1.]], dtype=float32)
    """
    with LayerCall("LayerNorm", inputs, name, reuse, trainable=trainable, dtype=dtype) as call:
        x = call.floating()
        rank = x.ndim
        if begin_norm_axis is None:
            begin_norm_axis = 1
            if rank > 2:
                warn(
                    f"layer_norm of an input of rank {rank} takes the mean over axes 1 to {rank - 1}, as in "
                    "TF1; pass begin_norm_axis=-1 for the last axis alone, as transformers want it, or 1 for "
                    "this"
                )
        begin_norm_axis = whole_number(begin_norm_axis, "begin_norm_axis")
        begin_params_axis = whole_number(begin_params_axis, "begin_params_axis")
        if not (-rank <= begin_norm_axis < rank and -rank <= begin_params_axis < rank):
            raise call.wrong_shape(
                f"begins its mean at axis {begin_norm_axis}, and its variables at axis {begin_params_axis}",
                f"pass axes from {-rank} to {rank - 1}, such as begin_norm_axis=-1"
                if rank
                else "give it axes of batch and features",
            )
        if epsilon is None:
            epsilon = 1e-3 if x.dtype == jnp.float16 else 1e-12
        x = _standardized(x, range(begin_norm_axis % rank, rank), epsilon)
        shape = x.shape[begin_params_axis:]
        beta = (beta_initializer, beta_regularizer, beta_constraint) if center else None
        gamma = (gamma_initializer, gamma_regularizer, gamma_constraint) if scale else None
        return call.finish(_affine(call, x, shape, None, beta, gamma), activation)


def rms_norm(
    inputs: ArrayLike,
    epsilon: float = 1e-6,
    *,
    axis: int = -1,
    scale_initializer: Any = js.initializers.ones,
    scale_regularizer: Regularizer = None,
    scale_constraint: Constraint = None,
    trainable: bool = True,
    name: str | None = None,
    reuse: Any = None,
    dtype: Any = None,
) -> jax.Array:
    """Return the input divided by its root mean square over one axis, times `scale`.

    Args:
        inputs: Any shape, of a floating dtype.
        epsilon: What is added to the mean square.
        axis: The axis that the mean goes over.
        scale_initializer: How `scale` begins, which has the size of that axis.
        scale_regularizer: A loss on `scale`, beside that of the scope.
        scale_constraint: What an optimizer is to apply to `scale` after each step.
        trainable: Whether `scale` is trainable.
        name: The scope's name, used as it is; None for `RMSNorm`, `RMSNorm_1`, ...
        reuse: Whether the scope shares variables: True, `js.AUTO_REUSE`, or None for what surrounds it.
        dtype: The dtype of `scale`; None for the input's.

    Returns:
        An array like the input; sums are taken in float32 at least.

    Raises:
        InvalidShapeError: The axis is none of the input's.
        InvalidDtypeError: The input is of an integer dtype.

    Source:
        Zhang and Sennrich, "Root Mean Square Layer Normalization", 2019; TF1 has none.

    Example:
        >>> net = js.transform(js.layers.rms_norm)
        >>> y = net.apply({"RMSNorm/scale": jnp.ones(2)}, jnp.array([[1.0, 7.0]]))
        >>> bool(jnp.allclose(y, jnp.array([[0.2, 1.4]])))
        True
    """
    with LayerCall("RMSNorm", inputs, name, reuse, trainable=trainable, dtype=dtype) as call:
        given = call.floating()
        (axis,) = _axes(call, [axis])
        scale = call.variable(
            "scale", [given.shape[axis]], scale_initializer, scale_regularizer, scale_constraint
        )
        x = at_least_float32(given)
        x, scale = promote(x * lax.rsqrt(jnp.mean(jnp.square(x), axis, keepdims=True) + epsilon), scale)
        y: jax.Array = x * _along(scale, x, axis)
        return y.astype(given.dtype)


def group_norm(  # noqa: D417 - what all layers of this kind have is described in `layer_norm`
    inputs: ArrayLike,
    groups: int = 32,
    channels_axis: int = -1,
    reduction_axes: Sequence[int] | None = None,
    center: bool = True,
    scale: bool = True,
    epsilon: float = 1e-6,
    activation: Activation = None,
    reuse: Any = None,
    trainable: bool = True,
    name: str | None = None,
    *,
    beta_initializer: Any = js.initializers.zeros,
    gamma_initializer: Any = js.initializers.ones,
    beta_regularizer: Regularizer = None,
    gamma_regularizer: Regularizer = None,
    beta_constraint: Constraint = None,
    gamma_constraint: Constraint = None,
    dtype: Any = None,
) -> jax.Array:
    """Return each group of channels of each example with mean 0 and variance 1, times `gamma`, plus `beta`.

    Both variables have the size of the channels. The other arguments are those of `js.layers.layer_norm`.

    Args:
        inputs: `[batch, ..., channels]`, of a floating dtype.
        groups: The number of groups, which the number of channels is a multiple of.
        channels_axis: The axis of the channels.
        reduction_axes: The axes that a mean goes over, beside the channels of a group; None for all but the
            first and that of the channels.

    Returns:
        An array like the input; sums are taken in float32 at least.

    Raises:
        InvalidShapeError: The groups do not divide the channels, or an axis is none of the input's.
        InvalidDtypeError: The input is of an integer dtype.

    Source:
        `tf.contrib.layers.group_norm`.

    Example:
        >>> net = js.transform(lambda x: js.layers.group_norm(x, groups=2))
        >>> {name: v.shape for name, v in net.init(jax.random.key(0), jnp.ones([1, 3, 3, 4])).items()}
        {'GroupNorm/beta': (4,), 'GroupNorm/gamma': (4,)}
    """
    with LayerCall("GroupNorm", inputs, name, reuse, trainable=trainable, dtype=dtype) as call:
        x = call.floating()
        (channels,) = _axes(call, [channels_axis])
        inner = [axis for axis in range(1, x.ndim) if axis != channels]
        reduced = _axes(call, inner if reduction_axes is None else reduction_axes)
        size, groups = x.shape[channels], whole_number(groups, "groups")
        if groups < 1 or size % groups or channels in reduced:
            raise call.wrong_shape(
                f"has {groups} groups of {size} channels on axis {channels}, and means over axes {reduced}",
                "let groups divide the number of channels, and leave their axis out of reduction_axes",
            )
        shape = [*x.shape[:channels], groups, size // groups, *x.shape[channels + 1 :]]
        over = [channels + 1, *(axis + (axis > channels) for axis in reduced)]
        y = _standardized(x.reshape(shape), over, epsilon).reshape(x.shape)
        beta = (beta_initializer, beta_regularizer, beta_constraint) if center else None
        gamma = (gamma_initializer, gamma_regularizer, gamma_constraint) if scale else None
        return call.finish(_affine(call, y, [size], channels, beta, gamma), activation)


def instance_norm(  # noqa: D417 - what all layers of this kind have is described in `layer_norm`
    inputs: ArrayLike,
    center: bool = True,
    scale: bool = True,
    epsilon: float = 1e-6,
    activation: Activation = None,
    reuse: Any = None,
    trainable: bool = True,
    data_format: str = "channels_last",
    name: str | None = None,
    *,
    beta_initializer: Any = js.initializers.zeros,
    gamma_initializer: Any = js.initializers.ones,
    beta_regularizer: Regularizer = None,
    gamma_regularizer: Regularizer = None,
    beta_constraint: Constraint = None,
    gamma_constraint: Constraint = None,
    dtype: Any = None,
) -> jax.Array:
    """Return each channel of each example with mean 0 and variance 1, times `gamma`, plus `beta`.

    Both variables have the size of the channels. The other arguments are those of `js.layers.layer_norm`.

    Args:
        inputs: `[batch, ..., channels]`, or `[batch, channels, ...]` for channels first, of a floating dtype.
        data_format: "channels_last" or "channels_first".

    Returns:
        An array like the input; sums are taken in float32 at least.

    Raises:
        InvalidShapeError: The input has no axes beside batch and channels.
        InvalidDtypeError: The input is of an integer dtype.

    Source:
        `tf.contrib.layers.instance_norm`.

    Example:
        >>> net = js.transform(js.layers.instance_norm)
        >>> list(net.spec(jnp.ones([1, 3, 3, 4])))
        ['InstanceNorm/beta', 'InstanceNorm/gamma']
    """
    last = channels_last(data_format)
    with LayerCall("InstanceNorm", inputs, name, reuse, trainable=trainable, dtype=dtype) as call:
        x = call.floating()
        if x.ndim < 3:
            raise call.wrong_shape("takes the mean over axes beside batch and channels", "use layer_norm")
        channels = x.ndim - 1 if last else 1
        over = [axis for axis in range(1, x.ndim) if axis != channels]
        beta = (beta_initializer, beta_regularizer, beta_constraint) if center else None
        gamma = (gamma_initializer, gamma_regularizer, gamma_constraint) if scale else None
        y = _standardized(x, over, epsilon)
        return call.finish(_affine(call, y, [x.shape[channels]], channels, beta, gamma), activation)


def _axes(call: LayerCall, axes: Sequence[int]) -> list[int]:
    rank = call.inputs.ndim
    axes = [whole_number(axis, "an axis") for axis in axes]
    if not all(-rank <= axis < rank for axis in axes):
        raise call.wrong_shape(f"is told of axes {axes}", f"pass axes from {-rank} to {rank - 1}")
    return [axis % rank for axis in axes]


def _standardized(x: jax.Array, axes: Iterable[int], epsilon: float) -> jax.Array:
    """Return x with mean 0 and variance 1 over some axes, in float32 at least."""
    over = tuple(axes)
    x = at_least_float32(made_once(x))
    x = x - jnp.mean(x, over, keepdims=True)
    return x * lax.rsqrt(jnp.mean(jnp.square(x), over, keepdims=True) + epsilon)


def _affine(
    call: LayerCall, x: jax.Array, shape: Sequence[int], axis: int | None, beta_is: Any, gamma_is: Any
) -> jax.Array:
    """Return `x * gamma + beta` in the input's dtype; None for an axis means the last ones.

    What the variables are like is (initializer, regularizer, constraint), or None where there is none.
    """
    beta = None if beta_is is None else call.variable("beta", shape, *beta_is)
    gamma = None if gamma_is is None else call.variable("gamma", shape, *gamma_is)
    x, beta, gamma = promote(x, beta, gamma)
    if gamma is not None:
        x = x * _along(gamma, x, axis)
    if beta is not None:
        x = x + _along(beta, x, axis)
    return x.astype(call.floating().dtype)


def _along(array: jax.Array, x: jax.Array, axis: int | None) -> jax.Array:
    """Return a vector in a shape that is broadcast along one axis of x; None means the last ones of both."""
    if axis is None:
        return with_rank_of(array, x)
    return array.reshape([-1 if at == axis % x.ndim else 1 for at in range(x.ndim)])
