"""Values from names: each depends on (key, full name, shape, dtype, initializer) alone, to the last bit.

However many variables are drawn together, in whatever order, eagerly or inside a user's `jax.jit`, on
whatever devices, the bits are those of one program for one variable: fold the name into the key, draw by the
law (see `jaxscope._core.initializers.laws`). What differs is only how few programs XLA has to compile:

- Eagerly, NumPy folds the names into the key, and each variable is drawn by the program of its kind: as
  many programs as there are kinds, and one variable at a time.
- A stack of layers is drawn by one program, each layer by its own key, if their laws are of one form.
- Small variables of many different shapes are cut from a longer draw, a power of four of elements.
- Inside a trace, the small variables of a kind are drawn by one loop, and cut from its result.
"""

from collections.abc import Iterable
from typing import Any

import jax
import numpy as np
from jax.core import Tracer

from jaxscope._core.drawing.check_initializer import check, examine
from jaxscope._core.drawing.eager import eagerly
from jaxscope._core.drawing.in_trace import in_trace
from jaxscope._core.drawing.keys import as_key, fold, words_for
from jaxscope._core.drawing.place import Place, Request, constrained, filled, moved, places, put
from jaxscope._core.drawing.stacking import Stack, Stacked, in_order, joined, part_place, stacked
from jaxscope._core.drawing.tasks import Key, Task, as_array
from jaxscope._core.initializers.base import (
    Initializer,
    as_constant,
    canonical,
    instance_of,
    is_constant,
    kind_of,
)
from jaxscope._core.initializers.from_variable import derived
from jaxscope._core.initializers.laws import Law

__all__ = ["check", "draw"]


def draw(key: jax.Array, requests: Iterable[Request], place: Place = None) -> list[jax.Array]:
    """Return the initial values of variables.

    Args:
        key: One key, typed or legacy; may be traced.
        requests: `(full name, initializer, shape, dtype)` each; the initializer is a callable
            `(key, shape, dtype)`, a class of such, a constant of just this shape and dtype, or a `Stack`.
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
        if isinstance(initializer, Stack):
            one = stacked(initializer, shape)
            task = _together(at, one, dtype, parts, homes[at])
            number = _number(one, dtype)
            if task is not None:
                tasks.append(task)
            elif number is not None:
                values[at] = filled(number, shape, home, staged=staged)
            else:
                values[at] = _apart(typed, one, shape, dtype, homes[at], staged=staged)
            continue
        keyless = examine(name, initializer, shape, dtype, None)
        if is_constant(initializer):
            values[at] = put(as_constant(initializer), home)
        elif isinstance(initializer, derived):
            source = initializer.of(draw(key, [initializer.source])[0])
            values[at] = source if staged else put(source, home)
        elif isinstance(initializer, Initializer):
            value = np.zeros((), dtype) if 0 in shape else initializer.value(shape, dtype)
            if value is None:
                law = initializer.law(shape, dtype)
                laws = () if law is None else (law,)
                tasks.append(Task(at, (name,), shape, dtype, laws, initializer, initializer, homes[at]))
            else:
                values[at] = filled(value, shape, home, staged=staged)
        elif keyless:
            # It gave NumPy numbers while it was traced: a compiled program would repeat these for ever.
            values[at] = put(as_array(initializer(fold(typed, words_for(name)), shape, dtype)), home)
        else:
            kind = kind_of(initializer)
            tasks.append(Task(at, (name,), shape, dtype, (), initializer, kind, homes[at]))
    if tasks:
        drawn = in_trace(parts, tasks) if staged else eagerly(parts, tasks)
        values.update(zip((task.at for task in tasks), drawn, strict=True))
    drawn = [values[at] for at in range(len(requests))]
    return list(map(constrained if staged else moved, drawn, homes))


def _together(at: int, one: Stacked, dtype: Any, key: Key, home: Any) -> Task | None:
    """Return a stack as a task that one program draws, if its layers are drawn by laws of one form."""
    if not key.extensible or 0 in one.shape:
        return None
    found: list[Law] = []
    for name, given in one.leaves:
        initializer = instance_of(given)
        examine(name, initializer, one.shape, dtype, None)
        law = initializer.law(one.shape, dtype) if isinstance(initializer, Initializer) else None
        if law is None or law.form != (found or [law])[0].form:
            return None
        found.append(law)
    names = tuple(name for name, _ in one.leaves)
    first = instance_of(one.leaves[0][1])
    return Task(at, names, one.shape, dtype, tuple(found), first, first, home, one.layers)


def _number(one: Stacked, dtype: Any) -> np.ndarray | None:
    """Return the number that fills all layers of a stack, if there is one."""
    first, *others = (instance_of(given) for _, given in one.leaves)
    if not all(isinstance(each, Initializer) and each == first for each in (first, *others)):
        return None
    examine(one.leaves[0][0], first, one.shape, dtype, None)
    value = np.zeros((), dtype) if 0 in one.shape else first.value(one.shape, dtype)
    return value if value is not None and value.shape == () else None


def _apart(
    key: jax.Array, one: Stacked, shape: tuple[int, ...], dtype: Any, home: Any, *, staged: bool
) -> jax.Array:
    """Return a stack whose layers are drawn one after the other."""
    place = part_place(one, home)
    layers = (
        draw(key, [(name, given, one.shape, dtype)], None if place is None else [place])[0]
        for name, given in one.leaves
    )
    return in_order(one, layers) if staged else joined(one, shape, home, layers)
