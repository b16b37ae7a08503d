"""Sums, means, maxima over axes."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.errors import TensorTypeError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute, renamed, static_axes
from jaxscope.tf1.base.tensor import Tensor

__all__ = ["reduce_sum"]


@export("reduce_sum", "math.reduce_sum")
@renamed(axis="reduction_indices", keepdims="keep_dims")
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
    if tensor.dtype.is_bool:
        raise TensorTypeError("Sum does not take tensors of bool", fix="tf.cast(x, tf.int32)")
    axes, keep, dtype = static_axes(axis, len(tensor._held.shape)), bool(keepdims), tensor.dtype.dtype
    return compute(
        "Sum",
        lambda x: jnp.sum(x, axis=axes, keepdims=keep, dtype=dtype),
        tensor,
        fold=lambda x: np.sum(x, axis=axes, keepdims=keep, dtype=dtype),
        name=name,
    )
