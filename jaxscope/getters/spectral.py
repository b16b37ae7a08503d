"""Spectral norm: weights divided by their largest singular value."""

# ruff: noqa: N801 - getters are called as functions are
import dataclasses
import math

import jax
import jax.numpy as jnp

from jaxscope.getters.arguments import check_flag
from jaxscope.getters.asking import Asked, Start
from jaxscope.getters.getter import Getter, Loss
from jaxscope.getters.requests import Request
from jaxscope.getters.weights import no_constraint, wide_dtype
from jaxscope.getters.where import Where

_FIRST = 15  # iterations by which u begins


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class spectral_norm(Getter):
    """Return a getter that divides weights by an estimate of their largest singular value.

    A weight counts as a matrix with its last axis as columns. The singular vector `u`, of the shape of the
    last axis, is state below the weight's name. With `training` it takes one step of the power iteration in
    each call of `net.apply_with_state`, however often the weight is asked for in it, and the weight is
    divided by what the new `u` gives; else by what the stored one gives. So a call with `training`, and one
    without it of what came out, compute with the same weights. `u` begins after 15 steps from a fixed vector.
    It is for trainable variables of a floating dtype with two axes or more. A loss on a weight is on what the
    model gets.

    Args:
        where: A regular expression that full names match at their start, a predicate of a
            `js.getters.Request`, or None for all weights.
        training: Whether `u` takes a step: a Python bool, given where the getter is made.

    Raises:
        GetterError: An argument is none (code `getter_argument`); or, when it is used, the weight has a
            constraint, which it cannot keep (code `getter_constraint`).
        StateError: With `training`, in plain `net.apply`, or in a transform that loses what is written.
        VariableNotFoundError: At the end of a call, in which the pattern matched nothing.

    Source:
        Miyato et al., "Spectral Normalization for Generative Adversarial Networks", 2018.

    Example:
        >>> @js.transform
        ... def net(x, training):
        ...     with js.variable_scope("", custom_getter=js.getters.spectral_norm(training=training)):
        ...         return js.layers.dense(x, 2, use_bias=False)
        >>> variables = net.init(jax.random.key(0), jnp.ones([1, 3]), False)
        >>> _, state = net.apply_with_state(variables, jnp.ones([1, 3]), True)
        >>> list(state)
        ['dense/kernel/u']
        >>> kernel = js.getters.fold(net, variables | state, jnp.ones([1, 3]), False)["dense/kernel"]
        >>> float(jnp.linalg.svd(kernel, compute_uv=False)[0].round(4))
        1.0
    """

    where: Where = None
    training: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_flag(self, "training")

    def unfit(self, request: Request) -> str:
        return request.unfit_as_weight()

    def get(self, asked: Asked) -> jax.Array:
        request = asked.request
        no_constraint(self, request)
        w = asked.base(regularizer=None)
        last = w.ndim - 1
        u = asked.state(
            "u",
            (w.shape[last],),
            wide_dtype(request.dtype),
            asked.start(Start(_first), w.shape),
            axes=(last,),
            regularizer=Loss.of(asked, self, "u"),
        )
        vector = u.value
        if self.training and u.made:
            vector = _step(_matrix(w), vector)
            u.set(vector)
        return self.combine(request, w, vector)

    def combine(self, request: Request, *values: jax.Array) -> jax.Array:
        w, u = values
        matrix = _matrix(w)
        right = _unit(jax.lax.stop_gradient(u).astype(matrix.dtype))
        left = _unit(jax.lax.stop_gradient(matrix) @ right)
        largest = left @ (matrix @ right)
        largest = jnp.where(largest > 0, largest, jnp.ones_like(largest))
        return (w.astype(matrix.dtype) / largest).astype(w.dtype)


def _matrix(weight: jax.Array) -> jax.Array:
    rows = math.prod(weight.shape[:-1])
    return weight.reshape(rows, weight.shape[-1]).astype(wide_dtype(weight.dtype))


def _unit(vector: jax.Array) -> jax.Array:
    length = jnp.sqrt(jnp.sum(jnp.square(vector)))
    return vector / jnp.where(length > 0, length, jnp.ones_like(length))


def _step(matrix: jax.Array, u: jax.Array) -> jax.Array:
    """Return the vector after a step of the power iteration."""
    matrix = jax.lax.stop_gradient(matrix)
    u = _unit(u.astype(matrix.dtype))
    new: jax.Array = _unit(_unit(matrix @ u) @ matrix)
    return new


def _first(weight: jax.Array) -> jax.Array:
    """Return the vector that belongs to the initial value of a weight."""
    matrix = _matrix(weight)
    # Numbers as good as any, so that they are hardly orthogonal to what is looked for.
    fixed = jax.random.normal(jax.random.key(0, impl="threefry2x32"), (matrix.shape[1],), matrix.dtype)
    first: jax.Array = jax.lax.fori_loop(0, _FIRST, lambda _, u: _step(matrix, u), _unit(fixed))
    return first
