"""Histograms of arrays, beside their statistics: small arrays together, each large one where it is.

A count is kept as one character, in steps of a factor of the square root of two: bars are drawn by the
logarithm anyway, and so ten thousand variables need 200 kB.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxscope.inspect import statistics
from jaxscope.inspect.leaves import on_host
from jaxscope.inspect.statistics import Statistics

#: How many bins there are from the least finite element to the greatest.
BINS = 20
#: What a count is written as: `0` for none, `1` for one, and a character further for each factor of sqrt(2).
LEVELS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

#: How many elements of small arrays are counted together.
_TOGETHER = 2**20


def of_all(values: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Statistics, str]]:
    """Yield the statistics and the histogram of arrays by name, in another order.

    Args:
        values: Names and arrays of numbers, each let go of before the next large one is asked for.

    Example:
        >>> [(name, found, bars)] = of_all([("w", np.array([0.0, 1.0, 1.0, 1.0, np.nan]))])
        >>> name, found.mean, bars
        ('w', 0.75, '10000000000000000004')
    """
    small: list[tuple[str, Any]] = []
    waiting = 0
    for name, value in values:
        if not value.size:
            yield name, Statistics(), ""
        elif statistics.is_small(value):
            small.append((name, value))
            waiting += value.size
            if waiting >= _TOGETHER:
                yield from _of_small(small)
                small, waiting = [], 0
        else:
            if on_host(value):
                value = np.asarray(value)  # noqa: PLW2901 - so that what is read from a file is read once
            found = statistics.of(value)
            yield name, found, _of_large(value, found)
        del value
    yield from _of_small(small)


def levels(counts: np.ndarray[Any, Any]) -> list[str]:
    """Return rows of counts, a text for each.

    Example:
        >>> levels(np.array([[0, 1, 2, 1000]]))
        ['013l']
    """
    with np.errstate(divide="ignore"):
        steps = np.where(counts > 0, 1 + np.rint(2 * np.log2(counts)), 0).astype(np.int64)
    letters = np.frombuffer(LEVELS.encode(), np.uint8)[np.minimum(steps, len(LEVELS) - 1)]
    text, width = letters.tobytes().decode(), counts.shape[1]
    return [text[start : start + width] for start in range(0, len(text), width)]


def _of_small(named: Sequence[tuple[str, Any]]) -> Iterator[tuple[str, Statistics, str]]:
    for joined in statistics.joined(named):
        sets = list(statistics.of_joined(joined))
        for name, one, bars in zip(joined.names, sets, _of_joined(joined, sets), strict=True):
            yield name, one, bars if one.min <= one.max else ""


def _of_joined(joined: statistics.Joined, sets: Sequence[Statistics]) -> list[str]:
    """Return the histograms of arrays that are joined."""
    _, sizes, numbers = joined
    ranges = _ranges(np.array([one.min for one in sets]), np.array([one.max for one in sets]))
    owner = np.repeat(np.arange(len(sets)), sizes)
    at = _bins(numbers, *(one[owner] for one in ranges)) + owner * BINS
    if any(one.nan or one.inf for one in sets):
        at = at[np.isfinite(numbers)]
    return levels(np.bincount(at, minlength=len(sets) * BINS).reshape(-1, BINS))


def _of_large(value: Any, found: Statistics) -> str:
    if not found.min <= found.max:
        return ""
    factor, start, span = (float(one[0]) for one in _ranges(np.array([found.min]), np.array([found.max])))
    if on_host(value):
        counts = np.zeros(BINS, np.int64)
        for piece in statistics.pieces(value):
            bins = _bins(piece, factor, start, span)
            if found.nan or found.inf:
                bins = bins[np.isfinite(piece)]
            counts += np.bincount(bins, minlength=BINS)
    else:
        counts = np.asarray(jax.device_get(_counted(value, factor, start, span)))
    return levels(counts[None])[0]


def _ranges(
    least: np.ndarray[Any, Any], most: np.ndarray[Any, Any]
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return by what to multiply numbers, so that no difference is infinite; from where they go; how far."""
    with np.errstate(over="ignore", invalid="ignore"):
        factor = np.where(np.isfinite(most - least), 1.0, 0.5)
        start, span = least * factor, most * factor - least * factor
    # Where all are equal, or there are none, all are in the first bin.
    return factor, start, np.where((span > 0) & np.isfinite(span), span, np.inf)


def _bins(values: np.ndarray[Any, Any], factor: Any, start: Any, span: Any) -> np.ndarray[Any, Any]:
    with np.errstate(over="ignore", invalid="ignore"):
        places = (values * factor - start) / span * BINS
    places[np.isnan(places)] = 0.0
    return np.asarray(np.clip(places, 0, BINS - 1, out=places).astype(np.int64))


@jax.jit
def _counted(value: jax.Array, factor: Any, start: Any, span: Any) -> jax.Array:
    """Return how many finite elements are in each bin, computed on the devices where they are."""
    number = statistics.floating(value)
    factor, start, span = (jnp.asarray(one, number.dtype) for one in (factor, start, span))
    places = (number * factor - start) / span * BINS
    finite = jnp.isfinite(number)
    bins = jnp.clip(jnp.where(finite, places, 0), 0, BINS - 1).astype(jnp.int32)
    # Sums, not a scatter: each device counts what it has.
    return jnp.stack([jnp.sum((bins == at) & finite, dtype=jnp.uint32) for at in range(BINS)])
