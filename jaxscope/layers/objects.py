"""Layers as objects: a function with its arguments, whose calls in a pass share one scope."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import jaxscope as js


class Layer:
    """A layer whose calls share their variables: the first call of a pass makes them, later ones reuse them.

    The scope is opened where the first call is, with the layer's default name and a number if that is taken.
    `js.layers.Dense(3)` is `Layer(js.layers.dense, "dense", 3)`, and so are the others: one for each
    function.

    Args:
        function: What is called with the inputs, then these arguments.
        default_name: The scope's name.
        *args: Arguments of the function after its inputs.
        name: Another name for the scope; it is numbered as well.
        **kwargs: Arguments of the function by keyword.

    Raises:
        InvalidNameError: The name cannot be one.

    Source:
        `tf.layers.Layer`.

    Example:
        >>> @js.transform
        ... def net(a, b):
        ...     encode = js.layers.Dense(3, activation=jnp.tanh)
        ...     return encode(a) - encode(b)
        >>> list(net.spec(jnp.ones([1, 4]), jnp.ones([1, 4])))
        ['dense/kernel', 'dense/bias']
    """

    def __init__(
        self,
        function: Callable[..., Any],
        default_name: str,
        *args: Any,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        order = list(inspect.signature(function).parameters)[1 : 1 + len(args)]
        if "name" in order:
            # As in TF1, a name may come by position.
            kwargs = {**dict(zip(order, args, strict=True)), **kwargs}
            args, name = (), kwargs.pop("name")
        self._function = function
        self._name = name or default_name
        self._args = args
        self._kwargs = kwargs
        # What is opened under reuse is the layer of that very name.
        unique = self._name if kwargs.get("reuse") else None
        # Not of a method: a template that holds its holder lives until Python looks for such circles.
        in_scope = functools.partial(_in_scope, function, args, kwargs)
        self._template = js.make_template(self._name, in_scope, unique_name_=unique)

    def __call__(self, *inputs: Any, **kwargs: Any) -> Any:
        """Return what the function gives for these inputs, in the layer's scope.

        Args:
            *inputs: What the function takes first.
            **kwargs: Further arguments of the function, such as `training`.

        Raises:
            VariableNotFoundError: A later call would make a variable.
            JaxscopeError: What the function raises.
        """
        return self._template(*inputs, **kwargs)

    @property
    def scope(self) -> js.VariableScope | None:
        """The layer's scope in this pass; None before the first call."""
        return self._template.variable_scope

    def __repr__(self) -> str:
        given = [*map(repr, self._args), *(f"{name}={value!r}" for name, value in self._kwargs.items())]
        return f"<{self._function.__name__} {self._name!r}: {', '.join(given)}>"


def _in_scope(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    /,
    *inputs: Any,
    **others: Any,
) -> Any:
    # An empty name keeps the scope that is open: the template's.
    return function(*inputs, *args, name="", **{**kwargs, **others})
