"""`x[...]`: TensorFlow's indexing, which is that of slices and single numbers."""

from typing import Any, NoReturn, cast

import jax
import jax.numpy as jnp
import numpy as np

from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.errors import TensorTypeError, TensorValueError
from jaxscope.tf1.base.operation import compute, static_value
from jaxscope.tf1.base.shapes import Dimension
from jaxscope.tf1.base.tensor import Tensor, is_tensor, known_value

__all__ = ["getitem"]


def getitem(x: Tensor, index: Any) -> Tensor:
    """Return `x[index]`: numbers, slices, `...`, None; a list is a tuple; a mask of booleans chooses.

    Raises:
        TensorValueError: If a number is out of range, or there are too many (`tensor_value`).
        TensorTypeError: If it is of another kind (`tensor_type`).
    """
    if _is_mask(index):
        mask = static_value(index, "the mask of x[mask], which decides about the shape,")
        return compute("BooleanMask", lambda array: array[mask], x)
    parts = list(cast("tuple[Any, ...]", index)) if isinstance(index, list | tuple) else [index]
    for part in parts:  # kinds are looked at before numbers
        if isinstance(part, list | tuple | str | float) or (isinstance(part, np.ndarray) and part.ndim):
            _refuse(part)
    if sum(part is Ellipsis for part in parts) > 1:
        raise TensorValueError("an index has more than one `...`")
    used = sum(part is not None and part is not Ellipsis for part in parts)
    shape = x._held.shape
    if used > len(shape):
        raise TensorValueError(f"{used} indices were given to a tensor of shape {x.get_shape()}")
    axis, plain, traced = 0, list[Any](), list[Tensor]()
    for part in parts:
        if part is Ellipsis:
            axis += len(shape) - used
            plain.append(part)
        elif part is None:
            plain.append(None)
        else:
            place = _part(part, shape[axis], axis)
            if isinstance(place, Tensor):
                traced.append(place)
                place = _Traced
            plain.append(place)
            axis += 1

    def pick(array: Any, *numbers: Any) -> Any:
        left = iter(numbers)
        filled = tuple(next(left) if place is _Traced else place for place in plain)
        return jnp.asarray(array)[filled]

    return compute("StridedSlice", pick, x, *traced, fold=None if traced else lambda a: a[tuple(plain)])


class _Traced:
    """Stands for a number that is known when the program runs."""


def _is_mask(index: Any) -> bool:
    if isinstance(index, bool | np.bool_):
        return True
    return isinstance(index, Tensor | np.ndarray | jax.Array) and index.dtype == bool


def _part(part: Any, size: int, axis: int) -> Any:
    if isinstance(part, slice):
        return slice(_bound(part.start, axis), _bound(part.stop, axis), _bound(part.step, axis))
    number = _number(part)
    if isinstance(number, int) and not -size <= number < size:
        raise TensorValueError(f"index {number} is out of range for axis {axis} of size {size}", code="index")
    return number


def _bound(value: Any, axis: int) -> int | None:
    number = None if value is None else _number(value)
    if isinstance(number, Tensor):
        static_value(number, f"a bound of the slice of axis {axis}, which decides about the shape,")
    return cast("int | None", number)


def _number(part: Any) -> Any:
    """Return a whole number, or the scalar tensor of one whose value is traced."""
    if isinstance(part, Dimension):
        return int(part)
    if isinstance(part, int | np.integer):
        return int(part)
    if is_tensor(part) or isinstance(part, jax.Array):
        tensor = convert_to_tensor(part)
        if not tensor.dtype.is_integer or tensor._held.shape:
            _refuse(part)
        value = known_value(tensor)
        return tensor if value is None else int(value)
    if isinstance(part, np.ndarray) and part.ndim == 0 and part.dtype.kind in "iu":
        return int(part)
    return _refuse(part)


def _refuse(part: Any) -> NoReturn:
    raise TensorTypeError(
        f"{part!r} is no index: whole numbers, their scalar tensors, slices, `...` and None are",
        code="index",
        fix="tf.gather(x, indices)",
    )
