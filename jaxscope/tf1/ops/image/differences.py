"""Differences inside of images: edges, gradients, total variation."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxscope.tf1.base.errors import TensorTypeError, TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute, compute_tree
from jaxscope.tf1.base.tensor import Tensor
from jaxscope.tf1.ops.image.arguments import images_of
from jaxscope.tf1.ops.math.elementwise import distance
from jaxscope.tf1.ops.nn.arguments import expect_rank, floats, real_numbers

__all__ = ["image_gradients", "sobel_edges", "total_variation"]


@export("image.total_variation")
def total_variation(images: Any, name: str | None = None) -> Tensor:
    """Return the sum of absolute differences of neighbors, of each image.

    Args:
        images: `[height, width, channels]`, or a batch of such.
        name: A name for the result.

    Raises:
        TensorValueError: If it has another rank (`rank`).
        TensorTypeError: If it is of another dtype (`tensor_type`).
    """
    tensor, _, _, axis = images_of("total_variation", images)
    axes = (axis, axis + 1, axis + 2)

    def run(x: Any) -> Any:
        down = jnp.diff(x, axis=axis)
        across = jnp.diff(x, axis=axis + 1)
        return jnp.sum(distance(down), axes, dtype=x.dtype) + jnp.sum(distance(across), axes, dtype=x.dtype)

    if tensor.dtype.name.startswith("uint"):
        raise TensorTypeError(f"total_variation does not take tensors of {tensor.dtype.name}")
    return compute("total_variation", run, real_numbers("total_variation", tensor), name=name)


@export("image.image_gradients")
def image_gradients(image: Any) -> tuple[Tensor, Tensor]:
    """Return differences to the next row and to the next column; 0 in the last ones.

    Args:
        image: `[batch, height, width, channels]`.

    Raises:
        TensorValueError: If it has another rank (`rank`).
        TensorTypeError: If it is of another dtype (`tensor_type`).
    """
    tensor = real_numbers("image_gradients", image)
    expect_rank("image_gradients", tensor, 4, "image")

    def run(x: Any) -> tuple[Any, Any]:
        down = jnp.pad(jnp.diff(x, axis=1), ((0, 0), (0, 1), (0, 0), (0, 0)))
        across = jnp.pad(jnp.diff(x, axis=2), ((0, 0), (0, 0), (0, 1), (0, 0)))
        return down, across

    found: tuple[Tensor, Tensor] = compute_tree("image_gradients", run, tensor)
    return found


_SOBEL = np.array([[-1, -2, -1], [0, 0, 0], [1, 2, 1]], np.float32)


@export("image.sobel_edges")
def sobel_edges(image: Any) -> Tensor:
    """Return Sobel's differences down and across.

    Args:
        image: `[batch, height, width, channels]`, of floats.

    Returns:
        `[batch, height, width, channels, 2]`.

    Raises:
        TensorValueError: If it has another rank, or is smaller than 2 by 2 (`rank`, `tensor_value`).
        TensorTypeError: If it is of another dtype (`tensor_type`).
    """
    tensor = floats("sobel_edges", image)
    expect_rank("sobel_edges", tensor, 4, "image")
    if min(tensor._held.shape[1:3]) < 2:
        raise TensorValueError("sobel_edges reflects the edge, and needs two rows and columns")
    channels = tensor._held.shape[3]

    def run(x: Any) -> Any:
        kernel = np.stack([_SOBEL, _SOBEL.T], -1)[:, :, None]
        kernel = np.tile(kernel, (1, 1, 1, channels)).astype(x.dtype)
        padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
        edges = lax.conv_general_dilated(
            padded,
            jnp.asarray(kernel),
            (1, 1),
            "VALID",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=channels,
        )
        return jnp.reshape(edges, (*x.shape, 2))

    return compute("sobel_edges", run, tensor)
