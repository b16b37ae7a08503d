"""Places: on which devices each variable is to live, by specs on a mesh or as given."""

from collections.abc import Mapping
from typing import Any

from jax.sharding import NamedSharding, PartitionSpec, Sharding

import jaxscope as js
from jaxscope.checkpoint.matching import stacks
from jaxscope.checkpoint.stored import Place


class Places:
    """What `load` was told about places.

    Args:
        specs: All that are asked for; None where whatever is there is.
        mesh: The mesh on which they split variables, or None.
        shardings: Instead, one for all, or by full name.

    Raises:
        TypeError: The arguments do not go together.
        InvalidShapeError: Specs cannot be split on the mesh; the one error lists all that is wrong.
    """

    def __init__(self, specs: js.VariableSpecs | None, mesh: Any, shardings: Any) -> None:
        if mesh is not None and (shardings is not None or specs is None):
            raise TypeError(
                "a mesh goes with specs, which say how to split variables, and not with shardings"
            )
        if not (shardings is None or isinstance(shardings, Sharding | Mapping)):
            raise TypeError(
                f"shardings must be one, or a mapping of names to them, not {type(shardings).__name__}"
            )
        self._specs, self._mesh, self._given = specs, mesh, shardings
        self._by_name: Mapping[str, Place] = {} if mesh is None or specs is None else specs.shardings(mesh)

    def of(self, structs: Mapping[str, Any], problems: Any) -> dict[str, Place]:
        """Return where each array is to live, and add what is wrong with those that cannot be split so."""
        found: dict[str, Place] = {}
        if isinstance(self._given, Mapping):
            problems.add(
                "shardings", (f"{name} is no variable" for name in self._given if name not in structs)
            )
        for name, struct in structs.items():
            found[name] = place = self._place(name)
            if place is not None and not splits(place, tuple(struct.shape)):
                problems.add(
                    "shardings", [f"{name} of shape {tuple(struct.shape)} cannot be split by {place}"]
                )
        return found

    def _place(self, name: str) -> Place:
        if isinstance(self._given, Sharding):
            return self._given
        if self._given is not None:
            return self._given.get(name)
        if self._mesh is None or self._specs is None or name in self._by_name:
            return self._by_name.get(name)
        # A stack of layers that the specs have one by one.
        members = stacks(self._specs, [name])[name]
        specs = js.VariableSpecs(self._specs[member] for member in members)
        for part in name.split("/"):
            if "{}" in part:
                specs = specs.stack(part)
        stacked: Place = specs.shardings(self._mesh)[name]
        return stacked


def splits(place: Sharding, shape: tuple[int, ...]) -> bool:
    """Tell whether arrays of a shape can be split as a sharding says."""
    if isinstance(place, NamedSharding) and len(place.spec) > len(shape):
        return False
    try:
        place.shard_shape(shape)
    except (ValueError, IndexError):
        return False
    return True


def whole(mesh: Any) -> Place:
    """Return the place of what each device of a mesh has all of; JAX's default without a mesh."""
    return None if mesh is None else NamedSharding(mesh, PartitionSpec())
