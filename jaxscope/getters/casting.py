"""Casts: variables stored in one dtype, and computed with in another."""

# ruff: noqa: N801 - getters are called as functions are
import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jaxscope.getters.arguments import wrong
from jaxscope.getters.asking import Asked
from jaxscope.getters.getter import Getter
from jaxscope.getters.requests import Request, as_dtype, constant, is_constant, is_floating
from jaxscope.getters.where import Where


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class cast(Getter):
    """Return a getter that stores variables in one dtype, whatever is asked for, and gives them in another.

    It is for trainable variables of a floating dtype, and for those that getters in front of it ask for in
    their place. State keeps the dtype that it is asked for in, so that averages are not rounded; a predicate
    may choose it, too.

    Args:
        compute: The dtype that the model gets: "bfloat16", say. Gradients come back in `store`.
        store: The dtype of the variables, and so of gradients and of what an optimizer keeps; None for what
            the model asks for.
        where: A regular expression that full names match at their start, a predicate of a
            `js.getters.Request`, or None for all.

    Raises:
        GetterError: One is no floating dtype, or `where` is something else (code `getter_argument`).
        VariableNotFoundError: At the end of a call, in which the pattern matched nothing.

    Example:
        >>> def model(x):
        ...     return js.layers.dense(x, 2)
        >>> @js.transform
        ... def net(x):
        ...     with js.variable_scope("", custom_getter=js.getters.cast("bfloat16")):
        ...         return model(x.astype(jnp.bfloat16))
        >>> variables = net.init(jax.random.key(0), jnp.ones([1, 3]))
        >>> variables["dense/kernel"].dtype, net.apply(variables, jnp.ones([1, 3])).dtype
        (dtype('float32'), dtype(bfloat16))
    """

    compute: Any
    store: Any = "float32"
    where: Where = None

    follows = True

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("compute", "store"):
            given = getattr(self, name)
            if name == "compute" or given is not None:
                try:
                    dtype = None if given is None else jnp.dtype(given)
                except TypeError:
                    dtype = None
                if dtype is None or not is_floating(dtype):
                    raise wrong(self, name, "a floating dtype", given, '"bfloat16"')
                object.__setattr__(self, name, str(dtype.name))

    def unfit(self, request: Request) -> str:
        return "" if request.floating else "is of no floating dtype"

    def get(self, asked: Asked) -> jax.Array:
        changes: dict[str, Any] = {}
        if self.store is not None:
            changes["dtype"] = store = as_dtype(self.store)
            if is_constant(asked.request.initializer):
                changes["initializer"] = constant(asked.request.initializer).astype(store)
        value = asked.base(**changes)
        return value.astype(as_dtype(self.compute)) if is_floating(value.dtype) else value
