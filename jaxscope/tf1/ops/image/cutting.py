"""`tf.image.crop_and_resize`: boxes of images, in one size."""

from typing import Any

import jax.numpy as jnp

from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.errors import TensorTypeError, TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute, static_shape
from jaxscope.tf1.base.tensor import Tensor
from jaxscope.tf1.ops.nn.arguments import either, expect_rank, real_numbers

__all__ = ["crop_and_resize"]


@export("image.crop_and_resize")
def crop_and_resize(
    image: Any,
    boxes: Any,
    box_ind: Any = None,
    crop_size: Any = None,
    method: str = "bilinear",
    extrapolation_value: Any = 0,
    name: str | None = None,
    box_indices: Any = None,
) -> Tensor:
    """Return boxes of images in one size, as float32.

    Args:
        image: `[batch, height, width, channels]`, of real numbers.
        boxes: `[boxes, 4]`, float32: top, left, bottom and right, where 0 and 1 are the image's edges.
        box_ind: `[boxes]`, int32: the image of each box.
        crop_size: Height and width of the results, known while tracing.
        method: "bilinear" or "nearest".
        extrapolation_value: What is outside of the image.
        name: A name for the result.
        box_indices: The newer name of `box_ind`.

    Raises:
        TensorValueError: If shapes do not fit, or there is no such method (`rank`, `tensor_value`).
        TensorTypeError: If dtypes are others (`tensor_type`).
    """
    kind = "CropAndResize"
    tensor, edges = real_numbers(kind, image), convert_to_tensor(boxes)
    owners = convert_to_tensor(either("box_indices", box_indices, "box_ind", box_ind))
    if edges.dtype != "float32" or owners.dtype != "int32":
        raise TensorTypeError(f"{kind} takes boxes of float32 and box_ind of int32")
    if method not in {"bilinear", "nearest"}:
        raise TensorValueError(f'method must be "bilinear" or "nearest", not {method!r}')
    expect_rank(kind, tensor, 4, "image")
    expect_rank(kind, edges, 2, "boxes")
    sizes, number = static_shape(crop_size, "crop_size"), edges._held.shape[0]
    if (
        len(sizes) != 2
        or min(sizes) < 1
        or edges._held.shape != (number, 4)
        or owners._held.shape != (number,)
    ):
        raise TensorValueError(
            f"{kind}: boxes of {edges.get_shape()}, box_ind of {owners.get_shape()} and crop_size of {sizes} "
            "do not fit"
        )
    shape = tensor._held.shape

    def run(image: Any, boxes: Any, owners: Any) -> Any:
        image = jnp.asarray(image).astype(jnp.float32)
        down, row_inside = _samples(boxes[:, 0], boxes[:, 2], shape[1], sizes[0])
        across, column_inside = _samples(boxes[:, 1], boxes[:, 3], shape[2], sizes[1])
        inside = (row_inside[:, :, None] & column_inside[:, None, :])[..., None]

        def pick(rows: Any, columns: Any) -> Any:
            return image[owners[:, None, None], rows[:, :, None], columns[:, None, :]]

        if method == "nearest":
            found = pick(_places(jnp.floor(down + 0.5), shape[1]), _places(jnp.floor(across + 0.5), shape[2]))
        else:
            top, bottom = _places(jnp.floor(down), shape[1]), _places(jnp.ceil(down), shape[1])
            left, right = _places(jnp.floor(across), shape[2]), _places(jnp.ceil(across), shape[2])
            row = (down - jnp.floor(down))[:, :, None, None]
            column = (across - jnp.floor(across))[:, None, :, None]
            above = pick(top, left) + (pick(top, right) - pick(top, left)) * column
            below = pick(bottom, left) + (pick(bottom, right) - pick(bottom, left)) * column
            found = above + (below - above) * row
        return jnp.where(inside, found, jnp.float32(extrapolation_value))

    return compute(kind, run, tensor, edges, owners, name=name)


def _samples(begin: Any, end: Any, size: int, target: int) -> tuple[Any, Any]:
    """Return the places that are sampled along an axis, `[boxes, target]`, and whether they are inside."""
    if target > 1:
        step = (end - begin) * (size - 1) / (target - 1)
        where = begin[:, None] * (size - 1) + jnp.arange(target, dtype=jnp.float32) * step[:, None]
    else:
        where = (0.5 * (begin + end) * (size - 1))[:, None]
    return where, (where >= 0) & (where <= size - 1)


def _places(where: Any, size: int) -> Any:
    return jnp.clip(where.astype(jnp.int32), 0, size - 1)
