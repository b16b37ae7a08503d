"""`tf.cast` and its like."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxscope.tf1.base.converting import convert_to_tensor, same_dtype
from jaxscope.tf1.base.dtypes import canonical
from jaxscope.tf1.base.errors import TensorTypeError, TensorValueError
from jaxscope.tf1.base.exporting import export, export_constant
from jaxscope.tf1.base.operation import compute
from jaxscope.tf1.base.tensor import Tensor

__all__ = ["bitcast", "cast", "complex_", "saturate_cast"]


@export("cast", "dtypes.cast")
def cast(x: Any, dtype: Any, name: str | None = None) -> Tensor:
    """Return a tensor in another dtype; real numbers are cut towards zero where they become whole.

    Args:
        x: A tensor.
        dtype: The dtype of the result.
        name: A name for the result.

    Raises:
        TensorTypeError: If there is no such dtype, or strings were given (`tensor_type`).
    """
    tensor, target = convert_to_tensor(x), canonical(dtype)
    if tensor.dtype is target:
        return tensor
    if "string" in {tensor.dtype.name, target.name}:
        raise TensorTypeError(f"{tensor.dtype.name} cannot be cast to {target.name}")
    kept = target.dtype
    from_complex = tensor.dtype.is_complex and not target.is_complex

    def change(array: Any) -> jax.Array:
        array = jnp.asarray(array)
        return jax.lax.convert_element_type(jnp.real(array) if from_complex else array, kept)

    return compute("Cast", change, tensor, fold=lambda array: array.astype(kept), name=name)


def _to(name: str, target: str) -> None:
    def convert(x: Any, name: str = f"To{target.capitalize()}") -> Tensor:
        return cast(x, target, name)

    convert.__name__ = convert.__qualname__ = name
    convert.__doc__ = f"""Return a tensor in {target}.

    Args:
        x: A tensor.
        name: A name for the result.
    """
    export_constant(convert, name)


for _name, _target in {
    "to_float": "float32",
    "to_double": "float64",
    "to_int32": "int32",
    "to_int64": "int64",
    "to_bfloat16": "bfloat16",
    "to_complex64": "complex64",
    "to_complex128": "complex128",
}.items():
    _to(_name, _target)


@export("saturate_cast", "dtypes.saturate_cast")
def saturate_cast(value: Any, dtype: Any, name: str | None = None) -> Tensor:
    """Return a tensor in another dtype, with what does not fit at the nearest end.

    Args:
        value: A tensor of numbers.
        dtype: The dtype of the result.
        name: A name for the result.
    """
    tensor, target = convert_to_tensor(value), canonical(dtype)
    source = tensor.dtype
    if source.is_bool or target.is_bool or source.is_complex or target.is_complex:
        return cast(tensor, target, name)
    low = target.min if float(source.min) < float(target.min) else None
    high = target.max if float(source.max) > float(target.max) else None

    def change(array: Any) -> jax.Array:
        array = jnp.asarray(array)
        if low is not None:
            array = jnp.maximum(array, np.asarray(low).astype(array.dtype))
        if high is not None:
            array = jnp.minimum(array, _at_most(high, array.dtype))
        return jax.lax.convert_element_type(array, target.dtype)

    return compute("SaturateCast", change, tensor, name=name)


def _at_most(limit: Any, dtype: Any) -> Any:
    """Return a limit in a dtype that may have no such number: then the one below."""
    number = np.asarray(limit).astype(dtype)
    if jnp.issubdtype(dtype, jnp.floating) and float(number) > float(limit):
        return np.nextafter(number, np.zeros_like(number))
    return number


@export("bitcast")
def bitcast(input: Any, type: Any, name: str | None = None) -> Tensor:
    """Return the bits of a tensor as numbers of another dtype.

    Args:
        input: A tensor.
        type: The dtype. If it is smaller, there is one more axis; if it is larger, the last one goes.
        name: A name for the result.

    Raises:
        TensorValueError: If the last axis does not make up one number (`tensor_value`).
    """
    tensor, target = convert_to_tensor(input), canonical(type)
    ratio = target.size // max(tensor.dtype.size, 1)
    shape = tensor._held.shape
    if ratio > 1 and (not shape or shape[-1] != ratio):
        raise TensorValueError(f"the last axis must have size {ratio} for {target.name}", shape=shape)

    def change(array: Any) -> jax.Array:
        return jax.lax.bitcast_convert_type(jnp.asarray(array), target.dtype)

    return compute("Bitcast", change, tensor, name=name)


@export("complex", "dtypes.complex")
def complex_(real: Any, imag: Any, name: str | None = None) -> Tensor:
    """Return complex numbers of their parts.

    Args:
        real: A tensor of float32 or float64.
        imag: A tensor of the same dtype.
        name: A name for the result.

    Raises:
        TensorTypeError: If they are of other dtypes (`tensor_type`, `dtypes_disagree`).
    """
    first, second = same_dtype(real, imag)
    if first.dtype.name not in {"float32", "float64"}:
        raise TensorTypeError(f"complex numbers are made of float32 or float64, not {first.dtype.name}")

    def join(x: Any, y: Any) -> jax.Array:
        return jax.lax.complex(*jnp.broadcast_arrays(x, y))

    return compute("Complex", join, first, second, name=name)


def _part(names: str, kind: str, function: Any, says: str) -> None:
    def part(input: Any, name: str | None = None) -> Tensor:
        tensor = convert_to_tensor(input)
        if not tensor.dtype.is_complex:
            if tensor.dtype.is_bool or tensor.dtype.name == "string":
                raise TensorTypeError(f"{kind} does not take tensors of {tensor.dtype.name}")
            if kind == "Real":
                return tensor
        return compute(kind, function, tensor, name=name)

    part.__name__ = part.__qualname__ = names.split(maxsplit=1)[0]
    part.__doc__ = f"""Return {says}, by element.

    Args:
        input: A tensor of numbers.
        name: A name for the result.

    Raises:
        TensorTypeError: If it is of truth values (`tensor_type`).
    """
    export_constant(part, *names.split())


_part("real math.real", "Real", jnp.real, "the real part")
_part("imag math.imag", "Imag", jnp.imag, "the imaginary part")
_part("angle math.angle", "Angle", jnp.angle, "the angle in radians")


@export("conj", "math.conj")
def conj(x: Any, name: str | None = None) -> Tensor:
    """Return the conjugate, by element; real numbers as they are.

    Args:
        x: A tensor of numbers.
        name: A name for the result.

    Raises:
        TensorTypeError: If it is of truth values (`tensor_type`).
    """
    tensor = convert_to_tensor(x)
    if tensor.dtype.is_bool or tensor.dtype.name == "string":
        raise TensorTypeError(f"Conj does not take tensors of {tensor.dtype.name}")
    return compute("Conj", jnp.conj, tensor, name=name) if tensor.dtype.is_complex else tensor
