"""`tf.IndexedSlices`: what gradients of tables are in TensorFlow; here these are tensors as all others."""

from typing import Any

import jax.numpy as jnp

from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.dtypes import DType
from jaxscope.tf1.base.errors import TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute, static_ints
from jaxscope.tf1.base.tensor import Tensor

__all__ = ["IndexedSlices"]


@export("IndexedSlices")
class IndexedSlices:
    """Rows of a larger tensor, the rest of which is zeros. No gradient is one: programs ask, and make them.

    Args:
        values: The rows.
        indices: Where they are; rows of one place are added.
        dense_shape: The shape of the larger tensor, which alone makes it a tensor.

    Attributes:
        values: The rows.
        indices: Where they are.
        dense_shape: The shape of the larger tensor, or None.

    Example:
        >>> jnp.asarray(convert_to_tensor(IndexedSlices([[1.0], [2.0], [3.0]], [2, 0, 2], [3, 1]))).tolist()
        [[2.0], [0.0], [4.0]]
    """

    def __init__(self, values: Any, indices: Any, dense_shape: Any = None) -> None:
        self.values, self.indices = convert_to_tensor(values), convert_to_tensor(indices)
        self.dense_shape = None if dense_shape is None else convert_to_tensor(dense_shape)

    @property
    def dtype(self) -> DType:
        """The dtype of the rows."""
        return self.values.dtype

    def __tf_tensor__(self) -> Tensor:
        if self.dense_shape is None:
            raise TensorValueError("IndexedSlices without dense_shape are no tensor", fix="dense_shape=")
        sizes = static_ints(self.dense_shape, "dense_shape")

        def spread(rows: Any, places: Any) -> Any:
            return jnp.zeros(sizes, rows.dtype).at[places].add(rows)

        return compute("UnsortedSegmentSum", spread, self.values, self.indices)
