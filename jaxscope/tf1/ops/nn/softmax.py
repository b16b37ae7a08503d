"""`tf.nn.softmax` and its logarithm."""

from collections.abc import Callable
from typing import Any

import jax

from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.errors import InvalidArgumentError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute, static_int
from jaxscope.tf1.base.tensor import Tensor
from jaxscope.tf1.ops.nn.arguments import either, expect_rank, floats

__all__ = ["log_softmax", "softmax"]


@export("nn.softmax", "math.softmax")
def softmax(logits: Any, axis: Any = None, name: str | None = None, dim: Any = None) -> Tensor:
    """Return `exp(x)`, divided by its sum over an axis.

    Args:
        logits: A tensor of floats, of rank 1 or more.
        axis: The axis; None for the last one.
        name: A name for the result.
        dim: The older name of `axis`.

    Raises:
        TensorTypeError: If it is of another dtype (`tensor_type`).
        TensorValueError: If it is a scalar, or both `axis` and `dim` are given (`rank`, `tensor_value`).
        InvalidArgumentError: If the axis is out of range (`invalid_argument`).
    """
    return _along("Softmax", jax.nn.softmax, logits, either("axis", axis, "dim", dim), name)


@export("nn.log_softmax", "math.log_softmax")
def log_softmax(logits: Any, axis: Any = None, name: str | None = None, dim: Any = None) -> Tensor:
    """Return the logarithm of the softmax over an axis.

    Args:
        logits: A tensor of floats, of rank 1 or more.
        axis: The axis; None for the last one.
        name: A name for the result.
        dim: The older name of `axis`.

    Raises:
        TensorTypeError: If it is of another dtype (`tensor_type`).
        TensorValueError: If it is a scalar, or both `axis` and `dim` are given (`rank`, `tensor_value`).
        InvalidArgumentError: If the axis is out of range (`invalid_argument`).
    """
    return _along("LogSoftmax", jax.nn.log_softmax, logits, either("axis", axis, "dim", dim), name)


def _along(kind: str, function: Callable[..., Any], logits: Any, axis: Any, name: str | None) -> Tensor:
    tensor = convert_to_tensor(logits)
    where = -1 if axis is None else static_int(axis, "axis")
    rank = len(tensor._held.shape)
    if where == -1:
        floats(kind, tensor)
        expect_rank(kind, tensor, 1, "logits", at_least=True)
    if not -rank <= where < rank:
        raise InvalidArgumentError(f"{kind}: axis {where} is out of range for a tensor of rank {rank}")
    floats(kind, tensor)
    return compute(kind, lambda x: function(x, axis=where), tensor, name=name)
