"""What looks at each element of a window: patches, the place of the largest, dilation and erosion."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxscope.tf1.base.converting import same_dtype
from jaxscope.tf1.base.dtypes import as_dtype, canonical
from jaxscope.tf1.base.errors import TensorTypeError, TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute, compute_tree
from jaxscope.tf1.base.tensor import Tensor
from jaxscope.tf1.ops.nn.arguments import either, expect_rank, least_of, real_numbers
from jaxscope.tf1.ops.nn.windows import Windows, channels_last, inner, sized

__all__ = ["dilation2d", "erosion2d", "extract_image_patches", "max_pool_with_argmax"]


def _views(x: Any, window: Sequence[int], windows: Windows, filler: Any) -> list[jax.Array]:
    """Return, for each element of a window, that element of all windows of images."""
    sizes = x.shape[1:3]
    pads = windows.pads_for(sizes, window)
    counts = windows.counts("windows", sizes, window)
    padded = jnp.asarray(x)
    if any(map(any, pads)):
        value = np.asarray(filler, padded.dtype)
        padded = jnp.pad(padded, ((0, 0), *pads, (0, 0)), constant_values=value)
    found: list[jax.Array] = []
    for places in itertools.product(*map(range, window)):
        starts = [place * gap for place, gap in zip(places, windows.dilations, strict=True)]
        ends = [
            start + (count - 1) * step + 1
            for start, count, step in zip(starts, counts, windows.strides, strict=True)
        ]
        found.append(
            lax.slice(padded, (0, *starts, 0), (x.shape[0], *ends, x.shape[3]), (1, *windows.strides, 1))
        )
    return found


@export("extract_image_patches", "image.extract_image_patches")
def extract_image_patches(
    images: Any,
    ksizes: Any = None,
    strides: Any = None,
    rates: Any = None,
    padding: Any = None,
    name: str | None = None,
    sizes: Any = None,
) -> Tensor:
    """Return the elements of each window of images, side by side in the last axis.

    Args:
        images: `[batch, height, width, channels]`.
        ksizes: The size of a window, four numbers, of which the first and the last are 1.
        strides: From a window to the next, likewise.
        rates: From an element of a window to the next, likewise.
        padding: "SAME", which fills with zeros, or "VALID".
        name: A name for the result.
        sizes: The newer name of `ksizes`.

    Returns:
        `[batch, rows, columns, height * width * channels of a window]`.

    Raises:
        TensorValueError: If shapes do not fit, or an argument has no meaning (`tensor_value`, ...).
        TensorTypeError: If an argument is of another type (`tensor_type`).
    """
    edges = sized(either("sizes", sizes, "ksizes", ksizes), 2, "ksizes", last=True, whole=True)
    window = inner(edges, "ksizes", last=True)
    gaps = sized(rates, 2, "rates", last=True, whole=True)
    windows = Windows.of(2, strides, padding, None, gaps, whole=True, explicit=False)
    tensor = real_numbers("ExtractImagePatches", images)
    expect_rank("ExtractImagePatches", tensor, 4, "images")
    windows.counts("ExtractImagePatches", tensor._held.shape[1:3], window)
    return compute(
        "ExtractImagePatches",
        lambda x: jnp.concatenate(_views(x, window, windows, 0), -1),
        tensor,
        name=name,
    )


@export("nn.max_pool_with_argmax")
def max_pool_with_argmax(
    input: Any,
    ksize: Any,
    strides: Any,
    padding: Any,
    data_format: Any = "NHWC",
    Targmax: Any = None,  # noqa: N803 - TensorFlow 1's name
    name: str | None = None,
    output_dtype: Any = None,
    include_batch_in_index: bool = False,
) -> tuple[Tensor, Tensor]:
    """Return the largest number of each window of images, and where it is.

    Args:
        input: `[batch, height, width, channels]`.
        ksize: The size of a window: one number, two, or one for each axis.
        strides: From a window to the next, in the same forms.
        padding: "SAME" or "VALID".
        data_format: "NHWC".
        Targmax: The dtype of places, int32 or int64; None for int64.
        name: A name for the result.
        output_dtype: The newer name of `Targmax`.
        include_batch_in_index: Whether places count all images, not the channels of one alone.

    Returns:
        The numbers, and `(row * width + column) * channels + channel` of each, the first of several.

    Raises:
        TensorValueError: If shapes do not fit, or an argument has no meaning (`tensor_value`, ...).
        TensorTypeError: If it is of another dtype (`tensor_type`).
    """
    if not channels_last(data_format, 2):
        raise TensorValueError("max_pool_with_argmax takes images with channels last")
    target = canonical(either("output_dtype", output_dtype, "Targmax", Targmax) or "int64")
    if not target.is_integer:
        raise TensorTypeError(f"places are int32 or int64, not {as_dtype(target).name}")
    window = inner(sized(ksize, 2, "ksize", last=True), "ksize", last=True)
    windows = Windows.of(2, strides, padding, explicit=False)
    tensor = real_numbers("MaxPoolWithArgmax", input)
    expect_rank("MaxPoolWithArgmax", tensor, 4, "input")
    batch, height, width, channels = tensor._held.shape
    windows.counts("MaxPoolWithArgmax", (height, width), window)
    images = batch if include_batch_in_index else 1
    places = np.arange(images * height * width * channels).reshape(images, height, width, channels)

    def run(x: Any) -> tuple[jax.Array, jax.Array]:
        views = jnp.stack(_views(x, window, windows, least_of(x.dtype)))
        first = jnp.argmax(views, 0)[None]
        where = jnp.stack(_views(places.astype(target.dtype), window, windows, 0))
        where = jnp.broadcast_to(where, views.shape)
        return jnp.take_along_axis(views, first, 0)[0], jnp.take_along_axis(where, first, 0)[0]

    found: tuple[Tensor, Tensor] = compute_tree("MaxPoolWithArgmax", run, tensor, name=name)
    return found


def _morphed(
    kind: str, x: Any, kernel: Any, windows: Windows, name: str | None, join: Callable[[Any, Any], Any]
) -> Tensor:
    images, filters = same_dtype(real_numbers(kind, x), kernel)
    expect_rank(kind, images, 4, "input")
    expect_rank(kind, filters, 3, "filter")
    *window, deep = filters._held.shape
    if deep != images._held.shape[3]:
        raise TensorValueError(
            f"{kind}: the filter is for {deep} channels, and the input has {images._held.shape[3]}",
            code="shapes_disagree",
        )
    windows.counts(kind, images._held.shape[1:3], window)
    return compute(
        kind, lambda x, w: join(_views(x, window, windows, least_of(x.dtype)), w), images, filters, name=name
    )


def _largest_sum(views: list[Any], w: Any) -> Any:
    """Return the largest sum of an element and its weight; the gradient goes to the first one of several."""
    sums = jnp.stack(views) + jnp.reshape(w, (-1, 1, 1, 1, w.shape[-1]))
    return jnp.take_along_axis(sums, jnp.argmax(sums, 0)[None], 0)[0]


@export("nn.dilation2d")
def dilation2d(
    input: Any,
    filter: Any = None,
    strides: Any = None,
    rates: Any = None,
    padding: Any = None,
    name: str | None = None,
    filters: Any = None,
    dilations: Any = None,
) -> Tensor:
    """Return the largest `x + w` of each window of images, for each channel.

    Args:
        input: `[batch, height, width, channels]`.
        filter: `[height, width, channels]`.
        strides: From a window to the next, four numbers.
        rates: From an element of a window to the next, four numbers.
        padding: "SAME" or "VALID"; padding is never the largest.
        name: A name for the result.
        filters: The newer name of `filter`.
        dilations: The newer name of `rates`.

    Raises:
        TensorValueError: If shapes do not fit, or an argument has no meaning (`tensor_value`, ...).
        TensorTypeError: If dtypes differ, or an argument is of another type (`dtypes_disagree`, ...).
    """
    kernel = either("filters", filters, "filter", filter)
    gaps = sized(either("dilations", dilations, "rates", rates), 2, "rates", last=True, whole=True)
    windows = Windows.of(2, strides, padding, None, gaps, whole=True, explicit=False)
    return _morphed("Dilation2D", input, kernel, windows, name, _largest_sum)


@export("nn.erosion2d")
def erosion2d(
    value: Any, kernel: Any, strides: Any, rates: Any, padding: Any, name: str | None = None
) -> Tensor:
    """Return the least `x - w` of each window of images, for each channel, with the kernel turned around.

    Args:
        value: `[batch, height, width, channels]`.
        kernel: `[height, width, channels]`.
        strides: From a window to the next, four numbers.
        rates: From an element of a window to the next, four numbers.
        padding: "SAME" or "VALID"; padding is never the least.
        name: A name for the result.

    Raises:
        TensorValueError: If shapes do not fit, or an argument has no meaning (`tensor_value`, ...).
        TensorTypeError: If dtypes differ, or an argument is of another type (`dtypes_disagree`, ...).
    """
    gaps = sized(rates, 2, "rates", last=True, whole=True)
    windows = Windows.of(2, strides, padding, None, gaps, whole=True, explicit=False)
    images, filters = same_dtype(real_numbers("Erosion2D", value), kernel)
    turned = compute("Reverse", lambda w: jnp.flip(w, (0, 1)), filters)
    negative = compute("Neg", jnp.negative, images)
    return compute(
        "Erosion2D",
        jnp.negative,
        _morphed("Erosion2D", negative, turned, windows, None, _largest_sum),
        name=name,
    )
