"""Matching: one value for each variable, by patterns on full names; masks and labels for optax."""

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from types import EllipsisType
from typing import Any, cast

import jax

import jaxscope as js
from jaxscope.optim.naming import as_tree, is_array, map_named, named

#: A regular expression that full names match at their start, or a predicate of (full name, value).
Pattern = str | re.Pattern[str] | Callable[[str, Any], bool]

_SHOWN = 30  # names in an error
_LAYERS = 1000  # how many are tried, over all levels, where no array tells their number


def match(tree: Any, rules: Mapping[Pattern | EllipsisType, Any]) -> Any:
    """Return a tree of values chosen by name: a mask for `optax.masked`, labels for `optax.multi_transform`.

    Of several patterns that match a name, the first decides. A stack of layers, `layer_{}/w`, has the value
    of its layers `layer_0/w`, `layer_1/w`, ..., and may be meant as `layer_{}/w`, too.

    Args:
        tree: What has names: variables, their specs, gradients, a dict of full names, or dicts of dicts.
            Give the part that the optimizer is given, often `variables.trainable`: masks and labels fit what
            they were made for.
        rules: Pattern -> value, in order. A pattern is a regular expression that must match at the start of a
            full name, as in `Variables.select` (end it with `$` to match no longer names), or a predicate of
            (full name, value); of a layer in a stack, the value is its `jax.ShapeDtypeStruct`. The key `...`
            stands for all names that are left.

    Returns:
        A tree of the structure of `tree` (`Variables` for specs) with the values as its leaves.

    Raises:
        VariableNotFoundError: Regular expressions match no name (code `nothing_matches`). The error lists all
            of them, and the names that are left.
        VariablesMismatchError: Without `...`, names are left (code `unlabelled`); or the tree is no mapping.
        MergeError: The layers of a stack have different values.
        TypeError: The rules are no mapping, or a pattern is neither a string nor a predicate.

    Example:
        >>> import jaxscope as js, optax
        >>> variables = js.Variables({"dense/kernel": jnp.ones([2, 2]), "dense/bias": jnp.ones(2)})
        >>> mask = js.optim.match(variables, {r".*/bias": False, ...: True})
        >>> mask
        Variables({
          dense/bias: False
          dense/kernel: True
        })
        >>> optimizer = optax.chain(optax.adam(1e-3), optax.masked(optax.add_decayed_weights(1e-4), mask))
    """
    tree = as_tree(tree)
    if not isinstance(cast(object, rules), Mapping):
        raise TypeError(f"rules are a mapping of patterns to values, not {type(rules).__name__}")
    patterns = [(pattern, value) for pattern, value in rules.items() if not isinstance(pattern, EllipsisType)]
    decide = _Decision([pattern for pattern, _ in patterns])
    values = named(tree)
    chosen = {name: decide(name, value) for name, value in values.items()}
    left = [name for name, found in chosen.items() if None in found] if ... not in rules else []
    idle = [pattern for at, (pattern, _) in enumerate(patterns) if at not in decide.used]
    idle = [pattern for pattern in idle if not callable(pattern)]
    if values and (idle or left):
        raise _unmatched(idle, left, list(values))
    results = [value for _, value in patterns]
    made: dict[str, Any] = {}
    unlike: dict[str, list[Any]] = {}
    for name, found in chosen.items():
        possible = [rules[...] if at is None else results[at] for at in found]
        if not all(_same(value, possible[0]) for value in possible):
            unlike[name] = possible
        made[name] = possible[0]
    if unlike:
        raise js.errors.MergeError(
            "layers that are stacked have different values",
            stacks="\n".join(f"{name}: {_distinct(possible)}" for name, possible in unlike.items()),
            fix="use patterns that match all layers of a stack, or unstack the variables",
        )
    return map_named(lambda name, _: made[name], tree)


class _Decision:
    """Which pattern decides about a name, and which have matched any.

    Attributes:
        used: The numbers of the patterns that match a name, whether or not an earlier one does.
    """

    def __init__(self, patterns: list[Pattern]) -> None:
        self.predicates = [_predicate(pattern) for pattern in patterns]
        self.used: set[int] = set()

    def __call__(self, name: str, value: Any) -> list[int | None]:
        """Return the number of the first pattern that matches, or None: one for each layer of a stack."""
        found: list[int | None] = []
        for layer, part in _layers(name, value):
            matches = [at for at, predicate in enumerate(self.predicates) if predicate(name, layer, part)]
            self.used.update(matches)
            found.append(matches[0] if matches else None)
        return found


def _predicate(pattern: Pattern) -> Callable[[str, str, Any], bool]:
    """Return a pattern as a predicate of (the name of a stack, that of a layer, its value)."""
    if callable(pattern):
        return lambda _, layer, value: bool(pattern(layer, value))
    if not isinstance(cast(object, pattern), str | re.Pattern):
        raise TypeError(f"a pattern is a string or a predicate of (full name, value), not {pattern!r}")
    try:
        matches = re.compile(pattern).match
    except re.error:
        return lambda *_: False  # told with what matches nothing
    return lambda stack, layer, _: bool(matches(layer) or matches(stack))


def _layers(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield name and value (as a type) of the layers in a stack; of what is no stack, its own."""
    between = name.split("{}")
    levels = len(between) - 1
    if not levels:
        yield name, value
        return
    sizes = (round(_LAYERS ** (1 / levels)),) * levels
    if is_array(value) and len(value.shape) >= levels:
        sizes = tuple(value.shape[:levels])
        value = jax.ShapeDtypeStruct(value.shape[levels:], value.dtype)
    if 0 in sizes:
        yield name, value
    for numbers in itertools.product(*map(range, sizes)):
        yield "".join(itertools.chain(*zip(between, [*map(str, numbers), ""], strict=True))), value


def _same(one: Any, other: Any) -> bool:
    if one is other:
        return True
    equal: Any = type(one) is type(other) and one == other
    return bool(equal.all()) if is_array(equal) else bool(equal)


def _distinct(values: list[Any]) -> str:
    return ", ".join(dict.fromkeys(map(repr, values)))


def _unmatched(idle: list[Any], left: list[str], names: list[str]) -> js.errors.JaxscopeError:
    """Return the error of patterns that match nothing, and of names that no pattern matches."""
    remain = f"{len(left)} of {len(names)} names match no pattern"
    listed = "\n".join([*left[:_SHOWN], *([f"({len(left) - _SHOWN} more)"] if len(left) > _SHOWN else [])])
    if not idle:
        return js.errors.VariablesMismatchError(
            remain, code="unlabelled", left=listed, fix="add patterns for them, or a default: ...: value"
        )
    matches = "pattern matches" if len(idle) == 1 else "patterns match"
    return js.errors.VariableNotFoundError(
        f"{len(idle)} {matches} no name" + (f", and {remain}" if left else ""),
        code="nothing_matches",
        patterns="\n".join(_told(getattr(pattern, "pattern", pattern), names) for pattern in idle),
        left=listed,
        fix="use patterns that match at the start of full names, or leave these out",
    )


def _told(pattern: str, names: list[str]) -> str:
    """Return a pattern that matches nothing, with what may have been meant."""
    try:
        inside = next((name for name in names if re.search(pattern, name)), None)
    except re.error as problem:
        return f"{pattern!r}: no regular expression, {problem}"
    if inside is not None:
        return f"{pattern!r}: only {'.*' + pattern!r} matches, {inside!r} for instance"
    parts = [name.split("/") for name in names]
    scopes = {"/".join(part[:end]) + "/" for part in parts for end in range(1, len(part))}
    bare = pattern.removeprefix("^").removeprefix(".*").strip("/$")
    near = (
        js.errors.near(pattern, scopes)
        or js.errors.near(pattern, names)
        or js.errors.near(bare, {piece for part in parts for piece in part})
    )
    return f"{pattern!r}" + (f": near {near}" if near else "")
