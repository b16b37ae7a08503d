"""Values put to places: `tf.scatter_nd` and its like."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxscope.tf1.base.converting import convert_many, convert_to_tensor
from jaxscope.tf1.base.errors import TensorValueError
from jaxscope.tf1.base.exporting import export, export_constant
from jaxscope.tf1.base.operation import compute, static_shape, static_value
from jaxscope.tf1.base.tensor import Tensor
from jaxscope.tf1.ops.arrays.gathering import check_indices, places, whole_numbers

__all__ = ["dynamic_stitch", "scatter_nd", "sparse_to_dense"]


def _check(indices: Tensor, updates: tuple[int, ...], sizes: tuple[int, ...]) -> None:
    where = indices._held.shape
    if not where:
        raise TensorValueError("indices have rank 1 or more: the last axis is a place")
    length = where[-1]
    if length > len(sizes) or updates != (*where[:-1], *sizes[length:]):
        raise TensorValueError(
            f"updates of shape {updates} at indices of shape {where} do not fit into shape {sizes}",
            code="shapes_disagree",
        )
    check_indices(indices, sizes[:length])


@export("scatter_nd", "manip.scatter_nd")
def scatter_nd(indices: Any, updates: Any, shape: Any, name: str | None = None) -> Tensor:
    """Return zeros, to which values are added at places.

    Args:
        indices: Whole numbers; those of the last axis are one place. Values at the same place add up.
        updates: The values.
        shape: The shape of the result, known while tracing.
        name: A name for the result.

    Raises:
        TensorTypeError: If indices are no whole numbers (`tensor_type`).
        TensorValueError: If the shapes do not fit (`shapes_disagree`).
        InvalidArgumentError: If an index that is known while tracing is out of range (`index_out_of_range`).
    """
    where, values, sizes = whole_numbers(indices), convert_to_tensor(updates), static_shape(shape)
    _check(where, values._held.shape, sizes)

    def scatter(i: Any, x: Any) -> Any:
        return jnp.zeros(sizes, values.dtype.dtype).at[places(i)].add(x)

    return compute("ScatterNd", scatter, where, values, name=name)


def _onto(names: str, kind: str, method: str, says: str) -> None:
    def scatter(tensor: Any, indices: Any, updates: Any, name: str | None = None) -> Tensor:
        target, where = convert_to_tensor(tensor), whole_numbers(indices)
        values = convert_to_tensor(updates, target.dtype)
        _check(where, values._held.shape, target._held.shape)

        def put(x: Any, i: Any, y: Any) -> Any:
            return getattr(jnp.asarray(x).at[places(i)], method)(y)

        return compute(kind, put, target, where, values, name=name)

    scatter.__name__ = scatter.__qualname__ = names.split(maxsplit=1)[0]
    scatter.__doc__ = f"""Return a tensor with values {says} at places.

    Args:
        tensor: A tensor.
        indices: Whole numbers; those of the last axis are one place.
        updates: The values, of the tensor's dtype.
        name: A name for the result.

    Raises:
        TensorTypeError: If indices are no whole numbers (`tensor_type`).
        TensorValueError: If the shapes do not fit (`shapes_disagree`).
        InvalidArgumentError: If an index that is known while tracing is out of range.
    """
    export_constant(scatter, *names.split())


_onto("tensor_scatter_update tensor_scatter_nd_update", "TensorScatterUpdate", "set", "put")
_onto("tensor_scatter_add tensor_scatter_nd_add", "TensorScatterAdd", "add", "added")
_onto("tensor_scatter_sub tensor_scatter_nd_sub", "TensorScatterSub", "subtract", "taken away")


@export("sparse_to_dense")
def sparse_to_dense(
    sparse_indices: Any,
    output_shape: Any,
    sparse_values: Any,
    default_value: Any = 0,
    validate_indices: bool = True,
    name: str | None = None,
) -> Tensor:
    """Return a tensor of one number, in which values are put to places.

    Args:
        sparse_indices: Whole numbers: a place, several in a row of a vector, or a matrix of places.
        output_shape: The shape of the result, known while tracing.
        sparse_values: The values, or one for all places.
        default_value: The number elsewhere.
        validate_indices: Without meaning here.
        name: A name for the result.

    Raises:
        TensorTypeError: If indices are no whole numbers (`tensor_type`).
        TensorValueError: If the shapes do not fit (`tensor_value`).
        InvalidArgumentError: If an index that is known while tracing is out of range (`index_out_of_range`).
    """
    where, values = whole_numbers(sparse_indices), convert_to_tensor(sparse_values)
    default, sizes = convert_to_tensor(default_value, values.dtype), static_shape(output_shape)
    if where._held.ndim > 2:
        raise TensorValueError("sparse_indices have rank 2 at most")
    if where._held.ndim == 2 or len(sizes) == 1:
        check_indices(where, sizes)

    def put(i: Any, x: Any, rest: Any) -> Any:
        index = places(i) if i.ndim == 2 else i
        return jnp.full(sizes, rest, values.dtype.dtype).at[index].set(x)

    return compute("SparseToDense", put, where, values, default, name=name)


@export("dynamic_stitch")
def dynamic_stitch(indices: Any, data: Any, name: str | None = None) -> Tensor:
    """Return parts put together in the order of their indices; of equal ones the last part is taken.

    Args:
        indices: A list of tensors of whole numbers, known while tracing.
        data: A list of tensors, whose leading axes are those of the indices.
        name: A name for the result.

    Raises:
        TensorValueError: If the shapes do not fit, or there are no indices (`tensor_value`).
        NotStaticError: If the indices are not known while tracing (`not_static`).
    """
    where = [static_value(one, "indices") for one in indices]
    parts = convert_many(data)
    if len(where) != len(parts) or not parts:
        raise TensorValueError("there must be as many indices as data, and at least one")
    for i, part in zip(where, parts, strict=True):
        if part._held.shape[: i.ndim] != i.shape:
            raise TensorValueError(f"data of shape {part.get_shape()} for indices of shape {i.shape}")
    rest = parts[0]._held.shape[where[0].ndim :]
    flat = np.concatenate([one.reshape(-1) for one in where])
    size = int(flat.max()) + 1 if flat.size else 0
    source = np.full(size, -1)
    source[flat] = np.arange(flat.size)

    def stitch(*arrays: Any) -> Any:
        rows = jnp.concatenate([jnp.reshape(one, (-1, *rest)) for one in arrays])
        picked = rows[np.maximum(source, 0)]
        if len(set(flat.tolist())) < flat.size:  # TensorFlow's gradient goes to all that had a place
            spread = jnp.zeros((size, *rest), rows.dtype).at[flat].add(rows)
            picked = spread + jax.lax.stop_gradient(picked - spread)
        if (source >= 0).all():
            return picked
        return jnp.where((source >= 0).reshape(-1, *(1 for _ in rest)), picked, 0)

    return compute("DynamicStitch", stitch, *parts, name=name)
