"""Elements taken by index: `tf.gather`, `tf.gather_nd`."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.errors import InvalidArgumentError, TensorTypeError, TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute, static_axis, static_int
from jaxscope.tf1.base.tensor import Tensor

__all__ = ["batch_gather", "check_indices", "gather", "gather_nd", "places", "whole_numbers"]


def whole_numbers(indices: Any, argument: str = "indices") -> Tensor:
    """Return indices as a tensor of whole numbers, or raise `TensorTypeError`."""
    tensor = convert_to_tensor(indices)
    if not tensor.dtype.is_integer:
        raise TensorTypeError(
            f"{argument} are whole numbers, not {tensor.dtype.name}", fix="tf.cast(x, tf.int32)"
        )
    return tensor


def check_indices(indices: Tensor, sizes: tuple[int, ...], argument: str = "indices") -> None:
    """Raise `InvalidArgumentError` if known indices are out of range; the last axis is that of sizes.

    Traced ones cannot be looked at: where they are out of range, JAX takes the nearest element.
    """
    held = indices._held
    if isinstance(held, Tracer) or not held.size:
        return
    numbers = np.asarray(held)
    wrong = (numbers < 0) | (numbers >= np.asarray(sizes))
    if wrong.any():
        where = tuple(int(i) for i in np.argwhere(wrong)[0])[: numbers.ndim]
        raise InvalidArgumentError(
            f"{argument}{list(where)} = {numbers[where]} is out of range for sizes {sizes}",
            code="index_out_of_range",
        )


@export("gather")
def gather(
    params: Any,
    indices: Any,
    validate_indices: Any = None,
    name: str | None = None,
    axis: Any = None,
    batch_dims: Any = 0,
) -> Tensor:
    """Return the parts of a tensor at places along an axis.

    Args:
        params: A tensor.
        indices: Whole numbers, of any shape, which takes the place of the axis.
        validate_indices: Without meaning here.
        name: A name for the result.
        axis: The axis, known while tracing; the first one behind `batch_dims` if it is left out.
        batch_dims: How many leading axes both have in common.

    Raises:
        TensorTypeError: If indices are no whole numbers (`tensor_type`).
        TensorValueError: If the axis is out of range (`tensor_value`).
        InvalidArgumentError: If an index that is known while tracing is out of range (`index_out_of_range`).
    """
    tensor, where = convert_to_tensor(params), whole_numbers(indices)
    shape, batch = tensor._held.shape, static_int(batch_dims, "batch_dims")
    batch = batch + where._held.ndim if batch < 0 else batch
    along = static_axis(batch if axis is None else axis, len(shape))
    if not 0 <= batch <= min(along, where._held.ndim) or shape[:batch] != where._held.shape[:batch]:
        raise TensorValueError(
            f"batch_dims {batch} does not fit tensors of {tensor.get_shape()} and {where.get_shape()}"
        )
    check_indices(where, (shape[along],))

    def pick(x: Any, i: Any) -> Any:
        def one(array: Any, places: Any) -> Any:
            return jnp.asarray(array)[(slice(None),) * (along - batch) + (places,)]

        for _ in range(batch):
            one = jax.vmap(one)
        return one(x, jnp.asarray(i) if batch else i)

    known = None if batch else lambda x, i: np.take(x, i, along)
    return compute("GatherV2", pick, tensor, where, fold=known, name=name)


@export("batch_gather")
def batch_gather(params: Any, indices: Any, name: str | None = None) -> Tensor:
    """Return the parts of tensors at places, each row of indices for a row of `params`.

    Args:
        params: A tensor.
        indices: Whole numbers, whose leading axes are those of `params`.
        name: A name for the result.

    Raises:
        TensorTypeError: If indices are no whole numbers (`tensor_type`).
        TensorValueError: If the leading axes differ (`tensor_value`).
    """
    where = whole_numbers(indices)
    if not where._held.ndim:
        raise TensorValueError("batch_gather takes indices of rank 1 or more")
    return gather(params, where, name=name, batch_dims=where._held.ndim - 1)


def places(indices: Any) -> tuple[Any, ...]:
    """Return an index for each number of the last axis, for `array[...]` and `array.at[...]`."""
    return tuple(indices[..., i] for i in range(indices.shape[-1]))


@export("gather_nd", "manip.gather_nd")
def gather_nd(params: Any, indices: Any, name: str | None = None, batch_dims: Any = 0) -> Tensor:
    """Return the parts of a tensor at places of several numbers each.

    Args:
        params: A tensor.
        indices: Whole numbers; those of the last axis are one place.
        name: A name for the result.
        batch_dims: How many leading axes both have in common.

    Raises:
        TensorTypeError: If indices are no whole numbers (`tensor_type`).
        TensorValueError: If a place has more numbers than there are axes (`tensor_value`).
        InvalidArgumentError: If an index that is known while tracing is out of range (`index_out_of_range`).
    """
    tensor, where = convert_to_tensor(params), whole_numbers(indices)
    shape, batch = tensor._held.shape, static_int(batch_dims, "batch_dims")
    if where._held.ndim < 1 + batch or shape[:batch] != where._held.shape[:batch]:
        raise TensorValueError(f"indices of shape {where.get_shape()} do not fit {batch} batch dimensions")
    length = where._held.shape[-1]
    if length > len(shape) - batch:
        raise TensorValueError(f"places of {length} numbers in a tensor of shape {tensor.get_shape()}")
    check_indices(where, shape[batch : batch + length])

    def pick(x: Any, i: Any) -> Any:
        def one(array: Any, numbers: Any) -> Any:
            if not numbers.shape[-1]:
                return jnp.broadcast_to(array, (*numbers.shape[:-1], *array.shape))
            return jnp.asarray(array)[places(numbers)]

        for _ in range(batch):
            one = jax.vmap(one)
        return one(jnp.asarray(x), jnp.asarray(i))

    return compute("GatherNd", pick, tensor, where, name=name)
