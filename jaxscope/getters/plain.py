"""Plain getters: variables that are not trained, and variables times a factor."""

# ruff: noqa: N801 - getters are called as functions are
import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

import jaxscope as js
from jaxscope.getters.arguments import check_factor
from jaxscope.getters.asking import Asked
from jaxscope.getters.getter import Getter
from jaxscope.getters.requests import Request
from jaxscope.getters.weights import no_constraint
from jaxscope.getters.where import Where


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class freeze(Getter):
    """Return a getter that makes trainable variables as others, and lets no gradient through to them.

    What getters in front of it ask for in the place of a variable is trained as before: an adapter, say.

    Args:
        where: A regular expression that full names match at their start, a predicate of a
            `js.getters.Request`, or None for all that are trainable.

    Raises:
        GetterError: `where` is something else (code `getter_argument`).
        VariableNotFoundError: At the end of a call, in which the pattern matched nothing.

    Example:
        >>> @js.transform
        ... def net(x):
        ...     with js.variable_scope("", custom_getter=js.getters.freeze("body/")):
        ...         return js.layers.dense(js.layers.dense(x, 3, name="body"), 2, name="head")
        >>> list(net.init(jax.random.key(0), jnp.ones([1, 3])).trainable)
        ['head/bias', 'head/kernel']
    """

    where: Where = None

    def unfit(self, request: Request) -> str:
        return "" if request.trainable else "is not trainable"

    def get(self, asked: Asked) -> jax.Array:
        return asked.frozen()


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class scale(Getter):
    """Return a getter that gives weights times a factor.

    It is for trainable variables of a floating dtype with two axes or more. A loss on a weight is on what the
    model gets.

    Args:
        factor: A number, an array of a shape that broadcasts to the weight's, or a function of a
            `js.getters.Request` that returns one. `lambda request: (2 / fan_in) ** 0.5` with initial values
            of variance 1 is the equalized learning rate of Karras et al., 2018.
        where: A regular expression that full names match at their start, a predicate of a
            `js.getters.Request`, or None for all weights.

    Raises:
        GetterError: `where` is something else (code `getter_argument`); or, when it is used, the weight has a
            constraint, which it cannot keep (code `getter_constraint`).
        VariableNotFoundError: At the end of a call, in which the pattern matched nothing.

    Example:
        >>> @js.transform
        ... def net():
        ...     with js.variable_scope("a", custom_getter=js.getters.scale(0.5)):
        ...         return js.get_variable("w", [1, 2])
        >>> net.apply({"a/w": jnp.ones([1, 2])})
        Array([[0.5, 0.5]], dtype=float32)
    """

    factor: Any
    where: Where = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_factor(self, "factor")

    def unfit(self, request: Request) -> str:
        return request.unfit_as_weight()

    def get(self, asked: Asked) -> jax.Array:
        request = asked.request
        no_constraint(self, request)
        loss = asked.regularizer
        if loss is not None and loss is not js.no_regularizer:
            loss = _OfScaled(loss, self, request)
        return self.combine(request, asked.base(regularizer=loss))

    def combine(self, request: Request, *values: jax.Array) -> jax.Array:
        (value,) = values
        factor = self.factor(request._replace(shape=value.shape)) if callable(self.factor) else self.factor
        factor = jnp.asarray(factor)
        if factor.ndim > value.ndim or any(
            size not in (1, whole) for size, whole in zip(factor.shape[::-1], value.shape[::-1], strict=False)
        ):
            raise js.errors.GetterError(
                f"the factor of js.getters.scale, of shape {factor.shape}, does not fit {request}",
                code="getter_argument",
                fix="return a factor for each weight from a function of the request, or choose with where=",
            )
        return value * jnp.broadcast_to(factor, value.shape).astype(value.dtype)


class _OfScaled:
    """A loss on a weight times a factor."""

    def __init__(self, regularizer: Callable[[jax.Array], Any], getter: scale, request: Request) -> None:
        self.regularizer = regularizer
        self.getter = getter
        self.request = request

    def __call__(self, value: jax.Array) -> Any:
        """Return the loss for the weight as it is stored."""
        return self.regularizer(self.getter.combine(self.request, value))
