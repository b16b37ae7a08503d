"""Brightness, contrast, hue, saturation and gamma of images: given ones, and drawn ones."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.errors import TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute, value_if_known
from jaxscope.tf1.base.tensor import Tensor, wrap
from jaxscope.tf1.ops.image.arguments import converted, image_of, to_float
from jaxscope.tf1.ops.image.colors import from_hsv, to_hsv
from jaxscope.tf1.ops.nn.arguments import real_numbers
from jaxscope.tf1.ops.random.drawing import draw_key

__all__ = [
    "adjust_brightness",
    "adjust_contrast",
    "adjust_gamma",
    "adjust_hue",
    "adjust_saturation",
    "random_brightness",
    "random_contrast",
    "random_hue",
    "random_saturation",
]


def _in_floats(
    kind: str, image: Tensor, numbers: list[Any], change: Callable[..., Any], name: str | None = None
) -> Tensor:
    """Return an image changed in floats, and back in its dtype."""
    dtype = image.dtype

    def run(x: Any, *numbers: Any) -> Any:
        x, now = to_float(x, dtype)
        changed = change(x, *(jnp.asarray(number).astype(x.dtype) for number in numbers))
        return converted(changed, now, dtype, saturate=True)

    return compute(kind, run, image, *map(convert_to_tensor, numbers), name=name)


@export("image.adjust_brightness")
def adjust_brightness(image: Any, delta: Any) -> Tensor:
    """Return images with a number added; whole numbers count as shares of their greatest, and stay in range.

    Args:
        image: A tensor of real numbers.
        delta: The number; between -1 and 1 where images are between 0 and 1.

    Raises:
        TensorTypeError: If the image is of another dtype (`tensor_type`).
    """
    tensor = real_numbers("adjust_brightness", image)
    return _in_floats("adjust_brightness", tensor, [delta], lambda x, delta: x + delta)


@export("image.adjust_contrast")
def adjust_contrast(images: Any, contrast_factor: Any) -> Tensor:
    """Return images with differences from the mean, of each channel, times a factor.

    Args:
        images: `[..., height, width, channels]`, of real numbers.
        contrast_factor: The factor.

    Raises:
        TensorValueError: If it has another rank (`rank`).
        TensorTypeError: If it is of another dtype (`tensor_type`).
    """

    def change(x: Any, factor: Any) -> Any:
        mean = jnp.mean(x, (-3, -2), keepdims=True)
        return (x - mean) * factor + mean

    tensor = real_numbers("adjust_contrast", image_of("adjust_contrast", images))
    return _in_floats("adjust_contrast", tensor, [contrast_factor], change)


@export("image.adjust_gamma")
def adjust_gamma(image: Any, gamma: Any = 1, gain: Any = 1) -> Tensor:
    """Return `gain * image ** gamma`.

    Args:
        image: A tensor of real numbers; whole ones count as shares of their greatest.
        gamma: A number, not negative.
        gain: A number.

    Raises:
        TensorValueError: If gamma is negative (`tensor_value`).
        TensorTypeError: If the image is of another dtype (`tensor_type`).
    """
    known = value_if_known(gamma)
    if known is not None and known.size and known.min() < 0:
        raise TensorValueError(f"gamma must not be negative, and is {gamma!r}")
    tensor = real_numbers("adjust_gamma", image)
    return _in_floats("adjust_gamma", tensor, [gamma, gain], lambda x, gamma, gain: gain * x**gamma)


def _turned(x: Any, delta: Any) -> Any:
    hsv = to_hsv(x)
    hue = jnp.mod(hsv[..., :1] + delta, 1)
    return from_hsv(jnp.concatenate([hue, hsv[..., 1:]], -1))


@export("image.adjust_hue")
def adjust_hue(image: Any, delta: Any, name: str | None = None) -> Tensor:
    """Return images with another hue.

    Args:
        image: Red, green and blue `[..., height, width, 3]`.
        delta: What is added to the hue, between -1 and 1.
        name: A name for the result.

    Raises:
        TensorValueError: If there are not three channels (`rank`, `tensor_value`).
        TensorTypeError: If it is of another dtype (`tensor_type`).
    """
    tensor = real_numbers("adjust_hue", image_of("adjust_hue", image, channels=3))
    return _in_floats("adjust_hue", tensor, [delta], _turned, name)


def _saturated(x: Any, factor: Any) -> Any:
    hsv = to_hsv(x)
    saturation = jnp.clip(hsv[..., 1:2] * factor, 0, 1)
    return from_hsv(jnp.concatenate([hsv[..., :1], saturation, hsv[..., 2:]], -1))


@export("image.adjust_saturation")
def adjust_saturation(image: Any, saturation_factor: Any, name: str | None = None) -> Tensor:
    """Return images with another saturation.

    Args:
        image: Red, green and blue `[..., height, width, 3]`.
        saturation_factor: The factor of the saturation, which stays between 0 and 1.
        name: A name for the result.

    Raises:
        TensorValueError: If there are not three channels (`rank`, `tensor_value`).
        TensorTypeError: If it is of another dtype (`tensor_type`).
    """
    tensor = real_numbers("adjust_saturation", image_of("adjust_saturation", image, channels=3))
    return _in_floats("adjust_saturation", tensor, [saturation_factor], _saturated, name)


def _drawn(low: float, high: float, seed: Any) -> Tensor:
    return wrap(jax.random.uniform(draw_key(seed), (), jnp.float32, low, high), "RandomUniform")


@export("image.random_brightness")
def random_brightness(image: Any, max_delta: float, seed: Any = None) -> Tensor:
    """Return images with a drawn number added.

    Args:
        image: A tensor of real numbers.
        max_delta: The number is between this one and its negative.
        seed: A whole number; another one gives another draw.

    Raises:
        TensorValueError: If `max_delta` is negative (`tensor_value`).
        KeyStreamError: If no stream of keys is open (`no_key_stream`).
    """
    if max_delta < 0:
        raise TensorValueError(f"max_delta must not be negative, and is {max_delta!r}")
    return adjust_brightness(image, _drawn(-max_delta, max_delta, seed))


def _bounds(lower: float, upper: float) -> None:
    if upper <= lower or lower < 0:
        raise TensorValueError(f"lower must not be negative and be below upper, not {lower!r}, {upper!r}")


@export("image.random_contrast")
def random_contrast(image: Any, lower: float, upper: float, seed: Any = None) -> Tensor:
    """Return images with a drawn contrast.

    Args:
        image: `[..., height, width, channels]`, of real numbers.
        lower: The least factor.
        upper: The greatest one.
        seed: A whole number; another one gives another draw.

    Raises:
        TensorValueError: If the bounds are in the wrong order, or negative (`tensor_value`).
        KeyStreamError: If no stream of keys is open (`no_key_stream`).
    """
    _bounds(lower, upper)
    return adjust_contrast(image, _drawn(lower, upper, seed))


@export("image.random_saturation")
def random_saturation(image: Any, lower: float, upper: float, seed: Any = None) -> Tensor:
    """Return images with a drawn saturation.

    Args:
        image: Red, green and blue `[..., height, width, 3]`.
        lower: The least factor.
        upper: The greatest one.
        seed: A whole number; another one gives another draw.

    Raises:
        TensorValueError: If the bounds are in the wrong order, or negative (`tensor_value`).
        KeyStreamError: If no stream of keys is open (`no_key_stream`).
    """
    _bounds(lower, upper)
    return adjust_saturation(image, _drawn(lower, upper, seed))


@export("image.random_hue")
def random_hue(image: Any, max_delta: float, seed: Any = None) -> Tensor:
    """Return images with a drawn hue.

    Args:
        image: Red, green and blue `[..., height, width, 3]`.
        max_delta: What is added is between this number, at most 0.5, and its negative.
        seed: A whole number; another one gives another draw.

    Raises:
        TensorValueError: If `max_delta` is not between 0 and 0.5 (`tensor_value`).
        KeyStreamError: If no stream of keys is open (`no_key_stream`).
    """
    if not 0 <= max_delta <= 0.5:
        raise TensorValueError(f"max_delta must be between 0 and 0.5, not {max_delta!r}")
    return adjust_hue(image, _drawn(-max_delta, max_delta, seed))
