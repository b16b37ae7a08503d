"""Numbers that are known while tracing, handed to Python; and names that stand for constants."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxscope.tf1.base.converting import same_dtype
from jaxscope.tf1.base.dtypes import as_dtype
from jaxscope.tf1.base.exporting import export, export_constant
from jaxscope.tf1.base.operation import compute, value_if_known
from jaxscope.tf1.base.shapes import TensorShape
from jaxscope.tf1.base.tensor import Tensor, is_tensor

__all__ = ["get_static_value", "unravel_index"]

export_constant(None, "newaxis")
export_constant(as_dtype("float16"), "half", "dtypes.half")
export_constant(as_dtype("float64"), "double", "dtypes.double")
export_constant("1.15.0", "VERSION", "version.VERSION")


@export("get_static_value", "contrib.util.constant_value")
def get_static_value(tensor: Any, partial: bool = False) -> np.ndarray[Any, Any] | None:
    """Return the numbers of a tensor as a NumPy array, if they are known while tracing, else None.

    Args:
        tensor: A tensor.
        partial: Without meaning here.
    """
    if not is_tensor(tensor):
        return np.asarray(tensor)
    known = value_if_known(tensor)
    return known[()] if known is not None and not known.ndim else known


@export("contrib.util.constant_value_as_shape")
def constant_value_as_shape(tensor: Any) -> TensorShape:
    """Return a vector of sizes as a shape, with None for -1.

    Args:
        tensor: The vector; of one that is not known while tracing, only the rank is in the shape.
    """
    known = value_if_known(tensor)
    if known is None:
        return TensorShape([None] * int(tensor.shape[0]))
    return TensorShape([None if one < 0 else int(one) for one in known])


@export("dimension_at_index", "compat.dimension_at_index")
def dimension_at_index(shape: Any, index: int) -> Any:
    """Return one dimension of a shape.

    Args:
        shape: A `TensorShape`.
        index: Which dimension.
    """
    return TensorShape(shape)[index]


@export("unravel_index")
def unravel_index(indices: Any, dims: Any, name: str | None = None) -> Tensor:
    """Return the coordinates of flat indices, a row for each axis.

    Args:
        indices: Whole numbers, a scalar or a vector.
        dims: The sizes of the axes.
        name: A name for the result.
    """
    where, sizes = same_dtype(indices, dims)

    def find(i: Any, shape: Any) -> Any:
        steps = jnp.cumprod(jnp.concatenate([jnp.ones(1, shape.dtype), shape[:0:-1]]))[::-1]
        column = (-1, *(1 for _ in i.shape))
        return (
            jnp.reshape(jnp.asarray(i), (1, *i.shape))
            // jnp.reshape(steps, column)
            % jnp.reshape(shape, column)
        )

    return compute("UnravelIndex", find, where, sizes, name=name)
