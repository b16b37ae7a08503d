"""Rules: layouts for many variables at once, by patterns of their names and by the names of their axes."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jax.sharding import PartitionSpec

from jaxscope._core.base.describe import shown
from jaxscope._core.drawing.layouts import entries_of
from jaxscope._core.variables.partitions import Misfits, partition_spec_of
from jaxscope._core.variables.spec import VariableSpec
from jaxscope.errors import InvalidShapeError, near


def by_pattern(specs: Mapping[str, VariableSpec], rules: Any) -> Iterator[VariableSpec]:
    """Return specs with the layouts that rules say; the first pattern that matches a name counts.

    Args:
        specs: By full name.
        rules: Pattern -> partitioner; `...` for all that no pattern matches.

    Raises:
        InvalidShapeError: Something is wrong with rules or layouts (code `sharding`); it lists all.
    """
    if not isinstance(rules, Mapping):
        raise _no_mapping("with_shardings", rules, '{r".*/kernel": P("data"), ...: P()}')
    table = rules
    wrong = Misfits()
    expressions = [(_compiled(key, wrong), value) for key, value in table.items() if key is not ...]
    hits = [False] * len(expressions)
    made: list[VariableSpec] = []
    for name, spec in specs.items():
        rule: Any = ...
        for at, (expression, value) in enumerate(expressions):
            if expression is not None and expression.match(name):
                hits[at] = True
                rule = value if rule is ... else rule
        if rule is ...:
            if ... not in table:
                made.append(spec)
                continue
            rule = table[...]
        try:
            found = partition_spec_of(name, rule, spec.shape, spec.dtype, spec.site, trainable=spec.trainable)
        except InvalidShapeError as problem:
            wrong.add("value", name, problem.summary)
            continue
        partition = PartitionSpec() if found is None else found
        wrong.check(name, spec.shape, partition)
        made.append(spec.replace(sharding=partition))
    for hit, (expression, _) in zip(hits, expressions, strict=True):
        if specs and expression is not None and not hit:
            wrong.add("pattern", repr(expression.pattern), f"matches no name{_meant(expression, specs)}")
    wrong.throw()
    return iter(made)


def _compiled(key: Any, wrong: Misfits) -> re.Pattern[str] | None:
    if not isinstance(key, str):
        wrong.add("pattern", shown(key), "is no regular expression, and not `...`")
        return None
    try:
        return re.compile(key)
    except re.error as problem:
        wrong.add("pattern", repr(key), f"is no regular expression: {problem}")
        return None


def _meant(expression: re.Pattern[str], names: Iterable[str]) -> str:
    inside = next((name for name in names if expression.search(name)), None)
    if inside is not None:
        return f" at its start ({'.*' + expression.pattern!r} finds {inside})"
    close = near(expression.pattern, names)
    return f" (near: {close})" if close else ""


def by_axes(specs: Mapping[str, VariableSpec], rules: Any) -> Iterator[VariableSpec]:
    """Return specs whose layouts name the axes of a mesh in the place of logical ones.

    Args:
        specs: By full name.
        rules: Logical axis -> axis of the mesh, a tuple of such, or None for one that is not split.

    Raises:
        InvalidShapeError: A layout names an axis of which the rules say nothing, or would use one of the mesh
            twice (code `sharding`); it lists all.
    """
    if not isinstance(rules, Mapping):
        raise _no_mapping("with_axes", rules, '{"embed": "data", "heads": "model"}')
    table = rules
    wrong = Misfits()
    means: dict[str, tuple[str, ...]] = {}
    for axis, given in table.items():
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
