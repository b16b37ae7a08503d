"""Products of matrices."""

from typing import Any

import jax.numpy as jnp

from jaxscope.tf1.base.converting import convert_many, convert_to_tensor, same_dtype
from jaxscope.tf1.base.errors import TensorTypeError, TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute, static_ints, static_value
from jaxscope.tf1.base.tensor import Tensor

__all__ = ["einsum", "matmul", "tensordot"]


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


@export("tensordot", "linalg.tensordot")
def tensordot(a: Any, b: Any, axes: Any, name: str | None = None) -> Tensor:
    """Return the sum of products over axes of two tensors.

    Args:
        a: A tensor.
        b: A tensor of the same dtype.
        axes: How many of the last axes of `a` meet the first ones of `b`, or the axes of each, as two lists.
        name: A name for the result.

    Raises:
        TensorValueError: If the axes do not fit (`tensor_value`).
        TensorTypeError: If the dtypes differ (`dtypes_disagree`).
    """
    left, right = convert_to_tensor(a), convert_to_tensor(b)
    if isinstance(axes, list | tuple):
        if len(axes) != 2:
            raise TensorValueError(f"axes are a number, or two lists, not {axes!r}")
        pair: Any = tuple(static_ints(one, "axes") for one in axes)
        if len(pair[0]) != len(pair[1]):
            raise TensorValueError(f"axes {axes!r} are not as many of the one as of the other")
    else:
        known = static_value(axes, "axes")
        pair = int(known) if known.ndim == 0 else tuple(static_ints(one, "axes") for one in known)
        if known.ndim == 0 and not 0 <= pair <= min(left._held.ndim, right._held.ndim):
            raise TensorValueError(f"there are no {pair} axes to sum over")
    return compute(
        "Tensordot", lambda x, y: jnp.tensordot(x, y, axes=pair), *same_dtype(left, right), name=name
    )


@export("einsum", "linalg.einsum")
def einsum(equation: str, *inputs: Any, **kwargs: Any) -> Tensor:
    """Return a sum of products in Einstein's notation.

    Args:
        equation: `"ij,jk->ik"`; without an arrow, letters that are there once stay, in order.
        *inputs: Tensors of one dtype.
        **kwargs: `name`, a name for the result; `optimize`, a hint without meaning here.

    Raises:
        TensorValueError: If the notation and the shapes do not fit (`tensor_value`).
        TensorTypeError: If the dtypes differ, or there are other arguments (`tensor_type`).
    """
    name = kwargs.pop("name", None)
    kwargs.pop("optimize", None)
    if kwargs:
        raise TensorTypeError(f"{next(iter(kwargs))!r} is no argument of einsum")
    operands = inputs[0] if len(inputs) == 1 and isinstance(inputs[0], list | tuple) else inputs
    return compute(
        "Einsum", lambda *arrays: jnp.einsum(equation, *arrays), *convert_many(operands), name=name
    )
