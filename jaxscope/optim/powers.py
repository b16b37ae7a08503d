"""Beta powers: TF1's Adam keeps `beta ** (steps + 1)` where others count steps; from one to the other."""

import functools
import math
from typing import Any

import numpy as np

#: TF1 rounds what is smaller to 0.
_TINY = float(np.finfo(np.float32).tiny)
_MOST = 50_000_000  # steps until a power is 0; beyond, beta is as good as 1


@functools.lru_cache(maxsize=4)
def _sequence(beta: float) -> np.ndarray[Any, Any]:
    """Return what TF1 keeps after 0, 1, 2, ... steps, until it is 0: float32, rounded at each step.

    Raises:
        ValueError: `beta` is not at least 0 and less than 1, or so near to 1 that its powers do not end.
    """
    factor = np.float32(beta)
    if not 0 <= factor < 1 or (factor > 0 and math.log(_TINY) / math.log(factor) > _MOST):
        raise ValueError(f"a decay rate of Adam is at least 0 and less than 1, not {beta}")
    if factor == 0:
        return np.zeros(0, np.float32)
    length = math.ceil(math.log(_TINY) / math.log(factor)) + 2
    powers = np.cumprod(np.full(length, factor), dtype=np.float32)
    return powers[powers >= _TINY]


def power_after(beta: float, count: int) -> np.float32:
    """Return what TF1 keeps after `count` steps.

    Example:
        >>> power_after(0.9, 0), power_after(0.9, 1), power_after(0.9, 10_000)
        (np.float32(0.9), np.float32(0.80999994), np.float32(0.0))
    """
    powers = _sequence(beta)
    return np.float32(powers[count]) if count < len(powers) else np.float32(0)


def least_count(beta: float) -> int:
    """Return the least number of steps after which what TF1 keeps is 0."""
    return len(_sequence(beta))


def count_of(beta: float, power: float) -> int | None:
    """Return after how many steps TF1 keeps `power`; None where that is 0, which tells no number.

    Raises:
        ValueError: It is no power of `beta`.

    Example:
        >>> count_of(0.9, 0.80999994), count_of(0.9, 0.0)
        (1, None)
    """
    if 0 <= power < _TINY:
        return None
    powers = _sequence(beta)
    above = len(powers) - int(np.searchsorted(powers[::-1], power))
    nearest = min(
        (at for at in (above - 1, above) if 0 <= at < len(powers)),
        key=lambda at: abs(float(powers[at]) - power),
        default=None,
    )
    if nearest is None or not abs(float(powers[nearest]) / power - 1) < (1 - beta) / 10:
        raise ValueError(f"{power} is no power of {beta}")
    return nearest
