"""Parts of images, and images with more around them."""

from typing import Any

import jax.numpy as jnp

from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.errors import TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute
from jaxscope.tf1.base.tensor import Tensor
from jaxscope.tf1.ops.image.arguments import images_of, sizes_of

__all__ = ["central_crop", "crop_to_bounding_box", "pad_to_bounding_box", "resize_image_with_crop_or_pad"]


@export("image.crop_to_bounding_box")
def crop_to_bounding_box(
    image: Any, offset_height: Any, offset_width: Any, target_height: Any, target_width: Any
) -> Tensor:
    """Return a part of images.

    Args:
        image: `[height, width, channels]`, or a batch of such.
        offset_height: Where the part begins, from above.
        offset_width: Where it begins, from the left.
        target_height: Its height.
        target_width: Its width.

    Raises:
        TensorValueError: If it is not inside, or the image has another rank (`tensor_value`, `rank`).
    """
    kind = "crop_to_bounding_box"
    tensor, height, width, axis = images_of(kind, image)
    top, left = sizes_of(offset_height, offset_width, "offset", least=0)
    rows, columns = sizes_of(target_height, target_width, "target", least=1)
    if top + rows > height or left + columns > width:
        raise TensorValueError(
            f"{kind}: rows {top} to {top + rows}, columns {left} to {left + columns} are not inside of "
            f"an image of {height} by {width}"
        )
    if (rows, columns) == (height, width):
        return tensor
    where = (*[slice(None)] * axis, slice(top, top + rows), slice(left, left + columns))
    return compute(kind, lambda x: jnp.asarray(x)[where], tensor)


@export("image.pad_to_bounding_box")
def pad_to_bounding_box(
    image: Any, offset_height: Any, offset_width: Any, target_height: Any, target_width: Any
) -> Tensor:
    """Return images with zeros around them.

    Args:
        image: `[height, width, channels]`, or a batch of such.
        offset_height: How many rows are put above.
        offset_width: How many columns are put on the left.
        target_height: The height of the result.
        target_width: The width of the result.

    Raises:
        TensorValueError: If the image does not fit in, or has another rank (`tensor_value`, `rank`).
    """
    kind = "pad_to_bounding_box"
    tensor, height, width, axis = images_of(kind, image)
    top, left = sizes_of(offset_height, offset_width, "offset", least=0)
    rows, columns = sizes_of(target_height, target_width, "target", least=0)
    below, right = rows - height - top, columns - width - left
    if below < 0 or right < 0:
        raise TensorValueError(
            f"{kind}: an image of {height} by {width} at {top}, {left} does not fit into {rows} by {columns}"
        )
    if (rows, columns) == (height, width):
        return tensor
    pads = [(0, 0)] * axis + [(top, below), (left, right), (0, 0)]
    return compute(kind, lambda x: jnp.pad(x, pads), tensor)


@export("image.resize_image_with_crop_or_pad", "image.resize_with_crop_or_pad")
def resize_image_with_crop_or_pad(image: Any, target_height: Any, target_width: Any) -> Tensor:
    """Return the middle of images, with zeros around it where they are smaller.

    Args:
        image: `[height, width, channels]`, or a batch of such.
        target_height: The height of the result.
        target_width: The width of the result.

    Raises:
        TensorValueError: If a size is not positive, or the image has another rank (`tensor_value`, `rank`).
    """
    tensor, height, width, _ = images_of("resize_image_with_crop_or_pad", image)
    rows, columns = sizes_of(target_height, target_width, "target", least=1)
    down, across = rows - height, columns - width
    cut = crop_to_bounding_box(
        tensor, max(-down // 2, 0), max(-across // 2, 0), min(rows, height), min(columns, width)
    )
    return pad_to_bounding_box(cut, max(down // 2, 0), max(across // 2, 0), rows, columns)


@export("image.central_crop")
def central_crop(image: Any, central_fraction: float) -> Tensor:
    """Return the middle of images.

    Args:
        image: `[height, width, channels]`, or a batch of such.
        central_fraction: The share of height and width that is kept, above 0 and up to 1.

    Raises:
        TensorValueError: If the share is out of range, or the rank is another (`tensor_value`, `rank`).
    """
    if not 0 < central_fraction <= 1:
        raise TensorValueError(f"central_fraction must be above 0 and at most 1, not {central_fraction!r}")
    if central_fraction == 1:
        return convert_to_tensor(image)
    tensor, height, width, _ = images_of("central_crop", image)
    top, left = (int((size - size * central_fraction) / 2) for size in (height, width))
    return crop_to_bounding_box(tensor, top, left, height - 2 * top, width - 2 * left)
