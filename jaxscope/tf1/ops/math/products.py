"""Products of matrices."""

from typing import Any

import jax.numpy as jnp

from jaxscope.tf1.base.converting import same_dtype
from jaxscope.tf1.base.errors import TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute
from jaxscope.tf1.base.tensor import Tensor

__all__ = ["matmul"]


@export("matmul", "linalg.matmul")
def matmul(
    a: Any,
    b: Any,
    transpose_a: bool = False,
    transpose_b: bool = False,
    adjoint_a: bool = False,
    adjoint_b: bool = False,
    a_is_sparse: bool = False,
    b_is_sparse: bool = False,
    name: str | None = None,
) -> Tensor:
    """Return the product of matrices, which are the last two axes.

    Args:
        a: A tensor of rank 2 or more.
        b: A tensor of the same dtype, of rank 2 or more.
        transpose_a: Whether the matrices of `a` are transposed first.
        transpose_b: Whether those of `b` are.
        adjoint_a: Whether they are conjugated too.
        adjoint_b: Likewise.
        a_is_sparse: A hint, without meaning here.
        b_is_sparse: Likewise.
        name: A name for the result.

    Raises:
        TensorValueError: If the shapes do not fit, or transposition is asked for twice (`tensor_value`).
        TensorTypeError: If the dtypes differ (`dtypes_disagree`).
    """
    if (transpose_a and adjoint_a) or (transpose_b and adjoint_b):
        raise TensorValueError("both the transpose and the adjoint of a matrix were asked for")
    left, right = same_dtype(a, b)
    if min(len(left._held.shape), len(right._held.shape)) < 2:
        raise TensorValueError(
            f"matmul needs tensors of rank 2 or more, not {left.get_shape()} and {right.get_shape()}",
            code="rank",
        )

    def product(x: Any, y: Any) -> Any:
        return jnp.matmul(
            _turned(x, transpose_a, conjugate=adjoint_a), _turned(y, transpose_b, conjugate=adjoint_b)
        )

    return compute("MatMul", product, left, right, name=name)


def _turned(x: Any, transpose: bool, *, conjugate: bool) -> Any:
    if conjugate and x.dtype.kind == "c":
        x = jnp.conj(x)
    return jnp.swapaxes(x, -1, -2) if transpose or conjugate else x
