"""Placing: each value lives where its sharding says, and each device is given its own part alone."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AbstractMesh, AxisType, NamedSharding, PartitionSpec, Sharding, reshard

from jaxscope._core.base.recent import Recent
from jaxscope._core.drawing.tasks import LARGE
from jaxscope._core.initializers.laws import without_mesh
from jaxscope.errors import InvalidShapeError

__all__ = ["Place", "Request", "constrained", "filled", "freed", "moved", "of_type", "places", "put"]

#: (full name, initializer, shape, dtype)
Request = tuple[str, Any, Sequence[int], Any]
#: A sharding for each request, one after the other or as a function; None: JAX's choice.
Place = Sequence[Sharding | None] | Callable[[Request], Sharding | None] | None


def places(requests: Sequence[Request], place: Place) -> list[Sharding | None]:
    """Return where the value of each request lives.

    Raises:
        InvalidShapeError: A sharding does not fit the shape (code `sharding`).
    """
    if place is None:
        return [None] * len(requests)
    found = [place(request) for request in requests] if callable(place) else list(place)
    for (name, _, shape, _), one in zip(requests, found, strict=True):
        try:
            if one is not None:
                one.shard_shape(tuple(shape))
        except (ValueError, IndexError) as problem:
            raise InvalidShapeError(
                f"variable {name!r} of shape {tuple(shape)} cannot be split as its sharding says",
                code="sharding",
                sharding=one,
                fix="split axes that it has, whose lengths the number of parts divides; or leave it whole, "
                "with PartitionSpec()",
            ) from problem
    return found


def put(value: np.ndarray | jax.Array, place: Sharding | None) -> jax.Array:
    """Return a new array with the numbers of an array; of each part, only that part is copied."""
    if isinstance(value, np.ndarray) and place is not None:
        return jax.make_array_from_callback(value.shape, place, lambda part: np.array(value[part]))
    given = np.array(value) if isinstance(value, np.ndarray) else value  # ours, so that it may be taken over
    copy: jax.Array = jax.device_put(given, place, may_alias=False)
    return copy


def filled(value: np.ndarray, shape: tuple[int, ...], place: Sharding | None, *, staged: bool) -> jax.Array:
    """Return a new array of `shape` with the elements of `value`, or with its only one everywhere."""
    if value.shape != shape and (staged or math.prod(shape) * value.dtype.itemsize > LARGE):
        return _fill(shape, place)(value)
    return put(np.broadcast_to(value, shape), place)


def moved(value: jax.Array, place: Sharding | None) -> jax.Array:
    """Return a value at `place`; under `jax.disable_jit` no program has put it there."""
    return value if place is None or value.sharding == place else jax.device_put(value, place)


def constrained(value: jax.Array, place: Sharding | None) -> jax.Array:
    """Return a traced value that lives at `place` when the program runs, and whose type says so.

    XLA also makes it there: the steps before a constraint follow it.
    """
    if place is None:
        return value
    there: jax.Array = jax.jit(_same, out_shardings=place)(value)  # which serves all sorts of axes
    typed = _typed(place)
    if typed is not None:
        there = reshard(there, typed)
    return there


def _same(value: jax.Array) -> jax.Array:
    return value


def _typed(place: Sharding) -> NamedSharding | None:
    """Return what an array's type has of its sharding: how the mesh's explicit axes split it."""
    if not isinstance(place, NamedSharding) or AxisType.Explicit not in place.mesh.axis_types:
        return None
    types = dict(zip(place.mesh.axis_names, place.mesh.axis_types, strict=True))
    parts: list[Any] = []
    for part in place.spec:
        names = part if isinstance(part, tuple) else (part,) if part else ()
        explicit = [types[name] == AxisType.Explicit for name in names]
        if any(explicit) and not all(explicit):
            return None  # no type can say this
        parts.append(part if any(explicit) else None)
    return NamedSharding(place.mesh, PartitionSpec(*parts))


def of_type(data: jax.Array) -> NamedSharding | None:
    """Return what the type of a traced key asks of what is drawn by it: to be whole on an explicit mesh."""
    mesh = jax.typeof(data).sharding.mesh
    return NamedSharding(mesh, PartitionSpec()) if set(mesh.axis_types) == {AxisType.Explicit} else None


def freed(data: jax.Array, typed: NamedSharding) -> jax.Array:
    """Return a key of that type with one that leaves to XLA how what is drawn by it is split."""
    free = AbstractMesh(typed.mesh.axis_sizes, typed.mesh.axis_names)
    given: jax.Array = reshard(data, NamedSharding(free, PartitionSpec()))
    return given


_fills: Recent[Callable[[Any], jax.Array]] = Recent(256)


def _fill(shape: tuple[int, ...], place: Sharding | None) -> Callable[[Any], jax.Array]:
    """Return a program that fills an array with a number, and moves none from the host."""

    def make() -> Callable[[Any], jax.Array]:
        def jaxscope_fill(value: jax.Array) -> jax.Array:
            with without_mesh():
                return jnp.full(shape, value)

        return jax.jit(jaxscope_fill, out_shardings=place)

    return _fills.get_or((shape, place), make)
