"""Matching: which names a pattern means, and what to say where it means none."""

import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from jaxscope._core.base.describe import shown
from jaxscope.errors import VariableNotFoundError, near

#: A regular expression that full names match at their start, or a predicate of (full name, value).
Pattern = str | Callable[[str, Any], bool]


def matching(pattern: str, full_names: Sequence[str]) -> list[bool]:
    """Tell for each name whether a regular expression matches at its start, as in TF1's `get_collection`.

    Raises:
        VariableNotFoundError: There are names, and it matches none (code `nothing_matches`): most often it
            has a slip, and an empty result would go unnoticed.

    Example:
        >>> matching("a/", ["a/w", "b/w"])
        [True, False]
    """
    expression = re.compile(pattern)
    found = [expression.match(name) is not None for name in full_names]
    if full_names and not any(found):
        inside = next((name for name in full_names if expression.search(name)), None)
        raise _nothing(
            f"no variable's name matches {shown(pattern)}",
            pattern,
            full_names,
            fix="use a pattern that matches at the start of a full name"
            if inside is None
            else f"a pattern matches at the start of a full name: {'.*' + pattern!r} finds {shown(inside)}",
        )
    return found


def flags(pattern: Pattern, values: Mapping[str, Any]) -> list[bool]:
    """Tell for each name whether it is meant.

    Raises:
        VariableNotFoundError: As `matching`.
        TypeError: A predicate takes no two arguments.
    """
    if isinstance(pattern, str):
        return matching(pattern, list(values))
    try:
        inspect.signature(pattern).bind("", None)
    except TypeError as problem:
        raise TypeError(f"a predicate is called with a full name and a value; here: {problem}") from None
    except ValueError:  # Python knows no signature
        pass
    return [bool(pattern(name, value)) for name, value in values.items()]


def renamer(
    mapping: Mapping[str, str] | Callable[[str], str] | str, prefix: str | None, known: Iterable[str]
) -> Callable[[str], str]:
    """Return the function of a full name that `rename` means.

    Args:
        mapping: Old name -> new name, a function, or what the names to change begin with.
        prefix: In that last case, what they begin with then.
        known: The names that there are.

    Raises:
        TypeError: The two do not go together.
        VariableNotFoundError: A name to rename is not there, or no name begins so (code `nothing_matches`).
    """
    listed = frozenset(known)
    if isinstance(mapping, str) and isinstance(prefix, str):
        if listed and not any(name.startswith(mapping) for name in listed):
            raise _nothing(
                f"no variable's name begins with {shown(mapping)}",
                mapping,
                listed,
                fix="use the beginning of a name that exists",
            )
        return lambda name: prefix + name[len(mapping) :] if name.startswith(mapping) else name
    if isinstance(mapping, str) or prefix is not None:
        raise TypeError(
            "rename takes a mapping, a function, or two strings: what names begin with, and what instead"
        )
    if callable(mapping):
        return mapping
    table = dict(mapping)
    for name in table:
        if name not in listed:
            raise not_found(name, listed)
    return lambda name: table.get(name, name)


def _nothing(summary: str, asked: str, full_names: Iterable[str], fix: str) -> VariableNotFoundError:
    # What people mean is as often a scope as a variable.
    listed = list(full_names)
    scopes = {f"{scope}/" for name in listed for scope in _scopes(name)}
    return VariableNotFoundError(
        summary, code="nothing_matches", near=near(asked, scopes) or near(asked, listed), fix=fix
    )


def _scopes(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[:end]) for end in range(1, len(parts))]


def no_entry(kind: str, name: object, known: Mapping[str, Any]) -> KeyError:
    """Return the `KeyError` for a name that a set of variables, or of specs, does not have."""
    close = near(str(name), known)
    if isinstance(name, str) and any(other.startswith(f"{name.rstrip('/')}/") for other in known):
        return KeyError(
            f"no {kind} {name!r}, which is a scope: select({name.rstrip('/') + '/'!r}) has what is in it"
        )
    return KeyError(f"no {kind} {shown(name)}" + (f"; near names: {close}" if close else ""))


def not_found(name: str, known: Iterable[str]) -> VariableNotFoundError:
    """Return the error for a name that should be among others, and is not."""
    return VariableNotFoundError(
        f"there is no variable {name!r}", near=near(name, known), fix="use a name that exists"
    )
