"""Rules: partitions for many variables at once, by patterns of their names and by the names of their axes."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jax.sharding import PartitionSpec

from jaxscope._core.base.describe import shown
from jaxscope._core.drawing.axes import entries_of
from jaxscope._core.variables.partitioner import partition_spec_of
from jaxscope._core.variables.sharding_errors import Misfits
from jaxscope._core.variables.spec import VariableSpec
from jaxscope.errors import InvalidShapeError, near


def by_pattern(specs: Mapping[str, VariableSpec], rules: Any) -> Iterator[VariableSpec]:
    """Return specs with the partitions that rules say; the first pattern that matches a name counts.

    Args:
        specs: By full name.
        rules: Pattern -> partitioner; `...` for all that no pattern matches.

    Raises:
        InvalidShapeError: Something is wrong with rules or partitions (code `sharding`); it lists all.
    """
    if not isinstance(rules, Mapping):
        raise _no_mapping("with_shardings", rules, '{r".*/kernel": P("data"), ...: P()}')
    wrong = Misfits()
    patterns = [_Pattern(key, value, wrong) for key, value in rules.items() if key is not ...]
    made: list[VariableSpec] = []
    for name, spec in specs.items():
        matching = [pattern for pattern in patterns if pattern.matches(spec)]
        if not matching and ... not in rules:
            made.append(spec)
            continue
        partitioner = matching[0].value if matching else rules[...]
        try:
            found = partition_spec_of(
                name, partitioner, spec.shape, spec.dtype, spec.site, trainable=spec.trainable
            )
        except InvalidShapeError as problem:
            wrong.add("value", name, problem.summary)
            continue
        partition = PartitionSpec() if found is None else found
        wrong.check(name, spec.shape, partition)
        made.append(spec.replace(sharding=partition))
    for pattern in patterns:
        if specs and pattern.expression is not None and not pattern.used:
            given = pattern.expression.pattern
            wrong.add("pattern", repr(given), f"matches no name{_meant(pattern.expression, specs)}")
    wrong.throw()
    return iter(made)


class _Pattern:
    """A pattern of the rules, and what has become of it."""

    def __init__(self, key: Any, value: Any, wrong: Misfits) -> None:
        self.value = value
        self.used = False
        self.expression: re.Pattern[str] | None = None
        self._predicate = key if callable(key) else None
        if isinstance(key, str | re.Pattern):
            try:
                self.expression = re.compile(key)
            except re.error as problem:
                wrong.add("pattern", repr(key), f"is no regular expression: {problem}")
        elif self._predicate is None:
            wrong.add("pattern", shown(key), "is neither a regular expression, nor a predicate, nor `...`")

    def matches(self, spec: VariableSpec) -> bool:
        """Tell whether it matches a variable."""
        if self.expression is None:
            return self._predicate is not None and bool(self._predicate(spec))
        found = self.expression.match(spec.name) is not None
        self.used = self.used or found
        return found


def _meant(expression: re.Pattern[str], names: Iterable[str]) -> str:
    inside = next((name for name in names if expression.search(name)), None)
    if inside is not None:
        return f" at its start ({'.*' + expression.pattern!r} finds {inside})"
    close = near(expression.pattern, names)
    return f" (near: {close})" if close else ""


def by_axes(specs: Mapping[str, VariableSpec], rules: Any) -> Iterator[VariableSpec]:
    """Return specs whose partitions name the axes of a mesh in the place of logical ones.

    Args:
        specs: By full name.
        rules: Logical axis -> axis of the mesh, a tuple of such, or None for one that is not split.

    Raises:
        InvalidShapeError: A partition names an axis of which the rules say nothing, or would use one of the
            mesh twice (code `sharding`); it lists all.
    """
    if not isinstance(rules, Mapping):
        raise _no_mapping("with_axes", rules, '{"embed": "data", "heads": "model"}')
    wrong = Misfits()
    means: dict[str, tuple[str, ...]] = {}
    for axis, given in rules.items():
        names = _names(given)
        if not isinstance(axis, str) or names is None:
            wrong.add("value", f"{shown(axis)}: {shown(given)}", "names no axis, nor several, nor None")
        else:
            means[axis] = names
    there = {name for names in means.values() for name in names}
    made: list[VariableSpec] = []
    for name, spec in specs.items():
        if spec.sharding is None:
            made.append(spec)
            continue
        entries: list[Any] = []
        partition = spec.partition_spec()
        for entry in entries_of(partition):
            found: list[str] = []
            for axis in _names(entry) or ():
                if axis not in means and axis not in there:  # nor is it the mesh's own
                    close = near(axis, means)
                    wrong.add(
                        "unknown", name, f"no rule for axis {axis!r}{f' (near: {close})' if close else ''}"
                    )
                found += means.get(axis, (axis,))
            entries.append(tuple(found) if len(found) > 1 else found[0] if found else None)
        mapped = PartitionSpec(*entries, unreduced=partition.unreduced, reduced=partition.reduced)
        wrong.check(name, spec.shape, mapped)
        made.append(spec.replace(sharding=mapped))
    wrong.throw()
    return iter(made)


def _names(given: Any) -> tuple[str, ...] | None:
    """Return the names of axes in an entry; None where it is something else."""
    if given is None:
        return ()
    entry: tuple[Any, ...] = given if isinstance(given, tuple) else (given,)
    return entry if all(isinstance(name, str) for name in entry) else None


def _no_mapping(what: str, given: Any, example: str) -> InvalidShapeError:
    return InvalidShapeError(
        f"{what} takes a mapping, not {shown(given)}", code="sharding", fix=f"pass one, such as {example}"
    )
