"""Elements chosen by truth values or by their values: `tf.where`, `tf.boolean_mask`, `tf.unique`.

How many there are decides about shapes, so what chooses must be known while tracing.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxscope.tf1.base.converting import convert_to_tensor, same_dtype
from jaxscope.tf1.base.dtypes import canonical
from jaxscope.tf1.base.errors import InvalidArgumentError, NotStaticError, TensorTypeError, TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute, static_int
from jaxscope.tf1.base.tensor import Tensor, known_value, wrap
from jaxscope.tf1.ops.arrays.gathering import gather

__all__ = ["boolean_mask", "chosen", "unique", "where", "where_v2"]


def chosen(tensor: Tensor, argument: str) -> np.ndarray[Any, Any]:
    """Return the numbers of a tensor whose values decide about shapes; without `jax.jit` all are known."""
    known = known_value(tensor)
    if known is None:
        plain = jax.lax.stop_gradient(tensor._held)  # a tracer of `jax.grad` alone has its number
        if isinstance(plain, Tracer):
            raise NotStaticError(
                f"{argument} decides about shapes, must be known while tracing, and is not",
                fix="tf.where(mask, x, 0) keeps the shape; or compute it outside of jax.jit, and pass it in",
                value=repr(tensor),
            )
        known = np.asarray(plain)
    return known


def _condition(condition: Any) -> Tensor:
    tensor = convert_to_tensor(condition)
    if not tensor.dtype.is_bool:
        raise TensorTypeError(
            f"the condition is of truth values, not of {tensor.dtype.name}", fix="tf.cast(x, tf.bool)"
        )
    return tensor


def _indices(condition: Any, name: str | None) -> Tensor:
    known = chosen(convert_to_tensor(condition), "the condition of where(condition)")
    return wrap(np.argwhere(known).astype(canonical("int64").dtype), "Where", name)


@export("where")
def where(condition: Any, x: Any = None, y: Any = None, name: str | None = None) -> Tensor:
    """Return elements of `x` where a condition is true, of `y` elsewhere; or where it is true.

    Args:
        condition: A tensor of truth values: of the shape of `x`; of rank 0, for all; of rank 1, for rows.
        x: A tensor.
        y: A tensor of the same dtype and shape.
        name: A name for the result.

    Returns:
        The elements. Without `x` and `y` the places, int64 of shape `[n, rank]`; then the condition must be
        known while tracing.

    Raises:
        TensorValueError: If one of `x` and `y` is left out, or shapes differ (`tensor_value`).
        TensorTypeError: If dtypes differ, or the condition is no truth value (`tensor_type`).
        NotStaticError: If the places are asked for, and not known while tracing (`not_static`).
    """
    if x is None and y is None:
        return _indices(condition, name)
    if x is None or y is None:
        raise TensorValueError("both x and y are given to where, or none")
    test = _condition(condition)
    a, b = same_dtype(x, y)
    sizes, shape = test._held.shape, a._held.shape
    if shape != b._held.shape:
        raise TensorValueError(
            f"x of shape {a.get_shape()} and y of shape {b.get_shape()} differ: where does not broadcast",
            code="shapes_disagree",
        )
    rows = len(sizes) == 1 and len(shape) > 1
    if sizes and sizes != shape and not (rows and sizes[0] == shape[0]):
        raise TensorValueError(
            f"a condition of shape {test.get_shape()} for tensors of shape {a.get_shape()}",
            code="shapes_disagree",
        )

    def select(c: Any, m: Any, n: Any) -> Any:
        return jnp.where(jnp.reshape(c, (-1, *(1 for _ in shape[1:]))) if rows else c, m, n)

    def known(c: Any, m: Any, n: Any) -> Any:
        return np.where(np.reshape(c, (-1, *(1 for _ in shape[1:]))) if rows else c, m, n)

    return compute("Select", select, test, a, b, fold=known, name=name)


@export("where_v2")
def where_v2(condition: Any, x: Any = None, y: Any = None, name: str | None = None) -> Tensor:
    """Return elements of `x` where a condition is true, of `y` elsewhere; or where it is true.

    Args:
        condition: A tensor of truth values.
        x: A tensor; the three of them broadcast.
        y: A tensor of the same dtype.
        name: A name for the result.

    Raises:
        TensorValueError: If one of `x` and `y` is left out, or shapes do not broadcast (`tensor_value`).
        TensorTypeError: If dtypes differ, or the condition is no truth value (`tensor_type`).
        NotStaticError: If the places are asked for, and not known while tracing (`not_static`).
    """
    if x is None and y is None:
        return _indices(condition, name)
    if x is None or y is None:
        raise TensorValueError("both x and y are given to where_v2, or none")
    return compute("SelectV2", jnp.where, _condition(condition), *same_dtype(x, y), fold=np.where, name=name)


@export("boolean_mask")
def boolean_mask(tensor: Any, mask: Any, name: str | None = "boolean_mask", axis: Any = None) -> Tensor:
    """Return the parts of a tensor where a mask is true.

    Args:
        tensor: A tensor.
        mask: Truth values in the shape of some of its axes, known while tracing.
        name: A name for the result.
        axis: The first of these axes, 0 if it is left out.

    Raises:
        TensorValueError: If the mask is a scalar, or does not have the shape of these axes (`tensor_value`).
        NotStaticError: If the mask is not known while tracing (`not_static`).
    """
    value, test = convert_to_tensor(tensor), convert_to_tensor(mask)
    first = 0 if axis is None else static_int(axis, "axis")
    sizes, shape = test._held.shape, value._held.shape
    if not sizes:
        raise TensorValueError("the mask of boolean_mask is a scalar")
    if shape[first : first + len(sizes)] != sizes:  # -1 is thus no axis here, as in TensorFlow
        raise TensorValueError(
            f"a mask of shape {sizes} at axis {first} of a tensor of shape {value.get_shape()}",
            code="shapes_disagree",
        )
    first %= len(shape)
    known = chosen(test, "the mask of boolean_mask") != 0
    index = (slice(None),) * first + (known,)
    return compute("BooleanMask", lambda x: jnp.asarray(x)[index], value, fold=lambda x: x[index], name=name)


class Unique(NamedTuple):
    """Different values, and which of them each element is."""

    y: Tensor
    idx: Tensor


class UniqueWithCounts(NamedTuple):
    """Different values, which of them each element is, and how often each is there."""

    y: Tensor
    idx: Tensor
    count: Tensor  # type: ignore[assignment] # pyright: ignore[reportIncompatibleMethodOverride]


class ListDiff(NamedTuple):
    """Values that are not in another list, and their places."""

    out: Tensor
    idx: Tensor


def _vector(x: Any, argument: str) -> Tensor:
    tensor = convert_to_tensor(x)
    if tensor._held.ndim != 1:
        raise TensorValueError(f"{argument} is a vector, not of shape {tensor.get_shape()}")
    return tensor


@export("unique")
def unique(x: Any, out_idx: Any = "int32", name: str | None = None) -> Unique:
    """Return the different values of a vector, in order of their first places.

    Args:
        x: A vector whose values are known while tracing.
        out_idx: The dtype of `idx`.
        name: A name for the results.

    Returns:
        `(y, idx)`, where `y[idx]` is `x`.

    Raises:
        TensorValueError: If it is no vector (`tensor_value`).
        NotStaticError: If the values are not known while tracing (`not_static`).
    """
    found = unique_with_counts(x, out_idx, name)
    return Unique(found.y, found.idx)


@export("unique_with_counts")
def unique_with_counts(x: Any, out_idx: Any = "int32", name: str | None = None) -> UniqueWithCounts:
    """Return the different values of a vector, in order of their first places, and how often each is there.

    Args:
        x: A vector whose values are known while tracing.
        out_idx: The dtype of `idx` and `count`.
        name: A name for the results.

    Raises:
        TensorValueError: If it is no vector (`tensor_value`).
        NotStaticError: If the values are not known while tracing (`not_static`).
    """
    tensor = _vector(x, "x")
    numbers = chosen(tensor, "the argument of unique")
    _, first, inverse, counts = np.unique(numbers, return_index=True, return_inverse=True, return_counts=True)
    order = np.argsort(first)
    place = np.empty_like(order)
    place[order] = np.arange(order.size)
    dtype = canonical(out_idx).dtype
    return UniqueWithCounts(
        gather(tensor, first[order].astype(np.int32), name=name),
        wrap(place[inverse.reshape(-1)].astype(dtype), "Unique"),
        wrap(counts[order].astype(dtype), "Unique"),
    )


@export("setdiff1d")
def setdiff1d(x: Any, y: Any, index_dtype: Any = "int32", name: str | None = None) -> ListDiff:
    """Return the values of a vector that are not in another one, and their places.

    Args:
        x: A vector whose values are known while tracing.
        y: Another one.
        index_dtype: The dtype of the places.
        name: A name for the results.

    Raises:
        TensorValueError: If one is no vector (`tensor_value`).
        NotStaticError: If the values are not known while tracing (`not_static`).
    """
    first, second = same_dtype(x, y)
    numbers = chosen(_vector(first, "x"), "the argument of setdiff1d")
    left = np.flatnonzero(~np.isin(numbers, chosen(_vector(second, "y"), "the argument of setdiff1d")))
    return ListDiff(
        gather(first, left.astype(np.int32), name=name),
        wrap(left.astype(canonical(index_dtype).dtype), "ListDiff"),
    )


@export("dynamic_partition")
def dynamic_partition(
    data: Any, partitions: Any, num_partitions: int, name: str | None = None
) -> list[Tensor]:
    """Return the parts of a tensor that have the numbers 0, 1, 2, ...

    Args:
        data: A tensor.
        partitions: The number of each part, in the shape of its leading axes; known while tracing.
        num_partitions: How many numbers there are.
        name: A name for the results.

    Raises:
        TensorValueError: If the shapes do not fit (`tensor_value`).
        InvalidArgumentError: If a number is out of range (`invalid_argument`).
        NotStaticError: If the numbers are not known while tracing (`not_static`).
    """
    value, parts = convert_to_tensor(data), convert_to_tensor(partitions)
    if value._held.shape[: parts._held.ndim] != parts._held.shape:
        raise TensorValueError(
            f"partitions of shape {parts.get_shape()} for data of shape {value.get_shape()}"
        )
    known = chosen(parts, "the partitions of dynamic_partition")
    if known.size and not 0 <= known.min() <= known.max() < num_partitions:
        raise InvalidArgumentError(f"a partition is not among the {num_partitions} there are")
    return [boolean_mask(value, known == i, name) for i in range(num_partitions)]
