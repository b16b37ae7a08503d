"""Partitions: how a variable is laid out on a mesh, as its partitioner says."""

import inspect
from typing import Any, NamedTuple

from jax.sharding import AbstractMesh, Mesh, NamedSharding, PartitionSpec

from jaxscope._core.base.describe import shown
from jaxscope._core.variables.sharding_errors import names_in
from jaxscope.errors import InvalidShapeError

#: A mesh, of devices or of their numbers alone.
AnyMesh = Mesh | AbstractMesh


class PartitionRequest(NamedTuple):
    """What a partitioner is asked with: the variable whose partition it says.

    Attributes:
        name: The full name.
        shape: Axis lengths, in elements.
        dtype: The element type, a NumPy dtype.
        trainable: Whether it belongs to what gradients are taken of.
    """

    name: str
    shape: tuple[int, ...]
    dtype: Any
    trainable: bool


def partition_spec_of(
    name: str,
    partitioner: Any,
    shape: tuple[int, ...],
    dtype: Any,
    site: Any = None,
    *,
    trainable: bool = True,
) -> PartitionSpec | None:
    """Return the `PartitionSpec` that a partitioner gives a variable; None where there is no partitioner.

    Args:
        name: The variable's full name.
        partitioner: A `PartitionSpec`; a tuple of its entries, such as the names of logical axes; a function
            of a `PartitionRequest`, or of (shape, dtype), that returns one of these, or None; or None.
        shape: The variable's shape.
        dtype: Its dtype.
        site: The user's file and line.
        trainable: Whether the variable is.

    Raises:
        InvalidShapeError: It is, or gives, something else (code `partitioner`), as TF1's partitioners do.
        Exception: What a function raises passes, with a note.

    Example:
        >>> from jax.sharding import PartitionSpec as P
        >>> by_last = lambda shape, dtype: P(*[None] * (len(shape) - 1), "model")
        >>> partition_spec_of("w", by_last, (2, 4), "float32") == P(None, "model")
        True
        >>> by_name = lambda request: P("data") if request.name.endswith("/w") else None
        >>> partition_spec_of("a/w", by_name, (2, 4), "float32") == P("data")
        True
    """
    given = partitioner
    if callable(given) and not isinstance(given, PartitionSpec):
        try:
            given = _asked(given, PartitionRequest(name, shape, dtype, trainable), site)
        except Exception as problem:
            if not isinstance(problem, InvalidShapeError):
                problem.add_note(f"in the partitioner of variable {name!r}")
            raise
    if given is None or isinstance(given, PartitionSpec):
        return given
    if isinstance(given, tuple) and all(map(_is_entry, given)):
        return PartitionSpec(*given)
    raise InvalidShapeError(
        f"the partitioner of {name!r} gave {shown(given)}, which is no PartitionSpec",
        code="partitioner",
        at=site,
        fix="return jax.sharding.PartitionSpec('axis', None), say: for each axis of the variable the mesh's\n"
        "axis that splits it (TF1's partitioners, which give numbers of parts, mean something else)",
    )


def _is_entry(entry: Any) -> bool:
    return entry is None or all(isinstance(name, str) for name in names_in(entry))


def _asked(partitioner: Any, request: PartitionRequest, site: Any) -> Any:
    """Return what a function says of a variable: TF1's take shape and dtype, others the request."""
    try:
        signature = inspect.signature(partitioner)
    except (TypeError, ValueError):  # Python knows no signature
        return partitioner(shape=request.shape, dtype=request.dtype)
    if _fits(signature, shape=request.shape, dtype=request.dtype):
        return partitioner(shape=request.shape, dtype=request.dtype)
    if _fits(signature, request):
        return partitioner(request)
    raise InvalidShapeError(
        f"the partitioner of {request.name!r} takes {signature}: neither a request nor shape and dtype",
        code="partitioner",
        at=site,
        fix="let it take one argument, which has name, shape, dtype and trainable; or (shape, dtype)",
    )


def _fits(signature: inspect.Signature, *args: Any, **kwargs: Any) -> bool:
    try:
        signature.bind(*args, **kwargs)
    except TypeError:
        return False
    return True


def on_mesh(mesh: AnyMesh, partition: PartitionSpec | None) -> NamedSharding:
    """Return the sharding of a variable on a mesh; without a partition, each device holds all of it."""
    return NamedSharding(mesh, PartitionSpec() if partition is None else partition)
