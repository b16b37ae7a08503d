"""Axes: how an array is split over a mesh, with an axis of the array more or less."""

from collections.abc import Callable
from typing import Any

from jax.sharding import NamedSharding, PartitionSpec

__all__ = ["entries_of", "is_partition", "with_axis", "without_axis"]


def with_axis(partition: Any, axis: int) -> Any:
    """Return a `PartitionSpec` or `NamedSharding` for arrays with one axis more, which is not split."""
    return _changed(
        partition, lambda parts: (*parts[:axis], None, *parts[axis:]) if axis < len(parts) else parts
    )


def without_axis(partition: Any, axis: int) -> Any:
    """Return a `PartitionSpec` or `NamedSharding` for arrays with one axis less."""
    return _changed(partition, lambda parts: (*parts[:axis], *parts[axis + 1 :]))


def is_partition(value: Any) -> bool:
    """Tell whether `with_axis` takes a value."""
    return isinstance(value, PartitionSpec | NamedSharding)


def entries_of(partition: PartitionSpec) -> tuple[Any, ...]:
    """Return what splits each axis: the name of a mesh's axis, a tuple of such, or None.

    Example:
        >>> entries_of(jax.sharding.PartitionSpec(("x", "y"), None))
        (('x', 'y'), None)
    """
    # JAX 0.8 has no such attribute.
    found: tuple[Any, ...] = tuple(getattr(partition, "partitions", partition))
    return found


def _changed(partition: Any, change: Callable[[tuple[Any, ...]], tuple[Any, ...]]) -> Any:
    if isinstance(partition, NamedSharding):
        return partition.update(spec=_changed(partition.spec, change))
    return PartitionSpec(
        *change(entries_of(partition)), unreduced=partition.unreduced, reduced=partition.reduced
    )
