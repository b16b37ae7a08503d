"""Assignment maps, as of TF1's `init_from_checkpoint`: what a file has -> the variables here it is for."""

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, cast

import jaxscope as js
from jaxscope.checkpoint import matching
from jaxscope.checkpoint.beside import AVERAGES
from jaxscope.checkpoint.slicing import Sliced
from jaxscope.checkpoint.stored import Stored
from jaxscope.errors import near

#: What TF1's partitioners put behind a variable's name.
_PART = re.compile(r"/part_[0-9]+\Z")
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
    | `"a/w": ["b/v", "b/u"]` | one variable, split along one axis |

    Where the specs have `v/part_0`, `v/part_1` and so on, as TF1's partitioners call them, they are `v`.
    """
    made = _Assignments(stored, specs)
    for name, target in assignment_map.items():
        if name.endswith("/"):
            made.scope(name, target)
        else:
            made.variable(name, target)
    return Assigned(Sliced(stored, made.slices) if made.slices else stored, made.given, made.problems)


class _Assignments:
    """What is assigned so far, and what is wrong with it."""

    def __init__(self, stored: Stored, specs: js.VariableSpecs) -> None:
        self._stored, self._specs = stored, specs
        self.given: dict[str, str] = {}
        self.problems: list[str] = []
        self.slices: dict[str, tuple[str, tuple[slice, ...]]] = {}

    def _put(self, new: str, name: str) -> None:
        if self.given.setdefault(new, name) != name:
            self.problems.append(f"{new} would be both {self.given[new]} and {name}")

    def variable(self, name: str, target: Target) -> None:
        """Assign one array of the file."""
        if name not in self._stored.entries:
            close = near(name, self._stored.entries)
            self.problems.append(f"{name!r} is not in the file" + (f"; near names: {close}" if close else ""))
        elif not isinstance(target, str | js.VariableSpec):
            self._split(name, [_name_of(one) for one in target])
        elif parts := self._parts_of(_name_of(target)):
            self._split(name, parts)
        else:
            new = _name_of(target)
            if not self._is_known(new):
                self.problems.append(f"{new!r} is no variable of the specs")
            self._put(new, name)

    def _is_known(self, new: str) -> bool:
        """Tell whether a name is a variable's, or that of a layer or of a stack of some."""
        if new in self._specs:  # else it takes a look at all of them
            return True
        return new in matching.wanted(self._specs, [new]) or bool(matching.stacks(self._specs, [new]))

    def _parts_of(self, new: str) -> list[str]:
        """Return the parts that specs have of a variable, if they have parts, and not the variable."""
        numbers = itertools.takewhile(lambda number: f"{new}/part_{number}" in self._specs, itertools.count())
        return [] if new in self._specs else [f"{new}/part_{number}" for number in numbers]

    def scope(self, name: str, target: Target) -> None:
        """Assign what the file has under a scope."""
        if not (isinstance(target, str) and target.endswith("/")):
            self.problems.append(f"{name!r} is a scope, and {target!r} none: it has to end with '/'")
            return
        old, new = ("" if scope == "/" else scope for scope in (name, target))
        there = {new + one.removeprefix(old): one for one in self._stored.entries if one.startswith(old)}
        wanted = [one for one in matching.wanted(self._specs, there) if one.startswith(new)]
        if not wanted:
            self.problems.append(f"no variable of the specs is under {target!r}")
        stacks = matching.stacks(wanted, there)
        inside = {member for members in stacks.values() for member in members}
        for one in wanted:
            whole = _PART.sub("", one)
            if one in there:
                self._put(one, there[one])
            elif whole in there and one in (parts := self._parts_of(whole)):
                if one == parts[0]:
                    self._split(there[whole], parts)
            elif one not in inside:
                source = old + one.removeprefix(new)
                self.problems.append(f"{one} would be {source}, which is not in the file")
        for one in stacks:
            self._put(one, there[one])

    def _split(self, name: str, names: list[str]) -> None:
        """Assign an array of the file to variables that are parts of it."""
        if not names:
            self.problems.append(f"{name!r} is for no variable")
        unknown = [one for one in names if one not in self._specs]
        self.problems += [f"{one!r} is no variable of the specs" for one in unknown]
        if unknown or not names:
            return
        whole = self._stored.entries[name].shape
        shapes = [tuple(self._specs[one].shape) for one in names]
        fitting = [axis for axis in range(len(whole)) if _splits(whole, shapes, axis)]
        if not fitting and shapes != [whole]:
            said = list(map(list, shapes))
            self.problems.append(f"{name} {list(whole)} is not split along one axis into {said}")
            return
        start = 0
        for one, shape in zip(names, shapes, strict=True):
            index = [slice(0, size) for size in shape]
            if fitting:
                axis = fitting[0]
                index[axis] = slice(start, start := start + shape[axis])
            key = f"{name}[{', '.join(f'{at.start}:{at.stop}' for at in index)}]"
            self.slices[key] = name, tuple(index)
            self._put(one, key)


def _name_of(target: object) -> str:
    if isinstance(target, str):
        return target
    if isinstance(target, js.VariableSpec):
        return target.name
    raise TypeError(
        f"an assignment map has names, specs of variables, or lists of them, not {type(target).__name__}"
    )


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
