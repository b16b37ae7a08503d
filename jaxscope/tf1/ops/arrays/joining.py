"""Tensors put together."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxscope.tf1.base.converting import convert_many, convert_to_tensor
from jaxscope.tf1.base.errors import TensorTypeError, TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute, static_int
from jaxscope.tf1.base.tensor import Tensor

__all__ = ["concat", "parallel_stack", "stack"]


def _listed(values: Any) -> list[Any]:
    return list(values) if isinstance(values, list | tuple) else [values]


@export("concat")
def concat(values: Any, axis: Any, name: str = "concat") -> Tensor:
    """Return tensors joined along an axis.

    Args:
        values: Tensors of one dtype, whose shapes differ in that axis alone.
        axis: The axis, known while tracing.
        name: A name for the result.

    Raises:
        TensorValueError: If the shapes do not fit, or are those of scalars (`tensor_value`).
        TensorTypeError: If dtypes differ, or the arguments are in TensorFlow 0.x's order (`tensor_type`).
    """
    where = static_int(axis, "axis")
    parts = convert_many(_listed(values))
    if not parts:
        raise TensorValueError("there is nothing to join")
    if len(parts) == 1:
        return parts[0]
    rank = len(parts[0]._held.shape)
    if not -rank <= where < rank:
        raise TensorValueError(f"axis {where} is out of range for tensors of rank {rank}")
    return compute(
        "ConcatV2",
        lambda *arrays: jnp.concatenate(arrays, where),
        *parts,
        fold=lambda *arrays: np.concatenate(arrays, where),
        name=name,
    )


@export("stack")
def stack(values: Any, axis: Any = 0, name: str = "stack") -> Tensor:
    """Return tensors of one shape as one tensor, with a new axis.

    Args:
        values: Tensors of one dtype and shape, or numbers.
        axis: The place of the new axis, known while tracing.
        name: A name for the result.

    Raises:
        TensorValueError: If the shapes differ, or the axis is out of range (`tensor_value`).
        TensorTypeError: If dtypes differ (`dtypes_disagree`).
    """
    where = static_int(axis, "axis")
    if not isinstance(values, list | tuple):
        if where == 0:
            return convert_to_tensor(values)
        raise TensorTypeError("stack needs a list of tensors, to put them along any axis but the first")
    if not values:
        raise TensorValueError("there is nothing to stack")
    rank = len(convert_to_tensor(values[0])._held.shape) + 1
    if not -rank <= where < rank:
        raise TensorValueError(f"axis {where} is out of range for a result of rank {rank}")
    parts = convert_many(values)
    return compute(
        "Pack",
        lambda *arrays: jnp.stack(arrays, where),
        *parts,
        fold=lambda *arrays: np.stack(arrays, where),
        name=name,
    )


@export("parallel_stack")
def parallel_stack(values: Any, name: str = "parallel_stack") -> Tensor:
    """Return tensors of one shape as one tensor, with a new first axis.

    Args:
        values: Tensors of one dtype and shape.
        name: A name for the result.

    Raises:
        TensorValueError: If the shapes differ (`tensor_value`).
        TensorTypeError: If dtypes differ (`dtypes_disagree`).
    """
    return stack(values, 0, name)
