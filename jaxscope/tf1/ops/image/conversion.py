"""`tf.image.convert_image_dtype`, and standardization."""

from typing import Any

import jax.numpy as jnp

from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.dtypes import canonical
from jaxscope.tf1.base.errors import TensorTypeError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute
from jaxscope.tf1.base.tensor import Tensor
from jaxscope.tf1.ops.image.arguments import converted, image_of, to_float

__all__ = ["convert_image_dtype", "per_image_standardization"]


@export("image.convert_image_dtype")
def convert_image_dtype(image: Any, dtype: Any, saturate: bool = False, name: str | None = None) -> Tensor:
    """Return an image in another dtype, scaled: 1.0 is the greatest whole number.

    Args:
        image: A tensor.
        dtype: The dtype.
        saturate: Whether numbers that do not fit become the nearest that do.
        name: A name for the result.

    Raises:
        TensorTypeError: If one of the dtypes is neither of floats nor of whole numbers (`tensor_type`).
    """
    tensor, target = convert_to_tensor(image), canonical(dtype)
    if tensor.dtype is target:
        return tensor
    for one in (tensor.dtype, target):
        if not one.is_floating and not one.is_integer:
            raise TensorTypeError(f"images are of floats or whole numbers, not of {one.name}")
    source = tensor.dtype
    return compute(
        "convert_image", lambda x: converted(x, source, target, saturate=saturate), tensor, name=name
    )


@export("image.per_image_standardization")
def per_image_standardization(image: Any) -> Tensor:
    """Return each image less its mean, over its standard deviation or `1 / sqrt(size)` if that is more.

    Args:
        image: One image or more, `[..., height, width, channels]`.

    Raises:
        TensorValueError: If it has another rank (`rank`).
    """
    tensor = image_of("per_image_standardization", image)
    dtype = tensor.dtype

    def run(x: Any) -> Any:
        x, now = to_float(x, dtype)
        axes = (-1, -2, -3)
        centered = x - jnp.mean(x, axes, keepdims=True)
        variance = jnp.mean(jnp.square(centered), axes, keepdims=True)
        least = 1 / max(x.shape[-1] * x.shape[-2] * x.shape[-3], 1)
        return converted(centered / jnp.sqrt(jnp.maximum(variance, least)), now, dtype, saturate=True)

    return compute("per_image_standardization", run, tensor)
