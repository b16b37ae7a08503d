"""Truth values and unit vectors made of numbers: `tf.one_hot`, `tf.sequence_mask`."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.dtypes import canonical
from jaxscope.tf1.base.errors import TensorTypeError, TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute, static_int
from jaxscope.tf1.base.tensor import Tensor
from jaxscope.tf1.ops.arrays.choosing import chosen
from jaxscope.tf1.ops.arrays.gathering import whole_numbers
from jaxscope.tf1.ops.math.casts import cast

__all__ = ["one_hot", "sequence_mask"]


@export("one_hot")
def one_hot(
    indices: Any,
    depth: Any,
    on_value: Any = None,
    off_value: Any = None,
    axis: Any = None,
    dtype: Any = None,
    name: str | None = None,
) -> Tensor:
    """Return unit vectors: one value at the place that a number tells, another one elsewhere.

    Args:
        indices: Whole numbers; one out of range makes a vector without the first value.
        depth: The size of the new axis, known while tracing.
        on_value: The value at the place, 1 if it is left out.
        off_value: The value elsewhere, 0 if it is left out.
        axis: Where the new axis is, the last one if it is left out.
        dtype: The dtype; without it that of the values, or float32.
        name: A name for the result.

    Raises:
        TensorTypeError: If indices are no whole numbers, or dtypes differ (`tensor_type`).
        TensorValueError: If the axis is out of range, or a value is no scalar (`tensor_value`).
    """
    where = whole_numbers(indices)
    size, ndim = static_int(depth, "depth"), where._held.ndim
    along = -1 if axis is None else static_int(axis, "axis")
    if size < 0 or not -1 <= along <= ndim:
        raise TensorValueError(f"depth {size} and axis {along} do not fit indices of rank {ndim}")
    values = [
        None if one is None else convert_to_tensor(one, dtype_hint=dtype) for one in (on_value, off_value)
    ]
    given = [one.dtype for one in values if one is not None]
    target = canonical(dtype) if dtype is not None else given[0] if given else canonical("float32")
    if any(found is not target for found in given):
        found = ", ".join(one.name for one in given)
        raise TensorTypeError(f"one_hot makes {target.name}, and its values are {found}")
    if any(one is not None and one._held.ndim for one in values):
        raise TensorValueError("on_value and off_value are scalars")
    if not given:
        return compute(
            "OneHot", lambda i: jax.nn.one_hot(i, size, dtype=target.dtype, axis=along), where, name=name
        )
    on, off = (
        one if one is not None else convert_to_tensor(np.asarray(default, target.dtype))
        for one, default in zip(values, (1, 0), strict=True)
    )

    def choose(i: Any, yes: Any, no: Any) -> Any:
        return jnp.where(jax.nn.one_hot(i, size, dtype=bool, axis=along), yes, no)

    return compute("OneHot", choose, where, on, off, name=name)


@export("sequence_mask")
def sequence_mask(lengths: Any, maxlen: Any = None, dtype: Any = "bool", name: str | None = None) -> Tensor:
    """Return for each length a row that is true so far, and false behind.

    Args:
        lengths: Numbers of any shape.
        maxlen: The size of the rows, known while tracing; the greatest length, if it is left out.
        dtype: The dtype of the result.
        name: A name for the result.

    Raises:
        TensorValueError: If `maxlen` is no scalar (`tensor_value`).
        NotStaticError: If the size of the rows is not known while tracing (`not_static`).
    """
    tensor, target = convert_to_tensor(lengths), canonical(dtype)
    if maxlen is not None and not tensor.dtype.is_integer:
        tensor = cast(tensor, "int32")
    if maxlen is None:
        known = chosen(tensor, "the greatest of the lengths of sequence_mask, without maxlen,")
        size = max(int(known.max()), 0) if known.size else 0
    else:
        size = static_int(maxlen, "maxlen")

    def mask(array: Any) -> Any:
        made = jnp.arange(size, dtype=tensor.dtype.dtype) < jnp.expand_dims(array, -1)
        return made if target.is_bool else made.astype(target.dtype)

    return compute("SequenceMask", mask, tensor, name=name)
