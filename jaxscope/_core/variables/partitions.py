"""Partitions: how a variable is laid out on a mesh, as a partitioner says, and with an axis more or less."""

from typing import Any

from jax.sharding import AbstractMesh, Mesh, NamedSharding, PartitionSpec

from jaxscope._core.base.describe import shown
from jaxscope.errors import InvalidShapeError

#: A mesh, of devices or of their numbers alone.
AnyMesh = Mesh | AbstractMesh


def partition_spec_of(
    name: str, partitioner: Any, shape: tuple[int, ...], dtype: Any, site: Any = None
) -> PartitionSpec | None:
    """Return the `PartitionSpec` that a partitioner gives a variable; None where there is no partitioner.

    Args:
        name: The variable's full name, for the message.
        partitioner: A `PartitionSpec`, a function of (shape, dtype) that returns one or None, or None.
        shape: The variable's shape.
        dtype: Its dtype.
        site: The user's file and line.

    Raises:
        InvalidShapeError: It is, or gives, something else (code `partitioner`), as TF1's partitioners do.

    Example:
        >>> from jax.sharding import PartitionSpec as P
        >>> by_last = lambda shape, dtype: P(*[None] * (len(shape) - 1), "model")
        >>> partition_spec_of("w", by_last, (2, 4), "float32") == P(None, "model")
        True
    """
    given = partitioner
    if callable(given) and not isinstance(given, PartitionSpec):
        given = given(shape=shape, dtype=dtype)
    if given is None or isinstance(given, PartitionSpec):
        return given
    raise InvalidShapeError(
        f"the partitioner of {name!r} gave {shown(given)}, which is no PartitionSpec",
        code="partitioner",
        at=site,
        fix="return jax.sharding.PartitionSpec('axis', None), say: for each axis of the variable the mesh's\n"
        "axis that splits it (TF1's partitioners, which give numbers of parts, mean something else)",
    )


def on_mesh(mesh: AnyMesh, partition: PartitionSpec | None) -> NamedSharding:
    """Return the sharding of a variable on a mesh; without a partition, each device holds all of it."""
    return NamedSharding(mesh, PartitionSpec() if partition is None else partition)


def with_axis(layout: Any, axis: int) -> Any:
    """Return a `PartitionSpec` or `NamedSharding` for arrays with one axis more, which is not split."""
    return _changed(
        layout, lambda parts: (*parts[:axis], None, *parts[axis:]) if axis < len(parts) else parts
    )


def without_axis(layout: Any, axis: int) -> Any:
    """Return a `PartitionSpec` or `NamedSharding` for arrays with one axis less."""
    return _changed(layout, lambda parts: (*parts[:axis], *parts[axis + 1 :]))


def is_layout(value: Any) -> bool:
    """Tell whether `with_axis` takes a value."""
    return isinstance(value, PartitionSpec | NamedSharding)


def _changed(layout: Any, change: Any) -> Any:
    if isinstance(layout, NamedSharding):
        return layout.update(spec=_changed(layout.spec, change))
    parts = tuple(getattr(layout, "partitions", layout))  # JAX 0.8 has no such attribute
    return PartitionSpec(*change(parts), unreduced=layout.unreduced, reduced=layout.reduced)
