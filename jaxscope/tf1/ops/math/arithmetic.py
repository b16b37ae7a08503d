"""Arithmetic of two tensors: `tf.add` and its like, which are the operators too."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxscope.tf1.base.converting import convert_to_tensor, same_dtype
from jaxscope.tf1.base.dtypes import DType, canonical
from jaxscope.tf1.base.errors import TensorTypeError, TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute
from jaxscope.tf1.base.tensor import Tensor

__all__ = ["add", "binary", "floordiv", "floormod", "multiply", "negative", "subtract", "truediv"]


def binary(
    kind: str,
    function: Callable[..., Any],
    x: Any,
    y: Any,
    *,
    fold: Callable[..., Any] | None = None,
    booleans: bool = False,
    name: str | None = None,
) -> Tensor:
    """Return an elementwise function of two values of one dtype, which broadcast.

    Args:
        kind: TensorFlow's kind of operation.
        function: The function of two arrays.
        x: What can be a tensor; it decides the dtype.
        y: What can be a tensor.
        fold: The function in NumPy, see `compute`.
        booleans: Whether truth values may be given.
        name: The name that the user gave.

    Raises:
        TensorTypeError: If they do not agree, or are truth values (`tensor_type`).
        TensorValueError: If their shapes do not broadcast (`tensor_value`).
    """
    a, b = same_dtype(x, y)
    if not booleans and a._held.dtype.kind in "bO":
        raise TensorTypeError(f"{kind} does not take tensors of {a.dtype.name}")
    left, right = a._held.shape, b._held.shape
    if left != right and left and right:
        _check_broadcast(kind, left, right)
    return compute(kind, function, a, b, fold=fold, name=name)


def directly(operation: Callable[..., Any], general: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of two arrays of one dtype that calls JAX's operation itself where that can be.

    The program is the same: `jax.numpy` only broadcasts and promotes, and takes twice as long to trace.

    Args:
        operation: That of `jax.lax`, for arrays of one shape, or for an array and NumPy's scalar.
        general: That of `jax.numpy`.
    """

    def run(x: Any, y: Any) -> Any:
        if isinstance(y, np.generic) or isinstance(x, np.generic) or x.shape == y.shape:
            return operation(x, y)
        return general(x, y)

    return run


_add, _subtract = directly(lax.add, jnp.add), directly(lax.sub, jnp.subtract)
_multiply, _divide = directly(lax.mul, jnp.multiply), directly(lax.div, jnp.divide)


def _check_broadcast(kind: str, left: tuple[int, ...], right: tuple[int, ...]) -> None:
    for m, n in zip(reversed(left), reversed(right), strict=False):
        if m not in (n, 1) and n != 1:
            raise TensorValueError(
                f"{kind}: shapes {left} and {right} do not broadcast", code="shapes_disagree"
            )


@export("add", "math.add")
def add(x: Any, y: Any, name: str | None = None) -> Tensor:
    """Return `x + y`, by element.

    Args:
        x: A tensor of numbers; it decides the dtype.
        y: A tensor of the same dtype, or numbers.
        name: A name for the result.

    Raises:
        TensorTypeError: If their dtypes differ (`dtypes_disagree`).
        TensorValueError: If their shapes do not broadcast (`shapes_disagree`).
    """
    return binary("Add", _add, x, y, fold=np.add, name=name)


@export("subtract", "math.subtract")
def subtract(x: Any, y: Any, name: str | None = None) -> Tensor:
    """Return `x - y`, by element.

    Args:
        x: A tensor of numbers; it decides the dtype.
        y: A tensor of the same dtype, or numbers.
        name: A name for the result.

    Raises:
        TensorTypeError: If their dtypes differ (`dtypes_disagree`).
        TensorValueError: If their shapes do not broadcast (`shapes_disagree`).
    """
    return binary("Sub", _subtract, x, y, fold=np.subtract, name=name)


@export("multiply", "math.multiply")
def multiply(x: Any, y: Any, name: str | None = None) -> Tensor:
    """Return `x * y`, by element.

    Args:
        x: A tensor of numbers; it decides the dtype.
        y: A tensor of the same dtype, or numbers.
        name: A name for the result.

    Raises:
        TensorTypeError: If their dtypes differ (`dtypes_disagree`).
        TensorValueError: If their shapes do not broadcast (`shapes_disagree`).
    """
    return binary("Mul", _multiply, x, y, fold=np.multiply, name=name)


@export("truediv", "math.truediv")
def truediv(x: Any, y: Any, name: str | None = None) -> Tensor:
    """Return `x / y`, by element; whole numbers become float32 (of up to 16 bits) or float64.

    Args:
        x: A tensor of numbers; it decides the dtype.
        y: A tensor of the same dtype, or numbers.
        name: A name for the result.

    Raises:
        TensorTypeError: If their dtypes differ (`dtypes_disagree`).
        TensorValueError: If their shapes do not broadcast (`shapes_disagree`).
    """
    dtype = convert_to_tensor(x).dtype
    target = _quotient(dtype)
    if target is dtype:
        return binary("RealDiv", _divide, x, y, name=name)
    return binary(
        "RealDiv", lambda a, b: jnp.divide(a.astype(target.dtype), b.astype(target.dtype)), x, y, name=name
    )


def _quotient(dtype: DType) -> DType:
    if not dtype.is_integer:
        return dtype
    return canonical("float32" if dtype.size < 4 else "float64")


@export("floordiv", "math.floordiv", "floor_div", "math.floor_div")
def floordiv(x: Any, y: Any, name: str | None = None) -> Tensor:
    """Return `x / y` rounded down, by element.

    Args:
        x: A tensor of numbers; it decides the dtype.
        y: A tensor of the same dtype, or numbers.
        name: A name for the result.

    Raises:
        TensorTypeError: If their dtypes differ (`dtypes_disagree`).
        TensorValueError: If their shapes do not broadcast (`shapes_disagree`).
    """
    if convert_to_tensor(x).dtype.is_floating:
        return binary("FloorDiv", lambda a, b: jnp.floor(jnp.divide(a, b)), x, y, name=name)
    return binary("FloorDiv", jnp.floor_divide, x, y, fold=_divided(np.floor_divide), name=name)


@export("floormod", "mod", "math.floormod", "math.mod")
def floormod(x: Any, y: Any, name: str | None = None) -> Tensor:
    """Return what is left of `x` after division by `y`, with the sign of `y`, by element.

    Args:
        x: A tensor of numbers; it decides the dtype.
        y: A tensor of the same dtype, or numbers.
        name: A name for the result.

    Raises:
        TensorTypeError: If their dtypes differ (`dtypes_disagree`).
        TensorValueError: If their shapes do not broadcast (`shapes_disagree`).
    """
    return binary("FloorMod", jnp.mod, x, y, fold=_divided(np.mod), name=name)


def _divided(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a division of known whole numbers, where one by zero is an error."""

    def divide(a: Any, b: Any) -> Any:
        if not np.all(b):
            raise TensorValueError("whole numbers are divided by zero", code="divided_by_zero")
        return function(a, b)

    return divide


@export("negative", "math.negative")
def negative(x: Any, name: str | None = None) -> Tensor:
    """Return `-x`, by element.

    Args:
        x: A tensor of numbers.
        name: A name for the result.

    Raises:
        TensorTypeError: If it is of truth values (`tensor_type`).
    """
    tensor = convert_to_tensor(x)
    if tensor.dtype.is_bool:
        raise TensorTypeError("Neg does not take tensors of bool")
    return compute("Neg", jnp.negative, tensor, fold=np.negative, name=name)
