"""Blocks of space moved into channels or batches, and back."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.errors import TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute, static_int, static_ints, static_value
from jaxscope.tf1.base.tensor import Tensor, wrap

__all__ = [
    "batch_to_space_nd",
    "depth_to_space",
    "space_to_batch_nd",
    "space_to_depth",
]


def _image(input: Any, data_format: str) -> Tensor:
    tensor = convert_to_tensor(input)
    if data_format not in {"NHWC", "NCHW"}:
        raise TensorValueError(f"data_format is NHWC or NCHW here, not {data_format!r}")
    if tensor._held.ndim != 4:
        raise TensorValueError(f"an input of rank 4 is needed, not {tensor.get_shape()}")
    return tensor


@export("space_to_depth", "nn.space_to_depth")
def space_to_depth(input: Any, block_size: int, name: str | None = None, data_format: str = "NHWC") -> Tensor:
    """Return images whose blocks of pixels have become channels of one pixel.

    Args:
        input: A tensor of rank 4.
        block_size: The side of a block.
        name: A name for the result.
        data_format: `"NHWC"` or `"NCHW"`.

    Raises:
        TensorValueError: If the images are not made up of blocks (`tensor_value`).
    """
    tensor, b = _image(input, data_format), static_int(block_size, "block_size")
    last = data_format == "NHWC"
    n, h, w, c = np.take(tensor._held.shape, [0, 1, 2, 3] if last else [0, 2, 3, 1]).tolist()
    if b < 2 or h % b or w % b:
        raise TensorValueError(f"images of {h} x {w} are not made up of blocks of {b}")

    def move(x: Any) -> Any:
        if last:
            parts = jnp.reshape(x, (n, h // b, b, w // b, b, c))
            return jnp.reshape(jnp.transpose(parts, (0, 1, 3, 2, 4, 5)), (n, h // b, w // b, b * b * c))
        parts = jnp.reshape(x, (n, c, h // b, b, w // b, b))
        return jnp.reshape(jnp.transpose(parts, (0, 3, 5, 1, 2, 4)), (n, b * b * c, h // b, w // b))

    return compute("SpaceToDepth", move, tensor, name=name)


@export("depth_to_space", "nn.depth_to_space")
def depth_to_space(input: Any, block_size: int, name: str | None = None, data_format: str = "NHWC") -> Tensor:
    """Return images whose channels have become blocks of pixels.

    Args:
        input: A tensor of rank 4.
        block_size: The side of a block.
        name: A name for the result.
        data_format: `"NHWC"` or `"NCHW"`.

    Raises:
        TensorValueError: If the channels do not make up blocks (`tensor_value`).
    """
    tensor, b = _image(input, data_format), static_int(block_size, "block_size")
    last = data_format == "NHWC"
    n, h, w, c = np.take(tensor._held.shape, [0, 1, 2, 3] if last else [0, 2, 3, 1]).tolist()
    if b < 2 or c % (b * b):
        raise TensorValueError(f"{c} channels do not make up blocks of {b} x {b}")
    d = c // (b * b)

    def move(x: Any) -> Any:
        if last:
            parts = jnp.reshape(x, (n, h, w, b, b, d))
            return jnp.reshape(jnp.transpose(parts, (0, 1, 3, 2, 4, 5)), (n, h * b, w * b, d))
        parts = jnp.reshape(x, (n, b, b, d, h, w))
        return jnp.reshape(jnp.transpose(parts, (0, 3, 4, 1, 5, 2)), (n, d, h * b, w * b))

    return compute("DepthToSpace", move, tensor, name=name)


def _pairs(value: Any, argument: str, count: int) -> list[tuple[int, int]]:
    known = static_value(value, argument)
    if known.shape != (count, 2) or (known.size and known.min() < 0):
        raise TensorValueError(
            f"{argument} are two whole numbers for each of {count} axes, not {known.tolist()}"
        )
    return [(int(a), int(b)) for a, b in known]


@export("space_to_batch_nd", "manip.space_to_batch_nd")
def space_to_batch_nd(input: Any, block_shape: Any, paddings: Any, name: str | None = None) -> Tensor:
    """Return a tensor whose blocks of space have become elements of the batch.

    Args:
        input: A tensor: batch, space, and what else there is.
        block_shape: The sides of a block, known while tracing.
        paddings: Zeros before and behind, for each axis of space.
        name: A name for the result.

    Raises:
        TensorValueError: If the padded axes are not made up of blocks (`tensor_value`).
    """
    tensor, block = convert_to_tensor(input), static_ints(block_shape, "block_shape")
    m, shape = len(block), tensor._held.shape
    if len(shape) <= m:
        raise TensorValueError(f"{m} axes of space in a tensor of shape {tensor.get_shape()}")
    pads = _pairs(paddings, "paddings", m)
    space = [n + sum(pair) for n, pair in zip(shape[1 : m + 1], pads, strict=True)]
    if any(n % b for n, b in zip(space, block, strict=True)):
        raise TensorValueError(f"padded axes of sizes {space} are not made up of blocks of {block}")
    rest = shape[m + 1 :]

    def move(x: Any) -> Any:
        x = jnp.pad(x, [(0, 0), *pads, *[(0, 0)] * len(rest)])
        cut = [part for n, b in zip(space, block, strict=True) for part in (n // b, b)]
        x = jnp.reshape(x, (shape[0], *cut, *rest))
        inner, outer = [2 * i + 2 for i in range(m)], [2 * i + 1 for i in range(m)]
        x = jnp.transpose(x, (*inner, 0, *outer, *range(2 * m + 1, 2 * m + 1 + len(rest))))
        sizes = [n // b for n, b in zip(space, block, strict=True)]
        return jnp.reshape(x, (shape[0] * int(np.prod(block)), *sizes, *rest))

    return compute("SpaceToBatchND", move, tensor, name=name)


@export("batch_to_space_nd", "manip.batch_to_space_nd")
def batch_to_space_nd(input: Any, block_shape: Any, crops: Any, name: str | None = None) -> Tensor:
    """Return a tensor whose elements of the batch have become blocks of space.

    Args:
        input: A tensor: batch, space, and what else there is.
        block_shape: The sides of a block, known while tracing.
        crops: How much is cut off before and behind, for each axis of space.
        name: A name for the result.

    Raises:
        TensorValueError: If the batch does not make up blocks, or too much is cut off (`tensor_value`).
    """
    tensor, block = convert_to_tensor(input), static_ints(block_shape, "block_shape")
    m, shape = len(block), tensor._held.shape
    if len(shape) <= m or shape[0] % int(np.prod(block)):
        raise TensorValueError(f"a tensor of shape {tensor.get_shape()} does not make up blocks of {block}")
    cuts, rest, batch = _pairs(crops, "crops", m), shape[m + 1 :], shape[0] // int(np.prod(block))
    space = [n * b for n, b in zip(shape[1 : m + 1], block, strict=True)]
    if any(sum(pair) > n for pair, n in zip(cuts, space, strict=True)):
        raise TensorValueError(f"crops {cuts} are larger than axes of sizes {space}")

    def move(x: Any) -> Any:
        x = jnp.reshape(x, (*block, batch, *shape[1:]))
        order = [part for i in range(m) for part in (m + 1 + i, i)]
        x = jnp.transpose(x, (m, *order, *range(2 * m + 1, 2 * m + 1 + len(rest))))
        x = jnp.reshape(x, (batch, *space, *rest))
        kept = tuple(slice(a, n - b) for (a, b), n in zip(cuts, space, strict=True))
        return x[(slice(None), *kept)]

    return compute("BatchToSpaceND", move, tensor, name=name)


def _blocks(block_size: Any, block_shape: Any) -> Any:
    given = block_shape if block_size is None else block_size
    if given is None or (block_size is not None and block_shape is not None):
        raise TensorValueError("one of block_size and block_shape is given")
    return [static_int(given, "block_size")] * 2 if static_value(given, "block_size").ndim == 0 else given


@export("space_to_batch", "nn.space_to_batch")
def space_to_batch(
    input: Any, paddings: Any, block_size: Any = None, name: str | None = None, block_shape: Any = None
) -> Tensor:
    """Return images whose blocks of pixels have become elements of the batch.

    Args:
        input: A tensor of rank 4, NHWC.
        paddings: Zeros before and behind, for height and width.
        block_size: The side of a block.
        name: A name for the result.
        block_shape: The sides of a block, instead.

    Raises:
        TensorValueError: If the padded images are not made up of blocks (`tensor_value`).
    """
    return space_to_batch_nd(input, _blocks(block_size, block_shape), paddings, name)


@export("batch_to_space")
def batch_to_space(
    input: Any, crops: Any, block_size: Any = None, name: str | None = None, block_shape: Any = None
) -> Tensor:
    """Return images in which elements of the batch have become blocks of pixels.

    Args:
        input: A tensor of rank 4, NHWC.
        crops: How much is cut off before and behind, for height and width.
        block_size: The side of a block.
        name: A name for the result.
        block_shape: The sides of a block, instead.

    Raises:
        TensorValueError: If the batch does not make up blocks (`tensor_value`).
    """
    return batch_to_space_nd(input, _blocks(block_size, block_shape), crops, name)


@export("required_space_to_batch_paddings")
def required_space_to_batch_paddings(
    input_shape: Any, block_shape: Any, base_paddings: Any = None, name: str | None = None
) -> tuple[Tensor, Tensor]:
    """Return the paddings with which space is made up of blocks, and the crops that undo them.

    Args:
        input_shape: The sizes of the axes of space, known while tracing.
        block_shape: The sides of a block.
        base_paddings: Paddings that there are at least.
        name: A name for the results.

    Returns:
        `(paddings, crops)`, int32 of shape `[n, 2]`.
    """
    sizes, block = static_ints(input_shape, "input_shape"), static_ints(block_shape, "block_shape")
    base = (
        [(0, 0)] * len(sizes) if base_paddings is None else _pairs(base_paddings, "base_paddings", len(sizes))
    )
    extra = [-(n + a + b) % k for n, (a, b), k in zip(sizes, base, block, strict=True)]
    pads = [(a, b + more) for (a, b), more in zip(base, extra, strict=True)]
    return (
        wrap(np.asarray(pads, np.int32).reshape(-1, 2), "Paddings", name),
        wrap(np.asarray([(0, more) for more in extra], np.int32).reshape(-1, 2), "Crops", name),
    )
