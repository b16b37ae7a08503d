"""Assignment maps, as of TF1's `init_from_checkpoint`: what a file has -> the variables here it is for."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, cast

import jaxscope as js
from jaxscope.checkpoint import matching
from jaxscope.checkpoint.beside import AVERAGES
from jaxscope.checkpoint.slicing import Sliced
from jaxscope.checkpoint.stored import Stored

#: A name or spec here, or several, into which the array is split.
Target = str | js.VariableSpec | Sequence[str | js.VariableSpec]


class Assigned(NamedTuple):
    """What a map means for a file.

    Attributes:
        stored: The file, with the parts that are asked for.
        given: Full name here -> name in it.
        problems: What is wrong with the map.
    """

    stored: Stored
    given: dict[str, str]
    problems: list[str]


def assigned(stored: Stored, specs: js.VariableSpecs, assignment_map: Mapping[str, Any]) -> Assigned:
    """Return what an assignment map means for a file and specs.

    | in the map | means |
    | --- | --- |
    | `"a/": "b/"` | each variable here under `b/` is that of the file under `a/` |
    | `"/": "b/"`, `"a/": "/"` | the same, of all that the file has, or all variables here |
    | `"a/w": "b/v"`, or a spec | one variable |
    | `"a/w": ["b/v/part_0", "b/v/part_1"]` | one variable, split along one axis |
    """
    given: dict[str, str] = {}
    problems: list[str] = []
    slices: dict[str, tuple[str, tuple[slice, ...]]] = {}

    def put(new: str, name: str) -> None:
        if given.setdefault(new, name) != name:
            problems.append(f"{new} would be both {given[new]} and {name}")

    for name, target in assignment_map.items():
        if name.endswith("/"):
            if not (isinstance(target, str) and target.endswith("/")):
                problems.append(f"{name!r} is a scope, and {target!r} none: it has to end with '/'")
                continue
            found, wrong = _scopes(stored, specs, name, target)
            problems += wrong
            for new, old in found.items():
                put(new, old)
            continue
        if name not in stored.entries:
            near = js.errors.near(name, stored.entries)
            problems.append(f"{name!r} is not in the file" + (f"; near names: {near}" if near else ""))
            continue
        if isinstance(target, str | js.VariableSpec):
            new = _name_of(target)
            if new not in matching.wanted(specs, [new]) and not matching.stacks(specs, [new]):
                problems.append(f"{new!r} is no variable of the specs")
            put(new, name)
            continue
        found_slices, wrong = _parts(stored, specs, name, [_name_of(one) for one in target])
        problems += wrong
        for new, index in found_slices.items():
            key = f"{name}[{', '.join(f'{one.start}:{one.stop}' for one in index)}]"
            slices[key] = name, index
            put(new, key)
    return Assigned(Sliced(stored, slices) if slices else stored, given, problems)


def _name_of(target: object) -> str:
    if isinstance(target, str):
        return target
    if isinstance(target, js.VariableSpec):
        return target.name
    raise TypeError(
        f"an assignment map has names, specs of variables, or lists of them, not {type(target).__name__}"
    )


def _scopes(
    stored: Stored, specs: js.VariableSpecs, name: str, target: str
) -> tuple[dict[str, str], list[str]]:
    """Return the variables under a scope here, and what is wrong."""
    old, new = ("" if scope == "/" else scope for scope in (name, target))
    there = {new + one.removeprefix(old): one for one in stored.entries if one.startswith(old)}
    wanted = [one for one in matching.wanted(specs, there) if one.startswith(new)]
    stacks = matching.stacks(wanted, there)
    inside = {member for members in stacks.values() for member in members}
    problems = [
        f"{one} would be {old + one.removeprefix(new)}, which is not in the file"
        for one in wanted
        if one not in there and one not in inside
    ]
    if not wanted:
        problems = [f"no variable of the specs is under {target!r}"]
    asked = set(wanted)
    return {one: of for one, of in there.items() if one in asked or one in stacks}, problems


def _parts(
    stored: Stored, specs: js.VariableSpecs, name: str, names: list[str]
) -> tuple[dict[str, tuple[slice, ...]], list[str]]:
    """Return which slice of an array each of the variables is that it is split into, and what is wrong."""
    unknown = [one for one in names if one not in specs]
    if not names:
        return {}, [f"{name!r} is for no variable"]
    if unknown:
        return {}, [f"{one!r} is no variable of the specs" for one in unknown]
    whole = stored.entries[name].shape
    shapes = [tuple(specs[one].shape) for one in names]
    fitting = [axis for axis in range(len(whole)) if _splits(whole, shapes, axis)]
    if len(shapes) == 1 and shapes[0] == whole:
        fitting = fitting[:1] or [0]
    if not fitting:
        return {}, [f"{name} {list(whole)} is not split along one axis into {list(map(list, shapes))}"]
    found: dict[str, tuple[slice, ...]] = {}
    start = 0
    for one, shape in zip(names, shapes, strict=True):
        index = [slice(0, size) for size in shape]
        if index:
            index[fitting[0]] = slice(start, start := start + shape[fitting[0]])
        found[one] = tuple(index)
    return found, []


def _splits(whole: tuple[int, ...], shapes: Iterable[tuple[int, ...]], axis: int) -> bool:
    shapes = list(shapes)
    others = all(
        len(shape) == len(whole) and (shape[:axis], shape[axis + 1 :]) == (whole[:axis], whole[axis + 1 :])
        for shape in shapes
    )
    return others and sum(shape[axis] for shape in shapes) == whole[axis]


def variables_to_restore(specs: js.VariableSpecs, *, name: str = AVERAGES) -> dict[str, str]:
    """Return the assignment map that puts moving averages where variables are, as TF1's evaluations did.

    Args:
        specs: The variables, as `net.spec(...)` gives them.
        name: What the averages are called; a second one of a TF1 graph is `ExponentialMovingAverage_1`.

    Returns:
        A name in the file -> full name: `w/ExponentialMovingAverage` for what is trainable, and whose average
        is no variable itself; its own name for the others. For `load(..., assignment_map=...)`.

    Source:
        `tf.train.ExponentialMovingAverage.variables_to_restore` of TF 1.15.

    Example:
        >>> net = js.transform(
        ...     lambda: [js.get_variable("w", [2]), js.get_variable("m", [2], trainable=False)]
        ... )
        >>> js.checkpoint.variables_to_restore(net.spec())
        {'w/ExponentialMovingAverage': 'w', 'm': 'm'}
    """
    if not isinstance(cast(object, specs), js.VariableSpecs):
        raise TypeError(f"specs must be those of net.spec(...), not {type(specs).__name__}")
    return {
        f"{full}/{name}" if spec.trainable and f"{full}/{name}" not in specs else full: full
        for full, spec in specs.items()
    }
