"""Planning: the bytes that specs, an optimizer and a batch take on each device of a mesh."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
from jax.sharding import NamedSharding, PartitionSpec

from jaxscope._core.base.describe import nbytes, type_of
from jaxscope._core.drawing.axes import entries_of
from jaxscope._core.initializers.base import canonical
from jaxscope._core.variables.companions import likenesses
from jaxscope._core.variables.memory_plan import Plan, PlannedArray, PlannedVariable
from jaxscope._core.variables.partitioner import AnyMesh
from jaxscope._core.variables.sharding_errors import axis_sizes, misfits, parts_of
from jaxscope._core.variables.spec import VariableSpec


def planned(
    specs: Mapping[str, VariableSpec],
    trainable: Mapping[str, Any],
    mesh: AnyMesh,
    optimizer: Any,
    batch: Any,
    batch_partition: PartitionSpec | None,
    large: int,
) -> Plan:
    """Return the plan of specs.

    Args:
        specs: By full name.
        trainable: What stands for the values of those that are trainable.
        mesh: As of `VariableSpecs.plan`, like all others.
        optimizer: What has `init`.
        batch: A tree of arrays.
        batch_partition: How these are split.
        large: From how many bytes on a variable is told of.
    """
    sizes = axis_sizes(mesh)
    partitions = {name: spec.partition_spec() for name, spec in specs.items()}
    problems = [
        (name, words)
        for name, spec in specs.items()
        for _, words in misfits(spec.shape, partitions[name], sizes)
    ]
    strange = {name for name, _ in problems}  # which are counted as whole
    splits = {name: PartitionSpec() if name in strange else split for name, split in partitions.items()}
    state, others = (
        _optimizer(specs, trainable, mesh, splits, optimizer, sizes)
        if optimizer is not None and specs
        else ({}, ())
    )
    rows: list[PlannedVariable] = []
    whole: list[str] = []
    for name, spec in specs.items():
        size, copies = _on_a_device(spec.shape, spec.dtype, splits[name], sizes)
        gradients = size if spec.trainable else 0
        rows.append(
            PlannedVariable(
                name,
                spec.shape,
                str(spec.dtype),
                partitions[name],
                copies,
                size,
                gradients,
                state.get(name, 0),
            )
        )
        if copies == math.prod(sizes.values()) > 1 and size >= large:
            whole.append(name)
    return Plan(
        sizes, tuple(rows), others, _batch(batch, batch_partition, sizes), tuple(problems), tuple(whole)
    )


def _on_a_device(
    shape: tuple[int, ...], dtype: Any, partition: PartitionSpec, sizes: Mapping[str, int]
) -> tuple[int, int]:
    """Return the bytes of an array's part on a device, and how many devices have the same part."""
    parts = [parts_of(entry, sizes) for entry in entries_of(partition)][: len(shape)]
    parts += [1] * (len(shape) - len(parts))
    part = tuple(-(-length // count) for length, count in zip(shape, parts, strict=True))
    return nbytes(part, dtype), math.prod(sizes.values()) // math.prod(parts)


def _optimizer(
    specs: Mapping[str, VariableSpec],
    trainable: Mapping[str, Any],
    mesh: AnyMesh,
    splits: Mapping[str, PartitionSpec],
    optimizer: Any,
    sizes: Mapping[str, int],
) -> tuple[dict[str, int], tuple[PlannedArray, ...]]:
    """Return the bytes of an optimizer's state by variable, and its arrays that belong to none."""
    init: Callable[[Any], Any] | None = getattr(optimizer, "init", None)
    if init is None:
        raise TypeError(f"plan takes an optimizer with a function `init`, as optax has, not {optimizer!r}")
    state = jax.eval_shape(init, trainable)
    shardings = {name: NamedSharding(mesh, split) for name, split in splits.items()}
    by_name: dict[str, int] = {}
    others: list[PlannedArray] = []
    for one in likenesses(state, shardings, {name: spec.shape for name, spec in specs.items()}):
        shape, dtype = _typed(one.leaf)
        size, copies = _on_a_device(shape, dtype, one.sharding.spec, sizes)
        if one.name is None:
            place = jax.tree_util.keystr(one.path)
            others.append(PlannedArray(place, shape, str(dtype), one.sharding.spec, copies, size))
        else:
            by_name[one.name] = by_name.get(one.name, 0) + size
    return by_name, tuple(others)


def _batch(batch: Any, partition: PartitionSpec | None, sizes: Mapping[str, int]) -> tuple[PlannedArray, ...]:
    rows: list[PlannedArray] = []
    for path, leaf in jax.tree_util.tree_flatten_with_path(batch)[0]:
        shape, dtype = _typed(leaf)
        own = getattr(leaf, "sharding", None)
        split = own.spec if isinstance(own, NamedSharding) else partition or PartitionSpec()
        split = PartitionSpec(*entries_of(split)[: len(shape)])
        size, copies = _on_a_device(shape, dtype, split, sizes)
        rows.append(PlannedArray(jax.tree_util.keystr(path), shape, str(dtype), split, copies, size))
    return tuple(rows)


def _typed(leaf: Any) -> tuple[tuple[int, ...], Any]:
    shape, dtype = type_of(leaf)
    if shape is None:  # a number of Python's
        made = jax.eval_shape(lambda: jax.numpy.asarray(leaf))
        shape, dtype = made.shape, made.dtype
    return tuple(shape), canonical(dtype)
