"""`tf.shape` and what changes a shape alone."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxscope.tf1.base.converting import convert_many, convert_to_tensor
from jaxscope.tf1.base.dtypes import canonical
from jaxscope.tf1.base.errors import InvalidArgumentError, TensorTypeError, TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute, renamed, static_axes, static_int, static_ints, static_shape
from jaxscope.tf1.base.shapes import TensorShape
from jaxscope.tf1.base.tensor import Tensor, wrap

__all__ = [
    "broadcast_to",
    "ensure_shape",
    "expand_dims",
    "rank",
    "reshape",
    "shape",
    "size",
    "squeeze",
    "transpose",
]


@export("shape")
def shape(input: Any, name: str | None = None, out_type: Any = "int32") -> Tensor:
    """Return the shape of a tensor as a tensor, whose numbers are known while tracing.

    Args:
        input: A tensor.
        name: A name for the result.
        out_type: The dtype of the result.

    Raises:
        TensorTypeError: If that is not one of numbers (`tensor_type`).
    """
    sizes = convert_to_tensor(input)._held.shape
    return wrap(_sizes(sizes, out_type), "Shape", name)


def _sizes(sizes: Any, out_type: Any) -> np.ndarray[Any, Any]:
    target = canonical(out_type)
    if target.is_bool and np.size(sizes):
        raise TensorTypeError(f"sizes are numbers, not {target.name}")
    return np.asarray(sizes, target.dtype)


@export("shape_n")
def shape_n(input: Any, out_type: Any = "int32", name: str | None = None) -> list[Tensor]:
    """Return the shapes of tensors.

    Args:
        input: A list of tensors of one dtype.
        out_type: The dtype of the results.
        name: A name for the results.

    Raises:
        TensorTypeError: If the dtypes differ (`dtypes_disagree`).
    """
    return [shape(one, name, out_type) for one in convert_many(input)]


@export("size")
def size(input: Any, name: str | None = None, out_type: Any = "int32") -> Tensor:
    """Return how many elements a tensor has, a number that is known while tracing.

    Args:
        input: A tensor.
        name: A name for the result.
        out_type: The dtype of the result.

    Raises:
        TensorTypeError: If that is not one of numbers (`tensor_type`).
    """
    return wrap(_sizes(convert_to_tensor(input)._held.size, out_type), "Size", name)


@export("rank")
def rank(input: Any, name: str | None = None) -> Tensor:
    """Return how many axes a tensor has, a number that is known while tracing.

    Args:
        input: A tensor.
        name: A name for the result.
    """
    return wrap(np.asarray(convert_to_tensor(input)._held.ndim, np.int32), "Rank", name)


@export("reshape", "manip.reshape")
def reshape(tensor: Any, shape: Any, name: str | None = None) -> Tensor:
    """Return a tensor's elements, in row-major order, in another shape.

    Args:
        tensor: A tensor.
        shape: The sizes, known while tracing; one may be -1.
        name: A name for the result.

    Raises:
        TensorValueError: If the sizes do not go up (`tensor_value`).
        NotStaticError: If they are not known while tracing (`not_static`).
    """
    sizes = static_shape(shape)
    return compute(
        "Reshape",
        lambda x: _reshaped(x, sizes),
        convert_to_tensor(tensor),
        fold=lambda x: np.reshape(x, sizes),
        name=name,
    )


def _reshaped(x: Any, sizes: tuple[int, ...]) -> Any:
    """Do what `jax.numpy.reshape` does, by JAX's operation itself where all is well: it is traced faster."""
    if isinstance(x, jax.Array) and sizes.count(-1) <= 1:
        rest = abs(math.prod(sizes))  # of all but the one that is -1
        full = tuple(x.size // rest if size == -1 and rest else size for size in sizes)
        if math.prod(full) == x.size and min(full, default=0) >= 0:
            return lax.reshape(x, full)
    return jnp.reshape(x, sizes)


@export("expand_dims")
@renamed(axis="dim")
def expand_dims(input: Any, axis: Any = None, name: str | None = None, dim: Any = None) -> Tensor:
    """Return a tensor with a new axis of size one.

    Args:
        input: A tensor.
        axis: Its place, from the end if it is negative; known while tracing. Once called `dim`.
        name: A name for the result.
        dim: The older name of `axis`.

    Raises:
        TensorValueError: If the place is out of range, or missing (`tensor_value`).
    """
    tensor, axis = convert_to_tensor(input), dim if axis is None else axis
    if axis is None:
        raise TensorValueError("expand_dims needs an axis")
    where, ndim = static_int(axis, "axis"), tensor._held.ndim
    if not -ndim - 1 <= where <= ndim:
        raise TensorValueError(f"axis {where} is out of range for a new axis of a tensor of rank {ndim}")
    return compute(
        "ExpandDims",
        lambda x: jnp.expand_dims(x, where),
        tensor,
        fold=lambda x: np.expand_dims(x, where),
        name=name,
    )


@export("squeeze")
@renamed(axis="squeeze_dims")
def squeeze(input: Any, axis: Any = None, name: str | None = None, squeeze_dims: Any = None) -> Tensor:
    """Return a tensor without its axes of size one.

    Args:
        input: A tensor.
        axis: The axes to take away; None or `[]` for all of size one. Once called `squeeze_dims`.
        name: A name for the result.
        squeeze_dims: The older name of `axis`.

    Raises:
        TensorValueError: If one is not of size one, or out of range (`tensor_value`).
    """
    tensor, axis = convert_to_tensor(input), squeeze_dims if axis is None else axis
    sizes = tensor._held.shape
    axes = static_axes(axis, len(sizes)) or tuple(i for i, n in enumerate(sizes) if n == 1)
    for i in axes:
        if sizes[i] != 1:
            raise TensorValueError(f"axis {i} has size {sizes[i]}, and only one of size 1 can be squeezed")
    return compute(
        "Squeeze",
        lambda x: jnp.squeeze(x, axes),
        tensor,
        fold=lambda x: np.squeeze(x, axes),
        name=name,
    )


@export("transpose", "linalg.transpose")
def transpose(a: Any, perm: Any = None, name: str | None = "transpose", conjugate: bool = False) -> Tensor:
    """Return a tensor with its axes in another order.

    Args:
        a: A tensor.
        perm: Which axis comes where, known while tracing; None turns their order around.
        name: A name for the result.
        conjugate: Whether complex numbers are conjugated, too.

    Raises:
        TensorValueError: If it is no order of all axes (`tensor_value`).
    """
    tensor = convert_to_tensor(a)
    ndim = tensor._held.ndim
    order = tuple(range(ndim))[::-1] if perm is None else static_ints(perm, "perm")
    order = tuple(i % ndim if -ndim <= i < ndim else i for i in order)
    if sorted(order) != list(range(ndim)):
        raise TensorValueError(f"perm {order} is no order of the axes of a tensor of rank {ndim}")

    def turn(x: Any) -> Any:
        turned = jnp.transpose(x, order)
        return jnp.conj(turned) if conjugate and turned.dtype.kind == "c" else turned

    return compute("Transpose", turn, tensor, fold=lambda x: np.transpose(x, order), name=name)


@export("matrix_transpose", "linalg.matrix_transpose")
def matrix_transpose(a: Any, name: str | None = "matrix_transpose", conjugate: bool = False) -> Tensor:
    """Return a tensor with its last two axes the other way round.

    Args:
        a: A tensor of rank 2 or more.
        name: A name for the result.
        conjugate: Whether complex numbers are conjugated, too.

    Raises:
        TensorValueError: If its rank is less than 2 (`tensor_value`).
    """
    tensor = convert_to_tensor(a)
    if tensor._held.ndim < 2:
        raise TensorValueError(f"matrix_transpose needs a tensor of rank 2 or more, not {tensor.get_shape()}")

    def turn(x: Any) -> Any:
        turned = jnp.swapaxes(x, -1, -2)
        return jnp.conj(turned) if conjugate and turned.dtype.kind == "c" else turned

    return compute("Transpose", turn, tensor, name=name)


@export("linalg.adjoint")
def adjoint(matrix: Any, name: str | None = None) -> Tensor:
    """Return matrices transposed and conjugated.

    Args:
        matrix: A tensor of rank 2 or more.
        name: A name for the result.
    """
    return matrix_transpose(matrix, name, conjugate=True)


@export("broadcast_to")
def broadcast_to(input: Any, shape: Any, name: str | None = None) -> Tensor:
    """Return a tensor repeated along axes of size one and new ones, up to a shape.

    Args:
        input: A tensor.
        shape: The sizes, known while tracing.
        name: A name for the result.

    Raises:
        TensorValueError: If it does not broadcast to that shape (`tensor_value`).
    """
    sizes = static_shape(shape)
    return compute(
        "BroadcastTo",
        lambda x: jnp.broadcast_to(x, sizes),
        convert_to_tensor(input),
        fold=lambda x: np.broadcast_to(x, sizes),
        name=name,
    )


@export("broadcast_static_shape")
def broadcast_static_shape(shape_x: Any, shape_y: Any) -> TensorShape:
    """Return the shape that two shapes broadcast to.

    Args:
        shape_x: A `TensorShape`.
        shape_y: Another one.

    Raises:
        TensorValueError: If they do not broadcast (`tensor_value`).
    """
    x, y = TensorShape(shape_x), TensorShape(shape_y)
    if x.ndims is None or y.ndims is None:
        return TensorShape(None)
    sizes: list[Any] = []
    longer = max(len(x), len(y))
    rows: list[list[Any]] = [[1] * (longer - len(one)) + one.as_list() for one in (x, y)]
    for m, n in zip(*rows, strict=True):
        if 1 in {m, n}:
            sizes.append(n if m == 1 else m)
        elif None in {m, n}:
            sizes.append(n if m is None else m)
        elif m == n:
            sizes.append(m)
        else:
            raise TensorValueError(f"shapes {x} and {y} do not broadcast", code="shapes_disagree")
    return TensorShape(sizes)


@export("broadcast_dynamic_shape")
def broadcast_dynamic_shape(shape_x: Any, shape_y: Any) -> Tensor:
    """Return the shape that two shapes broadcast to, as a tensor.

    Args:
        shape_x: A vector of sizes, known while tracing.
        shape_y: Another one.

    Raises:
        InvalidArgumentError: If they do not broadcast (`invalid_argument`).
    """
    x, y = static_shape(shape_x), static_shape(shape_y)
    try:
        sizes = np.broadcast_shapes(x, y)
    except ValueError:
        raise InvalidArgumentError(f"shapes {x} and {y} do not broadcast") from None
    return wrap(np.asarray(sizes, convert_to_tensor(shape_x).dtype.dtype), "BroadcastArgs")


@export("ensure_shape")
def ensure_shape(x: Any, shape: Any, name: str | None = None) -> Tensor:
    """Return a tensor, if it has a shape.

    Args:
        x: A tensor.
        shape: The shape, with None for what is not said.
        name: A name for the result.

    Raises:
        TensorValueError: If it has another one (`tensor_value`).
    """
    tensor = convert_to_tensor(x, name=name)
    if not tensor.get_shape().is_compatible_with(shape):
        raise TensorValueError(f"the tensor has shape {tensor.get_shape()}, not {TensorShape(shape)}")
    return tensor
