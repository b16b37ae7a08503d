"""Numbers and gradients kept within limits."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxscope.tf1.base.converting import convert_to_tensor, same_dtype
from jaxscope.tf1.base.errors import TensorTypeError, TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute, compute_tree, static_axes
from jaxscope.tf1.base.tensor import Tensor
from jaxscope.tf1.ops.math.pairs import greater_of, less_of, maximum, minimum

__all__ = [
    "clip_by_average_norm",
    "clip_by_global_norm",
    "clip_by_norm",
    "clip_by_value",
    "clipped",
    "global_norm",
]


@export("clip_by_value")
def clip_by_value(t: Any, clip_value_min: Any, clip_value_max: Any, name: str | None = None) -> Tensor:
    """Return `maximum(minimum(t, clip_value_max), clip_value_min)`.

    Args:
        t: A tensor of numbers.
        clip_value_min: The least value, a number or a tensor that broadcasts to `t`.
        clip_value_max: The greatest one.
        name: A name for the result.

    Raises:
        TensorTypeError: If the dtypes differ (`dtypes_disagree`).
        TensorValueError: If the result would be of another shape than `t` (`shapes_disagree`).
    """
    tensor = convert_to_tensor(t, name=name)
    below = minimum(tensor, clip_value_max)
    result = maximum(below, clip_value_min, name)
    for one in (below, result):
        if one._held.shape != tensor._held.shape:
            raise TensorValueError(
                f"a limit does not broadcast to the shape {tensor.get_shape()}", code="shapes_disagree"
            )
    return result


@export("clip_by_norm")
def clip_by_norm(t: Any, clip_norm: Any, axes: Any = None, name: str | None = None) -> Tensor:
    """Return a tensor, made smaller where its norm is greater than a limit.

    Args:
        t: A tensor of real numbers.
        clip_norm: The limit.
        axes: The axes over which norms are taken, all if they are left out.
        name: A name for the result.

    Raises:
        TensorValueError: If an axis is out of range (`tensor_value`).
    """
    tensor = convert_to_tensor(t, name=name)
    if not (tensor.dtype.is_floating or tensor.dtype.is_integer):
        raise TensorTypeError(f"clip_by_norm takes real numbers, not {tensor.dtype.name}")
    limit = same_dtype(tensor, clip_norm)[1]
    along = static_axes(axes, tensor._held.ndim, "axes")
    return compute("ClipByNorm", lambda x, most: clipped(x, most, along), tensor, limit, name=name)


def clipped(x: Any, most: Any, axes: Any) -> Any:
    """Return an array, made smaller where its norm over axes is greater than `most`."""
    squares = jnp.sum(jnp.square(x), axis=axes, keepdims=True)
    safe = jnp.where(squares > 0, squares, 1)  # the derivative of sqrt(0) is no number
    norm = jnp.where(squares > 0, jnp.sqrt(safe), squares)
    most = jnp.maximum(most, 0)
    return x * most / greater_of(norm, most)


@export("clip_by_average_norm")
def clip_by_average_norm(t: Any, clip_norm: Any, name: str | None = None) -> Tensor:
    """Return a tensor, made smaller if its norm for one element is greater than a limit.

    Args:
        t: A tensor of real numbers.
        clip_norm: The limit.
        name: A name for the result.
    """
    tensor = convert_to_tensor(t, name=name)
    limit, count = convert_to_tensor(clip_norm, tensor.dtype), tensor._held.size

    def clip(x: Any, most: Any) -> Any:
        inverse = count * jax.lax.rsqrt(jnp.sum(jnp.square(x)))
        return x * most * less_of(inverse, 1 / most)

    return compute("ClipByAverageNorm", clip, tensor, limit, name=name)


def _listed(t_list: Any, argument: str = "t_list") -> list[Any]:
    if isinstance(t_list, Tensor) or not hasattr(t_list, "__iter__") or isinstance(t_list, str):
        raise TensorTypeError(f"{argument} is a list of tensors")
    return [None if one is None else _values(one) for one in t_list]


def _values(one: Any) -> Tensor:
    return convert_to_tensor(getattr(one, "values", one) if not isinstance(one, Tensor) else one)


@export("global_norm", "linalg.global_norm")
def global_norm(t_list: Any, name: str | None = None) -> Tensor:
    """Return the norm of all tensors together.

    Args:
        t_list: A list of tensors; None is passed over.
        name: A name for the result.

    Raises:
        TensorTypeError: If it is no list (`tensor_type`).
    """
    parts = [one for one in _listed(t_list) if one is not None]
    if not parts:
        return convert_to_tensor(0.0)
    return compute("GlobalNorm", _norm, *parts, name=name)


def _norm(*arrays: Any) -> jax.Array:
    total = sum(jnp.sum(jnp.square(array)) for array in arrays)
    return jnp.sqrt(total)


@export("clip_by_global_norm")
def clip_by_global_norm(
    t_list: Any, clip_norm: Any, use_norm: Any = None, name: str | None = None
) -> tuple[list[Any], Tensor]:
    """Return tensors, made smaller if the norm of all together is greater than a limit, and that norm.

    Args:
        t_list: A list of tensors; None stays.
        clip_norm: The limit.
        use_norm: The norm, if it is known already.
        name: A name for the results.

    Returns:
        `(list, norm)`; of a norm that is infinite, all tensors are NaN.

    Raises:
        TensorTypeError: If it is no list (`tensor_type`).
    """
    parts = _listed(t_list)
    norm = global_norm(parts, name) if use_norm is None else convert_to_tensor(use_norm)
    there = [one for one in parts if one is not None]
    if not there:
        return list(parts), norm
    limit = convert_to_tensor(clip_norm, norm.dtype)

    def clip(whole: Any, most: Any, *arrays: Any) -> list[Any]:
        scale = most * less_of(1 / whole, 1 / most)
        scale = jnp.where(jnp.isfinite(whole), scale, jnp.nan)
        return [array * scale.astype(array.dtype) for array in arrays]

    clipped = iter(compute_tree("ClipByGlobalNorm", clip, norm, limit, *there, name=name))
    return [None if one is None else next(clipped) for one in parts], norm
