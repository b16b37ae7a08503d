"""Joining: the specs of numbered layers as that of a stack, and back."""

from jaxscope._core.base.describe import describe
from jaxscope._core.drawing.axes import with_axis, without_axis
from jaxscope._core.variables import stacks
from jaxscope._core.variables.layered import Draws, Losses, Named, Projections, by_layer, part_of
from jaxscope._core.variables.sharding_errors import partition_text
from jaxscope._core.variables.spec import FROM_INPUTS, VariableSpec


def joined(name: str, layers: list[VariableSpec], axis: int) -> VariableSpec:
    """Return the spec of a stack of layers."""
    one = layers[0]
    if len({spec.replace(name=name) for spec in layers}) > 1:
        raise stacks.unlike(
            name, sorted({f"{describe(spec)} in {', '.join(spec.collections)}" for spec in layers})
        )
    partitions = [spec.partition_spec() for spec in layers]
    if any(partition != partitions[0] for partition in partitions):
        raise stacks.unlike(name, sorted(set(map(partition_text, partitions))))
    named = tuple(
        spec.initializer if isinstance(spec.initializer, Draws) else Named(spec.name, spec.initializer)
        for spec in layers
    )
    from_inputs = any(spec.initializer is FROM_INPUTS for spec in layers)
    return one.replace(
        name=name,
        shape=(*one.shape[:axis], len(layers), *one.shape[axis:]),
        initializer=FROM_INPUTS if from_inputs else Draws(named, axis),
        regularizer=by_layer(Losses, [spec.regularizer for spec in layers], axis),
        constraint=by_layer(Projections, [spec.constraint for spec in layers], axis),
        sharding=None if all(spec.sharding is None for spec in layers) else with_axis(partitions[0], axis),
    )


def layer_of(spec: VariableSpec, index: dict[int, int]) -> VariableSpec:
    """Return the spec of one layer of a stack."""
    for axis in sorted(index, reverse=True):
        number = index[axis]
        spec = spec.replace(
            shape=(*spec.shape[:axis], *spec.shape[axis + 1 :]),
            initializer=part_of(spec.initializer, axis, number),
            regularizer=part_of(spec.regularizer, axis, number),
            constraint=part_of(spec.constraint, axis, number),
            sharding=None if spec.sharding is None else without_axis(spec.partition_spec(), axis),
        )
    return spec
