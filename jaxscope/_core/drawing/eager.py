"""Drawing eagerly: one program for each kind of variable, one variable at a time."""

import math
from collections import Counter
from collections.abc import Callable, Hashable
from typing import Any

import jax
import numpy as np

from jaxscope._core.base.forgetful_jit import Program
from jaxscope._core.base.recent import Recent
from jaxscope._core.base.sameness import held_by
from jaxscope._core.drawing.keys import fold_data, threefry_folds
from jaxscope._core.drawing.place import put
from jaxscope._core.drawing.tasks import LARGE, Key, Task, foreign, rows_of, words_of
from jaxscope._core.initializers import laws
from jaxscope._core.initializers.base import describe
from jaxscope.errors import InitializerError

__all__ = ["eagerly"]

#: Of one size class, this many shapes get programs of their own before the padded one serves the rest.
_OWN_PROGRAMS = 3
#: The smallest padded draw, in elements: below it a longer draw costs nothing.
_SHORTEST = 1024
#: Above this many bytes we wait for each variable, so that two draws' temporaries are never alive at once.
_WAIT = 2**22


def eagerly(key: Key, tasks: list[Task]) -> list[jax.Array]:
    """Draw every task; the key is concrete."""
    keys, rows = _subkeys(key, tasks), rows_of(tasks)
    home = key.data.sharding if key.data.committed else None
    padded = _to_pad(key, tasks)
    drawn: list[jax.Array] = []
    for at, task in enumerate(tasks):
        # A key of NumPy's goes wherever the program puts its result.
        own = keys[rows[at]] if task.layers else keys[rows[at].start]
        data = own if home is None or task.place else jax.device_put(own, home)
        if task.form is not None:
            shape, place = (padded[at], None) if at in padded else (task.shape, task.place)
            kernel = laws.kernel(key.impl, task.form, shape, task.dtype, place, task.layers)
            value = kernel(data, task.numbers())
        else:
            value = _foreign(key.impl, task, data)
        if task.nbytes > _WAIT:
            value.block_until_ready()
        drawn.append(value)
    if padded:
        whole = jax.device_get([drawn[at] for at in padded])
        for at, row in zip(padded, whole, strict=True):
            shape = tasks[at].shape
            # A copy: the cut must not keep the longer draw alive, and its buffer may be donated.
            drawn[at] = put(row[: math.prod(shape)].reshape(shape), tasks[at].place or home)
    return drawn


def _to_pad(key: Key, tasks: list[Task]) -> dict[int, tuple[int]]:
    """Choose the variables that are cut from a padded draw; return their places and the padded shapes.

    The bits are the same either way. A padded draw costs a copy through the host, and saves a compilation.
    """
    if not key.extensible:
        return {}
    alone = len(key.data.devices()) == 1
    classes: dict[Any, dict[Any, list[int]]] = {}
    for at, task in enumerate(tasks):
        if task.nbytes <= LARGE and task.form is not None and not task.layers and (alone or task.place):
            exponent = (math.prod(task.shape) - 1).bit_length()
            length = max(_SHORTEST, 1 << (exponent + exponent % 2))
            shapes = classes.setdefault((task.form, length, task.dtype), {})
            shapes.setdefault((task.shape, task.place), []).append(at)
    padded: dict[int, tuple[int]] = {}
    for (form, length, dtype), shapes in classes.items():
        new = [one for one in shapes if not laws.has_kernel(key.impl, form, one[0], dtype, one[1])]
        counted = (key.impl, form, length, dtype)
        if laws.has_kernel(key.impl, form, (length,), dtype) or _own[counted] + len(new) > _OWN_PROGRAMS:
            padded |= {at: (length,) for one in new for at in shapes[one]}
        else:
            _own[counted] += len(new)
    return padded


# How many programs of their own the shapes of a size class have had; a few entries for each dtype.
_own: Counter[Hashable] = Counter()


def _subkeys(key: Key, tasks: list[Task]) -> np.ndarray:
    """Return the raw data of the key of each name, on the host."""
    words = words_of(tasks)
    if key.threefry:
        folded: np.ndarray = threefry_folds(np.asarray(key.data), words)
        return folded
    fold_one = _folding(key.impl)
    return np.stack([np.asarray(fold_one(key.data, one)) for one in words])


_foldings: Recent[Callable[[Any, Any], jax.Array]] = Recent(16)


def _folding(impl: Any) -> Callable[[Any, Any], jax.Array]:
    def make() -> Callable[[Any, Any], jax.Array]:
        def jaxscope_fold(data: jax.Array, words: jax.Array) -> jax.Array:
            return fold_data(data, impl, words)

        return jax.jit(jaxscope_fold)

    return _foldings.get_or(impl, make)


_foreign_kernels: Recent[Program] = Recent(256)


def _foreign(impl: Any, task: Task, data: Any) -> jax.Array:
    """Draw by a function that is not ours, with the raw data of a key."""

    def make() -> Program:
        return Program("jaxscope_draw", out_shardings=task.place)

    def draw(data: jax.Array) -> jax.Array:
        return foreign(data, impl, task.initializer, task.shape, task.dtype)

    if task.kind is None:
        kernel = make()
    else:
        setting = impl, task.kind, task.shape, task.dtype, task.place
        kernel = _foreign_kernels.get_or(setting, make)
        if kernel.particular:
            kernel = make()
    try:
        drawn: jax.Array = kernel(draw, held_by(task.initializer), data)
    except jax.errors.UnexpectedTracerError as problem:
        raise InitializerError(
            f"the initializer of variable {task.names[0]!r} uses what the model has computed before it",
            code="init_from_inputs",
            initializer=describe(task.initializer),
            fix="let it use its key, shape and dtype alone; or pass the value itself, initializer=x.mean(0), "
            "which net.init computes",
        ) from problem
    return drawn
