"""Linear algebra of the last two axes."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.errors import TensorTypeError, TensorValueError
from jaxscope.tf1.base.exporting import export, export_constant
from jaxscope.tf1.base.operation import compute, compute_tree
from jaxscope.tf1.base.tensor import Tensor
from jaxscope.tf1.ops.arrays.matrices import matrix_of

__all__ = ["cholesky", "matrix_determinant", "matrix_inverse", "matrix_solve", "square_matrix"]


def square_matrix(value: Any, kind: str) -> Tensor:
    """Return a value as a tensor of square matrices of real or complex numbers."""
    tensor = _matrix(value, kind)
    if tensor._held.shape[-1] != tensor._held.shape[-2]:
        raise TensorValueError(f"{kind} takes square matrices, not {tensor.get_shape()}")
    return tensor


def _matrix(value: Any, kind: str) -> Tensor:
    tensor = matrix_of(value, kind)
    if not (tensor.dtype.is_floating or tensor.dtype.is_complex):
        raise TensorTypeError(f"{kind} does not take tensors of {tensor.dtype.name}")
    return tensor


def _of_square(names: str, kind: str, function: Callable[..., Any], says: str) -> Any:
    def apply(input: Any, name: str | None = None) -> Tensor:
        return compute(kind, function, square_matrix(input, kind), name=name)

    apply.__name__ = apply.__qualname__ = names.split(maxsplit=1)[0].rpartition(".")[2]
    apply.__doc__ = f"""Return {says}.

    Args:
        input: A tensor of square matrices, its last two axes.
        name: A name for the result.

    Raises:
        TensorValueError: If they are not square (`tensor_value`).
        TensorTypeError: If they are of whole numbers (`tensor_type`).
    """
    return export_constant(apply, *names.split())


@jax.custom_jvp
def _cholesky(x: Any) -> Any:
    return jnp.linalg.cholesky(x, symmetrize_input=False)


@_cholesky.defjvp
def _cholesky_jvp(primals: Any, tangents: Any) -> Any:
    """TensorFlow's derivative: both triangles have their part, though one alone is read."""

    def plain(x: Any) -> Any:
        return jnp.linalg.cholesky(x, symmetrize_input=False)

    return jax.jvp(plain, primals, ((tangents[0] + _adjoint(tangents[0])) / 2,))


matrix_determinant = _of_square(
    "matrix_determinant linalg.det", "MatrixDeterminant", jnp.linalg.det, "the determinants of matrices"
)
cholesky = _of_square("cholesky linalg.cholesky", "Cholesky", _cholesky, "the Cholesky factors of matrices")
_of_square(
    "linalg.logdet",
    "LogDet",
    lambda x: 2 * jnp.sum(jnp.log(jnp.real(jnp.diagonal(_cholesky(x), axis1=-2, axis2=-1))), -1),
    "the logarithms of determinants of positive definite matrices",
)
_of_square(
    "linalg.expm",
    "MatrixExponential",
    jax.scipy.linalg.expm,
    "the exponentials of matrices",
)
_of_square(
    "self_adjoint_eigvals linalg.eigvalsh",
    "SelfAdjointEigvals",
    jnp.linalg.eigvalsh,
    "the eigenvalues of symmetric matrices, the least one first",
)


@export("matrix_inverse", "linalg.inv")
def matrix_inverse(input: Any, adjoint: bool = False, name: str | None = None) -> Tensor:
    """Return the inverses of matrices.

    Args:
        input: A tensor of square matrices, its last two axes.
        adjoint: Whether their adjoints are inverted.
        name: A name for the result.

    Raises:
        TensorValueError: If they are not square (`tensor_value`).
        TensorTypeError: If they are of whole numbers (`tensor_type`).
    """
    return compute(
        "MatrixInverse",
        lambda x: jnp.linalg.inv(_adjoint(x) if adjoint else x),
        square_matrix(input, "MatrixInverse"),
        name=name,
    )


def _adjoint(x: Any) -> Any:
    turned = jnp.swapaxes(x, -1, -2)
    return jnp.conj(turned) if x.dtype.kind == "c" else turned


class Determinants(NamedTuple):
    """Signs and logarithms of absolute values of determinants."""

    sign: Tensor
    log_abs_determinant: Tensor


@export("linalg.slogdet")
def slogdet(input: Any, name: str | None = None) -> Determinants:
    """Return the signs of determinants, and the logarithms of their absolute values.

    Args:
        input: A tensor of square matrices, its last two axes.
        name: A name for the results.
    """
    tensor = square_matrix(input, "LogMatrixDeterminant")
    return Determinants(
        *compute_tree("LogMatrixDeterminant", lambda x: tuple(jnp.linalg.slogdet(x)), tensor, name=name)
    )


def _system(matrix: Any, rhs: Any, kind: str) -> tuple[Tensor, Tensor]:
    left = square_matrix(matrix, kind)
    right = convert_to_tensor(rhs, left.dtype)
    if right._held.ndim < 2 or right._held.shape[-2] != left._held.shape[-1]:
        raise TensorValueError(
            f"{kind}: a right side of shape {right.get_shape()} for matrices of shape {left.get_shape()}",
            code="shapes_disagree",
        )
    return left, right


@export("matrix_solve", "linalg.solve")
def matrix_solve(matrix: Any, rhs: Any, adjoint: bool = False, name: str | None = None) -> Tensor:
    """Return `x` where `matrix @ x` is `rhs`.

    Args:
        matrix: A tensor of square matrices, its last two axes.
        rhs: A tensor of the same dtype, of rank 2 or more.
        adjoint: Whether the adjoint of the matrices is meant.
        name: A name for the result.

    Raises:
        TensorValueError: If the shapes do not fit (`tensor_value`, `shapes_disagree`).
    """
    left, right = _system(matrix, rhs, "MatrixSolve")
    return compute(
        "MatrixSolve",
        lambda a, b: jnp.linalg.solve(_adjoint(a) if adjoint else a, b),
        left,
        right,
        name=name,
    )


@export("matrix_triangular_solve", "linalg.triangular_solve")
def matrix_triangular_solve(
    matrix: Any, rhs: Any, lower: bool = True, adjoint: bool = False, name: str | None = None
) -> Tensor:
    """Return `x` where `matrix @ x` is `rhs`, for triangular matrices.

    Args:
        matrix: A tensor of square matrices, of which the other triangle is not read.
        rhs: A tensor of the same dtype, of rank 2 or more.
        lower: Whether the lower triangle is meant.
        adjoint: Whether the adjoint of the matrices is meant.
        name: A name for the result.

    Raises:
        TensorValueError: If the shapes do not fit (`tensor_value`, `shapes_disagree`).
    """
    left, right = _system(matrix, rhs, "MatrixTriangularSolve")
    return compute(
        "MatrixTriangularSolve",
        lambda a, b: jax.scipy.linalg.solve_triangular(a, b, trans=2 if adjoint else 0, lower=lower),
        left,
        right,
        name=name,
    )


@export("cholesky_solve", "linalg.cholesky_solve")
def cholesky_solve(chol: Any, rhs: Any, name: str | None = None) -> Tensor:
    """Return `x` where `chol @ chol.T @ x` is `rhs`.

    Args:
        chol: A tensor of lower triangular matrices, as `cholesky` makes them.
        rhs: A tensor of the same dtype, of rank 2 or more.
        name: A name for the result.

    Raises:
        TensorValueError: If the shapes do not fit (`tensor_value`, `shapes_disagree`).
    """
    left, right = _system(chol, rhs, "CholeskySolve")
    return compute(
        "CholeskySolve", lambda a, b: jax.scipy.linalg.cho_solve((a, True), b), left, right, name=name
    )


@export("matrix_solve_ls", "linalg.lstsq")
def matrix_solve_ls(
    matrix: Any, rhs: Any, l2_regularizer: Any = 0.0, fast: bool = True, name: str | None = None
) -> Tensor:
    """Return `x` for which `matrix @ x` is nearest to `rhs`.

    Args:
        matrix: A tensor of matrices, its last two axes.
        rhs: A tensor of the same dtype, of rank 2 or more.
        l2_regularizer: What the squares of `x` cost.
        fast: Whether the normal equations are solved; else the pseudoinverse is used.
        name: A name for the result.
    """
    left = _matrix(matrix, "MatrixSolveLs")
    right, weight = convert_to_tensor(rhs, left.dtype), float(l2_regularizer)

    def solve(a: Any, b: Any) -> Any:
        if not fast:
            return jnp.linalg.pinv(a) @ b
        if a.shape[-2] >= a.shape[-1]:
            gram = _adjoint(a) @ a + weight * jnp.eye(a.shape[-1], dtype=a.dtype)
            return jnp.linalg.solve(gram, _adjoint(a) @ b)
        gram = a @ _adjoint(a) + weight * jnp.eye(a.shape[-2], dtype=a.dtype)
        return _adjoint(a) @ jnp.linalg.solve(gram, b)

    return compute("MatrixSolveLs", solve, left, right, name=name)


class Factors(NamedTuple):
    """`q @ r` is the matrix; `q` is orthogonal, `r` triangular."""

    q: Tensor
    r: Tensor


@export("qr", "linalg.qr")
def qr(input: Any, full_matrices: bool = False, name: str | None = None) -> Factors:
    """Return matrices as products of orthogonal and triangular ones.

    Args:
        input: A tensor of matrices, its last two axes.
        full_matrices: Whether `q` is square.
        name: A name for the results.
    """
    mode = "complete" if full_matrices else "reduced"
    tensor = _matrix(input, "Qr")
    return Factors(*compute_tree("Qr", lambda x: tuple(jnp.linalg.qr(x, mode)), tensor, name=name))


@export("svd", "linalg.svd")
def svd(tensor: Any, full_matrices: bool = False, compute_uv: bool = True, name: str | None = None) -> Any:
    """Return singular values of matrices, and the vectors.

    Args:
        tensor: A tensor of matrices, its last two axes.
        full_matrices: Whether the matrices of vectors are square.
        compute_uv: Whether the vectors are asked for.
        name: A name for the results.

    Returns:
        `(s, u, v)`, where the matrix is `u @ diag(s) @ adjoint(v)`; `s` alone without the vectors.
    """
    matrix = _matrix(tensor, "Svd")
    if not compute_uv:
        return compute("Svd", lambda x: jnp.linalg.svd(x, compute_uv=False), matrix, name=name)

    def split(x: Any) -> tuple[Any, Any, Any]:
        u, s, adjoint = jnp.linalg.svd(x, full_matrices=full_matrices)
        return s, u, _adjoint(adjoint)

    return compute_tree("Svd", split, matrix, name=name)


@export("self_adjoint_eig", "linalg.eigh")
def self_adjoint_eig(tensor: Any, name: str | None = None) -> tuple[Tensor, Tensor]:
    """Return eigenvalues of symmetric matrices, the least one first, and the vectors, as columns.

    Args:
        tensor: A tensor of square matrices, of which the lower triangle is read.
        name: A name for the results.
    """
    matrix = square_matrix(tensor, "SelfAdjointEig")

    def solve(x: Any) -> tuple[Any, Any]:
        values, vectors = jnp.linalg.eigh(x, UPLO="L", symmetrize_input=False)
        return values, vectors

    pair: tuple[Tensor, Tensor] = compute_tree("SelfAdjointEig", solve, matrix, name=name)
    return pair


@export("cross", "linalg.cross")
def cross(a: Any, b: Any, name: str | None = None) -> Tensor:
    """Return the cross products of vectors of three numbers, the last axis.

    Args:
        a: A tensor whose last axis has size 3.
        b: A tensor of the same dtype and shape.
        name: A name for the result.

    Raises:
        TensorValueError: If the shapes differ, or are not so (`tensor_value`).
    """
    first = matrix_of(a, "Cross", 1)
    second = convert_to_tensor(b, first.dtype)
    if first._held.shape != second._held.shape or first._held.shape[-1] != 3:
        raise TensorValueError(
            f"vectors of three numbers are needed, not {first.get_shape()} and {second.get_shape()}"
        )
    return compute("Cross", jnp.cross, first, second, name=name)
