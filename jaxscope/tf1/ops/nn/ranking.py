"""The largest numbers of a row, and whether one is among them."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import lax

from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.errors import TensorTypeError, TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute, compute_tree, static_int
from jaxscope.tf1.base.tensor import Tensor
from jaxscope.tf1.ops.nn.arguments import expect_rank, real_numbers

__all__ = ["TopKV2", "in_top_k", "top_k"]


class TopKV2(NamedTuple):
    """What `tf.nn.top_k` returns.

    Attributes:
        values: The numbers.
        indices: Where they are in their rows, int32.
    """

    values: Tensor
    indices: Tensor


@export("nn.top_k", "math.top_k")
def top_k(input: Any, k: Any = 1, sorted: bool = True, name: str | None = None) -> TopKV2:
    """Return the largest numbers of each row, the first of equal ones first.

    Args:
        input: A tensor of real numbers, of rank 1 or more.
        k: How many, known while tracing.
        sorted: Without meaning: they are sorted always.
        name: A name for the result.

    Returns:
        `(values, indices)`, a named tuple.

    Raises:
        TensorValueError: If there are not so many (`tensor_value`).
        TensorTypeError: If it is of another dtype (`tensor_type`).
    """
    tensor, number = real_numbers("TopK", input), static_int(k, "k")
    expect_rank("TopK", tensor, 1, "input", at_least=True)
    if not 0 <= number <= tensor._held.shape[-1]:
        raise TensorValueError(f"TopK: there are no {number} of {tensor._held.shape[-1]} numbers")
    return TopKV2(
        *compute_tree("TopK", lambda x: tuple(lax.top_k(jnp.asarray(x), number)), tensor, name=name)
    )


@export("nn.in_top_k", "math.in_top_k")
def in_top_k(predictions: Any, targets: Any, k: Any, name: str | None = None) -> Tensor:
    """Tell for each row whether fewer than `k` numbers are above that of the target.

    Args:
        predictions: `[batch, classes]`, float32.
        targets: `[batch]`, int32 or int64; where one is out of range the answer is no.
        k: How many.
        name: A name for the result.

    Raises:
        TensorTypeError: If they are of other dtypes (`tensor_type`).
        TensorValueError: If shapes do not fit (`rank`, `shapes_disagree`).
    """
    x, y = convert_to_tensor(predictions), convert_to_tensor(targets)
    if x.dtype != "float32" or y.dtype not in {"int32", "int64"}:
        raise TensorTypeError(
            f"in_top_k takes predictions of float32 and targets of int32 or int64, not {x.dtype.name} and "
            f"{y.dtype.name}"
        )
    expect_rank("InTopK", x, 2, "predictions")
    expect_rank("InTopK", y, 1, "targets")
    if x._held.shape[0] != y._held.shape[0]:
        raise TensorValueError(
            f"InTopK: {y._held.shape[0]} targets were given for {x._held.shape[0]} rows",
            code="shapes_disagree",
        )
    number = convert_to_tensor(k)

    def run(x: Any, y: Any, k: Any) -> Any:
        inside = (y >= 0) & (y < x.shape[1])
        own = jnp.take_along_axis(jnp.asarray(x), jnp.where(inside, y, 0)[:, None], -1)
        finite = jnp.all(jnp.isfinite(x), -1)
        return inside & finite & (jnp.sum(x > own, -1, dtype=k.dtype) < k)

    return compute("InTopK", run, x, y, number, name=name)
