"""`tf.cast` and its like."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.dtypes import canonical
from jaxscope.tf1.base.errors import TensorTypeError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute
from jaxscope.tf1.base.tensor import Tensor

__all__ = ["cast"]


@export("cast", "dtypes.cast")
def cast(x: Any, dtype: Any, name: str | None = None) -> Tensor:
    """Return a tensor in another dtype; real numbers are cut towards zero where they become whole.

    Args:
        x: A tensor.
        dtype: The dtype of the result.
        name: A name for the result.

    Raises:
        TensorTypeError: If there is no such dtype, or strings were given (`tensor_type`).
    """
    tensor, target = convert_to_tensor(x), canonical(dtype)
    if tensor.dtype is target:
        return tensor
    if "string" in {tensor.dtype.name, target.name}:
        raise TensorTypeError(f"{tensor.dtype.name} cannot be cast to {target.name}")
    kept = target.dtype
    from_complex = tensor.dtype.is_complex and not target.is_complex

    def change(array: Any) -> jax.Array:
        array = jnp.asarray(array)
        return jax.lax.convert_element_type(jnp.real(array) if from_complex else array, kept)

    return compute("Cast", change, tensor, fold=lambda array: array.astype(kept), name=name)
