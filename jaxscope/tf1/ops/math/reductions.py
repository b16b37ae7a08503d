"""Sums, means, maxima over axes."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.dtypes import canonical
from jaxscope.tf1.base.errors import TensorTypeError, TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute, renamed, static_axes
from jaxscope.tf1.base.tensor import Tensor
from jaxscope.tf1.ops.math.elementwise import distance, squares

__all__ = [
    "count_nonzero",
    "norm",
    "reduce_all",
    "reduce_any",
    "reduce_euclidean_norm",
    "reduce_logsumexp",
    "reduce_max",
    "reduce_mean",
    "reduce_min",
    "reduce_prod",
    "reduce_std",
    "reduce_sum",
    "reduce_variance",
]

_old_names = renamed(axis="reduction_indices", keepdims="keep_dims")


def _reduce(
    kind: str,
    function: Callable[..., Any],
    input_tensor: Any,
    axis: Any,
    keepdims: Any,
    name: str | None,
    *,
    fold: Callable[..., Any] | None = None,
    takes: str = "numbers",
) -> Tensor:
    """Reduce by `function(array, axis=, keepdims=)`; `fold` is the same of NumPy."""
    tensor = convert_to_tensor(input_tensor)
    dtype = tensor.dtype
    wrong = {
        "numbers": dtype.is_bool,
        "ordered": dtype.is_bool or dtype.is_complex,
        "truth": not dtype.is_bool,
        "real": not dtype.is_floating,
        "fractions": not (dtype.is_floating or dtype.is_complex),
    }[takes]
    if takes in {"real", "fractions"}:  # what TensorFlow does in several steps, of which the first takes all
        static_axes(axis, len(tensor._held.shape))
    if wrong or dtype.name == "string":
        raise TensorTypeError(f"{kind} does not take tensors of {dtype.name}", fix="tf.cast before")
    axes, keep = static_axes(axis, len(tensor._held.shape)), bool(keepdims)
    return compute(
        kind,
        lambda x: function(x, axis=axes, keepdims=keep),
        tensor,
        fold=None if fold is None else lambda x: fold(x, axis=axes, keepdims=keep),
        name=name,
    )


@export("reduce_sum", "math.reduce_sum")
@_old_names
def reduce_sum(input_tensor: Any, axis: Any = None, keepdims: Any = None, name: str | None = None) -> Tensor:
    """Return sums over axes.

    Args:
        input_tensor: A tensor of numbers.
        axis: An axis or axes; None for all, `[]` for none. Once called `reduction_indices`.
        keepdims: Whether the axes stay, of size one. Once called `keep_dims`.
        name: A name for the result.

    Raises:
        TensorTypeError: If the tensor is of truth values (`tensor_type`).
        TensorValueError: If an axis is out of range (`tensor_value`).
    """
    tensor = convert_to_tensor(input_tensor)
    dtype = tensor.dtype.dtype
    ours, numpys = partial(jnp.sum, dtype=dtype), partial(np.sum, dtype=dtype)
    return _reduce("Sum", ours, tensor, axis, keepdims, name, fold=numpys)


@export("reduce_mean", "math.reduce_mean")
@_old_names
def reduce_mean(input_tensor: Any, axis: Any = None, keepdims: Any = None, name: str | None = None) -> Tensor:
    """Return means over axes; those of whole numbers are cut towards zero, that of nothing is NaN.

    Args:
        input_tensor: A tensor of numbers.
        axis: An axis or axes; None for all, `[]` for none. Once called `reduction_indices`.
        keepdims: Whether the axes stay, of size one. Once called `keep_dims`.
        name: A name for the result.

    Raises:
        TensorTypeError: If the tensor is of truth values (`tensor_type`).
        TensorValueError: If an axis is out of range (`tensor_value`).
    """
    tensor = convert_to_tensor(input_tensor)
    dtype = tensor.dtype.dtype

    def whole(x: Any, axis: Any, keepdims: bool) -> jax.Array:
        sizes = np.shape(x)
        count = int(np.prod([sizes[i] for i in (range(len(sizes)) if axis is None else axis)], dtype=int))
        total = jnp.sum(x, axis=axis, keepdims=keepdims, dtype=dtype)
        return jax.lax.div(total, jnp.full_like(total, max(count, 1)))

    function = whole if tensor.dtype.is_integer else jnp.mean
    return _reduce("Mean", function, tensor, axis, keepdims, name)


def _least(kind: str, dtype: Any) -> Any:
    if dtype.is_floating:
        return -np.inf if kind == "Max" else np.inf
    return dtype.min if kind == "Max" else dtype.max


def _extreme(kind: str, input_tensor: Any, axis: Any, keepdims: Any, name: str | None) -> Tensor:
    tensor = convert_to_tensor(input_tensor)
    ours, numpys = (jnp.max, np.max) if kind == "Max" else (jnp.min, np.min)
    if tensor._held.size:
        return _reduce(kind, ours, tensor, axis, keepdims, name, fold=numpys, takes="ordered")
    start = _least(kind, tensor.dtype)

    def of_nothing(x: Any, **kept: Any) -> Any:
        return ours(x, initial=start, **kept)

    return _reduce(kind, of_nothing, tensor, axis, keepdims, name, takes="ordered")


@export("reduce_max", "math.reduce_max")
@_old_names
def reduce_max(input_tensor: Any, axis: Any = None, keepdims: Any = None, name: str | None = None) -> Tensor:
    """Return the greatest numbers over axes; those of nothing are the least there are.

    Args:
        input_tensor: A tensor of numbers. Equal ones share the gradient.
        axis: An axis or axes; None for all, `[]` for none. Once called `reduction_indices`.
        keepdims: Whether the axes stay, of size one. Once called `keep_dims`.
        name: A name for the result.

    Raises:
        TensorTypeError: If the tensor is of truth values or complex (`tensor_type`).
        TensorValueError: If an axis is out of range (`tensor_value`).
    """
    return _extreme("Max", input_tensor, axis, keepdims, name)


@export("reduce_min", "math.reduce_min")
@_old_names
def reduce_min(input_tensor: Any, axis: Any = None, keepdims: Any = None, name: str | None = None) -> Tensor:
    """Return the least numbers over axes; those of nothing are the greatest there are.

    Args:
        input_tensor: A tensor of numbers. Equal ones share the gradient.
        axis: An axis or axes; None for all, `[]` for none. Once called `reduction_indices`.
        keepdims: Whether the axes stay, of size one. Once called `keep_dims`.
        name: A name for the result.

    Raises:
        TensorTypeError: If the tensor is of truth values or complex (`tensor_type`).
        TensorValueError: If an axis is out of range (`tensor_value`).
    """
    return _extreme("Min", input_tensor, axis, keepdims, name)


@export("reduce_prod", "math.reduce_prod")
@_old_names
def reduce_prod(input_tensor: Any, axis: Any = None, keepdims: Any = None, name: str | None = None) -> Tensor:
    """Return products over axes.

    Args:
        input_tensor: A tensor of numbers.
        axis: An axis or axes; None for all, `[]` for none. Once called `reduction_indices`.
        keepdims: Whether the axes stay, of size one. Once called `keep_dims`.
        name: A name for the result.

    Raises:
        TensorTypeError: If the tensor is of truth values (`tensor_type`).
        TensorValueError: If an axis is out of range (`tensor_value`).
    """
    tensor = convert_to_tensor(input_tensor)
    dtype = tensor.dtype.dtype
    ours, numpys = partial(jnp.prod, dtype=dtype), partial(np.prod, dtype=dtype)
    return _reduce("Prod", ours, tensor, axis, keepdims, name, fold=numpys)


@export("reduce_all", "math.reduce_all")
@_old_names
def reduce_all(input_tensor: Any, axis: Any = None, keepdims: Any = None, name: str | None = None) -> Tensor:
    """Return whether all are true, over axes.

    Args:
        input_tensor: A tensor of truth values.
        axis: An axis or axes; None for all, `[]` for none. Once called `reduction_indices`.
        keepdims: Whether the axes stay, of size one. Once called `keep_dims`.
        name: A name for the result.

    Raises:
        TensorTypeError: If the tensor is of another kind (`tensor_type`).
        TensorValueError: If an axis is out of range (`tensor_value`).
    """
    return _reduce("All", jnp.all, input_tensor, axis, keepdims, name, fold=np.all, takes="truth")


@export("reduce_any", "math.reduce_any")
@_old_names
def reduce_any(input_tensor: Any, axis: Any = None, keepdims: Any = None, name: str | None = None) -> Tensor:
    """Return whether any is true, over axes.

    Args:
        input_tensor: A tensor of truth values.
        axis: An axis or axes; None for all, `[]` for none. Once called `reduction_indices`.
        keepdims: Whether the axes stay, of size one. Once called `keep_dims`.
        name: A name for the result.

    Raises:
        TensorTypeError: If the tensor is of another kind (`tensor_type`).
        TensorValueError: If an axis is out of range (`tensor_value`).
    """
    return _reduce("Any", jnp.any, input_tensor, axis, keepdims, name, fold=np.any, takes="truth")


@export("reduce_logsumexp", "math.reduce_logsumexp")
@_old_names
def reduce_logsumexp(
    input_tensor: Any, axis: Any = None, keepdims: Any = None, name: str | None = None
) -> Tensor:
    """Return log(sum(exp(x))) over axes, without overflow.

    Args:
        input_tensor: A tensor of real numbers.
        axis: An axis or axes; None for all, `[]` for none. Once called `reduction_indices`.
        keepdims: Whether the axes stay, of size one. Once called `keep_dims`.
        name: A name for the result.

    Raises:
        TensorTypeError: If the tensor is of another kind (`tensor_type`).
        TensorValueError: If an axis is out of range (`tensor_value`).
    """
    function = jax.scipy.special.logsumexp
    return _reduce("LogSumExp", function, input_tensor, axis, keepdims, name, takes="real")


@export("math.reduce_variance")
def reduce_variance(input_tensor: Any, axis: Any = None, keepdims: Any = False, name: Any = None) -> Tensor:
    """Return variances over axes: means of squared distances from the mean.

    Args:
        input_tensor: A tensor of real or complex numbers.
        axis: An axis or axes; None for all.
        keepdims: Whether the axes stay, of size one.
        name: A name for the result.

    Raises:
        TensorTypeError: If the tensor is of another kind (`tensor_type`).
        TensorValueError: If an axis is out of range (`tensor_value`).
    """
    return _reduce("Variance", jnp.var, input_tensor, axis, keepdims, name, takes="fractions")


@export("math.reduce_std")
def reduce_std(input_tensor: Any, axis: Any = None, keepdims: Any = False, name: Any = None) -> Tensor:
    """Return standard deviations over axes.

    Args:
        input_tensor: A tensor of real or complex numbers.
        axis: An axis or axes; None for all.
        keepdims: Whether the axes stay, of size one.
        name: A name for the result.

    Raises:
        TensorTypeError: If the tensor is of another kind (`tensor_type`).
        TensorValueError: If an axis is out of range (`tensor_value`).
    """
    return _reduce("Std", jnp.std, input_tensor, axis, keepdims, name, takes="fractions")


def _euclidean(x: Any, axis: Any, keepdims: bool) -> jax.Array:
    return jnp.sqrt(jnp.sum(squares(x), axis=axis, keepdims=keepdims))


@export("math.reduce_euclidean_norm")
def reduce_euclidean_norm(
    input_tensor: Any, axis: Any = None, keepdims: Any = False, name: str | None = None
) -> Tensor:
    """Return the square roots of sums of squares over axes.

    Args:
        input_tensor: A tensor of real or complex numbers.
        axis: An axis or axes; None for all.
        keepdims: Whether the axes stay, of size one.
        name: A name for the result.

    Raises:
        TensorTypeError: If the tensor is of another kind (`tensor_type`).
        TensorValueError: If an axis is out of range (`tensor_value`).
    """
    return _reduce("EuclideanNorm", _euclidean, input_tensor, axis, keepdims, name, takes="fractions")


@export("count_nonzero", "math.count_nonzero")
@renamed(axis="reduction_indices", keepdims="keep_dims", input="input_tensor")
def count_nonzero(
    input: Any = None,
    axis: Any = None,
    keepdims: Any = None,
    dtype: Any = "int64",
    name: str | None = None,
) -> Tensor:
    """Return how many numbers are not zero, over axes.

    Args:
        input: A tensor. Once called `input_tensor`.
        axis: An axis or axes; None for all, `[]` for none. Once called `reduction_indices`.
        keepdims: Whether the axes stay, of size one. Once called `keep_dims`.
        dtype: The dtype of the result.
        name: A name for the result.

    Raises:
        TensorValueError: If an axis is out of range (`tensor_value`).
    """
    tensor = convert_to_tensor(input)
    kept = canonical(dtype).dtype
    axes, keep = static_axes(axis, len(tensor._held.shape)), bool(keepdims)
    total: Any = np.sum
    return compute(
        "CountNonzero",
        lambda x: jnp.sum(x != 0, axis=axes, keepdims=keep, dtype=kept),
        tensor,
        fold=lambda x: total(x != 0, axis=axes, keepdims=keep, dtype=kept),
        name=name,
    )


@export("norm", "linalg.norm")
@renamed(keepdims="keep_dims")
def norm(
    tensor: Any, ord: Any = "euclidean", axis: Any = None, keepdims: Any = None, name: str | None = None
) -> Tensor:
    """Return norms of vectors, or, over two axes, of matrices.

    Args:
        tensor: A tensor of real or complex numbers.
        ord: `"euclidean"`, 1, 2, infinity or a number above zero; of matrices `"fro"`, 1, 2, infinity too.
        axis: An axis, two of them for matrices, or None for all numbers as one vector.
        keepdims: Whether the axes stay, of size one. Once called `keep_dims`.
        name: A name for the result.

    Raises:
        TensorValueError: If there is no such norm, or no such axes (`tensor_value`).
    """
    value = convert_to_tensor(tensor)
    rank = len(value._held.shape)
    if isinstance(axis, list | tuple) and len(axis) != 2:
        raise TensorValueError("axis is None, an integer or two of them", axis=axis)
    axes = static_axes(axis, rank)
    if axes is not None and not isinstance(axis, list | tuple) and len(axes) != 1:
        raise TensorValueError("axis is None, an integer or two of them", axis=axis)
    matrix = axes is not None and len(axes) == 2
    if isinstance(ord, str):
        if ord not in {"euclidean", "fro"} or (ord == "fro" and not matrix):
            raise TensorValueError(f"there is no norm {ord!r} of vectors, or none at all")
    elif matrix and ord not in {1, 2, np.inf}:
        raise TensorValueError(f"there is no norm {ord!r} of matrices here")
    elif not ord > 0:
        raise TensorValueError(f"a norm is of a positive number, not {ord!r}")
    keep = bool(keepdims)

    def of_matrices(x: Any) -> Any:
        return jnp.linalg.norm(x, ord, axis=axes, keepdims=keep)

    def of_vectors(x: Any) -> Any:
        if ord == np.inf:
            return jnp.max(distance(x), axis=axes, keepdims=keep)
        if ord == 1:
            return jnp.sum(distance(x), axis=axes, keepdims=keep)
        if ord in {"euclidean", "fro", 2}:
            return _euclidean(x, axes, keep)
        power: Any = ord
        return jnp.power(jnp.sum(jnp.power(distance(x), power), axis=axes, keepdims=keep), 1.0 / power)

    function = of_matrices if matrix and ord not in {"euclidean", "fro"} else of_vectors
    return compute("Norm", function, value, name=name)
