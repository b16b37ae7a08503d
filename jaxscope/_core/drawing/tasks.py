"""Tasks: one variable each that is drawn with a key, and what drawing it is inside a program."""

import math
from collections.abc import Hashable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Sharding

from jaxscope._core.initializers.base import Initializer, as_constant
from jaxscope._core.initializers.bits import extensible, is_threefry
from jaxscope._core.initializers.laws import Law, barrier, without_mesh

__all__ = ["LARGE", "Key", "Task", "as_array", "foreign"]

#: Variables above this many bytes are never padded or sent from the host.
LARGE = 2**20


class Task(NamedTuple):
    """One variable to be drawn with a key: by a law, or by a foreign function of some kind."""

    at: int
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    law: Law | None
    initializer: Any
    kind: Hashable | None
    place: Sharding | None

    @property
    def nbytes(self) -> int:
        """The size of the value."""
        return math.prod(self.shape) * self.dtype.itemsize


class Key:
    """The user's key, taken apart."""

    def __init__(self, data: jax.Array, impl: Any) -> None:
        self.data = data
        self.impl = impl

    @property
    def threefry(self) -> bool:
        """Whether draws of several keys may be mapped without another result."""
        return is_threefry(self.impl)

    @property
    def extensible(self) -> bool:
        """Whether a longer draw begins with the shorter one's bits."""
        return extensible(self.impl)


def foreign(data: jax.Array, impl: Any, initializer: Any, shape: tuple[int, ...], dtype: Any) -> jax.Array:
    """Draw by a function `(key, shape, dtype)`, behind barriers; only for use inside `jax.jit`."""
    key = jax.random.wrap_key_data(barrier(data), impl=impl)
    if isinstance(initializer, Initializer):  # one of ours without a law
        with without_mesh():
            drawn = initializer.draw(key, shape, dtype)
    else:  # which may look at the mesh around it
        drawn = initializer(key, shape, dtype)
    value: jax.Array = barrier(jnp.asarray(as_array(drawn), dtype))
    return value


def as_array(result: Any) -> Any:
    """Return what an initializer gave as a NumPy or JAX array; None if it is none."""
    if isinstance(result, jax.Array | np.ndarray | np.generic | bool | int | float | complex | list | tuple):
        return as_constant(result)
    return as_constant(result) if hasattr(result, "__jax_array__") else None
