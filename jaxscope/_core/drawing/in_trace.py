"""Drawing in a trace: one program, in which the small variables of a kind are drawn by one loop."""

from collections.abc import Callable, Hashable
from typing import Any

import jax
import numpy as np
from jax import lax

from jaxscope._core.base.sameness import Recent
from jaxscope._core.drawing.keys import words_for
from jaxscope._core.drawing.tasks import Key, Task, folded, foreign
from jaxscope._core.initializers import laws
from jaxscope._core.initializers.laws import barrier

__all__ = ["in_trace"]

Program = Callable[[jax.Array, Any, Any], list[jax.Array]]
_programs: Recent[Program] = Recent(32)


def in_trace(key: Key, tasks: list[Task]) -> list[jax.Array]:
    """Draw every task; the key is traced, or operations are being staged."""
    words = np.stack([words_for(task.name) for task in tasks])
    exact = {laws.compute_dtype(task.dtype) for task in tasks if task.law is not None}
    numbers = {str(dtype): np.array([_numbers(task) for task in tasks], dtype) for dtype in exact}
    if any(task.kind is None for task in tasks):
        return _program(key, tasks)(key.data, words, numbers)
    # Names and the laws' numbers come in at run time: models that are alike in shape share a program.
    plan = tuple((task.law.base if task.law else task.kind, task.shape, task.dtype) for task in tasks)
    program = _programs.get_or((key.impl, key.extensible, plan), lambda: _program(key, tasks))
    return program(key.data, words, numbers)


def _numbers(task: Task) -> tuple[float, float]:
    return (task.law.scale, task.law.offset) if task.law else (0.0, 0.0)


def _groups(key: Key, tasks: list[Task]) -> list[list[int]]:
    """Return the places of tasks that one loop draws, together; each other one alone."""
    groups: dict[Hashable, list[int]] = {}
    for at, task in enumerate(tasks):
        group: Hashable = at
        if key.threefry and task.small:
            if task.law is None:
                group = at if task.kind is None else (task.kind, task.shape, task.dtype)
            elif key.extensible:
                group = task.law.base, task.dtype, (laws.flat_length(task.shape) - 1).bit_length()
            else:
                group = task.law.base, task.dtype, laws.flat_length(task.shape), "exact"
        groups.setdefault(group, []).append(at)
    return list(groups.values())


def _program(key: Key, tasks: list[Task]) -> Program:
    impl, threefry, groups = key.impl, key.threefry, _groups(key, tasks)
    # The program may outlive the call, and must not keep what belongs to it.
    tasks = [task._replace(name="") for task in tasks]

    def jaxscope_init(data: jax.Array, words: jax.Array, numbers: dict[str, jax.Array]) -> list[jax.Array]:
        data = barrier(data)
        if threefry:
            keys = barrier(folded(data, words, impl, several=True))
        else:
            keys = jax.numpy.stack([folded(data, words[at], impl, several=False) for at in range(len(tasks))])
        values: dict[int, jax.Array] = {}
        for group in groups:
            values.update(zip(group, _group(keys, numbers, impl, tasks, group), strict=True))
        return [values[at] for at in range(len(tasks))]

    return jax.jit(jaxscope_init)


def _group(
    keys: jax.Array, numbers: dict[str, jax.Array], impl: Any, tasks: list[Task], group: list[int]
) -> list[jax.Array]:
    """Return the values of the tasks at the places of one group."""
    first = tasks[group[0]]
    places = np.array(group)
    if first.law is None:

        def one(data: jax.Array) -> jax.Array:
            return foreign(data, impl, first.initializer, first.shape, first.dtype)

        if len(group) == 1:
            return [one(keys[group[0]])]
        return _loop(one, keys[places])

    base, dtype = first.law.base, first.dtype
    rows = numbers[str(laws.compute_dtype(dtype))]
    if len(group) == 1:
        alone = keys[group[0]], rows[group[0]]
        return [laws.sample_cut(*alone, impl=impl, base=base, shape=first.shape, dtype=dtype)]
    length = max(laws.flat_length(tasks[at].shape) for at in group)

    def drawn(row: tuple[jax.Array, jax.Array]) -> jax.Array:
        return laws.sample(*row, impl=impl, base=base, shape=(length,), dtype=dtype)

    values = _loop(drawn, (keys[places], rows[places]))
    return [laws.cut(value, tasks[at].shape) for value, at in zip(values, group, strict=True)]


def _loop(one: Callable[[Any], jax.Array], rows: Any) -> list[jax.Array]:
    """Return `one` of each row, from a program that has it once."""
    stack = barrier(lax.map(one, rows))
    return [lax.index_in_dim(stack, at, keepdims=False) for at in range(stack.shape[0])]
