"""Spaces of color: gray, hue and saturation, luminance."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.errors import TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute
from jaxscope.tf1.base.tensor import Tensor
from jaxscope.tf1.ops.image.arguments import FLOAT32, converted
from jaxscope.tf1.ops.nn.arguments import expect_rank, floats

__all__ = [
    "from_hsv",
    "grayscale_to_rgb",
    "hsv_to_rgb",
    "rgb_to_grayscale",
    "rgb_to_hsv",
    "rgb_to_yiq",
    "rgb_to_yuv",
    "to_hsv",
    "yiq_to_rgb",
    "yuv_to_rgb",
]

_GRAY = np.array([0.2989, 0.587, 0.114], np.float32)
_RGB_TO_YIQ = [
    [0.299, 0.59590059, 0.2115],
    [0.587, -0.27455667, -0.52273617],
    [0.114, -0.32134392, 0.31119955],
]
_YIQ_TO_RGB = [[1, 1, 1], [0.95598634, -0.27201283, -1.10674021], [0.6208248, -0.64720424, 1.70423049]]
_RGB_TO_YUV = [
    [0.299, -0.14714119, 0.61497538],
    [0.587, -0.28886916, -0.51496512],
    [0.114, 0.43601035, -0.10001026],
]
_YUV_TO_RGB = [[1, 1, 1], [0, -0.394642334, 2.03206185], [1.13988303, -0.58062185, 0]]


@export("image.rgb_to_grayscale")
def rgb_to_grayscale(images: Any, name: str | None = None) -> Tensor:
    """Return images in gray, in the same dtype.

    Args:
        images: `[..., 3]`, of rank 2 or more.
        name: A name for the result.

    Raises:
        TensorValueError: If there are not three channels (`rank`, `tensor_value`).
    """
    tensor = _colored("rgb_to_grayscale", images)
    dtype = tensor.dtype

    def run(x: Any) -> Any:
        x = converted(x, dtype, FLOAT32)
        gray = jnp.tensordot(x, _GRAY, (-1, -1), precision="highest")
        return converted(jnp.expand_dims(gray, -1), FLOAT32, dtype)

    return compute("rgb_to_grayscale", run, tensor, name=name)


def _colored(kind: str, images: Any, channels: int = 3) -> Tensor:
    tensor = convert_to_tensor(images)
    expect_rank(kind, tensor, 1, "images", at_least=True)
    if tensor._held.shape[-1] != channels:
        raise TensorValueError(f"{kind} takes images with {channels} channels, not {tensor._held.shape[-1]}")
    return tensor


@export("image.grayscale_to_rgb")
def grayscale_to_rgb(images: Any, name: str | None = None) -> Tensor:
    """Return gray images with three equal channels.

    Args:
        images: `[..., 1]`.
        name: A name for the result.

    Raises:
        TensorValueError: If there is more than one channel (`rank`, `tensor_value`).
    """
    tensor = _colored("grayscale_to_rgb", images, 1)
    return compute(
        "grayscale_to_rgb", lambda x: jnp.tile(x, (1,) * (len(x.shape) - 1) + (3,)), tensor, name=name
    )


def to_hsv(x: Any) -> Any:
    """Return hue, saturation and value of red, green and blue, arrays `[..., 3]`."""
    red, green, blue = x[..., 0], x[..., 1], x[..., 2]
    value = jnp.maximum(jnp.maximum(red, green), blue)
    least = jnp.minimum(jnp.minimum(red, green), blue)
    spread = value - least
    one, zero = jnp.ones_like(value), jnp.zeros_like(value)
    # TensorFlow's gradient of the saturation leaves out what is not above zero.
    least = jnp.where(least > 0, least, jax.lax.stop_gradient(least))
    saturation = jnp.where(value > 0, (value - least) / jnp.where(value > 0, value, one), zero)
    sixth = 1 / (6 * jnp.where(spread > 0, spread, one))
    hue = jnp.where(
        red == value,
        sixth * (green - blue),
        jnp.where(green == value, sixth * (blue - red) + 2 / 6, sixth * (red - green) + 4 / 6),
    )
    hue = jnp.where(spread > 0, hue, zero)
    return jnp.stack([jnp.where(hue < 0, hue + 1, hue), saturation, value], -1)


def from_hsv(x: Any) -> Any:
    """Return red, green and blue of hue, saturation and value, arrays `[..., 3]`."""
    hue, saturation, value = x[..., 0] * 6, x[..., 1], x[..., 2]
    parts = [
        jnp.clip(jnp.abs(hue - 3) - 1, 0, 1),
        jnp.clip(2 - jnp.abs(hue - 2), 0, 1),
        jnp.clip(2 - jnp.abs(hue - 4), 0, 1),
    ]
    return jnp.stack([((1 - saturation) + saturation * part) * value for part in parts], -1)


@export("image.rgb_to_hsv")
def rgb_to_hsv(images: Any, name: str | None = None) -> Tensor:
    """Return hue, saturation and value, each between 0 and 1.

    Args:
        images: Red, green and blue `[..., 3]`, floats between 0 and 1.
        name: A name for the result.

    Raises:
        TensorValueError: If there are not three channels (`tensor_value`).
        TensorTypeError: If it is not of floats (`tensor_type`).
    """
    tensor = floats("RGBToHSV", _colored("RGBToHSV", images))
    return compute("RGBToHSV", lambda x: to_hsv(jnp.asarray(x)), tensor, name=name)


@export("image.hsv_to_rgb")
def hsv_to_rgb(images: Any, name: str | None = None) -> Tensor:
    """Return red, green and blue, each between 0 and 1.

    Args:
        images: Hue, saturation and value `[..., 3]`, floats between 0 and 1.
        name: A name for the result.

    Raises:
        TensorValueError: If there are not three channels (`tensor_value`).
        TensorTypeError: If it is not of floats (`tensor_type`).
    """
    tensor = floats("HSVToRGB", _colored("HSVToRGB", images))
    return compute("HSVToRGB", lambda x: from_hsv(jnp.asarray(x)), tensor, name=name)


def _by_matrix(kind: str, images: Any, matrix: Any) -> Tensor:
    tensor = _colored(kind, floats(kind, images))

    def run(x: Any) -> Any:
        return jnp.tensordot(x, np.asarray(matrix, x.dtype), (-1, 0), precision="highest")

    return compute(kind, run, tensor)


@export("image.rgb_to_yiq")
def rgb_to_yiq(images: Any) -> Tensor:
    """Return images in YIQ.

    Args:
        images: `[..., height, width, 3]`, floats between 0 and 1.

    Raises:
        TensorValueError: If there are not three channels (`rank`, `tensor_value`).
        TensorTypeError: If it is not of floats (`tensor_type`).
    """
    return _by_matrix("rgb_to_yiq", images, _RGB_TO_YIQ)


@export("image.yiq_to_rgb")
def yiq_to_rgb(images: Any) -> Tensor:
    """Return images in YIQ in red, green and blue.

    Args:
        images: `[..., height, width, 3]`, floats.

    Raises:
        TensorValueError: If there are not three channels (`rank`, `tensor_value`).
        TensorTypeError: If it is not of floats (`tensor_type`).
    """
    return _by_matrix("yiq_to_rgb", images, _YIQ_TO_RGB)


@export("image.rgb_to_yuv")
def rgb_to_yuv(images: Any) -> Tensor:
    """Return images in YUV.

    Args:
        images: `[..., height, width, 3]`, floats between 0 and 1.

    Raises:
        TensorValueError: If there are not three channels (`rank`, `tensor_value`).
        TensorTypeError: If it is not of floats (`tensor_type`).
    """
    return _by_matrix("rgb_to_yuv", images, _RGB_TO_YUV)


@export("image.yuv_to_rgb")
def yuv_to_rgb(images: Any) -> Tensor:
    """Return images in YUV in red, green and blue.

    Args:
        images: `[..., height, width, 3]`, floats.

    Raises:
        TensorValueError: If there are not three channels (`rank`, `tensor_value`).
        TensorTypeError: If it is not of floats (`tensor_type`).
    """
    return _by_matrix("yuv_to_rgb", images, _YUV_TO_RGB)
