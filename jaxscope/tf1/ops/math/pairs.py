"""Functions of two numbers beside the four operations: powers, divisions of other kinds, the greater one."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxscope.tf1.base.converting import convert_many, convert_to_tensor, same_dtype
from jaxscope.tf1.base.errors import (
    InvalidArgumentError,
    TensorTypeError,
    TensorValueError,
    UnimplementedError,
)
from jaxscope.tf1.base.exporting import export, export_constant
from jaxscope.tf1.base.operation import compute
from jaxscope.tf1.base.tensor import Tensor
from jaxscope.tf1.ops.math.arithmetic import binary, floordiv, multiply, truediv

__all__ = [
    "add_n",
    "div",
    "div_no_nan",
    "divide",
    "greater_of",
    "less_of",
    "maximum",
    "minimum",
    "no_nan",
    "pow_",
]


@export("pow", "math.pow")
def pow_(x: Any, y: Any, name: str | None = None) -> Tensor:
    """Return `x` to the power of `y`, by element.

    Args:
        x: A tensor of numbers; it decides the dtype.
        y: A tensor of the same dtype, or numbers. A known whole number multiplies, as `x ** 3` of JAX does.
        name: A name for the result.

    Raises:
        TensorTypeError: If their dtypes differ (`dtypes_disagree`).
        TensorValueError: If their shapes do not broadcast (`shapes_disagree`).
        InvalidArgumentError: If a whole number has a negative power, as far as that is known while tracing.
    """
    a, b = same_dtype(x, y)
    power = b._held
    if a.dtype.is_integer and isinstance(power, np.ndarray) and power.size and power.min() < 0:
        raise InvalidArgumentError(
            "whole numbers have no negative powers that are whole", fix="tf.cast(x, tf.float32)"
        )
    times = _times(power)
    if times is not None and not a.dtype.is_bool:
        return compute("Pow", lambda array: jnp.power(array, times), a, fold=lambda n: n**times, name=name)
    known = isinstance(power, np.ndarray) and bool(np.all(power))  # then JAX's derivative is the same
    function = _power if a.dtype.is_floating and not known else jnp.power
    return binary("Pow", function, a, b, fold=np.power, name=name)


def _times(power: Any) -> int | None:
    """Return a known scalar power that is a small whole number."""
    if not isinstance(power, np.ndarray) or power.ndim or power.dtype.kind == "c":
        return None
    number = float(power)
    return int(number) if number.is_integer() and 0 < abs(number) < 64 else None


@jax.custom_jvp
def _power(x: Any, y: Any) -> jax.Array:
    return jnp.power(x, y)


@_power.defjvp
def _power_jvp(primals: Any, tangents: Any) -> Any:
    """TensorFlow's derivative by the power: 0, where the logarithm of `x` is not a number."""
    (x, y), (dx, dy) = primals, tangents
    result = jnp.power(x, y)
    log = jnp.where(x > 0, jnp.log(jnp.where(x > 0, x, 1)), 0)
    return result, y * jnp.power(x, y - 1) * dx + result * log * dy


@export("divide", "math.divide")
def divide(x: Any, y: Any, name: str | None = None) -> Tensor:
    """Return `x / y` as Python has it.

    Args:
        x: A tensor of numbers; it decides the dtype.
        y: A tensor of the same dtype, or numbers.
        name: A name for the result.
    """
    return truediv(x, y, name)


@export("div")
def div(x: Any, y: Any, name: str | None = None) -> Tensor:
    """Return `x / y`, of whole numbers rounded down.

    Args:
        x: A tensor of numbers; it decides the dtype.
        y: A tensor of the same dtype, or numbers.
        name: A name for the result.

    Raises:
        TensorValueError: If `y` is a tensor of another dtype (`tensor_dtype`).
    """
    a = convert_to_tensor(x)
    b = convert_to_tensor(y, a.dtype)
    return floordiv(a, b, name) if a.dtype.is_integer else truediv(a, b, name)


@export("realdiv")
def realdiv(x: Any, y: Any, name: str | None = None) -> Tensor:
    """Return `x / y` of real or complex numbers.

    Args:
        x: A tensor of real or complex numbers; it decides the dtype.
        y: A tensor of the same dtype, or numbers.
        name: A name for the result.

    Raises:
        UnimplementedError: If they are whole numbers (`unimplemented`).
    """
    a, b = same_dtype(x, y)
    if a.dtype.is_integer:
        raise UnimplementedError(f"RealDiv is not there for {a.dtype.name}", fix="tf.truediv")
    return truediv(a, b, name)


@export("truncatediv")
def truncatediv(x: Any, y: Any, name: str | None = None) -> Tensor:
    """Return `x / y`, cut towards zero.

    Args:
        x: A tensor of numbers; it decides the dtype.
        y: A tensor of the same dtype, or numbers.
        name: A name for the result.
    """
    a, b = same_dtype(x, y)
    if a.dtype.is_floating:
        return binary("TruncateDiv", lambda m, n: jnp.trunc(jnp.divide(m, n)), a, b, name=name)
    return binary("TruncateDiv", _broadcast(jax.lax.div), a, b, name=name)


@export("truncatemod")
def truncatemod(x: Any, y: Any, name: str | None = None) -> Tensor:
    """Return what is left of `x` after division by `y`, with the sign of `x`.

    Args:
        x: A tensor of numbers; it decides the dtype.
        y: A tensor of the same dtype, or numbers.
        name: A name for the result.
    """
    return binary("TruncateMod", _broadcast(jax.lax.rem), x, y, name=name)


def _broadcast(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, y: function(*jnp.broadcast_arrays(x, y))


def _floats(kind: str, x: Any, y: Any) -> list[Tensor]:
    a, b = same_dtype(x, y)
    if not (a.dtype.is_floating or a.dtype.is_complex):
        raise TensorTypeError(f"{kind} does not take tensors of {a.dtype.name}", fix="tf.cast(x, tf.float32)")
    return [a, b]


def no_nan(x: Any, y: Any) -> jax.Array:
    """Return the quotient of two arrays, and 0 where the divisor is 0; no derivative is NaN there."""
    return jnp.where(y == 0, 0, x / jnp.where(y == 0, 1, y))


@export("div_no_nan", "math.divide_no_nan")
def div_no_nan(x: Any, y: Any, name: str | None = None) -> Tensor:
    """Return `x / y`, and 0 where `y` is 0.

    Args:
        x: A tensor of real or complex numbers; it decides the dtype.
        y: A tensor of the same dtype, or numbers.
        name: A name for the result.
    """
    return binary("DivNoNan", no_nan, *_floats("DivNoNan", x, y), name=name)


@export("math.multiply_no_nan")
def multiply_no_nan(x: Any, y: Any, name: str | None = None) -> Tensor:
    """Return `x * y`, and 0 where `y` is 0, whatever `x` is.

    Args:
        x: A tensor of real or complex numbers; it decides the dtype.
        y: A tensor of the same dtype, or numbers.
        name: A name for the result.
    """

    def times(a: Any, b: Any) -> jax.Array:
        return jnp.where(b == 0, 0, jnp.where(b == 0, 0, a) * b)

    return binary("MulNoNan", times, *_floats("MulNoNan", x, y), name=name)


@export("math.xlogy")
def xlogy(x: Any, y: Any, name: str | None = None) -> Tensor:
    """Return `x * log(y)`, and 0 where `x` is 0.

    Args:
        x: A tensor of real or complex numbers; it decides the dtype.
        y: A tensor of the same dtype, or numbers.
        name: A name for the result.
    """
    return binary("Xlogy", jax.scipy.special.xlogy, *_floats("Xlogy", x, y), name=name)


@export("math.xdivy")
def xdivy(x: Any, y: Any, name: str | None = None) -> Tensor:
    """Return `x / y`, and 0 where `x` is 0.

    Args:
        x: A tensor of real or complex numbers; it decides the dtype.
        y: A tensor of the same dtype, or numbers.
        name: A name for the result.
    """

    def quotient(a: Any, b: Any) -> jax.Array:
        return jnp.where(a == 0, 0, a / jnp.where(a == 0, 1, b))

    return binary("Xdivy", quotient, *_floats("Xdivy", x, y), name=name)


@jax.custom_jvp
def greater_of(x: Any, y: Any) -> jax.Array:
    """Return the greater of two numbers; where they are equal, all of the derivative is the first one's."""
    return jnp.maximum(x, y)


@jax.custom_jvp
def less_of(x: Any, y: Any) -> jax.Array:
    """Return the lesser of two numbers; where they are equal, all of the derivative is the first one's."""
    return jnp.minimum(x, y)


@greater_of.defjvp
def _greater_jvp(primals: Any, tangents: Any) -> Any:
    return jnp.maximum(*primals), jnp.where(primals[0] >= primals[1], *tangents)


@less_of.defjvp
def _less_jvp(primals: Any, tangents: Any) -> Any:
    return jnp.minimum(*primals), jnp.where(primals[0] <= primals[1], *tangents)


def _choosing(kind: str, x: Any, y: Any, name: str | None) -> Tensor:
    a, b = same_dtype(x, y)
    if a.dtype.is_complex:
        raise TensorTypeError(f"{kind} does not take tensors of {a.dtype.name}: they have no order")
    smooth, plain = (greater_of, jnp.maximum) if kind == "Maximum" else (less_of, jnp.minimum)
    fold = np.maximum if kind == "Maximum" else np.minimum
    return binary(kind, smooth if a.dtype.is_floating else plain, a, b, fold=fold, name=name)


@export("maximum", "math.maximum")
def maximum(x: Any, y: Any, name: str | None = None) -> Tensor:
    """Return the greater of `x` and `y`, by element.

    Args:
        x: A tensor of numbers; it decides the dtype. Where both are equal, it has all of the gradient.
        y: A tensor of the same dtype, or numbers.
        name: A name for the result.

    Raises:
        TensorTypeError: If their dtypes differ, or have no order (`dtypes_disagree`, `tensor_type`).
        TensorValueError: If their shapes do not broadcast (`shapes_disagree`).
    """
    return _choosing("Maximum", x, y, name)


@export("minimum", "math.minimum")
def minimum(x: Any, y: Any, name: str | None = None) -> Tensor:
    """Return the lesser of `x` and `y`, by element.

    Args:
        x: A tensor of numbers; it decides the dtype. Where both are equal, it has all of the gradient.
        y: A tensor of the same dtype, or numbers.
        name: A name for the result.

    Raises:
        TensorTypeError: If their dtypes differ, or have no order (`dtypes_disagree`, `tensor_type`).
        TensorValueError: If their shapes do not broadcast (`shapes_disagree`).
    """
    return _choosing("Minimum", x, y, name)


def _plain(names: str, kind: str, function: Callable[..., Any], says: str) -> None:
    def apply(a: Any, b: Any, name: str | None = None) -> Tensor:
        return binary(kind, function, *_floats(kind, a, b), name=name)

    apply.__name__ = apply.__qualname__ = names.split(maxsplit=1)[0].rpartition(".")[2]
    apply.__doc__ = f"""Return {says}, by element.

    Args:
        a: A tensor of real numbers; it decides the dtype.
        b: A tensor of the same dtype, or numbers.
        name: A name for the result.
    """
    export_constant(apply, *names.split())


_plain("igammac math.igammac", "Igammac", jax.scipy.special.gammaincc, "the upper incomplete gamma function")
_plain("igamma math.igamma", "Igamma", jax.scipy.special.gammainc, "the lower incomplete gamma function")


@export("math.nextafter")
def nextafter(x1: Any, x2: Any, name: str | None = None) -> Tensor:
    """Return the next number after `x1` on the way to `x2`, by element.

    Args:
        x1: A tensor of real numbers.
        x2: A tensor of the same dtype.
        name: A name for the result.
    """
    return binary("NextAfter", jnp.nextafter, *_floats("NextAfter", x1, x2), name=name)


@export("math.polyval")
def polyval(coeffs: Any, x: Any, name: str | None = None) -> Tensor:
    """Return a polynomial of `x`, by element.

    Args:
        coeffs: A list of tensors of the dtype of `x`, that of the highest power first.
        x: A tensor of numbers.
        name: A name for the result.
    """
    tensor = convert_to_tensor(x, name=name)
    if not isinstance(coeffs, list):
        raise TensorValueError("the coefficients of polyval are a list")
    if not coeffs:
        return convert_to_tensor(np.zeros(tensor._held.shape, tensor.dtype.dtype))
    result = convert_to_tensor(coeffs[0], tensor.dtype)
    for coefficient in coeffs[1:]:
        result = convert_to_tensor(coefficient, tensor.dtype) + result * tensor
    return result


@export("atan2", "math.atan2")
def atan2(y: Any, x: Any, name: str | None = None) -> Tensor:
    """Return the angle of the point (x, y), in radians.

    Args:
        y: A tensor of real numbers; it decides the dtype.
        x: A tensor of the same dtype, or numbers.
        name: A name for the result.
    """
    return binary("Atan2", jnp.arctan2, *_floats("Atan2", y, x), name=name)


@export("betainc", "math.betainc")
def betainc(a: Any, b: Any, x: Any, name: str | None = None) -> Tensor:
    """Return the regularized incomplete beta integral.

    Args:
        a: A tensor of real numbers; it decides the dtype.
        b: A tensor of the same dtype.
        x: A tensor of the same dtype.
        name: A name for the result.
    """
    return compute("Betainc", jax.scipy.special.betainc, *same_dtype(a, b, x), name=name)


@export("squared_difference", "math.squared_difference")
def squared_difference(x: Any, y: Any, name: str | None = None) -> Tensor:
    """Return the square of `x - y`, by element.

    Args:
        x: A tensor of numbers; it decides the dtype.
        y: A tensor of the same dtype, or numbers.
        name: A name for the result.
    """

    def squared(a: Any, b: Any) -> Any:
        return jnp.square(jnp.subtract(a, b))

    return binary(
        "SquaredDifference", squared, x, y, fold=lambda a, b: np.square(np.subtract(a, b)), name=name
    )


@export("scalar_mul", "math.scalar_mul")
def scalar_mul(scalar: Any, x: Any, name: str | None = None) -> Tensor:
    """Return a tensor times a number.

    Args:
        scalar: A number, or a tensor of rank 0, of the dtype of `x`.
        x: A tensor.
        name: A name for the result.

    Raises:
        TensorValueError: If `scalar` is no scalar (`tensor_value`).
    """
    tensor = convert_to_tensor(x)
    factor = convert_to_tensor(scalar, tensor.dtype)
    if factor._held.shape:
        raise TensorValueError(f"scalar_mul takes a scalar, not a tensor of shape {factor.get_shape()}")
    return multiply(factor, tensor, name)


@export("add_n", "math.add_n")
def add_n(inputs: Any, name: str | None = None) -> Tensor:
    """Return the sum of tensors.

    Args:
        inputs: A list of tensors of one dtype and shape.
        name: A name for the result.

    Raises:
        TensorValueError: If it is empty or no list, or the shapes differ (`tensor_value`, `shapes_disagree`).
        TensorTypeError: If the dtypes differ (`dtypes_disagree`).
    """
    if not isinstance(inputs, list | tuple) or not inputs:
        raise TensorValueError("add_n takes a list of at least one tensor")
    parts = convert_many(inputs)
    if parts[0].dtype.is_bool:
        raise TensorTypeError("AddN does not take tensors of bool")
    if len({part._held.shape for part in parts}) > 1:
        raise TensorValueError(
            "the tensors have different shapes",
            code="shapes_disagree",
            shapes=", ".join(str(part.get_shape()) for part in parts),
        )

    def total(*arrays: Any) -> Any:
        result = arrays[0]
        for array in arrays[1:]:
            result = jnp.add(result, array)
        return result

    return compute("AddN", total, *parts, name=name) if len(parts) > 1 else parts[0]


@export("accumulate_n", "math.accumulate_n")
def accumulate_n(inputs: Any, shape: Any = None, tensor_dtype: Any = None, name: str | None = None) -> Tensor:
    """Return the sum of tensors.

    Args:
        inputs: A list of tensors of one dtype and shape.
        shape: Their shape, which is checked.
        tensor_dtype: Their dtype, which is checked.
        name: A name for the result.

    Raises:
        TensorValueError: If they are not of one shape (`tensor_value`).
        TensorTypeError: If the dtype is another one (`tensor_type`).
    """
    total = add_n(inputs, name)
    if tensor_dtype is not None and total.dtype != tensor_dtype:
        raise TensorTypeError(f"the tensors are of {total.dtype.name}, not of {tensor_dtype}")
    total.set_shape(shape)
    return total
