"""Meshes for tests, of the devices that there are or of none; and comparisons to the last bit."""

import math
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jax.sharding import AbstractMesh, AxisType, Mesh

KINDS = [AxisType.Auto, AxisType.Explicit]


def mesh_of(kind: AxisType = AxisType.Auto, **sizes: int) -> Mesh:
    """Return a mesh with such axes, all of one type."""
    devices = jax.devices()[: math.prod(sizes.values())]
    return jax.make_mesh(
        tuple(sizes.values()), tuple(sizes), axis_types=(kind,) * len(sizes), devices=devices
    )


def no_devices(**sizes: int) -> AbstractMesh:
    """Return a mesh of such axes, without devices."""
    return AbstractMesh(tuple(sizes.values()), tuple(sizes))


def same(left: Mapping[str, Any], right: Mapping[str, Any]) -> bool:
    """Tell whether two sets of variables agree in names, dtypes, shapes and all bits."""
    return list(left) == list(right) and all(
        left[name].dtype == right[name].dtype
        and left[name].shape == right[name].shape
        and np.asarray(left[name]).tobytes() == np.asarray(right[name]).tobytes()
        for name in left
    )


def there(values: Mapping[str, Any], shardings: Mapping[str, Any]) -> bool:
    """Tell whether each value lives where its sharding says."""
    return all(
        values[name].sharding.is_equivalent_to(shardings[name], values[name].ndim) or not values[name].size
        for name in shardings
    )
