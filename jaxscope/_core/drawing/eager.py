"""Drawing eagerly: one program for each kind of variable, one variable at a time."""

import math
from collections import Counter
from collections.abc import Callable, Hashable
from typing import Any

import jax
import numpy as np

from jaxscope._core.base.sameness import Recent
from jaxscope._core.drawing.keys import threefry_folds, words_for
from jaxscope._core.drawing.tasks import Key, Task, folded, foreign
from jaxscope._core.initializers import laws

__all__ = ["eagerly"]

#: Of one size class, this many shapes get programs of their own before the padded one serves the rest.
_OWN_PROGRAMS = 3
#: The smallest padded draw, in elements: below it a longer draw costs nothing.
_SHORTEST = 1024
#: Above this many bytes we wait for each variable, so that two draws' temporaries are never alive at once.
_WAIT = 2**22


def eagerly(key: Key, tasks: list[Task]) -> list[jax.Array]:
    """Draw every task; the key is concrete."""
    keys: Any = _subkeys(key, tasks)
    home = key.data.sharding if key.data.committed else None
    if home is not None:
        keys = [jax.device_put(one, home) for one in keys]
    padded = _to_pad(key, tasks) if len(key.data.devices()) == 1 else {}
    drawn: list[jax.Array] = []
    for at, task in enumerate(tasks):
        if task.law is not None:
            numbers = laws.numbers_of(task.law, task.dtype)
            shape = padded.get(at, task.shape)
            value = laws.kernel(key.impl, task.law.base, shape, task.dtype)(keys[at], numbers)
        else:
            value = _foreign_kernel(key.impl, task)(keys[at])
        if task.nbytes > _WAIT:
            value.block_until_ready()
        drawn.append(value)
    if padded:
        whole = jax.device_get([drawn[at] for at in padded])
        for at, row in zip(padded, whole, strict=True):
            shape = tasks[at].shape
            # A copy: the cut must not keep the longer draw alive, and its buffer may be donated.
            drawn[at] = jax.device_put(row[: math.prod(shape)].reshape(shape), home, may_alias=False)
    return drawn


def _to_pad(key: Key, tasks: list[Task]) -> dict[int, tuple[int]]:
    """Choose the variables that are cut from a padded draw; return their places and the padded shapes.

    The bits are the same either way. A padded draw costs a copy through the host, and saves a compilation.
    """
    if not key.extensible:
        return {}
    classes: dict[Any, dict[tuple[int, ...], list[int]]] = {}
    for at, task in enumerate(tasks):
        if task.small and task.law is not None:
            exponent = (laws.flat_length(task.shape) - 1).bit_length()
            length = max(_SHORTEST, 1 << (exponent + exponent % 2))
            shapes = classes.setdefault((task.law.base, length, task.dtype), {})
            shapes.setdefault(task.shape, []).append(at)
    padded: dict[int, tuple[int]] = {}
    for (base, length, dtype), shapes in classes.items():
        new = [shape for shape in shapes if not laws.has_kernel(key.impl, base, shape, dtype)]
        counted = (key.impl, base, length, dtype)
        if laws.has_kernel(key.impl, base, (length,), dtype) or _own[counted] + len(new) > _OWN_PROGRAMS:
            padded |= {at: (length,) for shape in new for at in shapes[shape]}
        else:
            _own[counted] += len(new)
    return padded


# How many programs of their own the shapes of a size class have had; a few entries for each dtype.
_own: Counter[Hashable] = Counter()


def _subkeys(key: Key, tasks: list[Task]) -> np.ndarray:
    """Return the raw data of each variable's key, on the host."""
    words = np.stack([words_for(task.name) for task in tasks])
    if key.threefry:
        return threefry_folds(np.asarray(key.data), words)
    fold_one = _folding(key.impl)
    return np.stack([np.asarray(fold_one(key.data, one)) for one in words])


_foldings: Recent[Callable[[Any, Any], jax.Array]] = Recent(16)


def _folding(impl: Any) -> Callable[[Any, Any], jax.Array]:
    def make() -> Callable[[Any, Any], jax.Array]:
        def jaxscope_fold(data: jax.Array, words: jax.Array) -> jax.Array:
            return folded(data, words, impl, several=False)

        return jax.jit(jaxscope_fold)

    return _foldings.get_or(impl, make)


_foreign_kernels: Recent[Callable[[Any], jax.Array]] = Recent(256)


def _foreign_kernel(impl: Any, task: Task) -> Callable[[Any], jax.Array]:
    def make() -> Callable[[Any], jax.Array]:
        def jaxscope_draw(data: jax.Array) -> jax.Array:
            return foreign(data, impl, task.initializer, task.shape, task.dtype)

        return jax.jit(jaxscope_draw)

    if task.kind is None:
        return make()
    return _foreign_kernels.get_or((impl, task.kind, task.shape, task.dtype), make)
