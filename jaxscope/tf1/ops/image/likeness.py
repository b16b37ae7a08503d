"""How alike two images are: the ratio of peak signal and noise, and structural similarity."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxscope.tf1.base.converting import same_dtype
from jaxscope.tf1.base.dtypes import DType
from jaxscope.tf1.base.errors import TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute, static_int, value_if_known
from jaxscope.tf1.base.tensor import Tensor
from jaxscope.tf1.ops.image.arguments import FLOAT32, converted, image_of

__all__ = ["psnr", "ssim", "ssim_multiscale"]

_SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def _two(kind: str, a: Any, b: Any) -> tuple[Tensor, Tensor]:
    """Return two images whose last three axes are equal, and whose others broadcast."""
    first, second = same_dtype(image_of(kind, a), b)
    left, right = first._held.shape, image_of(kind, second)._held.shape
    pairs = zip(reversed(left[:-3]), reversed(right[:-3]), strict=False)
    if left[-3:] != right[-3:] or any(m != n and 1 not in {m, n} for m, n in pairs):
        raise TensorValueError(
            f"{kind}: images of {first.get_shape()} and {second.get_shape()} do not go together",
            code="shapes_disagree",
        )
    return first, second


def _greatest(max_val: Any, dtype: DType) -> float:
    """Return the range of values in the floats to which images are converted."""
    known = value_if_known(max_val)
    if known is None or known.ndim:
        raise TensorValueError("max_val must be one number that is known while tracing")
    number = float(known)
    return number / int(dtype.max) if dtype.is_integer else number


@export("image.psnr")
def psnr(a: Any, b: Any, max_val: Any, name: str | None = None) -> Tensor:
    """Return the ratio of peak signal and noise, in decibel, of each pair of images.

    Args:
        a: `[..., height, width, channels]`.
        b: Likewise, of the same dtype.
        max_val: The range of values: 255 for uint8, 1.0 for floats.
        name: A name for the result.

    Raises:
        TensorValueError: If the shapes do not go together (`rank`, `shapes_disagree`).
        TensorTypeError: If the dtypes differ (`dtypes_disagree`).
    """
    first, second = _two("psnr", a, b)
    dtype, most = first.dtype, _greatest(max_val, first.dtype)

    def run(a: Any, b: Any) -> Any:
        apart = converted(a, dtype, FLOAT32) - converted(b, dtype, FLOAT32)
        noise = jnp.mean(jnp.square(apart), (-3, -2, -1))
        return 20 * np.log10(np.float32(most)) - np.float32(10 / np.log(10)) * jnp.log(noise)

    return compute("psnr", run, first, second, name=name)


def _smooth(x: Any, kernel: Any) -> Any:
    """Return an average of each channel of `[..., height, width, channels]` by a kernel `[size, size]`."""
    channels = x.shape[-1]
    flat = jnp.reshape(x, (-1, *x.shape[-3:]))
    tiled = jnp.asarray(np.tile(kernel[:, :, None, None], (1, 1, 1, channels)))
    found = lax.conv_general_dilated(
        flat,
        tiled,
        (1, 1),
        "VALID",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=channels,
        precision="highest",
    )
    return jnp.reshape(found, (*x.shape[:-3], *found.shape[1:]))


def _gauss(size: int, sigma: float) -> Any:
    places = np.square(np.arange(size, dtype=np.float32) - np.float32((size - 1) / 2)) * np.float32(
        -0.5 / sigma**2
    )
    weights = np.exp(places[None, :] + places[:, None])
    return (weights / weights.sum()).astype(np.float32)


def _similarity(a: Any, b: Any, most: float, kernel: Any, k1: float, k2: float) -> tuple[Any, Any]:
    """Return similarity, and its part without luminance, of each channel."""
    first, second = (k1 * most) ** 2, (k2 * most) ** 2
    mean_a, mean_b = _smooth(a, kernel), _smooth(b, kernel)
    product, squares = mean_a * mean_b * 2, jnp.square(mean_a) + jnp.square(mean_b)
    luminance = (product + first) / (squares + first)
    both = _smooth(a * b, kernel) * 2
    each = _smooth(jnp.square(a) + jnp.square(b), kernel)
    contrast = (both - product + second) / (each - squares + second)
    return jnp.mean(luminance * contrast, (-3, -2)), jnp.mean(contrast, (-3, -2))


def _check_size(kind: str, image: Tensor, size: int, scales: int = 1) -> None:
    height, width = image._held.shape[-3:-1]
    least = (size - 1) * 2 ** (scales - 1) + 1
    if min(height, width) < least:
        raise TensorValueError(
            f"{kind} with windows of {size} needs images of {least} by {least}, not {height} by {width}",
            code="window_too_large",
        )


@export("image.ssim")
def ssim(
    img1: Any,
    img2: Any,
    max_val: Any,
    filter_size: Any = 11,
    filter_sigma: float = 1.5,
    k1: float = 0.01,
    k2: float = 0.03,
) -> Tensor:
    """Return the structural similarity of each pair of images.

    Args:
        img1: `[..., height, width, channels]`.
        img2: Likewise, of the same dtype.
        max_val: The range of values: 255 for uint8, 1.0 for floats.
        filter_size: The size of windows.
        filter_sigma: The width of the bell by which they are weighed.
        k1: A small number.
        k2: A small number.

    Raises:
        TensorValueError: If the shapes do not go together, or windows do not fit in (`shapes_disagree`, ...).
        TensorTypeError: If the dtypes differ (`dtypes_disagree`).
    """
    first, second = _two("ssim", img1, img2)
    dtype, most = first.dtype, _greatest(max_val, first.dtype)
    size = static_int(filter_size, "filter_size")
    _check_size("ssim", first, size)
    kernel = _gauss(size, filter_sigma)

    def run(a: Any, b: Any) -> Any:
        a, b = jnp.broadcast_arrays(converted(a, dtype, FLOAT32), converted(b, dtype, FLOAT32))
        return jnp.mean(_similarity(a, b, most, kernel, k1, k2)[0], -1)

    return compute("ssim", run, first, second)


def _halved(x: Any) -> Any:
    """Return means of blocks of 2 by 2; an odd edge counts twice."""
    odd = [(0, size % 2) for size in x.shape[-3:-1]]
    padded = jnp.pad(x, [(0, 0)] * (x.ndim - 3) + [*odd, (0, 0)], mode="symmetric")
    height, width, channels = padded.shape[-3:]
    blocks = jnp.reshape(padded, (*padded.shape[:-3], height // 2, 2, width // 2, 2, channels))
    return jnp.mean(blocks, (-4, -2))


@export("image.ssim_multiscale")
def ssim_multiscale(
    img1: Any,
    img2: Any,
    max_val: Any,
    power_factors: Sequence[float] = _SCALES,
    filter_size: Any = 11,
    filter_sigma: float = 1.5,
    k1: float = 0.01,
    k2: float = 0.03,
) -> Tensor:
    """Return the structural similarity of each pair of images, over scales that halve.

    Args:
        img1: `[..., height, width, channels]`.
        img2: Likewise, of the same dtype.
        max_val: The range of values: 255 for uint8, 1.0 for floats.
        power_factors: The exponent of each scale.
        filter_size: The size of windows.
        filter_sigma: The width of the bell by which they are weighed.
        k1: A small number.
        k2: A small number.

    Raises:
        TensorValueError: If the shapes do not go together, or windows do not fit in (`shapes_disagree`, ...).
        TensorTypeError: If the dtypes differ (`dtypes_disagree`).
    """
    first, second = _two("ssim_multiscale", img1, img2)
    dtype, most = first.dtype, _greatest(max_val, first.dtype)
    size = static_int(filter_size, "filter_size")
    _check_size("ssim_multiscale", first, size, len(power_factors))
    kernel = _gauss(size, filter_sigma)

    def run(a: Any, b: Any) -> Any:
        a, b = jnp.broadcast_arrays(converted(a, dtype, FLOAT32), converted(b, dtype, FLOAT32))
        parts: list[Any] = []
        whole: Any = None
        for at in range(len(power_factors)):
            if at:
                a, b = _halved(a), _halved(b)
            whole, contrast = _similarity(a, b, most, kernel, k1, k2)
            parts.append(jax.nn.relu(contrast))
        parts[-1] = jax.nn.relu(whole)
        powers = np.asarray(power_factors, np.float32)
        return jnp.mean(jnp.prod(jnp.stack(parts, -1) ** powers, -1), -1)

    return compute("ssim_multiscale", run, first, second)
