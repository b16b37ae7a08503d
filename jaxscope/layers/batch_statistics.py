"""Statistics of a batch: their computation, and the moving averages that step towards them."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import jaxscope as js
from jaxscope.layers.arrays import at_least_float32, made_once, promote
from jaxscope.layers.call import LayerCall
from jaxscope.sites import users_line


class Renorm(NamedTuple):
    """How the statistics of a batch are corrected towards slow averages of them.

    Attributes:
        rmin: The smallest factor, or None.
        rmax: The largest factor, or None.
        dmax: The largest shift, in either direction, or None.
        momentum: The share of a slow average that stays in a step.
    """

    rmin: Any
    rmax: Any
    dmax: Any
    momentum: float

    @classmethod
    def of(cls, clipping: Mapping[str, Any] | None, momentum: float) -> "Renorm":
        """Return the correction with these limits.

        Raises:
            ValueError: A limit has another name than those there are.
        """
        clipping = clipping or {}
        if not {*clipping} <= {"rmin", "rmax", "dmax"}:
            raise ValueError(f"renorm_clipping may have 'rmin', 'rmax' and 'dmax', and has {[*clipping]}")
        return cls(clipping.get("rmin"), clipping.get("rmax"), clipping.get("dmax"), momentum)


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
    collection: str | None,
    axis_name: Any = None,
    virtual: int | None = None,
    renorm: Renorm | None = None,
    adjustment: Callable[[tuple[int, ...]], tuple[Any, Any]] | None = None,
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
        collection: Where the values of steps are kept.
        axis_name: Named axes along which there are more parts of the batch.
        virtual: The size of parts of the batch that have statistics of their own.
        renorm: How statistics are corrected; None for not at all.
        adjustment: Gives a factor and a shift by the input's shape.
    """
    inputs = call.floating()
    x = at_least_float32(inputs)
    whole = [size if at in axes else 1 for at, size in enumerate(x.shape)]
    own = whole if len(axes) > 1 else [x.shape[axes[0]]]
    if virtual is not None:
        own = [1, *whole]
    made = {name: kind and call.variable(name, own, *kind) for name, kind in weights.items()}
    averages = _Averages(call, own, momentum, collection)
    mean, variance = averages.get("moving_mean", moving[0]), averages.get("moving_variance", moving[1])
    slow = mean, variance
    if renorm is not None:
        root = _root_of(moving[1])
        averages.get("moving_stddev", root)
        slow = averages.get("renorm_mean", moving[0]), averages.get("renorm_stddev", root)
    correction: list[Any] = []
    if training:
        parts = _size(call, axis_name)
        over = tuple(at for at in range(x.ndim) if at not in axes)
        if virtual is not None:
            # One axis more, along which the parts lie.
            x = x.reshape(virtual, x.shape[0] // virtual, *x.shape[1:])
            over, whole = (0, *(at + 1 for at in over[1:])), own
        mean, variance = _moments(x, over, axis_name)
        new_mean, new_variance = mean, variance
        if virtual is not None:
            new_mean, new_variance = mean.mean(1, keepdims=True), variance.mean(1, keepdims=True)
        n = math.prod(x.shape[at] for at in over) * parts
        averages.stands = x.size == 0
        averages.step("moving_mean", new_mean)
        if renorm is None:
            more = n / (n - 1) if unbiased and n > 1 else 1.0
            averages.step("moving_variance", new_variance * more)
        else:
            deviation = jnp.sqrt(new_variance + epsilon)
            correction = [_correction(renorm, slow, new_mean.reshape(own), deviation.reshape(own), epsilon)]
            averages.step("renorm_mean", new_mean, renorm.momentum)
            averages.step("renorm_stddev", deviation, renorm.momentum)
            moving_deviation = averages.step("moving_stddev", deviation)
            averages.set("moving_variance", jax.nn.relu(jnp.square(moving_deviation) - epsilon))
        if adjustment is not None:
            correction.append(tuple(jnp.asarray(part) for part in adjustment(x.shape)))
    else:
        mean, variance = mean.reshape(whole), variance.reshape(whole)
    gamma, beta = (None if made[name] is None else made[name].reshape(whole) for name in ("gamma", "beta"))
    x, mean, variance, gamma, beta = promote(x, mean, variance, gamma, beta)
    factor = lax.rsqrt(variance + epsilon)
    y: jax.Array = (x - mean) * (factor if gamma is None or correction else factor * gamma)
    for parts in correction:
        y, scale, shift = promote(y, *(_along(part, whole) for part in parts))
        y = y * scale + shift
    if correction and gamma is not None:
        y = y * gamma
    y = y if beta is None else y + beta
    return y.reshape(inputs.shape).astype(inputs.dtype)


class _Averages:
    """The variables of one call that are not trained, which step towards the statistics of a batch.

    Attributes:
        stands: Whether there is nothing to step towards: a batch without examples.
    """

    def __init__(
        self, call: LayerCall, shape: Sequence[int], momentum: float | None, collection: str | None
    ) -> None:
        self._call = call
        self._shape = shape
        self._momentum = momentum
        self._collection = collection
        self._stored: dict[str, jax.Array] = {}
        self.stands = False

    def get(self, name: str, initializer: Any) -> jax.Array:
        """Return a variable as the scope's getters give it."""
        value, self._stored[name] = self._call.state(name, self._shape, initializer)
        return value

    def step(self, name: str, target: jax.Array, momentum: float | None = None) -> jax.Array:
        """Return what a variable is after its step."""
        stored = self._stored[name]
        if self._momentum is None or self.stands:
            return stored
        old, target = promote(stored, lax.stop_gradient(target).reshape(stored.shape))
        size = _size_of_step(self._momentum if momentum is None else momentum).astype(old.dtype)
        new: jax.Array = (old - (old - target) * size).astype(stored.dtype)
        self.set(name, new)
        return new

    def set(self, name: str, new: jax.Array) -> None:
        """Set a variable, unless none is to change."""
        if self._momentum is None or self.stands:
            return
        if self._collection is not None and name in {"moving_mean", "moving_variance"}:
            js.add_to_collection(self._collection, new)
        js.set_variable(name, new)


def _moments(x: jax.Array, over: tuple[int, ...], axis_name: Any) -> tuple[jax.Array, jax.Array]:
    """Return mean and variance, also over named axes; the axes stay, with size 1."""
    x = made_once(x)
    mean = _over_names(jnp.mean(x, over, keepdims=True), axis_name)
    return mean, _over_names(jnp.mean(jnp.square(x - mean), over, keepdims=True), axis_name)


def _over_names(x: jax.Array, axis_name: Any) -> jax.Array:
    return x if axis_name is None else lax.pmean(x, axis_name)


def _size_of_step(momentum: Any) -> Any:
    """Return the share that a step adds, in float32, as TF1 has it; a momentum may be traced."""
    if isinstance(momentum, jax.Array):
        return (1 - momentum).astype(jnp.float32)
    return np.float32(1 - momentum)


def _size(call: LayerCall, axis_name: Any) -> int:
    """Return the number of parts of the batch along named axes."""
    try:
        return 1 if axis_name is None else lax.axis_size(axis_name)
    except NameError:
        raise js.errors.TraceError(
            f"{call.kind} takes means along axis_name={axis_name!r}, which no transform around it names",
            code="unbound_axis",
            at=users_line(),
            scope=str(call.scope),
            fix="call it inside jax.vmap(..., axis_name=...) or jax.shard_map; to make the variables, with "
            "training=False",
        ) from None


def _correction(
    renorm: Renorm, slow: tuple[jax.Array, jax.Array], mean: jax.Array, deviation: jax.Array, epsilon: float
) -> tuple[jax.Array, jax.Array]:
    """Return the factor and the shift that make of a normalized batch what slow averages would."""
    mean, deviation, slow_mean, slow_deviation = promote(mean, deviation, *slow)
    slow_deviation = jnp.maximum(slow_deviation, np.sqrt(epsilon).astype(slow_deviation.dtype))
    r, d = deviation / slow_deviation, (mean - slow_mean) / slow_deviation
    r = r if renorm.rmin is None else jnp.maximum(r, jnp.asarray(renorm.rmin, r.dtype))
    r = r if renorm.rmax is None else jnp.minimum(r, jnp.asarray(renorm.rmax, r.dtype))
    if renorm.dmax is not None:
        most = jnp.asarray(renorm.dmax, d.dtype)
        d = jnp.clip(d, -most, most)
    return lax.stop_gradient(r), lax.stop_gradient(d)


def _along(array: jax.Array, whole: Sequence[int]) -> jax.Array:
    """Return a number for each channel with as many axes as the input, and so anything else."""
    if array.size == math.prod(whole):
        return array.reshape(whole)
    return array.reshape((1,) * (len(whole) - array.ndim) + array.shape)


def _root_of(initializer: Any) -> Callable[..., jax.Array]:
    """Return an initializer of standard deviations, by that of variances."""
    start = initializer() if isinstance(initializer, type) else initializer

    def root(key: jax.Array, shape: Sequence[int], dtype: Any) -> jax.Array:
        return jnp.sqrt(start(key, shape, dtype))

    return root
