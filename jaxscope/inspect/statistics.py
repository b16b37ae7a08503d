"""Statistics of arrays: each is looked at once, where it is; small ones together, on the host.

What lies on the host, files included, is looked at by NumPy, in pieces that the cache holds, in float64. What
lies elsewhere, or on several devices, is reduced there by one program for each type. Programs for ten
thousand small arrays would take minutes to compile, and their results as many transfers: these are fetched
together, and joined.
"""

import functools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxscope.inspect.leaves import on_host

#: How many elements are looked at together: about what a cache holds in float64.
_PIECE = 2**17
#: Up to how many elements an array is fetched from wherever it is, and joined with others.
_SMALL = 2**12
#: How many small arrays are fetched together.
_TOGETHER = 2**15


class Statistics(NamedTuple):
    """What is known of numbers.

    Attributes:
        elements: How many numbers were looked at.
        total: The sum of those that are finite.
        norm: Their Euclidean norm.
        min: The least of them; infinity for none.
        max: The greatest; minus infinity for none.
        nan: How many are NaN.
        inf: How many are infinite.
    """

    elements: int = 0
    total: float = 0.0
    norm: float = 0.0
    min: float = math.inf
    max: float = -math.inf
    nan: int = 0
    inf: int = 0

    @property
    def mean(self) -> float:
        """The mean of those that are finite; NaN for none."""
        finite = self.elements - self.nan - self.inf
        return self.total / finite if finite else math.nan


def together(sets: Sequence[Statistics]) -> Statistics:
    """Return the statistics of all the numbers of several sets.

    Example:
        >>> together([of(np.array([3.0])), of(np.array([-4.0, np.nan]))])
        Statistics(elements=3, total=-1.0, norm=5.0, min=-4.0, max=3.0, nan=1, inf=0)
    """
    if len(sets) == 1:
        return sets[0]
    counts, totals, norms, least, most, nans, infs = zip(*sets, strict=True) if sets else [()] * 7
    norm = math.hypot(*norms)
    limits = min(least, default=math.inf), max(most, default=-math.inf)
    return Statistics(sum(counts), sum(totals), norm, *limits, sum(nans), sum(infs))


@functools.cache
def has_numbers(dtype: Any) -> bool:
    """Tell whether arrays of a type have statistics: keys, strings and what is no array have not."""
    return dtype is not None and (jnp.issubdtype(dtype, jnp.number) or dtype == np.bool_)


def of_all(values: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Statistics]]:
    """Yield the statistics of arrays by name, in another order; of complex numbers those of their sizes.

    Args:
        values: Names and arrays of numbers, each let go of before the next large one is asked for.
    """
    small: list[tuple[str, Any]] = []
    for name, value in values:
        if not value.size:
            yield name, Statistics()
        elif is_small(value):
            small.append((name, value))
            if len(small) == _TOGETHER:
                yield from _of_small(small)
                small = []
        elif on_host(value):
            yield name, of_host(np.asarray(value))
        else:
            yield name, of_device(value)
        del value
    yield from _of_small(small)


def of(value: Any) -> Statistics:
    """Return the statistics of one array.

    Example:
        >>> found = of(np.array([3.0, 4.0, np.nan, np.inf]))
        >>> found.norm, found.mean, found.nan, found.inf
        (5.0, 3.5, 1, 1)
    """
    (found,) = of_all([("", value)])
    return found[1]


# --- on the host -----------------------------------------------------------------------------------


def of_host(value: np.ndarray[Any, Any]) -> Statistics:
    """Return the statistics of an array on the host."""
    return together([_of_piece(piece) for piece in pieces(value)])


def pieces(value: np.ndarray[Any, Any]) -> Iterator[np.ndarray[Any, Any]]:
    """Yield the numbers of an array on the host as `wide` has them, a cache full at a time."""
    flat = value.reshape(-1) if value.flags.c_contiguous else value.ravel(order="K")
    for start in range(0, flat.size, _PIECE):
        yield wide(flat[start : start + _PIECE])


def wide(value: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return numbers in float64, complex ones by their sizes."""
    if value.dtype.kind == "c":
        value = np.abs(value)
    with np.errstate(invalid="ignore"):  # some NaN are not as a processor writes them
        if value.dtype.kind == "V":  # NumPy casts JAX's own small types slowly, but to float32 in one step
            value = value.astype(np.float32)
        return value.astype(np.float64, copy=False)


def _of_piece(piece: np.ndarray[Any, Any]) -> Statistics:
    with np.errstate(over="ignore", invalid="ignore"):
        square = _square_sum(piece)
    if math.isfinite(square):  # so no element is NaN or infinite, of which there is no need to make masks
        least, most, total = float(piece.min()), float(piece.max()), float(piece.sum())
        if square == 0 or square < 1e-290:
            return Statistics(piece.size, total, _scaled_norm(piece, max(-least, most)), least, most)
        return Statistics(piece.size, total, math.sqrt(square), least, most)
    nan, inf = int(np.isnan(piece).sum()), int(np.isinf(piece).sum())
    finite = piece[np.isfinite(piece)] if nan or inf else piece
    if not finite.size:
        return Statistics(piece.size, nan=nan, inf=inf)
    least, most = float(finite.min()), float(finite.max())
    norm = _scaled_norm(finite, max(-least, most))
    return Statistics(piece.size, float(finite.sum()), norm, least, most, nan, inf)


def _scaled_norm(piece: np.ndarray[Any, Any], largest: float) -> float:
    """Return the norm of numbers whose squares float64 has not."""
    if not largest > 0:
        return 0.0
    scaled = piece / largest
    return largest * math.sqrt(_square_sum(scaled))


def _square_sum(piece: np.ndarray[Any, Any]) -> float:
    # BLAS would do it by several threads, which wait for each other where cores are busy.
    return float(np.einsum("i,i->", piece, piece))


def is_small(value: Any) -> bool:
    """Tell whether an array is one of those that are fetched together, and joined."""
    return bool(value.size <= _SMALL and (on_host(value) or value.is_fully_addressable))


class Joined(NamedTuple):
    """Small arrays of one type, one after the other.

    Attributes:
        names: Their names.
        sizes: How many elements each has, at least one.
        numbers: The elements of all, as `wide` has them.
    """

    names: Sequence[str]
    sizes: np.ndarray[Any, Any]
    numbers: np.ndarray[Any, Any]


def joined(named: Sequence[tuple[str, Any]]) -> Iterator[Joined]:
    """Yield small arrays that are not empty, those of each type joined."""
    kinds: dict[np.dtype[Any], list[tuple[str, np.ndarray[Any, Any]]]] = {}
    values = _fetched([value for _, value in named])
    for (name, _), value in zip(named, values, strict=True):
        kinds.setdefault(value.dtype, []).append((name, value.reshape(-1)))
    for there in kinds.values():
        names, arrays = zip(*there, strict=True)
        yield Joined(names, np.array([value.size for value in arrays]), wide(np.concatenate(arrays)))


def _fetched(values: Sequence[Any]) -> list[np.ndarray[Any, Any]]:
    for value in values:
        if not on_host(value):
            value.copy_to_host_async()
    return [np.asarray(value) for value in values]


def of_joined(joined: Joined) -> Iterator[Statistics]:
    """Yield the statistics of arrays that are joined, in their order."""
    _, sizes, numbers = joined
    starts = np.cumsum(sizes) - sizes
    with np.errstate(over="ignore", invalid="ignore"):
        sums = np.add.reduceat(np.square(numbers), starts)
        totals, least, most = (
            np.add.reduceat(numbers, starts),
            np.minimum.reduceat(numbers, starts),
            np.maximum.reduceat(numbers, starts),
        )
    # Those with NaN, infinity, or squares that float64 has not, are looked at one by one.
    plain = np.isfinite(sums) & (sums > 1e-290)
    columns = (sizes, totals, np.sqrt(sums), least, most)
    for at, row in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
        yield Statistics(*row) if plain[at] else _of_piece(numbers[starts[at] : starts[at] + sizes[at]])


def _of_small(named: Sequence[tuple[str, Any]]) -> Iterator[tuple[str, Statistics]]:
    for one in joined(named):
        yield from zip(one.names, of_joined(one), strict=True)


# --- on devices ------------------------------------------------------------------------------------


def of_device(value: jax.Array) -> Statistics:
    """Return the statistics of an array, computed on the devices where it is."""
    numbers = jax.device_get(_reduced(value, 1.0))
    nan, inf, total, square, least, most = (one.item() for one in numbers)
    least, most = float(least), float(most)
    norm = math.sqrt(square) if math.isfinite(square) else math.inf
    largest = max(-least, most)
    if not math.isfinite(square) or (square < 1e-30 and largest > 0):
        norm = largest * math.sqrt(jax.device_get(_reduced(value, largest))[3].item())
    return Statistics(math.prod(value.shape), total, norm, least, most, nan, inf)


@jax.jit
def _reduced(value: jax.Array, scale: Any) -> tuple[jax.Array, ...]:
    """Return how many are NaN, how many infinite; sum, sum of squares over `scale`, least and greatest."""
    number = floating(value)
    if not jnp.issubdtype(value.dtype, jnp.inexact):
        whole = value.astype(jnp.int32) if value.dtype == jnp.bool else value
        return (
            *(jnp.uint32(0), jnp.uint32(0), jnp.sum(number), _square(number, scale)),
            *(jnp.min(whole), jnp.max(whole)),
        )
    infinite, finite = jnp.array(jnp.inf, number.dtype), jnp.isfinite(number)
    kept = jnp.where(finite, number, jnp.zeros_like(number))
    return (
        *(jnp.sum(jnp.isnan(number), dtype=jnp.uint32), jnp.sum(jnp.isinf(number), dtype=jnp.uint32)),
        *(jnp.sum(kept), _square(kept, scale)),
        *(jnp.min(jnp.where(finite, number, infinite)), jnp.max(jnp.where(finite, number, -infinite))),
    )


def floating(value: jax.Array) -> jax.Array:
    """Return numbers in float32 at least, complex ones by their sizes."""
    number = jnp.abs(value) if jnp.issubdtype(value.dtype, jnp.complexfloating) else value
    if not jnp.issubdtype(number.dtype, jnp.inexact) or number.dtype.itemsize < 4:
        number = number.astype(jnp.float32)
    return number


def _square(number: jax.Array, scale: Any) -> jax.Array:
    return jnp.sum(jnp.square(number / jnp.asarray(scale, number.dtype)))
