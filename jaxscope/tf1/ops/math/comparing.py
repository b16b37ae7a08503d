"""Comparisons, logic of truth values, and operations on bits."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxscope.tf1.base.converting import convert_to_tensor, same_dtype
from jaxscope.tf1.base.errors import TensorTypeError
from jaxscope.tf1.base.exporting import export, export_constant
from jaxscope.tf1.base.operation import compute
from jaxscope.tf1.base.tensor import Tensor
from jaxscope.tf1.ops.math.arithmetic import binary

__all__ = ["bits", "both", "either", "exclusive", "inverted", "logical_not", "logical_xor"]


def _comparison(names: str, kind: str, function: Callable[..., Any], says: str, *, order: bool = True) -> Any:
    plain = getattr(np, function.__name__)

    def compare(x: Any, y: Any, name: str | None = None) -> Tensor:
        a, b = same_dtype(x, y)
        if order and (a.dtype.is_complex or a.dtype.name == "string"):
            raise TensorTypeError(f"{kind} does not take tensors of {a.dtype.name}: they have no order")
        return binary(kind, function, a, b, fold=plain, booleans=not order, name=name)

    compare.__name__ = compare.__qualname__ = names.split(maxsplit=1)[0]
    compare.__doc__ = f"""Return whether `x` {says} `y`, by element.

    Args:
        x: A tensor; it decides the dtype.
        y: A tensor of the same dtype, or numbers.
        name: A name for the result.

    Raises:
        TensorTypeError: If their dtypes differ, or have no order (`dtypes_disagree`, `tensor_type`).
        TensorValueError: If their shapes do not broadcast (`shapes_disagree`).
    """
    return export_constant(compare, *names.split(), *(f"math.{name}" for name in names.split()))


equal = _comparison("equal", "Equal", jnp.equal, "is equal to", order=False)
not_equal = _comparison("not_equal", "NotEqual", jnp.not_equal, "is not equal to", order=False)
less = _comparison("less", "Less", jnp.less, "is less than")
less_equal = _comparison("less_equal", "LessEqual", jnp.less_equal, "is at most")
greater = _comparison("greater", "Greater", jnp.greater, "is greater than")
greater_equal = _comparison("greater_equal", "GreaterEqual", jnp.greater_equal, "is at least")


def _truth(kind: str, x: Any, y: Any) -> list[Tensor]:
    a, b = same_dtype(x, y)
    if not a.dtype.is_bool:
        raise TensorTypeError(
            f"{kind} takes tensors of bool, not of {a.dtype.name}", fix="tf.cast(x, tf.bool)"
        )
    return [a, b]


def _logic(name: str, kind: str, function: Callable[..., Any], word: str) -> Any:
    plain = getattr(np, function.__name__)

    def combine(x: Any, y: Any, name: str | None = None) -> Tensor:
        return binary(kind, function, *_truth(kind, x, y), fold=plain, booleans=True, name=name)

    combine.__name__ = combine.__qualname__ = name
    combine.__doc__ = f"""Return `x` {word} `y`, by element.

    Args:
        x: A tensor of truth values.
        y: A tensor of truth values.
        name: A name for the result.

    Raises:
        TensorTypeError: If they are of another kind (`tensor_type`).
        TensorValueError: If their shapes do not broadcast (`shapes_disagree`).
    """
    return export_constant(combine, name, f"math.{name}")


logical_and = _logic("logical_and", "LogicalAnd", jnp.logical_and, "and")
logical_or = _logic("logical_or", "LogicalOr", jnp.logical_or, "or")


@export("logical_xor", "math.logical_xor")
def logical_xor(x: Any, y: Any, name: str | None = "LogicalXor") -> Tensor:
    """Return whether one of `x` and `y` alone is true, by element.

    Args:
        x: A tensor of truth values.
        y: A tensor of truth values.
        name: A name for the result.

    Raises:
        TensorTypeError: If they are of another kind (`tensor_type`).
        TensorValueError: If their shapes do not broadcast (`shapes_disagree`).
    """
    pair = _truth("LogicalXor", x, y)
    return binary("LogicalXor", jnp.logical_xor, *pair, fold=np.logical_xor, booleans=True, name=name)


@export("logical_not", "math.logical_not")
def logical_not(x: Any, name: str | None = None) -> Tensor:
    """Return whether `x` is false, by element.

    Args:
        x: A tensor of truth values.
        name: A name for the result.

    Raises:
        TensorTypeError: If it is of another kind (`tensor_type`).
    """
    tensor = convert_to_tensor(x)
    _truth("LogicalNot", tensor, tensor)
    return compute("LogicalNot", jnp.logical_not, tensor, fold=np.logical_not, name=name)


def bits(name: str, kind: str, function: Callable[..., Any], says: str, fold: Any = None) -> Any:
    """Export an operation on the bits of two whole numbers."""

    def combine(x: Any, y: Any, name: str | None = None) -> Tensor:
        a, b = same_dtype(x, y)
        _whole(kind, a)
        return binary(kind, function, a, b, fold=fold, name=name)

    combine.__name__ = combine.__qualname__ = name
    combine.__doc__ = f"""Return {says}, by element.

    Args:
        x: A tensor of whole numbers.
        y: A tensor of the same dtype.
        name: A name for the result.

    Raises:
        TensorTypeError: If they are of another kind, or of two dtypes (`tensor_type`, `dtypes_disagree`).
        TensorValueError: If their shapes do not broadcast (`shapes_disagree`).
    """
    return export_constant(combine, f"bitwise.{name}")


def _whole(kind: str, tensor: Tensor) -> None:
    if not tensor.dtype.is_integer:
        raise TensorTypeError(f"{kind} takes tensors of whole numbers, not of {tensor.dtype.name}")


def _shift_right(x: Any, y: Any) -> Any:
    x, y = jnp.broadcast_arrays(x, y)
    if x.dtype.kind == "u":
        return jax.lax.shift_right_logical(x, y)
    return jax.lax.shift_right_arithmetic(x, y)


bitwise_and = bits("bitwise_and", "BitwiseAnd", jnp.bitwise_and, "the bits that both have", np.bitwise_and)
bitwise_or = bits("bitwise_or", "BitwiseOr", jnp.bitwise_or, "the bits that either has", np.bitwise_or)
bitwise_xor = bits("bitwise_xor", "BitwiseXor", jnp.bitwise_xor, "the bits that one has", np.bitwise_xor)
bits("left_shift", "LeftShift", jnp.left_shift, "`x` shifted left by `y` bits")
bits("right_shift", "RightShift", _shift_right, "`x` shifted right by `y` bits; its sign stays")


@export("bitwise.invert")
def invert(x: Any, name: str | None = None) -> Tensor:
    """Return whole numbers with each bit the other one.

    Args:
        x: A tensor of whole numbers.
        name: A name for the result.

    Raises:
        TensorTypeError: If it is of another kind (`tensor_type`).
    """
    tensor = convert_to_tensor(x)
    _whole("Invert", tensor)
    return compute("Invert", jnp.invert, tensor, fold=np.invert, name=name)


def _by_kind(truth: Callable[..., Any], whole: Callable[..., Any]) -> Callable[..., Any]:
    """Return an operator that is one of logic for truth values, one on bits for whole numbers."""

    def operate(x: Any, y: Any) -> Any:
        a, b = same_dtype(x, y)
        return truth(a, b) if a.dtype.is_bool else whole(a, b)

    return operate


both = _by_kind(logical_and, bitwise_and)
either = _by_kind(logical_or, bitwise_or)
exclusive = _by_kind(logical_xor, bitwise_xor)


def inverted(x: Tensor) -> Tensor:
    """Return `~x`."""
    return logical_not(x) if x.dtype.is_bool else invert(x)
