"""`tf.linalg.LinearOperatorLowerTriangular` and its like: matrices by what is known of them."""

from typing import Any

from jaxscope.tf1.base.dtypes import DType
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.shapes import TensorShape
from jaxscope.tf1.base.tensor import Tensor
from jaxscope.tf1.ops.arrays.matrices import matrix_band_part, matrix_diag, matrix_diag_part, matrix_of
from jaxscope.tf1.ops.math.linalg import matrix_determinant, slogdet
from jaxscope.tf1.ops.math.products import matmul

__all__ = ["LinearOperatorDiag", "LinearOperatorFullMatrix", "LinearOperatorLowerTriangular"]


class _Operator:
    """A matrix, or a batch of such."""

    def __init__(self, dense: Tensor, name: str) -> None:
        self._dense, self.name = dense, name

    @property
    def dtype(self) -> DType:
        """The dtype."""
        return self._dense.dtype

    @property
    def shape(self) -> TensorShape:
        """The shape: batch, rows, columns."""
        return self._dense.shape

    def to_dense(self, name: str = "to_dense") -> Tensor:
        """Return it as a tensor."""
        return self._dense

    def matmul(
        self, x: Any, adjoint: bool = False, adjoint_arg: bool = False, name: str = "matmul"
    ) -> Tensor:
        """Return the product with matrices.

        Args:
            x: Matrices.
            adjoint: Whether it is this one's adjoint.
            adjoint_arg: Whether it is theirs.
            name: A name for the result.
        """
        return matmul(self._dense, x, adjoint_a=adjoint, adjoint_b=adjoint_arg, name=name)

    def diag_part(self, name: str = "diag_part") -> Tensor:
        """Return the diagonal."""
        return matrix_diag_part(self._dense)

    def determinant(self, name: str = "det") -> Tensor:
        """Return the determinant."""
        found: Tensor = matrix_determinant(self._dense, name)
        return found

    def log_abs_determinant(self, name: str = "log_abs_det") -> Tensor:
        """Return the logarithm of the size of the determinant."""
        return slogdet(self._dense, name).log_abs_determinant


@export("linalg.LinearOperatorLowerTriangular", "contrib.linalg.LinearOperatorTriL")
class LinearOperatorLowerTriangular(_Operator):
    """A lower triangular matrix.

    Args:
        tril: A matrix; what is above its diagonal is not looked at.
        is_non_singular: Without meaning here.
        is_self_adjoint: Without meaning here.
        is_positive_definite: Without meaning here.
        is_square: Without meaning here.
        name: Its name.

    Example:
        >>> jnp.asarray(LinearOperatorLowerTriangular([[1.0, 2.0], [3.0, 4.0]]).to_dense()).tolist()
        [[1.0, 0.0], [3.0, 4.0]]
    """

    def __init__(
        self,
        tril: Any,
        is_non_singular: Any = None,
        is_self_adjoint: Any = None,
        is_positive_definite: Any = None,
        is_square: Any = None,
        name: str = "LinearOperatorLowerTriangular",
    ) -> None:
        matrix = matrix_of(tril, "LinearOperatorLowerTriangular")
        super().__init__(matrix_band_part(matrix, -1, 0), name)


@export("linalg.LinearOperatorFullMatrix", "contrib.linalg.LinearOperatorFullMatrix")
class LinearOperatorFullMatrix(_Operator):
    """Any matrix.

    Args:
        matrix: The matrix.
        is_non_singular: Without meaning here.
        is_self_adjoint: Without meaning here.
        is_positive_definite: Without meaning here.
        is_square: Without meaning here.
        name: Its name.
    """

    def __init__(
        self,
        matrix: Any,
        is_non_singular: Any = None,
        is_self_adjoint: Any = None,
        is_positive_definite: Any = None,
        is_square: Any = None,
        name: str = "LinearOperatorFullMatrix",
    ) -> None:
        super().__init__(matrix_of(matrix, "LinearOperatorFullMatrix"), name)


@export("linalg.LinearOperatorDiag", "contrib.linalg.LinearOperatorDiag")
class LinearOperatorDiag(_Operator):
    """A matrix of zeros but for its diagonal.

    Args:
        diag: The diagonal.
        is_non_singular: Without meaning here.
        is_self_adjoint: Without meaning here.
        is_positive_definite: Without meaning here.
        is_square: Without meaning here.
        name: Its name.
    """

    def __init__(
        self,
        diag: Any,
        is_non_singular: Any = None,
        is_self_adjoint: Any = None,
        is_positive_definite: Any = None,
        is_square: Any = None,
        name: str = "LinearOperatorDiag",
    ) -> None:
        super().__init__(matrix_diag(matrix_of(diag, "LinearOperatorDiag", 1)), name)
