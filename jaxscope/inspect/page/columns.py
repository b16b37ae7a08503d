"""Columns: ten thousand names, numbers and words as little JSON that is still read by eye."""

import math
from collections.abc import Iterable, Sequence
from typing import Any


def front_coded(names: Sequence[str]) -> dict[str, list[Any]]:
    """Return names, of each what it does not begin with as the one before does.

    Returns:
        `same`: how many parts, between slashes, are those of the name before; `rest`: the others.

    Example:
        >>> front_coded(["gpt/h0/w", "gpt/h0/b", "gpt"])
        {'same': [0, 2, 0], 'rest': ['gpt/h0/w', 'b', 'gpt']}
    """
    same: list[int] = []
    rest: list[str] = []
    before: list[str] = []
    for name in names:
        parts = name.split("/")
        most, at = min(len(parts), len(before)) - 1, 0
        while at < most and parts[at] == before[at]:
            at += 1
        same.append(at)
        rest.append("/".join(parts[at:]) if at else name)
        before = parts
    return {"same": same, "rest": rest}


def coded(values: Iterable[Any]) -> dict[str, Any]:
    """Return values of which many are equal: each once, and which of them is where; one number for all alike.

    Example:
        >>> coded(["f32", "i32", "f32"]), coded(["f32", "f32"])
        ({'of': ['f32', 'i32'], 'at': [0, 1, 0]}, {'of': ['f32'], 'at': 0})
    """
    of: dict[Any, int] = {}
    at = [of.setdefault(value, len(of)) for value in values]
    return {"of": list(of), "at": at if len(of) > 1 else 0}


def rounded(values: Iterable[float | None]) -> list[Any]:
    """Return numbers to four digits, as tables show them; None for what is not finite.

    Example:
        >>> rounded([0.123456, 3.0, float("nan"), None])
        [0.1235, 3.0, None, None]
    """
    numbers = tuple([math.nan if value is None else value for value in values])
    text = "%.4g " * len(numbers) % numbers  # one by one would take four times as long
    return [
        short if math.isfinite(short) else value if math.isfinite(value) else None  # the largest
        for value, short in zip(numbers, map(float, text.split()), strict=True)
    ]
