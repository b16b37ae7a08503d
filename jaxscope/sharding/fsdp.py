"""fsdp: variables split over the devices that have other data, whatever their shape."""

import math
from collections.abc import Callable
from typing import Any, cast

from jax.sharding import AbstractMesh, Mesh, PartitionSpec

import jaxscope as js


def fsdp(
    mesh: Mesh | AbstractMesh,
    axis: str | tuple[str, ...],
    partition: PartitionSpec | None = None,
    *,
    smallest: int = 2**16,
) -> Callable[[Any], PartitionSpec]:
    """Return a partitioner that splits the longest axis of each variable that can be split.

    So each device keeps a part of every large variable, and is sent the rest when it computes with it:
    "fully sharded data parallel".

    Args:
        mesh: The mesh.
        axis: The axis of the mesh along which devices have other data, or several.
        partition: What splits the variable already, by other axes of the mesh: tensor parallel. What is left
            of it is split further, along an axis that is not split yet.
        smallest: The number of elements below which a variable stays as it is: sending costs more than a
            few bytes are worth.

    Returns:
        A function of the request, for `partitioner=` or a rule of `with_shardings`.

    Raises:
        InvalidShapeError: The mesh has no such axis (code `sharding`), or is none (code `mesh`).

    Source:
        Rajbhandari et al., "ZeRO", 2020.

    Example:
        >>> from jax.sharding import AbstractMesh, PartitionSpec as P
        >>> mesh = AbstractMesh((4, 2), ("data", "model"))
        >>> net = js.transform(lambda x: js.layers.dense(x, 512))
        >>> specs = net.spec(jnp.ones([1, 1024]))
        >>> rules = {
        ...     r".*/kernel": js.sharding.fsdp(mesh, "data", P(None, "model")),
        ...     ...: js.sharding.fsdp(mesh, "data"),
        ... }
        >>> shardings = specs.with_shardings(rules).shardings(mesh)
        >>> shardings["dense/kernel"].spec == P("data", "model"), shardings["dense/bias"].spec == P()
        (True, True)
    """
    if not isinstance(cast(object, mesh), Mesh | AbstractMesh):
        raise js.errors.InvalidShapeError(
            f"a mesh is needed, not {type(mesh).__name__}",
            code="mesh",
            fix='pass the mesh and the name of its axis: js.sharding.fsdp(mesh, "data")',
        )
    names = axis if isinstance(axis, tuple) else (axis,)
    sizes = dict(mesh.shape)
    if missing := [name for name in names if name not in sizes]:
        raise js.errors.InvalidShapeError(
            f"the mesh has no axis {missing[0]!r}",
            code="sharding",
            near=js.errors.near(str(missing[0]), sizes),
            fix=f"use one of {', '.join(map(str, sizes))}",
        )
    parts = math.prod(sizes[name] for name in names)
    taken = () if partition is None else tuple(getattr(partition, "partitions", partition))

    def partitioner(request: Any) -> PartitionSpec:
        shape = request.shape
        entries = [*taken, *[None] * (len(shape) - len(taken))]
        free = [at for at, entry in enumerate(entries[: len(shape)]) if not entry and shape[at] % parts == 0]
        if math.prod(shape) >= smallest and free:
            longest = max(free, key=lambda at: shape[at])
            entries[longest] = axis
        while entries and entries[-1] is None:
            del entries[-1]
        return PartitionSpec(*entries)

    return partitioner
