"""Images of another size: `tf.image.resize_images` and its methods."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from jaxscope.tf1.base.errors import InvalidArgumentError, TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute, static_ints, static_value
from jaxscope.tf1.base.tensor import Tensor
from jaxscope.tf1.ops.arrays.shapes import expand_dims, squeeze
from jaxscope.tf1.ops.image import interpolation
from jaxscope.tf1.ops.image.arguments import images_of, sizes_of
from jaxscope.tf1.ops.image.cropping import pad_to_bounding_box
from jaxscope.tf1.ops.nn.arguments import expect_rank, real_numbers

__all__ = [
    "ResizeMethod",
    "resize_area",
    "resize_bicubic",
    "resize_bilinear",
    "resize_image_with_pad",
    "resize_images",
    "resize_nearest_neighbor",
]


@export("image.ResizeMethod")
class ResizeMethod:
    """How images get another size.

    Attributes:
        BILINEAR: Between two places along each axis.
        NEAREST_NEIGHBOR: The nearest place.
        BICUBIC: Between four places along each axis.
        AREA: Means of what is covered.
    """

    BILINEAR = 0
    NEAREST_NEIGHBOR = 1
    BICUBIC = 2
    AREA = 3


def _resized(
    kind: str,
    images: Any,
    size: Any,
    name: str | None,
    resize: Callable[[Any, int, int], Any],
    flags: tuple[Any, Any] = (False, False),
    *,
    as_float: bool = True,
) -> Tensor:
    """Return a batch of images after `resize(array, axis, target)` of width and height, if they change."""
    tensor = real_numbers(kind, images)
    expect_rank(kind, tensor, 4, "images")
    height, width = _two(size)
    if min(height, width) < 1:
        raise InvalidArgumentError(f"{kind}: sizes must be positive, and are {height}, {width}")
    if all(flags):
        raise InvalidArgumentError(f"{kind}: align_corners goes not together with half_pixel_centers")
    if min(tensor._held.shape[1:3]) < 1:
        raise InvalidArgumentError(f"{kind}: there is nothing in images of {tensor.get_shape()}")

    def run(x: Any) -> Any:
        x = jnp.asarray(x).astype(jnp.float32) if as_float else jnp.asarray(x)
        for axis, target in ((2, width), (1, height)):
            if x.shape[axis] != target:
                x = resize(x, axis, target)
        return x

    return compute(kind, run, tensor, name=name)


def _two(size: Any) -> tuple[int, int]:
    known = static_value(size, "size")
    if known.shape != (2,) or known.dtype.kind not in "iu":
        raise TensorValueError(f"size must be two numbers, height and width, not {size!r}")
    height, width = static_ints(size, "size")
    return height, width


def _at(x: Any, places: Any, axis: int) -> Any:
    """Return the parts of an array at known places of an axis."""
    return jnp.take(x, places, axis, mode="clip")


@export("image.resize_bilinear")
def resize_bilinear(
    images: Any,
    size: Any,
    align_corners: bool = False,
    name: str | None = None,
    half_pixel_centers: bool = False,
) -> Tensor:
    """Return images of another size, between two places along each axis, as float32.

    Args:
        images: `[batch, height, width, channels]`.
        size: The new height and width, known while tracing.
        align_corners: Whether the corners' centers stay where they are.
        name: A name for the result.
        half_pixel_centers: Whether pixels are squares around their centers.

    Raises:
        TensorValueError: If images or size have another rank (`rank`, `tensor_value`).
        TensorTypeError: If they are of another dtype (`tensor_type`).
        InvalidArgumentError: If both flags are set, or a size is not positive (`invalid_argument`).
    """

    def resize(x: Any, axis: int, target: int) -> Any:
        low, high, far = interpolation.bilinear(
            x.shape[axis], target, align_corners=align_corners, half_pixel=half_pixel_centers
        )
        first, second = _at(x, low, axis), _at(x, high, axis)
        return first + (second - first) * far.reshape((-1,) + (1,) * (3 - axis))

    return _resized("ResizeBilinear", images, size, name, resize, (align_corners, half_pixel_centers))


@export("image.resize_nearest_neighbor")
def resize_nearest_neighbor(
    images: Any,
    size: Any,
    align_corners: bool = False,
    name: str | None = None,
    half_pixel_centers: bool = False,
) -> Tensor:
    """Return images of another size, with the nearest place for each.

    Args:
        images: `[batch, height, width, channels]`.
        size: The new height and width, known while tracing.
        align_corners: Whether the corners' centers stay where they are.
        name: A name for the result.
        half_pixel_centers: Whether pixels are squares around their centers.

    Raises:
        TensorValueError: If images or size have another rank (`rank`, `tensor_value`).
        TensorTypeError: If they are of another dtype (`tensor_type`).
        InvalidArgumentError: If both flags are set, or a size is not positive (`invalid_argument`).
    """

    def resize(x: Any, axis: int, target: int) -> Any:
        places = interpolation.nearest(
            x.shape[axis], target, align_corners=align_corners, half_pixel=half_pixel_centers
        )
        return _at(x, places, axis)

    flags = (align_corners, half_pixel_centers)
    return _resized("ResizeNearestNeighbor", images, size, name, resize, flags, as_float=False)


@export("image.resize_bicubic")
def resize_bicubic(
    images: Any,
    size: Any,
    align_corners: bool = False,
    name: str | None = None,
    half_pixel_centers: bool = False,
) -> Tensor:
    """Return images of another size, between four places along each axis, as float32.

    Args:
        images: `[batch, height, width, channels]`.
        size: The new height and width, known while tracing.
        align_corners: Whether the corners' centers stay where they are.
        name: A name for the result.
        half_pixel_centers: Whether pixels are squares around their centers.

    Raises:
        TensorValueError: If images or size have another rank (`rank`, `tensor_value`).
        TensorTypeError: If they are of another dtype (`tensor_type`).
        InvalidArgumentError: If both flags are set, or a size is not positive (`invalid_argument`).
    """

    def resize(x: Any, axis: int, target: int) -> Any:
        taps = interpolation.bicubic(
            x.shape[axis], target, align_corners=align_corners, half_pixel=half_pixel_centers
        )
        total: Any = None
        for places, weights in zip(taps.places, taps.weights, strict=True):
            part = _at(x, places, axis) * weights.reshape((-1,) + (1,) * (3 - axis))
            total = part if total is None else total + part
        return total

    return _resized("ResizeBicubic", images, size, name, resize, (align_corners, half_pixel_centers))


@export("image.resize_area")
def resize_area(images: Any, size: Any, align_corners: bool = False, name: str | None = None) -> Tensor:
    """Return images of another size, means of what each place covers, as float32.

    Args:
        images: `[batch, height, width, channels]`.
        size: The new height and width, known while tracing.
        align_corners: Whether the corners' centers stay where they are.
        name: A name for the result.

    Raises:
        TensorValueError: If images or size have another rank (`rank`, `tensor_value`).
        TensorTypeError: If they are of another dtype (`tensor_type`).
        InvalidArgumentError: If a size is not positive (`invalid_argument`).
    """

    def resize(x: Any, axis: int, target: int) -> Any:
        shares = interpolation.area(x.shape[axis], target, align_corners=align_corners)
        return jnp.einsum("nhwc,yh->nywc" if axis == 1 else "nhwc,xw->nhxc", x, shares, precision="highest")

    return _resized("ResizeArea", images, size, name, resize)


_METHODS: dict[int, Callable[..., Tensor]] = {
    ResizeMethod.BILINEAR: resize_bilinear,
    ResizeMethod.NEAREST_NEIGHBOR: resize_nearest_neighbor,
    ResizeMethod.BICUBIC: resize_bicubic,
    ResizeMethod.AREA: resize_area,
}


@export("image.resize_images", "image.resize")
def resize_images(
    images: Any,
    size: Any,
    method: Any = ResizeMethod.BILINEAR,
    align_corners: bool = False,
    preserve_aspect_ratio: bool = False,
    name: str | None = None,
) -> Tensor:
    """Return images of another size; images that have that size already are returned as they are.

    Args:
        images: `[height, width, channels]`, or a batch of such.
        size: The new height and width, known while tracing.
        method: One of `tf.image.ResizeMethod`. All but the nearest neighbor give float32.
        align_corners: Whether the corners' centers stay where they are.
        preserve_aspect_ratio: Whether the size is only the largest that is allowed.
        name: A name for the result.

    Raises:
        TensorValueError: If images or size have another rank, or there is no such method (`rank`, ...).
        TensorTypeError: If they are of another dtype (`tensor_type`).
        InvalidArgumentError: If a size is not positive (`invalid_argument`).
    """
    tensor, height, width, axis = images_of("resize_images", images)
    rows, columns = _two(size)
    if preserve_aspect_ratio:
        share = min(rows / height, columns / width)
        rows, columns = round(share * height), round(share * width)
    if (rows, columns) == (height, width):
        return tensor
    if not isinstance(method, int) or method not in _METHODS:
        raise TensorValueError(f"there is no method {method!r} to resize images", fix="tf.image.ResizeMethod")
    if axis:
        return _METHODS[method](tensor, [rows, columns], align_corners, name)
    resized = _METHODS[method](expand_dims(tensor, 0), [rows, columns], align_corners, name)
    return squeeze(resized, 0, name)


@export("image.resize_image_with_pad")
def resize_image_with_pad(
    image: Any,
    target_height: Any,
    target_width: Any,
    method: Any = ResizeMethod.BILINEAR,
    align_corners: bool = False,
) -> Tensor:
    """Return images of another size and the same aspect ratio, with zeros around them.

    Args:
        image: `[height, width, channels]`, or a batch of such.
        target_height: The height of the result.
        target_width: The width of the result.
        method: One of `tf.image.ResizeMethod`.
        align_corners: Whether the corners' centers stay where they are.

    Raises:
        TensorValueError: If a size is not positive, or images have another rank (`tensor_value`, `rank`).
    """
    tensor, height, width, _ = images_of("resize_image_with_pad", image)
    rows, columns = sizes_of(target_height, target_width, "target", least=1)
    ratio = max(width / columns, height / rows)
    new_rows, new_columns = int(height / ratio), int(width / ratio)
    above = max(int((rows - height / ratio) / 2), 0)
    left = max(int((columns - width / ratio) / 2), 0)
    resized = resize_images(tensor, [new_rows, new_columns], method, align_corners)
    return pad_to_bounding_box(resized, above, left, rows, columns)
