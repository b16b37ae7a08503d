"""Weights as directions and lengths; and what getters have in common that make a weight of others."""

# ruff: noqa: N801 - getters are called as functions are
import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

import jaxscope as js
from jaxscope.getters.arguments import check_whole
from jaxscope.getters.asking import Asked, Start
from jaxscope.getters.getter import Getter, Loss
from jaxscope.getters.requests import Request
from jaxscope.getters.where import Where


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class weight_norm(Getter):
    """Return a getter that makes weights as `g * v / norm(v)`: a length for each output, and a direction.

    The variable of the weight's own name is v, and `g`, of the shape of the weight's last axis, is below it;
    norms are over all other axes. `g` begins with the norms of v, so that the model begins as without. It is
    for trainable variables of a floating dtype with two axes or more. A loss on a weight is on what the
    model gets.

    Args:
        where: A regular expression that full names match at their start, a predicate of a
            `js.getters.Request`, or None for all weights.
        axis: The axis of the outputs.

    Raises:
        GetterError: An argument is none (code `getter_argument`); or, when it is used, the weight has a
            constraint, which it cannot keep (code `getter_constraint`).
        VariableNotFoundError: At the end of a call, in which the pattern matched nothing.

    Source:
        Salimans and Kingma, "Weight Normalization", 2016.

    Example:
        >>> @js.transform
        ... def net(x):
        ...     with js.variable_scope("", custom_getter=js.getters.weight_norm()):
        ...         return js.layers.dense(x, 2)
        >>> variables = net.init(jax.random.key(0), jnp.ones([1, 3]))
        >>> {name: v.shape for name, v in variables.items()}
        {'dense/bias': (2,), 'dense/kernel': (3, 2), 'dense/kernel/g': (2,)}
    """

    where: Where = None
    axis: int = -1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole(self, "axis")

    def unfit(self, request: Request) -> str:
        return request.unfit_as_weight() or no_axis(request, self.axis)

    def get(self, asked: Asked) -> jax.Array:
        request = asked.request
        no_constraint(self, request)
        v = asked.base(regularizer=None)
        axis = self.axis % v.ndim
        g = asked.below(
            "g",
            (v.shape[axis],),
            request.dtype,
            asked.start(Start(lengths, axis=axis), v.shape),
            axes=(axis,),
            regularizer=Loss.of(asked, self, "g"),
        )
        return self.combine(request, v, g)

    def combine(self, request: Request, *values: jax.Array) -> jax.Array:
        v, g = values
        axis = self.axis % v.ndim
        wide = wide_dtype(v.dtype)
        length = lengths(v.astype(wide), axis)
        factor = g.astype(wide) / jnp.where(length == 0, jnp.ones_like(length), length)
        return (v.astype(wide) * along(factor, axis, v.ndim)).astype(v.dtype)


def lengths(value: jax.Array, axis: int) -> jax.Array:
    """Return the Euclidean norms over all axes but one; where one is 0, so is its derivative."""
    others = tuple(at for at in range(value.ndim) if at != axis)
    square = jnp.sum(jnp.square(value.astype(wide_dtype(value.dtype))), others)
    there = square > 0
    length = jnp.where(there, jnp.sqrt(jnp.where(there, square, jnp.ones_like(square))), 0)
    return length.astype(value.dtype)


def along(vector: jax.Array, axis: int, rank: int) -> jax.Array:
    """Return a vector as an array of so many axes, along one of them."""
    return vector.reshape([-1 if at == axis else 1 for at in range(rank)])


def wide_dtype(dtype: Any) -> Any:
    """Return a dtype to sum in: float32 at least."""
    return jnp.dtype(jnp.float32) if jnp.dtype(dtype).itemsize < 4 else jnp.dtype(dtype)


def no_axis(request: Request, axis: int) -> str:
    """Return why an axis is none of a weight's; empty if it is one."""
    rank = 0 if request.shape is None else len(request.shape)
    return "" if -rank <= axis < rank else f"has no axis {axis}"


def no_constraint(getter: Getter, request: Request) -> None:
    """Raise `GetterError` where the model asks for a constraint on a weight, which is made of others.

    An optimizer would apply it to a variable that is not the weight.
    """
    if request.constraint is not None:
        raise js.errors.GetterError(
            f"{getter!r} cannot keep the constraint on {request.name!r}, which is made of others",
            code="getter_constraint",
            fix="leave the constraint out, or choose other weights with where=",
        )
