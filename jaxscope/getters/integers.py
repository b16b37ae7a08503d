"""Small numbers: weights that are stored as integers of 8 bits, and a scale for each output."""

# ruff: noqa: N801 - getters are called as functions are
import dataclasses
import operator
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp

import jaxscope as js
from jaxscope.getters.arguments import wrong
from jaxscope.getters.asking import Asked, Start
from jaxscope.getters.getter import Getter, Loss
from jaxscope.getters.requests import Request
from jaxscope.getters.weights import no_axis, wide_dtype
from jaxscope.getters.where import Where

_MOST = 127


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class int8(Getter):
    """Return a getter that stores weights as integers of 8 bits, times a scale for each output.

    A weight `w` is stored as `w/int8`, of its shape, and `w/scale` float32, neither of which is trained;
    there is no variable `w`. The model gets their product, in the dtype that it asks for. Each number is
    within half a scale of what it was, and a scale is the largest number of its output, without sign, over
    127. It is for trainable variables of a floating dtype with two axes or more, those included that a getter
    in front froze: `chain(lora(8), int8())` trains adapters of small weights. `js.getters.unfold` makes the
    variables from float ones. A loss on a weight is on what the model gets.

    Args:
        where: A regular expression that full names match at their start, a predicate of a
            `js.getters.Request`, or None for all weights.
        axis: The axis, or axes, along which there are scales: `0` for a table of embeddings, each row of
            which then has its own.

    Raises:
        GetterError: An argument is none (code `getter_argument`).
        DtypeMismatchError: What is given as `w/int8` is of another dtype.
        VariableNotFoundError: At the end of a call, in which the pattern matched nothing.

    Example:
        >>> def model(x):
        ...     return js.layers.dense(x, 2)
        >>> @js.transform
        ... def small(x):
        ...     with js.variable_scope("", custom_getter=js.getters.int8()):
        ...         return model(x)
        >>> x = jnp.ones([1, 3])
        >>> variables = js.transform(model).init(jax.random.key(0), x)
        >>> converted = js.getters.unfold(small, variables, x)
        >>> {name: str(v.dtype) for name, v in converted.items()}
        {'dense/bias': 'float32', 'dense/kernel/int8': 'int8', 'dense/kernel/scale': 'float32'}
    """

    where: Where = None
    axis: Any = -1

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            self._axes()
        except TypeError:
            raise wrong(self, "axis", "a whole number, or several", self.axis, "-1") from None

    def _axes(self) -> tuple[int, ...]:
        axes = self.axis if isinstance(self.axis, Iterable) else (self.axis,)
        return tuple(operator.index(axis) for axis in axes)

    def unfit(self, request: Request) -> str:
        wrong = (no_axis(request, axis) for axis in self._axes())
        return request.unfit_as_weight() or next(filter(None, wrong), "")

    def get(self, asked: Asked) -> jax.Array:
        request = asked.request
        shape = request.shape
        stored = asked.state(
            "int8",
            shape,
            jnp.int8,
            asked.start(Start(_integers, axes=self._axes()), shape),
            axes=range(0 if shape is None else len(shape)),
        )
        numbers = stored.value
        if numbers.dtype != jnp.int8:
            raise js.errors.DtypeMismatchError(
                f"variable {stored.name!r} holds integers of 8 bits, and is given as {numbers.dtype}",
                fix="js.getters.unfold makes such variables of those of the plain model",
            )
        axes = _positive(self._axes(), numbers.ndim)
        scales = asked.state(
            "scale",
            tuple(numbers.shape[axis] for axis in axes),
            jnp.float32,
            asked.start(Start(_scales, axes=self._axes()), shape),
            axes=axes,
            regularizer=Loss.of(asked, self, "scale"),
        )
        for part in (stored, scales):
            if part.changed:
                raise js.errors.GetterError(
                    f"a getter behind {self!r} changes {part.name!r}, which is only half of a weight",
                    code="getter_behind",
                    fix="give that getter to a scope inside, or let it look at the name",
                )
        return self.combine(request, numbers, scales.value)

    def combine(self, request: Request, *values: jax.Array) -> jax.Array:
        numbers, scales = values
        axes = _positive(self._axes(), numbers.ndim)
        wide = wide_dtype(request.dtype)
        factor = scales.astype(wide).reshape(_broadcast(numbers.shape, axes))
        return (numbers.astype(wide) * factor).astype(request.dtype)


def _positive(axes: tuple[int, ...], rank: int) -> tuple[int, ...]:
    """Return axes in order, each once."""
    return tuple(sorted({axis % rank for axis in axes}))


def _broadcast(shape: tuple[int, ...], axes: tuple[int, ...]) -> list[int]:
    return [size if at in axes else 1 for at, size in enumerate(shape)]


def _scales(weight: jax.Array, axes: tuple[int, ...]) -> jax.Array:
    """Return the scale of each output."""
    kept = _positive(axes, weight.ndim)
    others = tuple(at for at in range(weight.ndim) if at not in kept)
    return jnp.max(jnp.abs(weight.astype(jnp.float32)), others, initial=0.0) / _MOST


def _integers(weight: jax.Array, axes: tuple[int, ...]) -> jax.Array:
    """Return a weight over its scales, rounded."""
    kept = _positive(axes, weight.ndim)
    scales = _scales(weight, axes).reshape(_broadcast(weight.shape, kept))
    numbers = jnp.round(weight.astype(jnp.float32) / jnp.where(scales > 0, scales, jnp.ones_like(scales)))
    return jnp.clip(numbers, -_MOST, _MOST).astype(jnp.int8)
