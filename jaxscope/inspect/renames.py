"""Renames: what names became, by rules that were given; and which rules would fit, where none were."""

import difflib
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np

import jaxscope as js
from jaxscope.inspect.leaves import Leaf, flat

#: Patterns of whole names -> new names (`\1` for a group), None to leave it out; or a function of the name.
Rename = Mapping[str, str | None] | Callable[[str], str | None] | None

#: How many names of one kind are compared with how many.
_MOST = 60
#: How many rules are tried, and how many are proposed.
_TRIED, _PROPOSED = 200, 20
_ALIKE = 0.6  # of two names, as difflib measures


class Proposal(NamedTuple):
    """A rename that would fit.

    Attributes:
        pattern: As a key of `rename`.
        new: As its value.
        pairs: The names that it would bring together.
        why: `"equal content"`, or `"names"`: these are alike, and the shapes are equal.
    """

    pattern: str
    new: str
    pairs: tuple[tuple[str, str], ...]
    why: str

    def __str__(self) -> str:
        return f'r"{self.pattern}": r"{self.new}"'


def renamed(names: Iterable[str], rename: Rename) -> dict[str, str]:
    r"""Return new names by old ones; those that are left out are missing.

    Raises:
        VariablesMismatchError: A pattern matches nothing, or two names would become one (code `rename`).

    Example:
        >>> renamed(["lm/w", "n"], {r"lm/(.*)": r"gpt/\1"})
        {'lm/w': 'gpt/w', 'n': 'n'}
    """
    table = rename if isinstance(rename, Mapping) else {}
    patterns = [(re.compile(pattern), new) for pattern, new in table.items()]
    unused = dict.fromkeys(pattern.pattern for pattern, _ in patterns)
    found: dict[str, str] = {}
    taken: dict[str, str] = {}
    problems: list[str] = []
    for name in names:
        new: str | None = rename(name) if callable(rename) else name
        for pattern, template in patterns:
            if match := pattern.fullmatch(name):
                unused.pop(pattern.pattern, None)
                new = None if template is None else match.expand(template)
                break
        if new is None:
            continue
        if not isinstance(cast(object, new), str):
            raise TypeError(f"rename must give a name or None, not {type(new).__name__}, as for {name!r}")
        if new in taken:
            problems.append(f"{taken[new]} and {name} would both be {new}")
        found[name], taken[new] = new, name
    problems += [f"{pattern!r} matches no whole name" for pattern in unused]
    if problems:
        raise js.errors.VariablesMismatchError(
            "rename does not fit the names",
            code="rename",
            rename="\n".join(problems),
            fix="each pattern has to match whole names of the first set, as lm/(.*) does",
        )
    return found


def proposed(here: Sequence[Leaf], there: Sequence[Leaf]) -> list[Proposal]:
    """Return renames that would bring names together of which only one side has each.

    Names go together where the contents are equal, and of these no others are; else where names are alike
    and shapes are equal. What many pairs have in common is one rule.

    Args:
        here: What only the first side has.
        there: What only the second side has.
    """
    old, new = {leaf.name: leaf for leaf in here}, {leaf.name: leaf for leaf in there}
    sure = _by_content(old, new)
    candidates = Counter(_rule(*pair) for pair in sure.items())
    candidates.update(_rule(*pair) for pair in _alike_at_the_end(old, new))
    found: list[Proposal] = []
    left = dict(old)
    free = dict(new)

    def take(pattern: str, to: str, pairs: list[tuple[str, str]]) -> None:
        why = "equal content" if all(sure.get(one) == other for one, other in pairs) else "names"
        found.append(Proposal(pattern, to, tuple(pairs), why))
        for one, other in pairs:
            del left[one], free[other]

    rules = [rule for rule, _ in candidates.most_common(_TRIED)]
    while rules and len(found) < _PROPOSED:
        fitting = [(rule, _fitting(rule, left, free, sure)) for rule in rules]
        (before, after), pairs = max(fitting, key=lambda one: len(one[1]))
        if len(pairs) < 2:
            break
        take(re.escape(before) + "(.*)", _template(after) + r"\1", pairs)
    for one, other in sure.items():
        if one in left and other in free and len(found) < _PROPOSED:
            take(re.escape(one), _template(other), [(one, other)])
    for one in list(left)[:_MOST]:
        fits = [name for name, leaf in free.items() if leaf.shape == left[one].shape][:_MOST]
        close = difflib.get_close_matches(one, fits, n=1, cutoff=_ALIKE)
        if close and len(found) < _PROPOSED:
            take(re.escape(one), _template(close[0]), [(one, close[0])])
    return found


def _by_content(old: Mapping[str, Leaf], new: Mapping[str, Leaf]) -> dict[str, str]:
    """Return the names whose contents are equal to those of one other, and of no more."""
    shared = {leaf.type for leaf in old.values()} & {leaf.type for leaf in new.values()}

    def contents(leaves: Mapping[str, Leaf]) -> dict[Any, list[str]]:
        made: dict[Any, list[str]] = {}
        for name, leaf in leaves.items():
            if leaf.read is not None and leaf.type in shared and leaf.elements > 1:
                made.setdefault((leaf.type, _digest(leaf.read())), []).append(name)
        return made

    here, there = contents(old), contents(new)
    return {
        names[0]: there[content][0]
        for content, names in here.items()
        if len(names) == 1 and len(there.get(content, ())) == 1
    }


def _digest(value: Any) -> bytes:
    return hashlib.blake2b(flat(value).view(np.uint8).data, digest_size=16).digest()


def _alike_at_the_end(old: Mapping[str, Leaf], new: Mapping[str, Leaf]) -> Iterable[tuple[str, str]]:
    """Yield pairs of names that end alike, of arrays of one shape."""
    ends: dict[Any, list[str]] = {}
    for name, leaf in new.items():
        ends.setdefault((name.rpartition("/")[2], leaf.shape), []).append(name)
    looked_at: Counter[Any] = Counter()
    for name, leaf in old.items():
        end = name.rpartition("/")[2], leaf.shape
        looked_at[end] += 1
        if looked_at[end] <= _MOST:
            yield from ((name, other) for other in ends.get(end, ())[:_MOST])


def _rule(one: str, other: str) -> tuple[str, str]:
    """Return what two names begin with, up to the words that they end with both."""
    first, second = one.split("/"), other.split("/")
    while first and second and first[-1] == second[-1]:
        first, second = first[:-1], second[:-1]
    return "".join(f"{word}/" for word in first), "".join(f"{word}/" for word in second)


def _fitting(
    rule: tuple[str, str], old: Mapping[str, Leaf], new: Mapping[str, Leaf], sure: Mapping[str, str]
) -> list[tuple[str, str]]:
    """Return the pairs that a rule brings together."""
    before, after = rule
    pairs = [(name, after + name.removeprefix(before)) for name in old if name.startswith(before)]
    return [
        (one, other)
        for one, other in pairs
        if other in new and new[other].shape == old[one].shape and sure.get(one, other) == other
    ]


def _template(name: str) -> str:
    return name.replace("\\", r"\\")
