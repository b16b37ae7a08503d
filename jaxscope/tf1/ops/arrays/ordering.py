"""Order and counts of values: `tf.sort`, `tf.searchsorted`, `tf.bincount`."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxscope.tf1.base.converting import convert_to_tensor, same_dtype
from jaxscope.tf1.base.dtypes import canonical
from jaxscope.tf1.base.errors import InvalidArgumentError, TensorTypeError, TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute, static_axis, static_int, static_value
from jaxscope.tf1.base.tensor import Tensor
from jaxscope.tf1.ops.arrays.choosing import chosen
from jaxscope.tf1.ops.arrays.gathering import whole_numbers

__all__ = ["argsort", "bincount", "confusion_matrix", "searchsorted", "sort"]


def _order(values: Any, axis: Any, direction: str) -> tuple[Tensor, int, bool]:
    tensor = convert_to_tensor(values)
    if tensor.dtype.is_complex or tensor.dtype.is_bool:
        raise TensorTypeError(f"tensors of {tensor.dtype.name} have no order")
    if static_value(axis, "axis").ndim:
        raise TensorValueError(f"the axis is one number, not {axis!r}")
    along = static_axis(axis, tensor._held.ndim)
    if direction not in {"ASCENDING", "DESCENDING"}:
        raise TensorValueError(f"direction is ASCENDING or DESCENDING, not {direction!r}")
    return tensor, along, direction == "DESCENDING"


@export("sort")
def sort(values: Any, axis: Any = -1, direction: str = "ASCENDING", name: str | None = None) -> Tensor:
    """Return a tensor with its numbers in order along an axis.

    Args:
        values: A tensor of numbers.
        axis: The axis, known while tracing.
        direction: `"ASCENDING"` or `"DESCENDING"`.
        name: A name for the result.

    Raises:
        TensorValueError: If there is no such axis or direction (`tensor_value`).
    """
    tensor, along, falling = _order(values, axis, direction)
    return compute("Sort", lambda x: jnp.sort(x, axis=along, descending=falling), tensor, name=name)


@export("argsort")
def argsort(
    values: Any,
    axis: Any = -1,
    direction: str = "ASCENDING",
    stable: bool = False,
    name: str | None = None,
) -> Tensor:
    """Return the places of numbers in their order along an axis, int32; equal ones stay in theirs.

    Args:
        values: A tensor of numbers.
        axis: The axis, known while tracing.
        direction: `"ASCENDING"` or `"DESCENDING"`.
        stable: Without meaning here.
        name: A name for the result.

    Raises:
        TensorValueError: If there is no such axis or direction (`tensor_value`).
    """
    tensor, along, falling = _order(values, axis, direction)

    def find(x: Any) -> jax.Array:
        return jnp.argsort(x, axis=along, stable=True, descending=falling).astype(jnp.int32)

    return compute("ArgSort", find, tensor, name=name)


@export("searchsorted")
def searchsorted(
    sorted_sequence: Any,
    values: Any,
    side: str = "left",
    out_type: Any = "int32",
    name: str | None = None,
) -> Tensor:
    """Return where values belong in sequences that are in order, along the last axis.

    Args:
        sorted_sequence: A tensor of rank 1 or more.
        values: A tensor whose leading axes have as many elements.
        side: `"left"`, before equal ones, or `"right"`, behind them.
        out_type: The dtype of the result.
        name: A name for the result.

    Raises:
        TensorValueError: If the leading axes do not fit, or there is no such side (`tensor_value`).
    """
    sequence, wanted = same_dtype(sorted_sequence, values)
    target = canonical(out_type).dtype
    if side not in {"left", "right"}:
        raise TensorValueError(f'side is "left" or "right", not {side!r}')
    lead, its = sequence._held.shape[:-1], wanted._held.shape[:-1]
    if not sequence._held.ndim or not wanted._held.ndim or math.prod(lead) != math.prod(its):
        raise TensorValueError(
            f"sequences of {sequence.get_shape()} and values of {wanted.get_shape()} do not fit"
        )

    def find(a: Any, v: Any) -> jax.Array:
        def one(x: Any, y: Any) -> jax.Array:
            return jnp.searchsorted(x, y, side=side)

        if a.ndim == v.ndim == 1:
            return one(jnp.asarray(a), jnp.asarray(v)).astype(target)
        rows = jax.vmap(one)(*(jnp.reshape(x, (-1, x.shape[-1])) for x in (a, v)))
        return jnp.reshape(rows, v.shape).astype(target)

    return compute("SearchSorted", find, sequence, wanted, name=name)


@export("bincount", "math.bincount")
def bincount(
    arr: Any, weights: Any = None, minlength: Any = None, maxlength: Any = None, dtype: Any = "int32"
) -> Tensor:
    """Return how often each whole number is there, or the sum of its weights.

    Args:
        arr: Whole numbers that are not negative.
        weights: A number for each of them.
        minlength: The least size of the result.
        maxlength: The greatest: numbers from there on are not counted.
        dtype: The dtype of counts without weights.

    Raises:
        TensorValueError: If the weights have another shape (`tensor_value`).
        NotStaticError: If the numbers, and so the size, are not known while tracing (`not_static`).
    """
    tensor = whole_numbers(arr, "arr")
    _not_negative(tensor, "numbers that are counted")
    least = 0 if minlength is None else static_int(minlength, "minlength")
    most = None if maxlength is None else static_int(maxlength, "maxlength")
    if most is not None and least >= most:
        size = most
    else:
        known = chosen(tensor, "the size of bincount, the greatest number and one,")
        size = max(least, int(known.max()) + 1 if known.size else 0)
        size = size if most is None else min(size, most)
    if weights is None:
        target = canonical(dtype).dtype
        return compute(
            "Bincount", lambda i: jnp.zeros(size, target).at[jnp.reshape(i, -1)].add(1, mode="drop"), tensor
        )
    values = convert_to_tensor(weights)
    if values._held.shape != tensor._held.shape:
        raise TensorValueError(f"weights of shape {values.get_shape()} for {tensor.get_shape()} numbers")

    def add(i: Any, w: Any) -> Any:
        return jnp.zeros(size, w.dtype).at[jnp.reshape(i, -1)].add(jnp.reshape(w, -1), mode="drop")

    return compute("Bincount", add, tensor, values)


@export("confusion_matrix", "math.confusion_matrix", "contrib.metrics.confusion_matrix")
def confusion_matrix(
    labels: Any,
    predictions: Any,
    num_classes: Any = None,
    dtype: Any = "int32",
    name: str | None = None,
    weights: Any = None,
) -> Tensor:
    """Return how often each class was predicted for each one: a row for each label.

    Args:
        labels: Whole numbers, a vector; an axis of size one more is taken away.
        predictions: Whole numbers, a vector.
        num_classes: How many classes there are; the greatest number and one, if it is left out.
        dtype: The dtype of the result.
        name: A name for the result.
        weights: A number for each of them.

    Raises:
        TensorValueError: If the shapes differ (`tensor_value`).
        NotStaticError: If the number of classes is not known while tracing (`not_static`).
    """
    truth, guess = (_flat(convert_to_tensor(one)) for one in (labels, predictions))
    if truth._held.shape != guess._held.shape:
        raise TensorValueError(f"{truth.get_shape()} labels for {guess.get_shape()} predictions")
    if num_classes is None:
        parts = (chosen(one, "the number of classes") for one in (truth, guess))
        size = max(int(one.max()) + 1 if one.size else 0 for one in parts)
    else:
        size = static_int(num_classes, "num_classes")
    for one in (truth, guess):
        _not_negative(one, "labels and predictions")
        held = one._held
        if not isinstance(held, Tracer) and held.size and np.asarray(held).max() >= size:
            raise InvalidArgumentError(f"a label or prediction is not among the {size} classes")
    target = canonical(dtype).dtype
    counted = [] if weights is None else [convert_to_tensor(weights)]

    def count(i: Any, j: Any, *w: Any) -> Any:
        index = (jnp.asarray(i).astype(jnp.int32), jnp.asarray(j).astype(jnp.int32))
        return jnp.zeros((size, size), target).at[index].add(jnp.asarray(w[0] if w else 1).astype(target))

    return compute("ConfusionMatrix", count, truth, guess, *counted, name=name)


def _not_negative(tensor: Tensor, what: str) -> None:
    held = tensor._held
    if not isinstance(held, Tracer) and held.size and np.asarray(held).min() < 0:
        raise InvalidArgumentError(f"{what} are not negative, as one is")


def _flat(tensor: Tensor) -> Tensor:
    if tensor._held.ndim < 2:
        return tensor
    return compute("Squeeze", lambda x: jnp.squeeze(x, -1), tensor)


def _bins(
    values: Any, value_range: Any, nbins: Any, dtype: Any, *, counted: bool, name: str | None
) -> Tensor:
    numbers, limits = same_dtype(values, value_range)
    count, target = static_int(nbins, "nbins"), canonical(dtype).dtype
    if count < 1 or limits._held.shape != (2,):
        raise TensorValueError("nbins is above zero, and value_range has two numbers")

    def find(x: Any, ends: Any) -> Any:
        x = jnp.reshape(x, -1) if counted else x
        scaled = (x - ends[0]) / (ends[1] - ends[0])
        place = jnp.clip(jnp.floor(count * scaled), 0, count - 1).astype(target)
        return jnp.zeros(count, target).at[place].add(1) if counted else place

    return compute("HistogramFixedWidth", find, numbers, limits, name=name)


@export("histogram_fixed_width")
def histogram_fixed_width(
    values: Any, value_range: Any, nbins: Any = 100, dtype: Any = "int32", name: str | None = None
) -> Tensor:
    """Return how many values are in each of some intervals of the same width.

    Args:
        values: A tensor of numbers; those outside count for the intervals at the ends.
        value_range: The two ends.
        nbins: How many intervals, known while tracing.
        dtype: The dtype of the result.
        name: A name for the result.
    """
    return _bins(values, value_range, nbins, dtype, counted=True, name=name)


@export("histogram_fixed_width_bins")
def histogram_fixed_width_bins(
    values: Any, value_range: Any, nbins: Any = 100, dtype: Any = "int32", name: str | None = None
) -> Tensor:
    """Return in which of some intervals of the same width values are.

    Args:
        values: A tensor of numbers; those outside count for the intervals at the ends.
        value_range: The two ends.
        nbins: How many intervals, known while tracing.
        dtype: The dtype of the result.
        name: A name for the result.
    """
    return _bins(values, value_range, nbins, dtype, counted=False, name=name)
