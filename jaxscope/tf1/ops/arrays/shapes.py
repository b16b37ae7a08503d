"""`tf.shape` and what changes a shape alone."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.dtypes import canonical
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute, static_shape
from jaxscope.tf1.base.tensor import Tensor, wrap

__all__ = ["reshape", "shape"]


@export("shape")
def shape(input: Any, name: str | None = None, out_type: Any = "int32") -> Tensor:
    """Return the shape of a tensor as a tensor, whose numbers are known while tracing.

    Args:
        input: A tensor.
        name: A name for the result.
        out_type: The dtype of the result.
    """
    sizes = convert_to_tensor(input)._held.shape
    return wrap(np.asarray(sizes, canonical(out_type).dtype), "Shape", name)


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
        lambda x: jnp.reshape(x, sizes),
        convert_to_tensor(tensor),
        fold=lambda x: np.reshape(x, sizes),
        name=name,
    )
