"""Matching: which array of a file is which variable, by rename patterns, names, and stacks of layers."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import cast

import jaxscope as js

#: Patterns of whole names in a file -> what they are called here (`\1` for a group), None for none of it; or
#: a function of the name that returns the same.
Rename = Mapping[str, str | None] | Callable[[str], str | None] | None

_NUMBER = r"(?:0|[1-9][0-9]{0,8}|\{\})"


def renamed(names: Iterable[str], rename: Rename) -> tuple[dict[str, str], list[str]]:
    r"""Return the names in a file by the names here, and what is wrong with the patterns.

    The first pattern that matches a whole name counts. What is renamed to None is left out.

    Example:
        >>> renamed(["lm/w", "lm/b", "n"], {r"lm/(.*)": r"gpt/\1", "n": None})
        ({'gpt/w': 'lm/w', 'gpt/b': 'lm/b'}, [])
    """
    table = rename if isinstance(rename, Mapping) else {}
    patterns = [(re.compile(pattern), new) for pattern, new in table.items()]
    unused = {pattern.pattern for pattern, _ in patterns}
    found: dict[str, str] = {}
    problems: list[str] = []
    for name in names:
        new: str | None = rename(name) if callable(rename) else name
        for pattern, template in patterns:
            if match := pattern.fullmatch(name):
                unused.discard(pattern.pattern)
                new = None if template is None else match.expand(template)
                break
        if new is None:
            continue
        if not isinstance(cast(object, new), str):
            raise TypeError(f"rename must give a name or None, not {type(new).__name__}, as for {name!r}")
        if new in found:
            problems.append(f"{found[new]} and {name} would both be {new}")
        found[new] = name
    problems += [f"{pattern!r} matches no whole name in the file" for pattern in unused]
    return found, sorted(problems)


def wanted(specs: js.VariableSpecs, given: Iterable[str]) -> dict[str, js.VariableSpec]:
    """Return the specs to be found, by name: those of layers for a stack that is given layer by layer."""
    names = set(given)
    found: dict[str, js.VariableSpec] = {}
    for name, spec in specs.items():
        layers = js.VariableSpecs([spec]).unstack() if "{}" in name and name not in names else {}
        found |= layers if any(layer in names for layer in layers) else {name: spec}
    return found


def stacks(specs: Iterable[str], given: Iterable[str]) -> dict[str, list[str]]:
    """Return the stacks of layers among given names that have a variable of the specs, and which."""
    made = {name: re.compile(re.escape(name).replace(r"\{\}", _NUMBER)) for name in given if "{}" in name}
    asked = list(specs) if made else []
    found = {
        name: [one for one in asked if one != name and pattern.fullmatch(one)]
        for name, pattern in made.items()
    }
    return {name: members for name, members in found.items() if members}
