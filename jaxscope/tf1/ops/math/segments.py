"""Sums and the like over parts of a tensor that have the same number."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.errors import InvalidArgumentError, TensorValueError
from jaxscope.tf1.base.exporting import export_constant
from jaxscope.tf1.base.operation import compute, static_int
from jaxscope.tf1.base.tensor import Tensor
from jaxscope.tf1.ops.arrays.choosing import chosen
from jaxscope.tf1.ops.arrays.gathering import gather, whole_numbers

__all__ = ["segment_function"]

# Numbers behind the last segment are not counted; JAX would count negative ones from the end.


def _total(x: Any, ids: Any, count: int) -> jax.Array:
    return jax.ops.segment_sum(x, ids, count)


def _mean(x: Any, ids: Any, count: int) -> Any:
    return _total(x, ids, count) / jnp.maximum(_counts(x, ids, count), 1)


def _sqrt_n(x: Any, ids: Any, count: int) -> Any:
    return _total(x, ids, count) / jnp.sqrt(jnp.maximum(_counts(x, ids, count), 1))


def _counts(x: Any, ids: Any, count: int) -> Any:
    ones = jax.ops.segment_sum(jnp.ones(ids.shape, x.dtype), ids, count)
    return jnp.reshape(ones, (count, *(1 for _ in x.shape[1:])))


def _extreme(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function whose derivative equal numbers share; JAX's own has none."""

    def plain(x: Any, ids: Any, count: int) -> Any:
        return function(x, ids, count)

    best = jax.custom_jvp(plain, nondiff_argnums=(2,))

    @best.defjvp
    def derivative(count: int, primals: Any, tangents: Any) -> Any:
        (x, ids), dx = primals, tangents[0]
        result = function(x, ids, count)
        same = (x == result[ids]).astype(x.dtype)
        shared = jax.ops.segment_sum(same, ids, count)
        return result, jax.ops.segment_sum(same * dx, ids, count) / jnp.maximum(shared, 1)

    return lambda x, ids, count: (best if jnp.issubdtype(x.dtype, jnp.floating) else plain)(x, ids, count)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sum": _total,
    "mean": _mean,
    "max": _extreme(jax.ops.segment_max),
    "min": _extreme(jax.ops.segment_min),
    "prod": jax.ops.segment_prod,
    "sqrt_n": _sqrt_n,
}


def segment_function(kind: str, x: Tensor, ids: Tensor, count: int, *, empty: Any, name: Any) -> Tensor:
    """Return a function of each segment of a tensor.

    Args:
        kind: `"sum"`, `"mean"`, `"max"`, `"min"`, `"prod"` or `"sqrt_n"`.
        x: The tensor.
        ids: The number of the segment of each part, in the shape of its leading axes.
        count: How many segments there are.
        empty: The value of segments without a part; None for what the function makes of nothing.
        name: The name that the user gave.

    Raises:
        TensorValueError: If the numbers do not have the shape of leading axes (`tensor_value`).
        InvalidArgumentError: If a number that is known is out of range (`invalid_argument`).
    """
    shape, flat = x._held.shape, ids._held.ndim
    if shape[:flat] != ids._held.shape or not flat:
        raise TensorValueError(f"segment_ids of shape {ids.get_shape()} for data of shape {x.get_shape()}")
    held = ids._held
    if not isinstance(held, Tracer) and held.size and np.asarray(held).max() >= count:
        raise InvalidArgumentError(f"a segment is not among the {count} there are", code="index_out_of_range")

    def run(array: Any, numbers: Any) -> Any:
        array, numbers = jnp.asarray(array), jnp.asarray(numbers)
        if flat > 1:
            array, numbers = jnp.reshape(array, (-1, *shape[flat:])), jnp.reshape(numbers, -1)
        if empty is None and numbers.dtype.kind == "i":
            numbers = jnp.where(numbers < 0, count, numbers)
        result = _FUNCTIONS[kind](array, numbers, count)
        if kind in {"max", "min"}:
            there = _counts(array, numbers, count) > 0
            lowest = x.dtype.min if kind == "max" else x.dtype.max
            result = jnp.where(there, result, jnp.asarray(lowest if empty is None else empty, array.dtype))
        return result

    return compute(f"Segment{kind.capitalize()}", run, x, ids, name=name)


def _sorted(kind: str) -> None:
    def segment(data: Any, segment_ids: Any, name: str | None = None) -> Tensor:
        ids = whole_numbers(segment_ids, "segment_ids")
        known = chosen(ids, "segment_ids of segments that are in order")
        if known.ndim != 1:
            raise TensorValueError("segment_ids are a vector")
        if known.size and (known[0] < 0 or (np.diff(known) < 0).any()):
            raise InvalidArgumentError("segment_ids are not in order", fix="tf.unsorted_segment_sum")
        count = int(known[-1]) + 1 if known.size else 0
        return segment_function(kind, convert_to_tensor(data), ids, count, empty=0, name=name)

    segment.__name__ = segment.__qualname__ = f"segment_{kind}"
    segment.__doc__ = f"""Return the {kind} of each run of parts that have the same number.

    Args:
        data: A tensor.
        segment_ids: The number of each part, in order, known while tracing.
        name: A name for the result.

    Raises:
        TensorValueError: If there are not as many numbers as parts (`tensor_value`).
        InvalidArgumentError: If they are not in order (`invalid_argument`).
        NotStaticError: If they are not known while tracing (`not_static`).
    """
    export_constant(segment, f"segment_{kind}", f"math.segment_{kind}")


def _unsorted(kind: str) -> None:
    def segment(data: Any, segment_ids: Any, num_segments: Any, name: str | None = None) -> Tensor:
        ids, count = whole_numbers(segment_ids, "segment_ids"), static_int(num_segments, "num_segments")
        return segment_function(kind, convert_to_tensor(data), ids, count, empty=None, name=name)

    segment.__name__ = segment.__qualname__ = f"unsorted_segment_{kind}"
    segment.__doc__ = f"""Return the {kind} of all parts that have the same number.

    Args:
        data: A tensor.
        segment_ids: The number of each part, in the shape of leading axes; what is negative is left out.
        num_segments: How many numbers there are, known while tracing.
        name: A name for the result.

    Raises:
        TensorValueError: If the numbers do not have the shape of leading axes (`tensor_value`).
        InvalidArgumentError: If a number that is known is out of range (`index_out_of_range`).
    """
    export_constant(segment, f"unsorted_segment_{kind}", f"math.unsorted_segment_{kind}")


def _sparse(kind: str) -> None:
    def segment(
        data: Any, indices: Any, segment_ids: Any, name: str | None = None, num_segments: Any = None
    ) -> Tensor:
        ids = whole_numbers(segment_ids, "segment_ids")
        if num_segments is None:
            known = chosen(ids, "segment_ids, without num_segments,")
            count = int(known[-1]) + 1 if known.size else 0
        else:
            count = static_int(num_segments, "num_segments")
        return segment_function(kind, gather(data, indices), ids, count, empty=0, name=name)

    segment.__name__ = segment.__qualname__ = f"sparse_segment_{kind}"
    segment.__doc__ = f"""Return the {kind} of parts, taken by index, that have the same number.

    Args:
        data: A tensor.
        indices: Which parts of it are taken.
        segment_ids: The number of each of these, in order.
        name: A name for the result.
        num_segments: How many numbers there are; the last one and one, if it is left out.

    Raises:
        TensorValueError: If there are not as many numbers as indices (`tensor_value`).
        NotStaticError: If their count is not known while tracing (`not_static`).
    """
    export_constant(segment, f"sparse_segment_{kind}")


for _kind in ("sum", "mean", "max", "min", "prod"):
    _sorted(_kind)
for _kind in (*_FUNCTIONS,):
    _unsorted(_kind)
for _kind in ("sum", "mean", "sqrt_n"):
    _sparse(_kind)
