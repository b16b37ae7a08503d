"""Tasks: one variable each that is drawn with a key, and what drawing it is inside a program."""

import itertools
import math
from collections.abc import Hashable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Sharding

from jaxscope._core.drawing.keys import words_for
from jaxscope._core.initializers.base import Initializer, as_constant
from jaxscope._core.initializers.bits import extensible, is_threefry
from jaxscope._core.initializers.laws import Form, Law, Layers, barrier, numbers_of, without_mesh

__all__ = ["LARGE", "Key", "Task", "as_array", "foreign", "rows_of", "words_of"]

#: Variables above this many bytes are never padded or sent from the host.
LARGE = 2**20


class Task(NamedTuple):
    """One variable to be drawn with a key: by a law, or by a foreign function of some kind.

    Attributes:
        at: Which of the requests it is.
        names: The full name; of a stack, that of each layer.
        shape: Its shape; of a stack, that of one layer.
        dtype: Its dtype.
        laws: The law, or that of each layer, all of one form; none of a foreign function.
        initializer: What it was asked to start from; of a stack, its first layer.
        kind: Equal for functions that one program serves.
        place: Where it lives; None: JAX's choice.
        layers: Of a stack, as `laws.kernel` takes them.
    """

    at: int
    names: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    laws: tuple[Law, ...]
    initializer: Any
    kind: Hashable | None
    place: Sharding | None
    layers: Layers = ()

    @property
    def form(self) -> Form | None:
        """The form of its law."""
        return self.laws[0].form if self.laws else None

    @property
    def nbytes(self) -> int:
        """The size of the value."""
        return len(self.names) * math.prod(self.shape) * self.dtype.itemsize

    def numbers(self) -> np.ndarray:
        """Return the numbers of its law; of a stack, a row for each layer."""
        rows = [numbers_of(law, self.dtype) for law in self.laws]
        return np.stack(rows) if self.layers else rows[0]


def rows_of(tasks: list[Task]) -> list[slice]:
    """Return which of the rows that stand for the names of all tasks are those of each."""
    ends = list(itertools.accumulate(len(task.names) for task in tasks))
    return [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]


def words_of(tasks: list[Task]) -> np.ndarray:
    """Return the words of the names of all tasks, a row for each."""
    return np.stack([words_for(name) for task in tasks for name in task.names])


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
