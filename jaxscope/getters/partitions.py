"""Partitions of a getter's own variables: those of the model's, axis by axis."""

import inspect
from collections.abc import Sequence
from typing import Any, NamedTuple

from jax.sharding import PartitionSpec

from jaxscope.getters.requests import Request


class _Asked(NamedTuple):
    """What a partitioner that takes one argument is asked with, of the model's variable."""

    name: str
    shape: Any
    dtype: Any
    trainable: bool


class Follow:
    """The partitioner of a variable that is laid out as the model's is.

    Args:
        request: What the model's is asked for with.
        axes: For each axis the model's, or None for one that is not split.
    """

    def __init__(self, request: Request, axes: Sequence[int | None]) -> None:
        self.request = request
        self.axes = tuple(axes)

    @classmethod
    def of(cls, request: Request, axes: Sequence[int | None]) -> "Follow | None":
        """Return it; None where the model's has no partitioner."""
        return None if request.partitioner is None else cls(request, axes)

    def __call__(self, shape: Any, dtype: Any) -> Any:
        """Return the `PartitionSpec`, or what the model's partitioner gives instead of one."""
        request = self.request
        given = request.partitioner
        if callable(given) and not isinstance(given, PartitionSpec):
            given = _call(given, _Asked(request.name, request.shape, request.dtype, request.trainable))
        if isinstance(given, PartitionSpec):
            given = tuple(getattr(given, "partitions", given))  # JAX 0.8 has no such attribute
        if not isinstance(given, tuple):
            return given
        entries: tuple[Any, ...] = given
        return PartitionSpec(
            *(None if axis is None or axis >= len(entries) else entries[axis] for axis in self.axes)
        )


def _call(partitioner: Any, asked: _Asked) -> Any:
    try:
        inspect.signature(partitioner).bind(shape=asked.shape, dtype=asked.dtype)
    except TypeError:
        return partitioner(asked)
    except ValueError:  # Python knows no signature
        pass
    return partitioner(shape=asked.shape, dtype=asked.dtype)
