"""Misfits: what is wrong with how arrays are to be split over a mesh, all of it told by one error."""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from jax.sharding import AbstractMesh, Mesh, PartitionSpec

from jaxscope._core.base.describe import shape_text, shown
from jaxscope._core.drawing.axes import entries_of
from jaxscope.errors import InvalidShapeError, near


def misfits(
    shape: tuple[int, ...], partition: PartitionSpec, mesh: Mapping[str, int] | None = None
) -> Iterator[tuple[str, str]]:
    """Yield all that is wrong with how an array is to be split: the kind, and words for it.

    Args:
        shape: Axis lengths of the array, in elements.
        partition: What splits each of them.
        mesh: The mesh's axes and their sizes, in devices; None where the mesh is not known yet.

    Example:
        >>> from jax.sharding import PartitionSpec as P
        >>> list(misfits((6,), P("data"), {"data": 4}))
        [('undivided', "axis 0, of 6, is not divided by 4 ('data')")]
    """
    entries = entries_of(partition)
    if len(entries) > len(shape):
        axes = "1 axis" if len(shape) == 1 else f"{len(shape)} axes"
        yield "rank", f"has {axes}, and {partition_text(partition)} is for {len(entries)}"
    seen: set[Any] = set()
    for name in (name for entry in entries for name in names_in(entry)):
        if not isinstance(name, str):
            yield "unknown", f"{shown(name)} names no axis of a mesh"
        elif name in seen:
            yield "twice", f"{name!r} splits it twice"
        elif mesh is not None and name not in mesh:
            yield "unknown", f"the mesh has no axis {name!r}{_instead(name, mesh)}"
        seen.add(name)
    if mesh is None:
        return
    for axis, (length, entry) in enumerate(zip(shape, entries, strict=False)):
        parts = parts_of(entry, mesh)
        if length % parts:
            by = ", ".join(f"{name!r}" for name in names_in(entry) if name in mesh)
            yield "undivided", f"axis {axis}, of {length}, is not divided by {parts} ({by})"


def parts_of(entry: Any, mesh: Mapping[str, int]) -> int:
    """Return into how many parts an entry of a partition splits its axis."""
    return math.prod(mesh.get(name, 1) for name in set(names_in(entry)))


def names_in(entry: Any) -> tuple[Any, ...]:
    """Return the names in an entry of a partition."""
    if entry is None:
        return ()
    return entry if isinstance(entry, tuple) else (entry,)


def _instead(name: str, known: Mapping[str, Any]) -> str:
    close = near(name, known)
    return f" (near: {close})" if close else ""


def partition_text(partition: PartitionSpec) -> str:
    """Return a partition as one writes it, whatever the version of JAX.

    Example:
        >>> partition_text(jax.sharding.PartitionSpec("x", None))
        "P('x', None)"
    """
    return f"P({', '.join(map(repr, entries_of(partition)))})"


def mesh_text(mesh: Mapping[str, int]) -> str:
    """Return the axes of a mesh with their sizes in devices: `data 4, model 2`."""
    return ", ".join(f"{name} {size}" for name, size in mesh.items()) or "no axes"


def axis_sizes(mesh: Any) -> dict[str, int]:
    """Return the axes of a mesh and their sizes, in devices.

    Raises:
        InvalidShapeError: It is no mesh (code `mesh`).
    """
    if not isinstance(mesh, Mesh | AbstractMesh):
        raise InvalidShapeError(
            f"a mesh is needed, not {shown(mesh)}",
            code="mesh",
            fix='pass one, such as jax.make_mesh((4, 2), ("data", "model"))',
        )
    return {str(name): int(size) for name, size in mesh.shape.items()}


#: The kinds of what can be wrong, in the order of an error.
KINDS = ("pattern", "value", "rank", "twice", "unknown", "undivided")
_MANY = 20  # beyond so many lines of a kind, those of layers that differ in their numbers alone are one


class Misfits:
    """What is wrong with the partitions of several variables, to be told by one error."""

    def __init__(self) -> None:
        self._rows: dict[str, list[tuple[str, str]]] = {kind: [] for kind in KINDS}

    def add(self, kind: str, name: str, words: str) -> None:
        """Note something that is wrong with a variable or a pattern."""
        self._rows[kind].append((name, words))

    def check(
        self,
        name: str,
        shape: tuple[int, ...],
        partition: PartitionSpec,
        mesh: Mapping[str, int] | None = None,
    ) -> None:
        """Note all that is wrong with how a variable is to be split."""
        for kind, words in misfits(shape, partition, mesh):
            self.add(kind, f"{name} {shape_text(shape)}", words)

    def throw(self, mesh: Mapping[str, int] | None = None) -> None:
        """Raise `InvalidShapeError` if there is anything wrong.

        Args:
            mesh: The axes of the mesh, if one was looked at.
        """
        wrong = {kind: _lines(rows) for kind, rows in self._rows.items() if rows}
        if wrong:
            count = sum(len(rows) for rows in self._rows.values())
            raise InvalidShapeError(
                "the variables cannot be laid out as the rules say"
                + (f": {count} mistakes" if count > 1 else ""),
                code="sharding",
                mesh="" if mesh is None else mesh_text(mesh),
                **wrong,
                fix="\n".join(_FIXES[kind] for kind in wrong),
            )


_FIXES = {
    "pattern": "use patterns that match at the start of a full name, and `...` for all others",
    "value": "give each a PartitionSpec, a tuple of the names of axes, or a function of the request",
    "rank": "name as many axes as the variable has, or fewer: the rest is not split",
    "twice": "let an axis of the mesh split one axis of a variable",
    "unknown": "name axes of the mesh; of logical axes, say in with_axes what they mean",
    "undivided": "split axes whose lengths the number of parts divides, or leave them whole (None)",
}


def _lines(rows: list[tuple[str, str]]) -> str:
    if len(rows) <= _MANY:
        return "\n".join(f"{name}: {words}" for name, words in rows)
    alike: dict[tuple[str, str], list[str]] = {}
    for name, words in rows:
        alike.setdefault((_unnumbered(name), words), []).append(name)
    return "\n".join(
        f"{names[0]}: {words}" + (f" (and {len(names) - 1} more with other numbers)" if names[1:] else "")
        for (_, words), names in alike.items()
    )


def _unnumbered(name: str) -> str:
    scope, _, shape = name.rpartition(" ")
    return re.sub(r"\d+", "0", scope) + shape
