"""What the functions of `tf.image` ask of their arguments."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.dtypes import DType
from jaxscope.tf1.base.errors import TensorValueError
from jaxscope.tf1.base.operation import static_int
from jaxscope.tf1.base.tensor import Tensor

__all__ = ["FLOAT32", "converted", "image_of", "images_of", "sizes_of", "to_float"]

FLOAT32 = DType.known["float32"]


def image_of(kind: str, value: Any, *, channels: int | None = None) -> Tensor:
    """Return a value as a tensor of rank 3 or more.

    Raises:
        TensorValueError: If it has another rank, or not that many channels (`rank`, `tensor_value`).
    """
    tensor = convert_to_tensor(value)
    shape = tensor._held.shape
    if len(shape) < 3:
        raise TensorValueError(
            f"{kind} takes an image [height, width, channels], or more of them, not {tensor.get_shape()}",
            code="rank",
        )
    if channels is not None and shape[-1] != channels:
        raise TensorValueError(f"{kind} takes images with {channels} channels, not {shape[-1]}")
    return tensor


def images_of(kind: str, value: Any) -> tuple[Tensor, int, int, int]:
    """Return a tensor of one image or a batch, height and width, and the axis of the height.

    Raises:
        TensorValueError: If it has another rank (`rank`).
    """
    tensor = convert_to_tensor(value)
    shape = tensor._held.shape
    if len(shape) not in {3, 4}:
        raise TensorValueError(
            f"{kind} takes an image [height, width, channels] or a batch of them, not {tensor.get_shape()}",
            code="rank",
        )
    return tensor, shape[-3], shape[-2], len(shape) - 3


def sizes_of(height: Any, width: Any, argument: str, *, least: int) -> tuple[int, int]:
    """Return `ARGUMENT_height` and `ARGUMENT_width`, numbers that are at least `least`.

    Raises:
        TensorValueError: If it is less (`tensor_value`).
    """
    numbers: list[int] = []
    for value, name in ((height, f"{argument}_height"), (width, f"{argument}_width")):
        numbers.append(static_int(value, name))
        if numbers[-1] < least:
            raise TensorValueError(f"{name} must be at least {least}, and is {numbers[-1]}")
    return numbers[0], numbers[1]


def converted(x: Any, source: DType, target: DType, *, saturate: bool = False) -> Any:
    """Return an array in another dtype, scaled so that 1.0 is the greatest whole number."""
    x = jnp.asarray(x)
    if source is target:
        return x
    if source.is_integer and target.is_integer:
        most, more = int(source.max), int(target.max)
        if most > more:
            return _cast(x // ((most + 1) // (more + 1)), source, target, saturate=saturate)
        return _cast(x, source, target, saturate=saturate) * ((more + 1) // (most + 1))
    if source.is_floating and target.is_floating:
        return x.astype(target.dtype)
    if source.is_integer:
        return x.astype(target.dtype) * (1.0 / int(source.max))
    return _cast(x * (int(target.max) + 0.5), source, target, saturate=saturate)


def _cast(x: Any, source: DType, target: DType, *, saturate: bool) -> Any:
    if saturate:
        low, high = (
            max(int(target.min), int(source.min)) if source.is_integer else int(target.min),
            int(target.max),
        )
        x = jnp.clip(x, low, min(high, int(source.max)) if source.is_integer else _below(high, source))
    return x.astype(target.dtype)


def _below(number: int, dtype: DType) -> float:
    """Return the greatest float of a dtype that is not above a whole number."""
    value = np.asarray(float(number)).astype(dtype.dtype)  # by NumPy: a program's numbers are not known
    if float(value) > number:
        value = np.nextafter(value, np.zeros_like(value))
    return float(value)


def to_float(x: Any, dtype: DType) -> tuple[Any, DType]:
    """Return an image as it is if it is of float16 or float32, else in float32 between 0 and 1."""
    if dtype in {"float16", "float32"}:
        return jnp.asarray(x), dtype
    return converted(x, dtype, FLOAT32), FLOAT32
