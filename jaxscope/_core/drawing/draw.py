"""Values from names: each depends on (key, full name, shape, dtype, initializer) alone, to the last bit.

However many variables are drawn together, in whatever order, eagerly or inside a user's `jax.jit`, the bits
are those of one program for one variable: fold the name into the key, draw behind an optimization barrier
(see `jaxscope._core.initializers.laws`). What differs is only how few programs XLA has to compile, since a
threefry draw costs it 80 ms and a thousand of them in one program two minutes:

- Eagerly, NumPy folds the names into the key, and each variable is drawn by the program of its kind: as
  many programs as there are kinds, and one variable in memory at a time.
- Small variables of many different shapes are cut from a longer draw, a power of four of elements.
- Inside a trace, the small variables of a kind are drawn by one loop, and cut from its result.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxscope._core.drawing.check import check, examine
from jaxscope._core.drawing.eager import eagerly
from jaxscope._core.drawing.in_trace import in_trace
from jaxscope._core.drawing.keys import as_key, fold, words_for
from jaxscope._core.drawing.tasks import LARGE, Key, Task, as_array
from jaxscope._core.initializers.base import (
    Initializer,
    as_constant,
    canonical,
    instance_of,
    is_constant,
    kind_of,
)

__all__ = ["check", "draw"]

Request = tuple[str, Any, Sequence[int], Any]


def draw(key: jax.Array, requests: Iterable[Request]) -> list[jax.Array]:
    """Return the initial values of variables.

    Args:
        key: One key, typed or legacy; may be traced.
        requests: `(full name, initializer, shape, dtype)` each; the initializer is a callable
            `(key, shape, dtype)`, a class of such, or a constant of just this shape and dtype.

    Returns:
        An array for each request, in order. Value i depends on the key and on request i alone: the same
        bits alone, among others, and inside `jax.jit` (for foreign initializers as far as XLA compiles
        them alike). Each has a buffer of its own, which may be donated.

    Raises:
        KeyStreamError: `key` is no key, or a batch of keys.
        InitializerError: As `check`.

    Example:
        >>> from jaxscope import initializers
        >>> w, b = draw(
        ...     jax.random.key(0),
        ...     [
        ...         ("w", initializers.glorot_uniform, (2, 3), "float32"),
        ...         ("b", initializers.zeros, (3,), "float32"),
        ...     ],
        ... )
        >>> w.shape, b
        ((2, 3), Array([0., 0., 0.], dtype=float32))
    """
    typed = as_key(key)
    parts = Key(jax.random.key_data(typed), jax.random.key_impl(typed))
    staged = isinstance(parts.data, Tracer)
    values: dict[int, jax.Array] = {}
    tasks: list[Task] = []
    for at, (name, given, sizes, asked) in enumerate(requests):
        initializer, shape, dtype = instance_of(given), tuple(sizes), canonical(asked)
        keyless = examine(name, initializer, shape, dtype, None)
        if is_constant(initializer):
            values[at] = jnp.array(as_constant(initializer))
        elif isinstance(initializer, Initializer):
            value = np.zeros((), dtype) if 0 in shape else initializer.value(shape, dtype)
            if value is None:
                law = initializer.law(shape, dtype)
                tasks.append(Task(at, name, shape, dtype, law, initializer, initializer))
            else:
                values[at] = _placed(value, shape, staged=staged)
        elif keyless:
            # It gave NumPy numbers while it was traced: a compiled program would repeat these for ever.
            value = as_array(initializer(fold(typed, words_for(name)), shape, dtype))
            values[at] = jnp.array(value, dtype)
        else:
            tasks.append(Task(at, name, shape, dtype, None, initializer, kind_of(initializer)))
    if tasks:
        drawn = in_trace(parts, tasks) if staged else eagerly(parts, tasks)
        values.update(zip((task.at for task in tasks), drawn, strict=True))
    return [values[at] for at in range(len(values))]


def _placed(value: np.ndarray, shape: tuple[int, ...], *, staged: bool) -> jax.Array:
    """Return a new array of `shape` filled from `value`, without a compilation where it is small."""
    if value.shape == shape:
        return jnp.array(value)
    if staged or math.prod(shape) * value.dtype.itemsize > LARGE:
        return jnp.full(shape, value)
    small: jax.Array = jax.device_put(np.full(shape, value), may_alias=False)
    return small
