"""What the functions of `tf.nn` ask of their arguments."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.errors import TensorTypeError, TensorValueError
from jaxscope.tf1.base.tensor import Tensor

__all__ = [
    "MISSING",
    "either",
    "expect_given",
    "expect_rank",
    "floats",
    "least_of",
    "real_numbers",
    "same_shape",
    "widened",
]


#: The default of an argument that must be given.
MISSING: Any = object()


def expect_given(kind: str, **arguments: Any) -> None:
    """Raise `TensorTypeError` if an argument that must be given was not."""
    missing = [name for name, value in arguments.items() if value is MISSING]
    if missing:
        raise TensorTypeError(f"{kind} needs {', '.join(missing)}")


def either(new: str, value: Any, old: str, old_value: Any) -> Any:
    """Return what was given for an argument, by its name or by an older one.

    Raises:
        TensorValueError: If both were (`tensor_value`).
    """
    if old_value is None:
        return value
    if value is not None:
        raise TensorValueError(f"both {new} and {old}, its older name, were given")
    return old_value


def floats(kind: str, value: Any, *, complexes: bool = False) -> Tensor:
    """Return a value as a tensor of floats, or of complex numbers where these are allowed.

    Raises:
        TensorTypeError: If it is of another dtype (`tensor_type`).
    """
    tensor = convert_to_tensor(value)
    if not tensor.dtype.is_floating and not (complexes and tensor.dtype.is_complex):
        raise TensorTypeError(
            f"{kind} takes tensors of floats, not of {tensor.dtype.name}", fix="tf.cast(x, tf.float32)"
        )
    return tensor


def real_numbers(kind: str, value: Any) -> Tensor:
    """Return a value as a tensor of floats or whole numbers.

    Raises:
        TensorTypeError: If it is of another dtype (`tensor_type`).
    """
    tensor = convert_to_tensor(value)
    if not tensor.dtype.is_floating and not tensor.dtype.is_integer:
        raise TensorTypeError(f"{kind} takes tensors of real numbers, not of {tensor.dtype.name}")
    return tensor


def expect_rank(kind: str, tensor: Tensor, rank: int, argument: str, *, at_least: bool = False) -> None:
    """Raise `TensorValueError` unless a tensor has a rank, or at least that."""
    found = len(tensor._held.shape)
    if found < rank or (found > rank and not at_least):
        wanted = f"rank {rank}{' or more' * at_least}"
        raise TensorValueError(
            f"{kind}: {argument} must have {wanted}, and has shape {tensor.get_shape()}", code="rank"
        )


def same_shape(kind: str, a: Tensor, b: Tensor, names: str) -> None:
    """Raise `TensorValueError` unless two tensors have one shape."""
    if a._held.shape != b._held.shape:
        raise TensorValueError(
            f"{kind}: {names} must have one shape, and have {a.get_shape()} and {b.get_shape()}",
            code="shapes_disagree",
        )


def widened(x: Any) -> jax.Array:
    """Return an array of floats as it is, but short ones, of 16 bits, in float32."""
    return jnp.asarray(x, jnp.float32) if jnp.dtype(x.dtype).itemsize < 4 else jnp.asarray(x)


def least_of(dtype: Any) -> Any:
    """Return what no number of a dtype is below: minus infinity, or the least whole number."""
    return -np.inf if jnp.issubdtype(dtype, jnp.inexact) else np.iinfo(dtype).min
