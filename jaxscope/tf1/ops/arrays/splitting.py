"""A tensor taken apart along an axis."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.errors import TensorTypeError, TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute_tree, static_axis, static_int, static_ints, static_value
from jaxscope.tf1.base.tensor import Tensor

__all__ = ["split", "unstack"]


@export("split")
def split(
    value: Any, num_or_size_splits: Any, axis: Any = 0, num: Any = None, name: str | None = "split"
) -> list[Tensor]:
    """Return the parts of a tensor along an axis.

    Args:
        value: A tensor.
        num_or_size_splits: How many equal parts, or their sizes, of which one may be -1; known while tracing.
        axis: The axis, known while tracing.
        num: How many sizes there are, which is checked.
        name: A name for the results.

    Raises:
        TensorValueError: If the sizes do not go up (`tensor_value`).
        TensorTypeError: If the arguments are in TensorFlow 0.x's order (`tensor_type`).
    """
    tensor = convert_to_tensor(value)
    if _is_data(axis):
        raise TensorTypeError(
            "the axis of a split is one whole number", fix="tf.split(value, num_or_size_splits, axis)"
        )
    where = static_axis(axis, len(tensor._held.shape))
    size = tensor._held.shape[where]
    wanted = static_value(num_or_size_splits, "num_or_size_splits")
    if wanted.ndim == 0:
        count = static_int(num_or_size_splits, "num_or_size_splits")
        if count < 1 or size % count:
            raise TensorValueError(f"an axis of size {size} cannot be split into {count} equal parts")
        sizes = [size // count] * count
    else:
        sizes = _sizes(list(static_ints(num_or_size_splits, "num_or_size_splits")), size)
        if num is not None and static_int(num, "num") != len(sizes):
            raise TensorValueError(f"{len(sizes)} sizes were given, where num says {num}")
    if len(sizes) == 1:
        return [tensor]
    ends = [int(end) for end in np.cumsum(sizes)[:-1]]
    parts: list[Tensor] = compute_tree(
        "Split",
        lambda x: jnp.split(x, ends, where),
        tensor,
        fold=lambda x: np.split(x, ends, where),
        name=name,
    )
    return parts


def _is_data(axis: Any) -> bool:
    """Tell a tensor of real numbers, or one of rank 1 and more, where an axis should be."""
    if isinstance(axis, int | np.integer):
        return False
    tensor = convert_to_tensor(axis)
    return bool(tensor._held.shape) or not tensor.dtype.is_integer


def _sizes(sizes: list[int], size: int) -> list[int]:
    rest = [i for i, one in enumerate(sizes) if one == -1]
    if len(rest) == 1:
        sizes[rest[0]] = size - sum(sizes) - 1
    if len(rest) > 1 or any(one < 0 for one in sizes) or sum(sizes) != size:
        raise TensorValueError(f"sizes {sizes} do not make up an axis of size {size}")
    return sizes


@export("unstack")
def unstack(value: Any, num: Any = None, axis: Any = 0, name: str | None = "unstack") -> list[Tensor]:
    """Return the tensors that lie along an axis, without it.

    Args:
        value: A tensor of rank 1 or more.
        num: The size of the axis, which is checked.
        axis: The axis, known while tracing.
        name: A name for the results.

    Raises:
        TensorValueError: If the axis is out of range, or has another size (`tensor_value`).
    """
    tensor = convert_to_tensor(value)
    where = static_axis(axis, len(tensor._held.shape))
    size = tensor._held.shape[where]
    if num is not None and static_int(num, "num") != size:
        raise TensorValueError(f"the axis has size {size}, where num says {num}")
    before = (slice(None),) * where
    parts: list[Tensor] = compute_tree(
        "Unpack",
        lambda x: [jnp.asarray(x)[(*before, i)] for i in range(size)],
        tensor,
        fold=lambda x: [x[(*before, i)] for i in range(size)],
        name=name,
    )
    return parts
