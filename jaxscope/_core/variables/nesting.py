"""Nesting: full names as a dict of dicts, one level for each part, and back."""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from jaxscope._core.base import names
from jaxscope.errors import MergeError


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values by full name as a dict of dicts."""
    tree: dict[str, Any] = {}
    for name in values:
        # A variable that is also a scope would have to be a leaf and a dict at once.
        *scopes, _ = itertools.accumulate(name.split("/"), names.join)
        if any(scope in values for scope in scopes):
            raise MergeError(
                f"variable {name!r} is in a scope whose name is also a variable's",
                fix="keep the flat mapping, or rename one of the two",
            )
    for name, value in values.items():
        *scope, last = name.split("/")
        level = tree
        for part in scope:
            level = level.setdefault(part, {})
        level[last] = value
    return tree


def leaves(tree: Mapping[Any, Any], scope: str = "") -> Iterator[tuple[str, Mapping[str, Any], str]]:
    """Yield the full name of each value in a mapping of mappings, what holds it, and its key there."""
    for key, value in tree.items():
        names.check_string(key, "variable", "")
        full = names.join(scope, key)
        if isinstance(value, Mapping):
            yield from leaves(value, full)
        else:
            yield full, tree, key


def way_out(given: Mapping[str, Any], missing: Iterable[str]) -> str | None:
    """Return what to do about a mapping that has variables, but inside of mappings in it; else None.

    Args:
        given: What was given as a mapping of full names to arrays.
        missing: The full names of variables that it does not have.

    Example:
        >>> way_out({"dense": {"kernel": 1}}, ["dense/kernel"])
        'the mapping is nested: js.Variables.from_nested(tree) gives its values their full names'
        >>> way_out({"params": {"dense/kernel": 1}}, ["dense/kernel"])
        "give what is inside of 'params', which is no scope here"
        >>> way_out({"dense": {"bias": 1}}, ["dense/kernel"])
    """
    names = list(missing)
    if any(_is_nested(given, name) for name in names):
        return "the mapping is nested: js.Variables.from_nested(tree) gives its values their full names"
    for wrapper in ("params", "variables", "state"):  # as other libraries call what is in them
        inside = given.get(wrapper)
        if isinstance(inside, Mapping):
            inner = cast("Mapping[str, Any]", inside)
            nests = any(_is_nested(inner, name) for name in names)
            if nests or any(name in inner for name in names):
                then = ", by js.Variables.from_nested" if nests else ""
                return f"give what is inside of {wrapper!r}, which is no scope here{then}"
    return None


def _is_nested(given: Mapping[str, Any], name: str) -> bool:
    """Tell whether a mapping has a variable, not under its full name, but in a mapping inside it."""
    parts = name.split("/")
    for end in range(1, len(parts)):
        # Haiku's scopes are one level each, whatever slashes their names have.
        scope, rest = "/".join(parts[:end]), "/".join(parts[end:])
        inside = given.get(scope)
        if isinstance(inside, Mapping) and (
            rest in inside or _is_nested(cast("Mapping[str, Any]", inside), rest)
        ):
            return True
    return False
