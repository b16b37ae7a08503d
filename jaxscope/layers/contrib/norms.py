"""contrib's normalizations."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

import jaxscope as js
from jaxscope.layers import norms as plain
from jaxscope.layers.arrays import at_least_float32
from jaxscope.layers.batch_statistics import Renorm, normalize
from jaxscope.layers.call import Activation, LayerCall
from jaxscope.layers.checks import static_flag
from jaxscope.layers.contrib.scope import Collections, data_format_of, finish, model_scope


def batch_norm(
    inputs: ArrayLike,
    decay: float = 0.999,
    center: bool = True,
    scale: bool = False,
    epsilon: float = 0.001,
    activation_fn: Activation = None,
    param_initializers: Mapping[str, Any] | None = None,
    param_regularizers: Mapping[str, Any] | None = None,
    updates_collections: str | None = js.GraphKeys.UPDATE_OPS,
    is_training: bool = True,
    reuse: Any = None,
    variables_collections: Collections = None,
    outputs_collections: Any = None,
    trainable: bool = True,
    fused: bool | None = None,
    data_format: str | None = "NHWC",
    scope: Any = None,
    renorm: bool = False,
    renorm_clipping: Mapping[str, ArrayLike] | None = None,
    renorm_decay: float = 0.99,
    adjustment: Callable[[tuple[int, ...]], tuple[ArrayLike, ArrayLike]] | None = None,
) -> jax.Array:
    """Return the input with mean 0 and variance 1, as `js.layers.batch_normalization` with other defaults.

    Args:
        inputs: `[batch, ..., channels]`, or channels after the batch for NCHW.
        decay: The share of a moving average that stays in a step.
        center: Whether there is a `beta`.
        scale: Whether there is a `gamma`.
        epsilon: What is added to the variance.
        activation_fn: A function of the result; None for none.
        param_initializers: How `beta`, `gamma`, `moving_mean`, `moving_variance` begin, by these names.
        param_regularizers: Losses on `beta` and `gamma`, by these names.
        updates_collections: The collection that new moving averages are added to; None for none.
        is_training: Whether to use the batch and to take a step.
        reuse: Whether the scope shares variables.
        variables_collections: Further collections of the variables.
        outputs_collections: Collections to add the result to.
        trainable: Whether `beta` and `gamma` are trainable.
        fused: Whether the moving variance is that over n - 1, of inputs of 2 and 4 axes; None for True.
        data_format: "NHWC" or "NCHW".
        scope: The scope; None for `BatchNorm`, `BatchNorm_1`, ...
        renorm: Whether to correct the batch's statistics towards slow averages of them.
        renorm_clipping: Limits of that correction: `rmin`, `rmax`, `dmax`.
        renorm_decay: The share of these slow averages that stays in a step.
        adjustment: A function of the input's shape that returns a factor and a shift, for training.

    Returns:
        An array like the input.

    Raises:
        JaxscopeError: As `js.layers.batch_normalization`.
        ValueError: `renorm_clipping` has other names.

    Source:
        `tf.contrib.layers.batch_norm`.

    Example:
        >>> net = js.transform(lambda x: js.layers.contrib.batch_norm(x, is_training=False))
        >>> for name in net.spec(jnp.ones([4, 3])):
        ...     print(name)
        BatchNorm/beta
        BatchNorm/moving_mean
        BatchNorm/moving_variance
    """
    begin, losses = param_initializers or {}, param_regularizers or {}
    first = data_format_of(data_format) == "channels_first"
    with (
        model_scope(scope, "BatchNorm", reuse, variables_collections),
        LayerCall("BatchNorm", inputs, "", None, trainable=trainable) as call,
    ):
        call.widen()
        rank = call.inputs.ndim
        gamma = (begin.get("gamma", js.initializers.ones), losses.get("gamma")) if scale else None
        beta = (begin.get("beta", js.initializers.zeros), losses.get("beta")) if center else None
        weights = {"gamma": gamma, "beta": beta}
        is_fused = fused is not False and rank in {2, 4} and not renorm and adjustment is None
        # contrib has two ways: its own, which is fused, and that of the layer in tf.layers.
        own_way = is_fused and (rank == 2 or updates_collections != js.GraphKeys.UPDATE_OPS)
        if own_way:
            weights = {"beta": beta, "gamma": gamma}
        outputs = normalize(
            call,
            [1 if first else rank - 1],
            weights,
            (
                begin.get("moving_mean", js.initializers.zeros),
                begin.get("moving_variance", js.initializers.ones),
            ),
            epsilon,
            training=static_flag(is_training, "is_training"),
            momentum=decay if trainable or own_way else None,
            unbiased=is_fused and call.inputs.dtype.itemsize <= 4,
            collection=updates_collections,
            renorm=Renorm.of(renorm_clipping, renorm_decay) if renorm else None,
            adjustment=adjustment,
        )
        return finish(outputs, None, None, activation_fn, outputs_collections)


def layer_norm(
    inputs: ArrayLike,
    center: bool = True,
    scale: bool = True,
    activation_fn: Activation = None,
    reuse: Any = None,
    variables_collections: Collections = None,
    outputs_collections: Any = None,
    trainable: bool = True,
    begin_norm_axis: int = 1,
    begin_params_axis: int = -1,
    scope: Any = None,
) -> jax.Array:
    """Return each example with mean 0 and variance 1, as `js.layers.layer_norm` does.

    Args:
        inputs: `[batch, ...]`.
        center: Whether there is a `beta`.
        scale: Whether there is a `gamma`.
        activation_fn: A function of the result; None for none.
        reuse: Whether the scope shares variables.
        variables_collections: Further collections of the variables.
        outputs_collections: Collections to add the result to.
        trainable: Whether the variables are trainable.
        begin_norm_axis: The first axis that the mean goes over.
        begin_params_axis: The first axis that `beta` and `gamma` have.
        scope: The scope; None for `LayerNorm`, `LayerNorm_1`, ...

    Returns:
        An array like the input.

    Raises:
        JaxscopeError: As `js.layers.layer_norm`.

    Source:
        `tf.contrib.layers.layer_norm`.

    Example:
        >>> specs = js.transform(js.layers.contrib.layer_norm).spec(jnp.ones([2, 3]))
        >>> specs["LayerNorm/beta"].collections
        ('variables', 'model_variables', 'trainable_variables')
    """
    with model_scope(scope, "LayerNorm", reuse, variables_collections):
        outputs = plain.layer_norm(
            inputs, center, scale, None, None, trainable, begin_norm_axis, begin_params_axis, name=""
        )
        return finish(outputs, None, None, activation_fn, outputs_collections)


def group_norm(
    inputs: ArrayLike,
    groups: int = 32,
    channels_axis: int = -1,
    reduction_axes: Sequence[int] = (-3, -2),
    center: bool = True,
    scale: bool = True,
    epsilon: float = 1e-6,
    activation_fn: Activation = None,
    param_initializers: Mapping[str, Any] | None = None,
    reuse: Any = None,
    variables_collections: Collections = None,
    outputs_collections: Any = None,
    trainable: bool = True,
    scope: Any = None,
) -> jax.Array:
    """Return each group of channels with mean 0 and variance 1, as `js.layers.group_norm` does.

    Args:
        inputs: `[batch, ..., channels]`.
        groups: The number of groups.
        channels_axis: The axis of the channels.
        reduction_axes: The axes that a mean goes over, beside the channels of a group.
        center: Whether there is a `beta`.
        scale: Whether there is a `gamma`.
        epsilon: What is added to the variance.
        activation_fn: A function of the result; None for none.
        param_initializers: How `beta` and `gamma` begin, by these names.
        reuse: Whether the scope shares variables.
        variables_collections: Further collections of the variables.
        outputs_collections: Collections to add the result to.
        trainable: Whether the variables are trainable.
        scope: The scope; None for `GroupNorm`, `GroupNorm_1`, ...

    Returns:
        An array like the input.

    Raises:
        JaxscopeError: As `js.layers.group_norm`.

    Source:
        `tf.contrib.layers.group_norm`.

    Example:
        >>> net = js.transform(lambda x: js.layers.contrib.group_norm(x, groups=2))
        >>> list(net.spec(jnp.ones([1, 3, 3, 4])))
        ['GroupNorm/beta', 'GroupNorm/gamma']
    """
    with model_scope(scope, "GroupNorm", reuse, variables_collections):
        outputs = plain.group_norm(
            inputs,
            groups,
            channels_axis,
            reduction_axes,
            center,
            scale,
            epsilon,
            trainable=trainable,
            name="",
            **_initializers(param_initializers),
        )
        return finish(outputs, None, None, activation_fn, outputs_collections)


def instance_norm(
    inputs: ArrayLike,
    center: bool = True,
    scale: bool = True,
    epsilon: float = 1e-6,
    activation_fn: Activation = None,
    param_initializers: Mapping[str, Any] | None = None,
    reuse: Any = None,
    variables_collections: Collections = None,
    outputs_collections: Any = None,
    trainable: bool = True,
    data_format: str | None = "NHWC",
    scope: Any = None,
) -> jax.Array:
    """Return each channel with mean 0 and variance 1, as `js.layers.instance_norm` does.

    Args:
        inputs: `[batch, ..., channels]`, or channels after the batch for NCHW.
        center: Whether there is a `beta`.
        scale: Whether there is a `gamma`.
        epsilon: What is added to the variance.
        activation_fn: A function of the result; None for none.
        param_initializers: How `beta` and `gamma` begin, by these names.
        reuse: Whether the scope shares variables.
        variables_collections: Further collections of the variables.
        outputs_collections: Collections to add the result to.
        trainable: Whether the variables are trainable.
        data_format: "NHWC" or "NCHW".
        scope: The scope; None for `InstanceNorm`, `InstanceNorm_1`, ...

    Returns:
        An array like the input.

    Raises:
        JaxscopeError: As `js.layers.instance_norm`.

    Source:
        `tf.contrib.layers.instance_norm`.

    Example:
        >>> list(js.transform(js.layers.contrib.instance_norm).spec(jnp.ones([1, 3, 3, 4])))
        ['InstanceNorm/beta', 'InstanceNorm/gamma']
    """
    with model_scope(scope, "InstanceNorm", reuse, variables_collections):
        outputs = plain.instance_norm(
            inputs,
            center,
            scale,
            epsilon,
            trainable=trainable,
            data_format=data_format_of(data_format),
            name="",
            **_initializers(param_initializers),
        )
        return finish(outputs, None, None, activation_fn, outputs_collections)


def unit_norm(inputs: ArrayLike, dim: int, epsilon: float = 1e-7, scope: Any = None) -> jax.Array:
    """Return the input divided by its length along one axis.

    Args:
        inputs: Any shape, of a floating dtype.
        dim: The axis.
        epsilon: What is added to the square of a length.
        scope: The scope, which has no variables; None for `UnitNorm`.

    Returns:
        An array like the input.

    Source:
        `tf.contrib.layers.unit_norm`.

    Example:
        >>> js.transform(js.layers.contrib.unit_norm).apply({}, jnp.array([[3.0, 4.0]]), 1)
        Array([[0.6, 0.8]], dtype=float32)
    """
    with LayerCall("UnitNorm", inputs, scope, None) as call:
        x = at_least_float32(call.inputs)
        x = x * lax.rsqrt(jnp.sum(jnp.square(x), dim, keepdims=True) + epsilon)
        return x.astype(call.inputs.dtype)


def _initializers(given: Mapping[str, Any] | None) -> dict[str, Any]:
    return {f"{name}_initializer": initializer for name, initializer in (given or {}).items()}
