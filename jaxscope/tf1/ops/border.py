"""Between JAX and a model of TensorFlow 1's: `tf1.function`, `tf1.placeholders`."""

import contextlib
import contextvars
import functools
from collections.abc import Callable, Generator
from typing import Any

import jax
import numpy as np

import jaxscope as js
from jaxscope.tf1.base.absent import building
from jaxscope.tf1.base.converting import as_array, convert_to_tensor
from jaxscope.tf1.base.dtypes import canonical
from jaxscope.tf1.base.errors import GraphLifeError, TensorTypeError, TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.shapes import TensorShape
from jaxscope.tf1.base.tensor import Operation, Tensor, is_tensor

__all__ = ["function", "placeholder", "placeholder_with_default", "placeholders"]


@export("function")
def function(model: Callable[..., Any]) -> Callable[..., Any]:
    """Return a model of TensorFlow 1's as a function of arrays, for `js.transform`.

    Args:
        model: A function of tensors, variables in scopes, and whatever else.

    Returns:
        The function. Arrays that it is given are tensors inside, in trees too; tensors and variables that it
        returns are arrays, and operations, as `tf.group` makes them, are None. All else stays as it is.

    Example:
        >>> double = function(lambda x: x * 2)
        >>> double(np.ones(2, np.float32))
        Array([2., 2.], dtype=float32)
    """

    @functools.wraps(model)
    def call(*args: Any, **kwargs: Any) -> Any:
        args, kwargs = jax.tree.map(_inside, (args, kwargs), is_leaf=is_tensor)
        return jax.tree.map(_outside, model(*args, **kwargs), is_leaf=is_tensor)

    return call


def _inside(value: Any) -> Any:
    # As data, not as constants that shapes are computed from: the same without `jax.jit` and with it.
    array = isinstance(value, jax.Array | np.ndarray)
    if not array or jax.numpy.issubdtype(value.dtype, jax.dtypes.extended):
        return value  # random keys stay arrays, for `js.random_keys`
    return convert_to_tensor(jax.numpy.asarray(value))


def _outside(value: Any) -> Any:
    if isinstance(value, Operation):
        return None
    return as_array(value) if is_tensor(value) else value


for _kind in (Tensor, Operation):  # so a model that is not wrapped returns arrays, too
    js.register_returned(_kind, _outside)


class _Fed:
    """The values of one `placeholders` block, and which of them were asked for."""

    def __init__(self, values: tuple[Any, ...], named: dict[str, Any]) -> None:
        self.values, self.named = list(values), dict(named)

    def take(self, name: str | None) -> tuple[bool, Any]:
        if name in self.named:
            return True, self.named.pop(name)
        return (True, self.values.pop(0)) if self.values else (False, None)


_FED: contextvars.ContextVar[_Fed | None] = contextvars.ContextVar("placeholders", default=None)


@export("placeholders")
@contextlib.contextmanager
def placeholders(*values: Any, **named: Any) -> Generator[None]:
    """Give the calls of `tf.placeholder` in a block their values.

    A function that builds a whole graph runs in it as it is: a `Saver` may be made in it, not used.

    Args:
        *values: Values for placeholders whose names are not below, in the order of the calls.
        **named: Values by the placeholders' names.

    Raises:
        TensorValueError: If values are left over at the end of the block (`placeholders_left`).

    Example:
        >>> with placeholders(x=[1.0, 2.0]):
        ...     x = placeholder("float32", [None], name="x")
        >>> x.shape.as_list()
        [2]
    """
    fed = _Fed(values, named)
    token, inside = _FED.set(fed), building.set(True)
    try:
        yield
    finally:
        building.reset(inside)
        _FED.reset(token)
    if fed.values or fed.named:
        raise TensorValueError(
            "values were given for placeholders that nobody made",
            code="placeholders_left",
            names=", ".join(fed.named),
            in_order=len(fed.values) or None,
        )


@export("placeholder")
def placeholder(dtype: Any, shape: Any = None, name: str | None = None) -> Tensor:
    """Return the value that `tf1.placeholders` has for this placeholder.

    Args:
        dtype: The dtype: numbers and NumPy's arrays are cast, as a feed is; JAX's arrays must have it.
        shape: The shape, with None for what is not said.
        name: The name, by which the value is found.

    Raises:
        GraphLifeError: Outside of `tf1.placeholders` (`graph_life`).
        TensorValueError: If there is no value for it, or it has another shape (`no_value`, `tensor_value`).
        TensorTypeError: If an array has another dtype (`dtypes_disagree`).
    """
    fed = _FED.get()
    if fed is None:
        raise GraphLifeError(
            "tf.placeholder belongs to TensorFlow's graph, which is not here",
            fix="give values to the function's arguments, or write `with tf1.placeholders(x=...):` around",
            name=name,
        )
    found, value = fed.take(name)
    if not found:
        raise TensorValueError(
            "tf1.placeholders has no value for this placeholder",
            code="no_value",
            name=name,
            left=", ".join(fed.named),
        )
    return _checked(value, dtype, shape, name)


def _checked(value: Any, dtype: Any, shape: Any, name: str | None) -> Tensor:
    wanted = canonical(dtype)
    if is_tensor(value) or isinstance(value, jax.Array):
        tensor = convert_to_tensor(value, name=name)
        if tensor.dtype is not wanted:
            raise TensorTypeError(
                f"placeholder {name or ''} is of {wanted.name}, its value of {tensor.dtype.name}",
                code="dtypes_disagree",
            )
    else:
        tensor = convert_to_tensor(np.asarray(value), wanted, name)
    if not tensor.get_shape().is_compatible_with(shape):
        raise TensorValueError(
            f"placeholder {name or ''} has shape {TensorShape(shape)}, its value {tensor.get_shape()}"
        )
    return tensor


@export("placeholder_with_default")
def placeholder_with_default(input: Any, shape: Any = None, name: str | None = None) -> Tensor:
    """Return the value that `tf1.placeholders` has under this name, else the default.

    Args:
        input: The default, which decides the dtype.
        shape: The shape, with None for what is not said.
        name: The name.

    Raises:
        TensorValueError: If the value has another shape (`tensor_value`).
        TensorTypeError: If an array has another dtype (`dtypes_disagree`).
    """
    default = convert_to_tensor(input)
    fed = _FED.get()
    value = fed.named.pop(name) if fed is not None and name in fed.named else default
    return _checked(value, default.dtype, shape, name)
