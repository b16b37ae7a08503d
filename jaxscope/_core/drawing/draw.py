"""Values from names: each depends on (key, full name, shape, dtype, initializer) alone, to the last bit.

However many variables are drawn together, in whatever order, eagerly or inside a user's `jax.jit`, on
whatever devices, the bits are those of one program for one variable: fold the name into the key, draw by the
law (see `jaxscope._core.initializers.laws`). What differs is only how few programs XLA has to compile:

- Eagerly, NumPy folds the names into the key, and each variable is drawn by the program of its kind: as
  many programs as there are kinds, and one variable at a time.
- Small variables of many different shapes are cut from a longer draw, a power of four of elements.
- Inside a trace, the small variables of a kind are drawn by one loop, and cut from its result.
"""

from collections.abc import Iterable
from typing import Any

import jax
import numpy as np
from jax.core import Tracer

from jaxscope._core.drawing.check import check, examine
from jaxscope._core.drawing.eager import eagerly
from jaxscope._core.drawing.in_trace import in_trace
from jaxscope._core.drawing.keys import as_key, fold, words_for
from jaxscope._core.drawing.place import Place, Request, constrained, filled, places, put
from jaxscope._core.drawing.tasks import Key, Task, as_array
from jaxscope._core.initializers.base import (
    Initializer,
    as_constant,
    canonical,
    instance_of,
    is_constant,
    kind_of,
)
from jaxscope._core.initializers.derived import derived

__all__ = ["check", "draw"]


def draw(key: jax.Array, requests: Iterable[Request], place: Place = None) -> list[jax.Array]:
    """Return the initial values of variables.

    Args:
        key: One key, typed or legacy; may be traced.
        requests: `(full name, initializer, shape, dtype)` each; the initializer is a callable
            `(key, shape, dtype)`, a class of such, or a constant of just this shape and dtype.
        place: Where each value lives: a sharding for each request (or None: JAX's choice), as a sequence or
            a function of the request. Each device makes its own part, and nowhere is there a whole (foreign
            initializers and `orthogonal` are split as far as XLA can).

    Returns:
        An array for each request, in order. Value i depends on the key and on request i alone: the same
        bits alone, among others, and inside `jax.jit` (for foreign initializers as far as XLA compiles
        them alike). Each has a buffer of its own, which may be donated.

    Raises:
        KeyStreamError: `key` is no key, or a batch of keys.
        InitializerError: As `check`.
        InvalidShapeError: A sharding does not fit the shape (code `sharding`).

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
    requests = list(requests)
    homes = places(requests, place)
    values: dict[int, Any] = {}
    tasks: list[Task] = []
    for at, (name, given, sizes, asked) in enumerate(requests):
        initializer, shape, dtype = instance_of(given), tuple(sizes), canonical(asked)
        home = None if staged else homes[at]
        keyless = examine(name, initializer, shape, dtype, None)
        if is_constant(initializer):
            values[at] = put(as_constant(initializer), home)
        elif isinstance(initializer, derived):
            value = initializer.of(draw(key, [initializer.source])[0])
            values[at] = value if staged else put(value, home)
        elif isinstance(initializer, Initializer):
            value = np.zeros((), dtype) if 0 in shape else initializer.value(shape, dtype)
            if value is None:
                law = initializer.law(shape, dtype)
                tasks.append(Task(at, name, shape, dtype, law, initializer, initializer, homes[at]))
            else:
                values[at] = filled(value, shape, home, staged=staged)
        elif keyless:
            # It gave NumPy numbers while it was traced: a compiled program would repeat these for ever.
            values[at] = put(as_array(initializer(fold(typed, words_for(name)), shape, dtype)), home)
        else:
            tasks.append(Task(at, name, shape, dtype, None, initializer, kind_of(initializer), homes[at]))
    if tasks:
        drawn = in_trace(parts, tasks) if staged else eagerly(parts, tasks)
        values.update(zip((task.at for task in tasks), drawn, strict=True))
    drawn = [values[at] for at in range(len(requests))]
    return list(map(constrained, drawn, homes)) if staged else drawn
