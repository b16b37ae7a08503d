"""Tensors made of a shape: zeros, ranges, unit matrices."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxscope.tf1.base.converting import convert_many, convert_to_tensor
from jaxscope.tf1.base.dtypes import DType, canonical
from jaxscope.tf1.base.errors import TensorTypeError, TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import (
    FOLD_LIMIT,
    compute,
    static_int,
    static_ints,
    static_shape,
    static_value,
)
from jaxscope.tf1.base.shapes import TensorShape
from jaxscope.tf1.base.tensor import Tensor, wrap

__all__ = ["eye", "fill", "linspace", "meshgrid", "ones", "ones_like", "range_", "zeros", "zeros_like"]


def _sizes(shape: Any) -> tuple[int, ...]:
    """Return the sizes of a shape, which may be one number."""
    if isinstance(shape, list | tuple) and any(one is None for one in shape):
        raise TensorTypeError("a size of the shape is None, and must be a number", shape=shape)
    if isinstance(shape, TensorShape):
        return static_shape(shape)
    return static_ints(shape, "shape")


def _filled(kind: str, number: int, sizes: tuple[int, ...], dtype: DType, name: str | None) -> Tensor:
    """Return a tensor that is one number throughout; few whole ones are known, as those of shapes."""
    if any(size < 0 for size in sizes):
        raise TensorValueError(f"a size of the shape {sizes} is negative")
    if dtype.name == "string":
        return wrap(np.full(sizes, b"", object), kind, name)
    if dtype.dtype.kind in "iub" and int(np.prod(sizes, dtype=np.int64)) <= FOLD_LIMIT:
        return wrap(np.full(sizes, number, dtype.dtype), kind, name)
    function = jnp.ones if number else jnp.zeros
    return compute(kind, lambda: function(sizes, dtype.dtype), name=name)


@export("zeros")
def zeros(shape: Any, dtype: Any = "float32", name: str | None = None) -> Tensor:
    """Return zeros.

    Args:
        shape: The shape, known while tracing.
        dtype: The dtype.
        name: A name for the result.

    Raises:
        TensorTypeError: If a size is None (`tensor_type`).
        NotStaticError: If a size is not known while tracing (`not_static`).
    """
    return _filled("Zeros", 0, _sizes(shape), canonical(dtype), name)


@export("ones")
def ones(shape: Any, dtype: Any = "float32", name: str | None = None) -> Tensor:
    """Return ones.

    Args:
        shape: The shape, known while tracing.
        dtype: The dtype.
        name: A name for the result.

    Raises:
        TensorTypeError: If a size is None (`tensor_type`).
        NotStaticError: If a size is not known while tracing (`not_static`).
    """
    return _filled("Ones", 1, _sizes(shape), canonical(dtype), name)


def _like(kind: str, number: int, tensor: Any, dtype: Any, name: str | None) -> Tensor:
    given = convert_to_tensor(tensor)
    target = given.dtype if dtype is None else canonical(dtype)
    if isinstance(given._held, np.ndarray):
        return _filled(kind, number, given._held.shape, target, name)
    function = jnp.ones_like if number else jnp.zeros_like
    return compute(kind, lambda x: function(x, dtype=target.dtype), given, name=name)


@export("zeros_like")
def zeros_like(tensor: Any, dtype: Any = None, name: str | None = None, optimize: bool = True) -> Tensor:
    """Return zeros in the shape of a tensor.

    Args:
        tensor: A tensor.
        dtype: The dtype, that of the tensor if it is left out.
        name: A name for the result.
        optimize: A hint, without meaning here.
    """
    return _like("ZerosLike", 0, tensor, dtype, name)


@export("ones_like")
def ones_like(tensor: Any, dtype: Any = None, name: str | None = None, optimize: bool = True) -> Tensor:
    """Return ones in the shape of a tensor.

    Args:
        tensor: A tensor.
        dtype: The dtype, that of the tensor if it is left out.
        name: A name for the result.
        optimize: A hint, without meaning here.
    """
    return _like("OnesLike", 1, tensor, dtype, name)


@export("fill")
def fill(dims: Any, value: Any, name: str | None = None, layout: Any = None) -> Tensor:
    """Return a tensor that is one number throughout.

    Args:
        dims: The shape, a vector, known while tracing.
        value: The number, or a tensor of rank 0; it decides the dtype.
        name: A name for the result.
        layout: Without meaning here.

    Raises:
        TensorValueError: If `dims` is no vector, or `value` no scalar (`tensor_value`).
    """
    sizes, scalar = static_shape(dims, "dims"), convert_to_tensor(value)
    if scalar._held.shape:
        raise TensorValueError(f"fill takes a scalar, not a tensor of shape {scalar.get_shape()}")
    if any(size < 0 for size in sizes):
        raise TensorValueError(f"a size of the shape {sizes} is negative")
    return compute(
        "Fill",
        lambda x: jnp.full(sizes, x, scalar.dtype.dtype),
        scalar,
        fold=(lambda x: np.full(sizes, x, x.dtype)) if np.prod(sizes) <= FOLD_LIMIT else None,
        name=name,
    )


_RANGES = ["int32", "int64", "float16", "bfloat16", "float32", "float64"]


@export("range")
def range_(
    start: Any, limit: Any = None, delta: Any = 1, dtype: Any = None, name: str | None = "range"
) -> Tensor:
    """Return a sequence of numbers.

    Args:
        start: The first one; the limit, if none is given, and then the first one is 0.
        limit: Where the sequence ends, before that number. Known while tracing, as the others are.
        delta: The step.
        dtype: The dtype; without it that of the numbers, the widest of them.
        name: A name for the result.

    Raises:
        TensorValueError: If the step leads away from the limit, or is 0 (`tensor_value`).
        NotStaticError: If a number is not known while tracing (`not_static`).
    """
    if limit is None:
        start, limit = 0, start
    if dtype is None:
        found = [convert_to_tensor(one).dtype.name for one in (start, limit, delta)]
        if not set(found) <= set(_RANGES):
            raise TensorTypeError(f"range takes numbers, not {', '.join(found)}")
        target = canonical(max(found, key=_RANGES.index))
    else:
        target = canonical(dtype)
    first, last, step = (
        _scalar(one, argument, target)
        for one, argument in ((start, "start"), (limit, "limit"), (delta, "delta"))
    )
    if step == 0 or (last - first) * (1 if step > 0 else -1) < 0:
        raise TensorValueError(f"no sequence leads from {first} to {last} by steps of {step}")
    if target.is_floating:
        number = target.dtype.type  # as precise as the dtype is, so that 0.3 / 0.1 is 3
        count = int(np.ceil((number(last) - number(first)) / number(step)))
    else:
        count = len(range(first, last, step))
    if target.is_integer and count <= FOLD_LIMIT:
        return wrap(np.arange(first, last, step).astype(target.dtype), "Range", name)

    def sequence() -> Any:
        if first == 0 and step == 1:
            return jnp.arange(count, dtype=target.dtype)
        if target.is_integer:
            return jnp.arange(first, last, step, target.dtype)
        return jnp.arange(count, dtype=target.dtype) * target.dtype.type(step) + target.dtype.type(first)

    return compute("Range", sequence, name=name)


def _scalar(value: Any, argument: str, dtype: DType) -> Any:
    known = static_value(value, argument)
    if known.ndim:
        raise TensorValueError(f"{argument} of a range is one number, not a tensor of shape {known.shape}")
    if dtype.is_integer:
        if known.dtype.kind not in "iu":
            raise TensorTypeError(f"{argument} of a range of {dtype.name} is a whole number, not {known}")
        return int(known)
    return float(known)


@export("linspace", "lin_space")
def linspace(start: Any, stop: Any, num: Any, name: str | None = None, axis: Any = 0) -> Tensor:
    """Return evenly spaced numbers, both ends among them.

    Args:
        start: The first number, real.
        stop: The last one.
        num: How many, known while tracing.
        name: A name for the result.
        axis: Where the new axis is, if the ends are tensors of rank 1 or more.

    Raises:
        TensorValueError: If `num` is negative (`tensor_value`).
        TensorTypeError: If the numbers are not real ones (`tensor_type`).
    """
    first = convert_to_tensor(start)
    last, count = convert_to_tensor(stop, first.dtype), static_int(num, "num")
    if not first.dtype.is_floating:
        raise TensorTypeError(f"linspace takes real numbers, not {first.dtype.name}", fix="tf.to_float")
    if count < 0:
        raise TensorValueError(f"linspace makes no {count} numbers")
    where = static_int(axis, "axis")
    return compute(
        "LinSpace",
        lambda x, y: jnp.linspace(x, y, count, dtype=first.dtype.dtype, axis=where),
        first,
        last,
        name=name,
    )


@export("eye", "linalg.eye")
def eye(
    num_rows: Any,
    num_columns: Any = None,
    batch_shape: Any = None,
    dtype: Any = "float32",
    name: str | None = None,
) -> Tensor:
    """Return a unit matrix, or several of them.

    Args:
        num_rows: How many rows, known while tracing.
        num_columns: How many columns, as many as rows if it is left out.
        batch_shape: The shape in front of the matrices.
        dtype: The dtype.
        name: A name for the result.

    Raises:
        TensorValueError: If rows or columns are no scalar (`tensor_value`).
    """
    for size in (num_rows, num_columns):
        if size is not None and static_value(size, "num_rows and num_columns").ndim:
            raise TensorValueError("num_rows and num_columns are one number each")
    rows = static_int(num_rows, "num_rows")
    columns = rows if num_columns is None else static_int(num_columns, "num_columns")
    batch = () if batch_shape is None else static_shape(batch_shape, "batch_shape")
    target = canonical(dtype).dtype

    def unit() -> jax.Array:
        matrix = jnp.eye(rows, columns, dtype=target)
        return jnp.broadcast_to(matrix, (*batch, rows, columns)) if batch else matrix

    return compute("Eye", unit, name=name)


@export("meshgrid")
def meshgrid(*args: Any, **kwargs: Any) -> list[Tensor]:
    """Return coordinates of a grid, one tensor for each axis.

    Args:
        *args: The coordinates along each axis, tensors of rank 0 or 1.
        **kwargs: `indexing`, `"xy"` (then the first two axes change places) or `"ij"`; `name`.

    Raises:
        TensorTypeError: If there are other arguments (`tensor_type`).
        TensorValueError: If the indexing is another one (`tensor_value`).
    """
    indexing, name = kwargs.pop("indexing", "xy"), kwargs.pop("name", None)
    if kwargs:
        raise TensorTypeError(f"{next(iter(kwargs))!r} is no argument of meshgrid")
    if indexing not in {"xy", "ij"}:
        raise TensorValueError(f'indexing is "xy" or "ij", not {indexing!r}')
    parts = convert_many(args)
    flat = [int(np.prod(part._held.shape, dtype=int)) for part in parts]
    shape = [flat[1], flat[0], *flat[2:]] if indexing == "xy" and len(flat) > 1 else flat

    def spread(i: int, x: Any) -> Any:
        along = {0: 1, 1: 0}.get(i, i) if indexing == "xy" and len(flat) > 1 else i
        return jnp.broadcast_to(
            jnp.reshape(x, [-1 if j == along else 1 for j in range(len(flat))]), tuple(shape)
        )

    return [compute("Meshgrid", lambda x, i=i: spread(i, x), part, name=name) for i, part in enumerate(parts)]
