"""Normalization by the statistics of a batch, or by moving averages of them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import jax
from jax.typing import ArrayLike

import jaxscope as js
from jaxscope.layers.batch_statistics import Renorm, normalize
from jaxscope.layers.call import Constraint, LayerCall, Regularizer
from jaxscope.layers.checks import static_flag, whole_number


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
    renorm: bool = False,
    renorm_clipping: Mapping[str, ArrayLike] | None = None,
    renorm_momentum: float = 0.99,
    fused: bool | None = None,
    virtual_batch_size: int | None = None,
    adjustment: Callable[[tuple[int, ...]], tuple[ArrayLike, ArrayLike]] | None = None,
    *,
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
        renorm: Whether to correct the batch's statistics towards slow averages of them, as batch
            renormalization does. Further variables are `moving_stddev`, `renorm_mean`, `renorm_stddev`.
        renorm_clipping: Limits of that correction, a factor and a shift: `rmin`, `rmax`, `dmax`.
        renorm_momentum: The share of these slow averages that stays in a step.
        fused: Whether to do as TF1's fused operation, whose `moving_variance` steps towards the variance over
            n - 1. It is for images of at most 32 bits with channels on axis 1 or 3; None for all those, and
            where it cannot be, it is as False.
        virtual_batch_size: The size of parts of the batch that have statistics of their own in training, by
            whose mean the moving averages step; None for the whole batch. An example's part is its place
            modulo the number of parts, and variables have an axis for each of the input's and one more.
        adjustment: A function of the input's shape that returns a factor and a shift, which are applied in
            training before `gamma` and `beta`.
        axis_name: The name of an axis of `jax.vmap` or `jax.shard_map`, or several, along which there are
            more parts of the batch.
        updates_collection: The collection that the new moving averages are added to, for whoever wants to see
            them; None for none. They are set in any case.
        dtype: The dtype of the variables; None for the input's, or float32 for 16 bits.

    Returns:
        An array like the input; it is computed in float32 at least.

    Raises:
        InvalidShapeError: An axis is none of the input's, or the batch is no multiple of its parts.
        InvalidDtypeError: The input is of an integer dtype.
        ValueError: An argument has no meaning, or not together with another.
        StateError: In training, and `apply` was called instead of `apply_with_state`.
        TraceError: `training` is traced.

    Source:
        `tf.layers.batch_normalization`; for `renorm`, Ioffe, "Batch Renormalization", 2017.

    Example:
        >>> net = js.transform(lambda x, training: js.layers.batch_normalization(x, training=training))
        >>> x = jnp.array([[1.0], [3.0]])
        >>> variables = net.init(jax.random.key(0), x, False)
        >>> y, state = net.apply_with_state(variables, x, True)
        >>> y.round(2), state["batch_normalization/moving_mean"]
        (Array([[-1.],
               [ 1.]], dtype=float32), Array([0.02], dtype=float32))
    """
    _check_together(virtual_batch_size, adjustment, axis_name)
    with LayerCall("batch_normalization", inputs, name, reuse, trainable=trainable, dtype=dtype) as call:
        if dtype is None:
            call.widen()
        axes = _axes(call, axis)
        in_training = static_flag(training, "training")
        if virtual_batch_size is not None and (
            0 in axes or (in_training and call.inputs.shape[0] % virtual_batch_size)
        ):
            raise call.wrong_shape(
                f"has channels on axis {axis}, and parts of {virtual_batch_size} examples",
                "let the size of the parts divide the batch, on an axis 0 without channels",
            )
        plain = not renorm and virtual_batch_size is None and adjustment is None
        fusible = plain and call.inputs.ndim == 4 and axes in ([1], [3]) and call.inputs.dtype.itemsize <= 4
        gamma = (gamma_initializer, gamma_regularizer, gamma_constraint) if scale else None
        beta = (beta_initializer, beta_regularizer, beta_constraint) if center else None
        return normalize(
            call,
            axes,
            {"gamma": gamma, "beta": beta},
            (moving_mean_initializer, moving_variance_initializer),
            epsilon,
            training=in_training,
            momentum=momentum if trainable else None,
            unbiased=fusible and fused is not False,
            axis_name=axis_name,
            collection=updates_collection,
            virtual=virtual_batch_size,
            renorm=Renorm.of(renorm_clipping, renorm_momentum) if renorm else None,
            adjustment=adjustment,
        )


def _check_together(virtual_batch_size: int | None, adjustment: Any, axis_name: Any) -> None:
    if virtual_batch_size is None:
        return
    if not isinstance(cast(object, virtual_batch_size), int) or virtual_batch_size < 1:
        raise ValueError(
            f"virtual_batch_size must be a whole number above 0 or None, not {virtual_batch_size!r}"
        )
    if adjustment is not None or axis_name is not None:
        raise ValueError("parts of a batch have no adjustment, and are not spread along a named axis")


def _axes(call: LayerCall, axis: int | Iterable[int]) -> list[int]:
    rank = call.inputs.ndim
    if rank == 0:
        raise call.wrong_shape("takes an input of one axis or more", "give it axes of batch and channels")
    given = [whole_number(one, "axis") for one in (axis if isinstance(axis, Iterable) else [axis])]
    axes = [one % rank for one in given if -rank <= one < rank]
    if not given or len(set(axes)) < len(given):
        fix = f"pass axes from {-rank} to {rank - 1}, each once"
        raise call.wrong_shape(f"has channels on axis {axis}", fix)
    return axes
