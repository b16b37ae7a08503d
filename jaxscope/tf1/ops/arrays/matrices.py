"""Diagonals and bands of matrices."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.errors import InvalidArgumentError, TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute, static_int, static_ints, static_value
from jaxscope.tf1.base.tensor import Tensor

__all__ = [
    "diag",
    "diag_part",
    "matrix_band_part",
    "matrix_diag",
    "matrix_diag_part",
    "matrix_of",
    "matrix_set_diag",
    "trace",
]


def matrix_of(value: Any, kind: str, rank: int = 2) -> Tensor:
    """Return a value as a tensor of at least that rank, or raise `TensorValueError`."""
    tensor = convert_to_tensor(value)
    if tensor._held.ndim < rank:
        raise TensorValueError(f"{kind} takes tensors of rank {rank} or more, not {tensor.get_shape()}")
    return tensor


@export("matrix_band_part", "linalg.band_part")
def matrix_band_part(input: Any, num_lower: Any, num_upper: Any, name: str | None = None) -> Tensor:
    """Return matrices with zeros outside of a band around the diagonal.

    Args:
        input: A tensor of rank 2 or more.
        num_lower: How many diagonals below stay, all of them if it is negative; known while tracing.
        num_upper: How many diagonals above stay.
        name: A name for the result.

    Raises:
        TensorValueError: If the rank is less than 2 (`tensor_value`).
        InvalidArgumentError: If there are not so many diagonals (`invalid_argument`).
    """
    tensor = matrix_of(input, "matrix_band_part")
    for given in (num_lower, num_upper):
        if static_value(given, "num_lower and num_upper").ndim:
            raise InvalidArgumentError("num_lower and num_upper are one number each")
    below, above = static_int(num_lower, "num_lower"), static_int(num_upper, "num_upper")
    rows, columns = tensor._held.shape[-2:]
    if below > rows or above > columns:
        raise InvalidArgumentError(f"a matrix of {rows} x {columns} has no {below} and {above} diagonals")

    def band(x: Any) -> Any:
        if below >= 0:
            x = jnp.triu(x, -below)
        if above >= 0:
            x = jnp.tril(x, above)
        return x

    return compute("MatrixBandPart", band, tensor, name=name)


@export("diag", "linalg.tensor_diag")
def diag(diagonal: Any, name: str | None = None) -> Tensor:
    """Return a tensor of twice the rank, that has another one on its diagonal.

    Args:
        diagonal: A tensor of rank 1 or more.
        name: A name for the result.

    Raises:
        TensorValueError: If it is a scalar (`tensor_value`).
    """
    tensor = matrix_of(diagonal, "diag", 1)
    shape = tensor._held.shape
    return compute(
        "Diag", lambda x: jnp.reshape(jnp.diag(jnp.reshape(x, -1)), (*shape, *shape)), tensor, name=name
    )


@export("diag_part", "linalg.tensor_diag_part")
def diag_part(input: Any, name: str | None = None) -> Tensor:
    """Return the diagonal of a tensor of even rank, of half the rank.

    Args:
        input: A tensor whose first half of axes has the sizes of the second half.
        name: A name for the result.

    Raises:
        TensorValueError: If it is not so (`tensor_value`).
    """
    tensor = convert_to_tensor(input)
    shape = tensor._held.shape
    half = len(shape) // 2
    if not half or len(shape) % 2 or shape[:half] != shape[half:]:
        raise TensorValueError(f"a tensor of shape {tensor.get_shape()} has no diagonal of half its rank")
    size = int(np.prod(shape[:half]))
    return compute(
        "DiagPart",
        lambda x: jnp.reshape(jnp.diagonal(jnp.reshape(x, (size, size))), shape[:half]),
        tensor,
        name=name,
    )


def _one_diagonal(k: Any) -> int:
    numbers = set(static_ints(k, "k"))
    if len(numbers) != 1:
        raise TensorValueError("bands of several diagonals are not here", fix="one diagonal after the other")
    return numbers.pop()


def _diagonal_size(rows: int, columns: int, k: int) -> int:
    size = min(rows + min(k, 0), columns - max(k, 0))
    if size <= 0 and (rows and columns):
        raise TensorValueError(f"a matrix of {rows} x {columns} has no diagonal {k}")
    return max(size, 0)


@export("matrix_diag", "linalg.diag")
def matrix_diag(
    diagonal: Any,
    name: str | None = "diag",
    k: Any = 0,
    num_rows: Any = -1,
    num_cols: Any = -1,
    padding_value: Any = 0,
) -> Tensor:
    """Return matrices that have the vectors of a tensor on a diagonal.

    Args:
        diagonal: A tensor of rank 1 or more.
        name: A name for the result.
        k: Which diagonal, counted upwards.
        num_rows: How many rows; as many as are needed if it is -1.
        num_cols: How many columns; as many as are needed if it is -1.
        padding_value: The number elsewhere.

    Raises:
        TensorValueError: If the rank is 0, or the numbers do not fit (`tensor_value`).
    """
    tensor = matrix_of(diagonal, "matrix_diag", 1)
    offset, size = _one_diagonal(k), tensor._held.shape[-1]
    rows, columns = static_int(num_rows, "num_rows"), static_int(num_cols, "num_cols")
    if rows < 0 and columns < 0:
        rows = columns = size + abs(offset)
    rows = size - min(offset, 0) if rows < 0 else rows
    columns = size + max(offset, 0) if columns < 0 else columns
    if _diagonal_size(rows, columns, offset) != size:
        raise TensorValueError(f"diagonal {offset} of {rows} x {columns} numbers does not have size {size}")
    filler = convert_to_tensor(padding_value, tensor.dtype)

    def make(x: Any, rest: Any) -> jax.Array:
        i = np.arange(size)
        matrix = jnp.full((*x.shape[:-1], rows, columns), rest, tensor.dtype.dtype)
        return matrix.at[..., i - min(offset, 0), i + max(offset, 0)].set(x)

    return compute("MatrixDiag", make, tensor, filler, name=name)


@export("matrix_diag_part", "linalg.diag_part")
def matrix_diag_part(
    input: Any, name: str | None = "diag_part", k: Any = 0, padding_value: Any = 0
) -> Tensor:
    """Return a diagonal of matrices.

    Args:
        input: A tensor of rank 2 or more.
        name: A name for the result.
        k: Which diagonal, counted upwards.
        padding_value: Without meaning for one diagonal.

    Raises:
        TensorValueError: If the rank is less than 2, or there is no such diagonal (`tensor_value`).
    """
    tensor, offset = matrix_of(input, "matrix_diag_part"), _one_diagonal(k)
    _diagonal_size(tensor._held.shape[-2], tensor._held.shape[-1], offset)
    return compute("MatrixDiagPart", lambda x: jnp.diagonal(x, offset, axis1=-2, axis2=-1), tensor, name=name)


@export("matrix_set_diag", "linalg.set_diag")
def matrix_set_diag(input: Any, diagonal: Any, name: str | None = "set_diag", k: Any = 0) -> Tensor:
    """Return matrices with another diagonal.

    Args:
        input: A tensor of rank 2 or more.
        diagonal: The diagonals, a tensor of a rank less, of the same dtype.
        name: A name for the result.
        k: Which diagonal, counted upwards.

    Raises:
        TensorValueError: If the shapes do not fit (`tensor_value`).
    """
    tensor, offset = matrix_of(input, "matrix_set_diag"), _one_diagonal(k)
    values = convert_to_tensor(diagonal, tensor.dtype)
    size = _diagonal_size(tensor._held.shape[-2], tensor._held.shape[-1], offset)
    if values._held.shape != (*tensor._held.shape[:-2], size):
        raise TensorValueError(
            f"a diagonal of shape {values.get_shape()} for matrices of shape {tensor.get_shape()}"
        )

    def put(x: Any, y: Any) -> jax.Array:
        i = np.arange(size)
        return jnp.asarray(x).at[..., i - min(offset, 0), i + max(offset, 0)].set(y)

    return compute("MatrixSetDiag", put, tensor, values, name=name)


@export("trace", "linalg.trace")
def trace(x: Any, name: str | None = None) -> Tensor:
    """Return the sums of the diagonals of matrices.

    Args:
        x: A tensor of rank 2 or more.
        name: A name for the result.

    Raises:
        TensorValueError: If the rank is less than 2 (`tensor_value`).
    """
    tensor = matrix_of(x, "trace")
    return compute("Trace", lambda a: jnp.trace(a, axis1=-2, axis2=-1, dtype=a.dtype), tensor, name=name)
