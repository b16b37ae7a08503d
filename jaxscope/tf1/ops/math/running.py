"""Running sums and products, and where the greatest number is."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.dtypes import canonical
from jaxscope.tf1.base.errors import TensorTypeError, TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute, renamed, static_axis
from jaxscope.tf1.base.tensor import Tensor

__all__ = ["argmax", "argmin", "cumprod", "cumsum"]


def _running(
    kind: str,
    start: int,
    x: Any,
    axis: Any,
    exclusive: bool,
    reverse: bool,
    name: str | None,
) -> Tensor:
    tensor = convert_to_tensor(x)
    if tensor.dtype.is_bool:
        raise TensorTypeError(f"{kind} does not take tensors of bool", fix="tf.cast(x, tf.int32)")
    where, dtype = static_axis(axis, len(tensor._held.shape)), tensor.dtype.dtype

    def run(module: Any, flip: Callable[..., Any], array: Any) -> Any:
        if reverse:
            array = flip(array, where)
        if exclusive and array.shape[where]:
            shape = (*array.shape[:where], 1, *array.shape[where + 1 :])
            most = array[(slice(None),) * where + (slice(None, -1),)]
            array = module.concatenate([module.full(shape, start, dtype), most], where)
        if kind == "Cumprod" and tensor.dtype.is_floating:
            result = _product(array, where)
        else:
            result = getattr(module, kind.lower())(array, axis=where, dtype=dtype)
        return flip(result, where) if reverse else result

    return compute(
        kind,
        lambda array: run(jnp, jnp.flip, jnp.asarray(array)),
        tensor,
        fold=lambda array: run(np, np.flip, array),
        name=name,
    )


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _product(x: Any, axis: int) -> jax.Array:
    return jnp.cumprod(x, axis=axis)


@_product.defjvp
def _product_jvp(axis: int, primals: Any, tangents: Any) -> Any:
    """TensorFlow's derivative, which divides by `x`, and is 0 by a number that is 0."""
    (x,), (dx,) = primals, tangents
    result = _product(x, axis)
    parts = jnp.where(x == 0, 0, dx / jnp.where(x == 0, 1, x))
    return result, result * jnp.cumsum(parts, axis=axis)


@export("cumsum", "math.cumsum")
def cumsum(
    x: Any, axis: Any = 0, exclusive: bool = False, reverse: bool = False, name: str | None = None
) -> Tensor:
    """Return running sums along an axis.

    Args:
        x: A tensor of numbers.
        axis: The axis, known while tracing.
        exclusive: Whether each sum is of the numbers before alone, so that the first one is 0.
        reverse: Whether to run from the end.
        name: A name for the result.

    Raises:
        TensorTypeError: If the tensor is of truth values (`tensor_type`).
        TensorValueError: If the axis is out of range (`tensor_value`).
    """
    return _running("Cumsum", 0, x, axis, exclusive, reverse, name)


@export("cumprod", "math.cumprod")
def cumprod(
    x: Any, axis: Any = 0, exclusive: bool = False, reverse: bool = False, name: str | None = None
) -> Tensor:
    """Return running products along an axis.

    Args:
        x: A tensor of numbers.
        axis: The axis, known while tracing.
        exclusive: Whether each product is of the numbers before alone, so that the first one is 1.
        reverse: Whether to run from the end.
        name: A name for the result.

    Raises:
        TensorTypeError: If the tensor is of truth values (`tensor_type`).
        TensorValueError: If the axis is out of range (`tensor_value`).
    """
    return _running("Cumprod", 1, x, axis, exclusive, reverse, name)


@export("math.cumulative_logsumexp")
def cumulative_logsumexp(
    x: Any, axis: Any = 0, exclusive: bool = False, reverse: bool = False, name: str | None = None
) -> Tensor:
    """Return running log(sum(exp(x))) along an axis.

    Args:
        x: A tensor of real numbers.
        axis: The axis, known while tracing.
        exclusive: Whether each one is of the numbers before alone, so that the first one is -inf.
        reverse: Whether to run from the end.
        name: A name for the result.

    Raises:
        TensorTypeError: If the tensor is of another kind (`tensor_type`).
        TensorValueError: If the axis is out of range (`tensor_value`).
    """
    tensor = convert_to_tensor(x)
    if not tensor.dtype.is_floating:
        raise TensorTypeError(f"CumulativeLogsumexp does not take tensors of {tensor.dtype.name}")
    where = static_axis(axis, len(tensor._held.shape))

    def run(array: Any) -> jax.Array:
        if exclusive and array.shape[where]:
            start, end = (1, None) if reverse else (0, -1)
            most = jax.lax.slice_in_dim(array, start, end, axis=where)
            first = jnp.full((*array.shape[:where], 1, *array.shape[where + 1 :]), -jnp.inf, array.dtype)
            array = jnp.concatenate([most, first] if reverse else [first, most], where)
        return jax.lax.cumlogsumexp(array, axis=where, reverse=reverse)

    return compute("CumulativeLogsumexp", lambda array: run(jnp.asarray(array)), tensor, name=name)


def _place(kind: str, input: Any, axis: Any, output_type: Any, name: str | None) -> Tensor:
    tensor, target = convert_to_tensor(input), canonical(output_type)
    if tensor.dtype.is_bool and kind == "ArgMin":
        raise TensorTypeError(f"{kind} does not take tensors of bool", fix="tf.cast(x, tf.int32)")
    if target.name not in {"int32", "int64"}:
        raise TensorTypeError(f"output_type is tf.int32 or tf.int64, not {target.name}")
    if isinstance(axis, list | tuple):
        raise TensorTypeError("the axis of argmax and argmin is one number, not a list")
    where = static_axis(0 if axis is None else axis, len(tensor._held.shape))
    if not tensor._held.shape[where]:
        raise TensorValueError(f"{kind} over an axis of size 0 has no result", code="empty_axis")
    best, rest = (jnp.argmax, -jnp.inf) if kind == "ArgMax" else (jnp.argmin, jnp.inf)

    def find(array: Any) -> jax.Array:
        # TensorFlow passes over NaN, JAX stops at one.
        plain = jnp.where(jnp.isnan(array), rest, array) if tensor.dtype.is_floating else array
        return best(plain, axis=where).astype(target.dtype)

    def known(array: Any) -> Any:
        numpys = np.argmax if kind == "ArgMax" else np.argmin
        return np.asarray(numpys(array, axis=where)).astype(target.dtype)

    return compute(kind, find, tensor, fold=known, name=name)


@export("argmax", "math.argmax")
@renamed(axis="dimension")
def argmax(
    input: Any,
    axis: Any = None,
    name: str | None = None,
    dimension: Any = None,
    output_type: Any = "int64",
) -> Tensor:
    """Return where along an axis the greatest number is, the first one of equals.

    Args:
        input: A tensor of numbers.
        axis: The axis, 0 if it is left out, known while tracing.
        name: A name for the result.
        dimension: The older name of `axis`.
        output_type: `tf.int64` or `tf.int32`.

    Raises:
        TensorValueError: If the axis is out of range, or of size 0 (`tensor_value`, `empty_axis`).
    """
    return _place("ArgMax", input, dimension if axis is None else axis, output_type, name)


@export("argmin", "math.argmin")
@renamed(axis="dimension")
def argmin(
    input: Any,
    axis: Any = None,
    name: str | None = None,
    dimension: Any = None,
    output_type: Any = "int64",
) -> Tensor:
    """Return where along an axis the least number is, the first one of equals.

    Args:
        input: A tensor of numbers.
        axis: The axis, 0 if it is left out, known while tracing.
        name: A name for the result.
        dimension: The older name of `axis`.
        output_type: `tf.int64` or `tf.int32`.

    Raises:
        TensorValueError: If the axis is out of range, or of size 0 (`tensor_value`, `empty_axis`).
    """
    return _place("ArgMin", input, dimension if axis is None else axis, output_type, name)


@export("arg_max")
def arg_max(input: Any, dimension: Any, output_type: Any = "int64", name: str | None = None) -> Tensor:
    """Return where along an axis the greatest number is: the older `argmax`.

    Args:
        input: A tensor of numbers.
        dimension: The axis.
        output_type: `tf.int64` or `tf.int32`.
        name: A name for the result.
    """
    return _place("ArgMax", input, dimension, output_type, name)


@export("arg_min")
def arg_min(input: Any, dimension: Any, output_type: Any = "int64", name: str | None = None) -> Tensor:
    """Return where along an axis the least number is: the older `argmin`.

    Args:
        input: A tensor of numbers.
        dimension: The axis.
        output_type: `tf.int64` or `tf.int32`.
        name: A name for the result.
    """
    return _place("ArgMin", input, dimension, output_type, name)
