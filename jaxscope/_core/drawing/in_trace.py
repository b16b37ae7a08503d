"""Drawing in a trace: one program, in which the small variables of a kind are drawn by one loop."""

import contextlib
import math
from collections.abc import Callable, Hashable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import reshard

from jaxscope._core.base.forgetful_jit import Program
from jaxscope._core.base.recent import Recent
from jaxscope._core.base.sameness import held_by
from jaxscope._core.drawing.keys import fold_data, threefry_folds
from jaxscope._core.drawing.place import freed, of_type
from jaxscope._core.drawing.tasks import Key, Task, foreign, rows_of, words_of
from jaxscope._core.initializers import laws
from jaxscope._core.initializers.base import Initializer
from jaxscope._core.initializers.laws import barrier

__all__ = ["in_trace"]

#: Variables above this many bytes are drawn one by one: what a loop gives is there twice while it is cut.
_LOOPED = 2**18
#: Of one size class, up to this many shapes have loops of their own; more are cut from longer draws.
_OWN_LOOPS = 8

_programs: Recent[Program] = Recent(32)


def in_trace(key: Key, tasks: list[Task]) -> list[jax.Array]:
    """Draw every task; the key is traced, or operations are being staged."""
    values: dict[int, jax.Array] = {}
    for own in (True, False):
        some = [task for task in tasks if isinstance(task.initializer, Initializer) == own]
        # Our own may be split as XLA likes; a foreign function may look at the mesh around it.
        with laws.without_mesh() if own else contextlib.nullcontext():
            drawn = _draw(key, some) if some else []
        values.update(zip((task.at for task in some), drawn, strict=True))
    return [values[task.at] for task in tasks]


def _draw(key: Key, tasks: list[Task]) -> list[jax.Array]:
    words = words_of(tasks)
    groups = _groups(key, tasks)
    numbers = [_numbers([tasks[at] for at in group]) for group in groups]
    init = _init(key, tasks, groups)
    if any(task.kind is None for task in tasks):
        alone: list[jax.Array] = Program("jaxscope_init")(init, [], key.data, words, numbers)
        return alone
    # Names and the laws' numbers come in at run time: models that are alike in shape share a program.
    plan = tuple((task.form or task.kind, task.shape, task.dtype, task.place, task.layers) for task in tasks)
    program = _programs.get_or((key.impl, key.extensible, plan), lambda: Program("jaxscope_init"))
    if program.particular:
        program = Program("jaxscope_init")
    held = [array for task in tasks if task.form is None for array in held_by(task.initializer)]
    drawn: list[jax.Array] = program(init, held, key.data, words, numbers)
    return drawn


def _numbers(tasks: list[Task]) -> np.ndarray | None:
    if tasks[0].layers:
        return tasks[0].numbers()
    rows = [task.numbers() for task in tasks if task.laws]
    return np.stack(rows) if rows else None


def _groups(key: Key, tasks: list[Task]) -> list[list[int]]:
    """Return the places of tasks that one loop draws, together; each other one alone."""
    groups: dict[Hashable, list[int]] = {}
    classes: dict[Hashable, list[Hashable]] = {}
    for at, task in enumerate(tasks):
        form = task.form or task.kind
        group: Hashable = at
        if key.threefry and task.nbytes <= _LOOPED and form is not None and not task.layers:
            group = form, task.dtype, task.shape
            if task.laws and key.extensible and group not in groups:
                length = (math.prod(task.shape) - 1).bit_length()
                classes.setdefault((form, task.dtype, length), []).append(group)
        groups.setdefault(group, []).append(at)
    for several in classes.values():
        if len(several) > _OWN_LOOPS:
            groups[several[0]] = [at for group in several for at in groups.pop(group)]
    return list(groups.values())


def _init(key: Key, tasks: list[Task], groups: list[list[int]]) -> Callable[..., list[jax.Array]]:
    impl, threefry = key.impl, key.threefry
    own, rows_in = isinstance(tasks[0].initializer, Initializer), rows_of(tasks)

    def init(data: jax.Array, words: jax.Array, numbers: list[Any]) -> list[jax.Array]:
        whole = of_type(data) if own else None
        if whole is not None:
            data = freed(data, whole)
        if threefry:
            keys = barrier(threefry_folds(data, words))
        else:  # of which several at once might have other results than one
            keys = jnp.stack([fold_data(data, impl, one) for one in words])
        values: dict[int, jax.Array] = {}
        for group, rows in zip(groups, numbers, strict=True):
            alike = [tasks[at] for at in group]
            one = _one(impl, alike)
            if alike[0].layers:
                values[group[0]] = one(keys[rows_in[group[0]]], rows)
            elif len(group) == 1:
                values[group[0]] = one(keys[rows_in[group[0]].start], None if rows is None else rows[0])
            else:
                starts = np.array([rows_in[at].start for at in group])
                values.update(zip(group, _loop(one, keys[starts], rows, alike), strict=True))
        if whole is None:
            return [values[at] for at in range(len(tasks))]
        return [values[at] if task.place else reshard(values[at], whole) for at, task in enumerate(tasks)]

    return init


def _one(impl: Any, tasks: list[Task]) -> Callable[[jax.Array, Any], jax.Array]:
    """Return what draws any task of a group, from its key and the numbers of its law, if it has one."""
    form, initializer, shape, dtype = tasks[0].form, tasks[0].initializer, tasks[0].shape, tasks[0].dtype
    if form is None:
        return lambda data, _: foreign(data, impl, initializer, shape, dtype)
    if any(task.shape != shape for task in tasks):
        shape = (max(math.prod(task.shape) for task in tasks),)
    return laws.kernel(impl, form, shape, dtype, layers=tasks[0].layers)


def _loop(
    one: Callable[[Any, Any], jax.Array], keys: Any, numbers: Any, tasks: list[Task]
) -> list[jax.Array]:
    """Return the values of several tasks, from a program that has `one` once."""
    stack = barrier(lax.map(lambda row: one(*row), (keys, numbers)))
    values = (lax.index_in_dim(stack, at, keepdims=False) for at in range(len(tasks)))
    return [_cut(value, task.shape) for value, task in zip(values, tasks, strict=True)]


def _cut(drawn: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Return the first elements of a flat draw in `shape`; of one that has the shape, itself."""
    if drawn.shape == shape:
        return drawn
    return lax.reshape(lax.slice_in_dim(drawn, 0, math.prod(shape)), shape)
