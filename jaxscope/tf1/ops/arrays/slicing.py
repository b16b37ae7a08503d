"""Parts of a tensor by begin and size: `tf.slice`, `tf.strided_slice`."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.errors import InvalidArgumentError, TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute, static_ints, value_if_known
from jaxscope.tf1.base.tensor import Tensor
from jaxscope.tf1.ops.arrays.gathering import whole_numbers
from jaxscope.tf1.ops.arrays.indexing import getitem

__all__ = ["slice_", "strided_slice"]


@export("slice")
def slice_(input_: Any, begin: Any, size: Any, name: str | None = None) -> Tensor:
    """Return a part of a tensor.

    Args:
        input_: A tensor.
        begin: Where it begins, for each axis.
        size: How large it is, known while tracing; -1 for all that is left.
        name: A name for the result.

    Raises:
        TensorValueError: If a size is negative, or the numbers are not one for each axis (`tensor_value`).
        InvalidArgumentError: If the part is not all inside, as far as that is known (`invalid_argument`).
        NotStaticError: If the sizes are not known while tracing (`not_static`).
    """
    tensor, first = convert_to_tensor(input_), whole_numbers(begin, "begin")
    shape, sizes, start = tensor._held.shape, list(static_ints(size, "size")), value_if_known(first)
    if len(sizes) != len(shape) or first._held.shape != (len(shape),):
        raise TensorValueError(f"begin and size have one number for each axis of {tensor.get_shape()}")
    if any(one < -1 for one in sizes):
        raise TensorValueError(f"a size of {sizes} is negative")
    if start is None:
        if -1 in sizes:
            static_ints(begin, "begin, where a size is -1,")
        return compute(
            "Slice", lambda x, i: jax.lax.dynamic_slice(x, list(i), sizes), tensor, first, name=name
        )
    starts = [int(one) for one in start]
    sizes = [n - i if one == -1 else one for one, i, n in zip(sizes, starts, shape, strict=True)]
    for i, (one, at, n) in enumerate(zip(sizes, starts, shape, strict=True)):
        if at < 0 or one < 0 or at + one > n:
            raise InvalidArgumentError(f"a part of {one} at {at} is not inside axis {i} of size {n}")
    index = tuple(slice(at, at + one) for at, one in zip(starts, sizes, strict=True))
    return compute("Slice", lambda x: jnp.asarray(x)[index], tensor, fold=lambda x: x[index], name=name)


@export("strided_slice")
def strided_slice(
    input_: Any,
    begin: Any,
    end: Any,
    strides: Any = None,
    begin_mask: int = 0,
    end_mask: int = 0,
    ellipsis_mask: int = 0,
    new_axis_mask: int = 0,
    shrink_axis_mask: int = 0,
    var: Any = None,
    name: str | None = None,
) -> Tensor:
    """Return a part of a tensor as `x[begin:end:strides]` has it.

    Args:
        input_: A tensor.
        begin: Where it begins, known while tracing.
        end: Where it ends.
        strides: The steps, 1 if they are left out.
        begin_mask: Bits of numbers in `begin` that do not count.
        end_mask: Bits of numbers in `end` that do not count.
        ellipsis_mask: The bit of a place that is `...`.
        new_axis_mask: Bits of places that are `None`.
        shrink_axis_mask: Bits of places that are one number.
        var: Without meaning here.
        name: A name for the result.

    Raises:
        TensorValueError: If there are too many places, or a step of 0 (`tensor_value`).
        NotStaticError: If the numbers are not known while tracing (`not_static`).
    """
    first, last = static_ints(begin, "begin"), static_ints(end, "end")
    steps = [1] * len(first) if strides is None else static_ints(strides, "strides")
    if not len(first) == len(last) == len(steps):
        raise TensorValueError("begin, end and strides have different lengths")
    if not all(steps):
        raise TensorValueError("a stride is 0")
    index: list[Any] = []
    for i, (start, stop, step) in enumerate(zip(first, last, steps, strict=True)):
        bit = 1 << i
        if ellipsis_mask & bit:
            index.append(...)
        elif new_axis_mask & bit:
            index.append(None)
        elif shrink_axis_mask & bit:
            if step < 0:
                raise TensorValueError("a place that is one number has a step of 1")
            index.append(start)
        else:
            index.append(slice(None if begin_mask & bit else start, None if end_mask & bit else stop, step))
    return getitem(convert_to_tensor(input_, name=name), tuple(index))
