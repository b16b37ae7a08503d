"""Stacks: variables of numbered layers as one, with `{}` for the number in its name, and an axis for it."""

import itertools
import operator
import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxscope._core.base.describe import describe, shown, type_of
from jaxscope._core.drawing.axes import is_partition, with_axis, without_axis
from jaxscope.errors import MergeError, VariablesMismatchError

T = TypeVar("T")

#: The number of a layer. Longer ones are no layer's, and Python would not make an `int` of some.
_NUMBER = r"(?:0|[1-9][0-9]{0,8})"
_NUMBERS = rf"\{{\}}|(?<![0-9]){_NUMBER}(?![0-9])"
_NESTED = 3  # how many layers may be nested in stacks


# --- names -----------------------------------------------------------------------------------------


def columns(full_names: Iterable[str], pattern: str) -> dict[str, list[str]]:
    """Return the names of each stack's layers, by the stack's name; what is in no layer stands under its own.

    Args:
        full_names: The names to stack.
        pattern: The name of the layers' scopes, with `{}` for the number.

    Raises:
        MergeError: The layers are not numbered from 0 without gaps, a stack's name is taken, or the pattern
            has not one `{}`.

    Example:
        >>> columns(["b", "layer_0/w", "layer_1/w"], "layer_{}")
        {'b': ['b'], 'layer_{}/w': ['layer_0/w', 'layer_1/w']}
    """
    before, found, after = pattern.partition("{}")
    if not found or "{}" in after:
        raise MergeError(
            f"{shown(pattern)} must have one {{}} for the layers' numbers", fix='say, "layer_{}"'
        )
    layer = re.compile(rf"(^|.*/){re.escape(before)}({_NUMBER}){re.escape(after)}(/.*|$)", re.DOTALL)
    stacks: dict[str, dict[int, str]] = {}
    made: dict[str, list[str]] = {}
    for name in full_names:
        match = layer.fullmatch(name)
        stacked = name if match is None else f"{match[1]}{pattern}{match[3]}"
        if match is not None:
            stacks.setdefault(stacked, {})[int(match[2])] = name
        if stacked in made and (match is None or stacked in made[stacked]):
            raise two_called(stacked)
        made.setdefault(stacked, [name] if match is None else [])
    for stacked, column in stacks.items():
        if sorted(column) != list(range(len(column))):
            raise MergeError(
                f"the layers of {stacked!r} cannot be stacked",
                numbers=sorted(column),
                fix="stack layers that are numbered from 0, without gaps",
            )
        made[stacked] += [column[at] for at in range(len(column))]
    return made


def stacked_names(given: Iterable[Any]) -> frozenset[str]:
    """Return the names of stacks among those of given variables."""
    return frozenset(name for name in given if isinstance(name, str) and "{}" in name)


def places_in_stacks(name: str, given: Container[str]) -> dict[str, tuple[int | slice, ...]]:
    """Return the stacks in which a variable is given, and the index in each.

    Args:
        name: A full name, in which `{}` stands for all layers, and a number may be one of many.
        given: The names of what is given.

    Returns:
        By the name of the stack, a number or a slice for each of its leading axes. Whether the stack is as
        long is for `layer_of` to tell.

    Example:
        >>> places_in_stacks("layer_2/w", {"layer_{}/w"})
        {'layer_{}/w': (2,)}
    """
    tokens = list(re.finditer(_NUMBERS, name))
    numbers = [token for token in tokens if token[0] != "{}"]
    found: dict[str, tuple[int | slice, ...]] = {}
    for count in range(1, min(len(numbers), _NESTED) + 1):
        for chosen in itertools.combinations(numbers, count):
            stacked = name
            for token in reversed(chosen):
                stacked = f"{stacked[: token.start()]}{{}}{stacked[token.end() :]}"
            if stacked in given:
                kept = [token for token in tokens if token in chosen or token[0] == "{}"]
                found[stacked] = tuple(slice(None) if t[0] == "{}" else int(t[0]) for t in kept)
    return found


def place_in_stack(name: str, given: Container[str]) -> tuple[str, tuple[int | slice, ...]] | None:
    """Return the stack in which a variable is given, and the index there; None if it is in none.

    Args:
        name: As of `places_in_stacks`.
        given: Likewise.

    Raises:
        VariablesMismatchError: The variable is given alone as well, or in two stacks (code `given_twice`).
    """
    found = places_in_stacks(name, given)
    if not found:
        return None
    if len(found) > 1 or name in given:
        raise VariablesMismatchError(
            f"variable {name!r} is given twice: {two_places(name, found, given)}",
            code="given_twice",
            fix="give each variable once: alone, or in the stack of its layers",
        )
    return next(iter(found.items()))


def two_places(name: str, stacks: Iterable[str], given: Container[str]) -> str:
    """Return where a variable is given, if it is given more than once; else `""`."""
    places = ["alone"] * (name in given) + [f"in {stacked!r}" for stacked in stacks]
    return " and ".join(places) if len(places) > 1 else ""


def check_given_once(given: Iterable[Any]) -> None:
    """Raise `VariablesMismatchError` (code `given_twice`) where a variable is given alone and in a stack."""
    every = {name for name in given if isinstance(name, str)}
    if stacked_names(every):
        for name in every:
            place_in_stack(name, every)


def layer_of(
    stack: Any, index: tuple[int | slice, ...], take: Callable[[Any, Any], Any] = operator.getitem
) -> Any:
    """Return the part of a stacked array at an index of `place_in_stack`; None where it has fewer layers.

    Args:
        stack: The array.
        index: The index.
        take: Takes the part of an array at an index.
    """
    shape = stack.shape
    reaches = len(shape) >= len(index) and all(
        isinstance(at, slice) or at < size for at, size in zip(index, shape, strict=False)
    )
    return take(stack, index) if reaches else None


def two_called(name: str) -> MergeError:
    """Return the error for two variables that would have one name."""
    return MergeError(f"two variables would be called {name!r}", fix="rename one of them to another name")


def unlike(name: str, kinds: Iterable[str]) -> MergeError:
    """Return the error for layers that differ in a variable."""
    return MergeError(
        f"the layers of {name!r} cannot be stacked", kinds=", ".join(kinds), fix="stack layers that are alike"
    )


def stacked(
    values: Mapping[str, T],
    pattern: str,
    is_trainable: Callable[[str], bool],
    join: Callable[[str, list[T], int], T],
) -> Iterator[tuple[str, str, T]]:
    """Yield the new name of each variable, an old name, and the value, with those of numbered layers as one.

    Args:
        values: By full name.
        pattern: As of `columns`.
        is_trainable: Tells it of an old name.
        join: `(new name, values of all layers, axis)` -> the value of the stack.

    Raises:
        MergeError: As `columns`, or the layers differ.
    """
    for name, column in columns(values, pattern).items():
        if column == [name]:
            yield name, name, values[name]
            continue
        if len({is_trainable(layer) for layer in column}) > 1:
            raise unlike(name, ["trainable", "not trainable"])
        # Axes are in the order of the numbers in the name.
        new = next(at for at, (one, other) in enumerate(zip(name, column[0], strict=False)) if one != other)
        axis = name[:new].count("{}")
        yield name, column[0], join(name, [values[layer] for layer in column], axis)


# --- values ----------------------------------------------------------------------------------------


def join(name: str, leaves: list[Any], axis: int) -> Any:
    """Return what all layers have under one name, as one.

    Arrays are stacked; `jax.ShapeDtypeStruct`s and shardings get the axis; anything else (a mask's flag, a
    label) stands for all layers where it is equal in all.

    Raises:
        MergeError: The layers differ.
    """
    one = leaves[0]
    if not all(_alike(one, other) for other in leaves):
        raise unlike(name, sorted({shown(leaf) for leaf in leaves}))
    if isinstance(one, jax.ShapeDtypeStruct):
        shape = (*one.shape[:axis], len(leaves), *one.shape[axis:])
        return one.update(shape=shape, sharding=_changed(one.sharding, with_axis, axis))
    if _is_array(one):
        in_numpy = all(isinstance(leaf, np.ndarray | np.generic) for leaf in leaves)
        return np.stack(leaves, axis) if in_numpy else jnp.stack(leaves, axis)
    return _changed(one, with_axis, axis)


def part(leaf: Any, index: Mapping[int, int]) -> Any:
    """Return what one layer has of a stacked value; the inverse of `join`.

    Args:
        leaf: The stacked value.
        index: The layer's number, by the axis.
    """
    if isinstance(leaf, jax.ShapeDtypeStruct):
        shape = tuple(size for axis, size in enumerate(leaf.shape) if axis not in index)
        return leaf.update(shape=shape, sharding=_without(leaf.sharding, index))
    if _is_array(leaf):
        return leaf[tuple(index.get(axis, slice(None)) for axis in range(max(index) + 1))]
    return _without(leaf, index)


def _without(value: Any, axes: Iterable[int]) -> Any:
    for axis in sorted(axes, reverse=True):
        value = _changed(value, without_axis, axis)
    return value


def _changed(value: Any, change: Callable[[Any, int], Any], axis: int) -> Any:
    return change(value, axis) if is_partition(value) else value


def _is_array(value: Any) -> bool:
    return type_of(value)[0] is not None


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, jax.ShapeDtypeStruct) or not _is_array(one):
        if one is other:
            return True
        equal = type(one) is type(other) and one == other
        return isinstance(equal, bool | np.bool_) and bool(equal)
    return (
        _is_array(other) and not isinstance(other, jax.ShapeDtypeStruct) and describe(one) == describe(other)
    )


# --- back to layers --------------------------------------------------------------------------------


def unstacked(
    values: Mapping[str, T], pattern: str, layers: int | None, split: Callable[[T, dict[int, int]], T]
) -> Iterator[tuple[str, str, T]]:
    """Yield the name of each layer's variable, the stack's, and the value, layer by layer.

    Args:
        values: By full name, stacks among them.
        pattern: What the names to split contain; `"{}"` for all.
        layers: How many layers there are, where no array tells.
        split: `(value, number by axis)` -> the value of one layer.

    Raises:
        MergeError: A value has no axis of layers, or another number of them; or no array tells their number.
    """
    before, _, after = map(re.escape, pattern.partition("{}"))
    edges = ("", "") if pattern == "{}" else ("(?:^|/)", "(?=/|$)")
    level = re.compile(rf"{edges[0]}{before}(\{{\}}){after}{edges[1]}")
    numbers = {name: [match.start(1) for match in level.finditer(name)] for name in values}
    sizes = {
        name: _sizes(name, value, numbers[name], layers) for name, value in values.items() if numbers[name]
    }
    known = {_scope(name, numbers[name]): size for name, size in sizes.items() if size is not None}

    def group(name: str) -> Any:
        if not numbers[name]:
            return name, None
        scope = _scope(name, numbers[name])
        return scope, sizes[name] or known.get(scope) or (layers,) * len(numbers[name])

    for (scope, size), grouped in itertools.groupby(values, group):
        members = list(grouped)
        if size is None:
            yield scope, scope, values[scope]
            continue
        if None in size:
            raise MergeError(
                f"{members[0]!r} is {shown(values[members[0]])}, which does not tell the number of layers",
                fix="pass their number: unstack(pattern, layers=12), say",
            )
        for index in itertools.product(*map(range, size)):
            for name in members:
                starts = numbers[name]
                axes = [name[:start].count("{}") for start in starts]
                new = _filled(name, starts, index)
                yield new, name, split(values[name], dict(zip(axes, index, strict=True)))


def _scope(name: str, starts: list[int]) -> str:
    """Return a name up to the end of the part with the last number."""
    return name[: name.find("/", starts[-1])] if "/" in name[starts[-1] :] else name


def _filled(name: str, starts: list[int], index: tuple[int, ...]) -> str:
    for start, number in reversed(list(zip(starts, index, strict=True))):
        name = f"{name[:start]}{number}{name[start + 2 :]}"
    return name


def _sizes(name: str, value: Any, starts: list[int], layers: int | None) -> tuple[int, ...] | None:
    """Return how many layers a stacked array has, for each number in its name; None for what is no array."""
    shape, _ = type_of(value)
    if shape is None:
        return None
    axes = [name[:start].count("{}") for start in starts]
    if len(shape) <= axes[-1]:
        raise MergeError(
            f"{name!r} is {describe(value)}, and has no axis {axes[-1]} to split into layers",
            fix="unstack variables that `stack` made, or select them by a pattern",
        )
    found = tuple(shape[axis] for axis in axes)
    if layers is not None and any(size != layers for size in found):
        raise MergeError(
            f"{name!r} is {describe(value)}, which is not of {layers} layers",
            fix="leave out layers=: the arrays tell",
        )
    return found
