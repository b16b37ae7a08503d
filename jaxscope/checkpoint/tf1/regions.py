"""Regions: which part of a variable a range along each axis is, and whether parts make all of it."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jaxscope.checkpoint.stored import aligned, size_of
from jaxscope.checkpoint.tf1.ordered import Range
from jaxscope.checkpoint.tf1.wire import WrongError

#: Start and end along each axis.
Region = tuple[tuple[int, int], ...]
_MOST = 4096  # parts of a variable that is split along several axes


def region(ranges: Sequence[Range], shape: tuple[int, ...]) -> Region:
    """Return the region of ranges in an array.

    Example:
        >>> region([(2, 3), (0, -1)], (9, 4))
        ((2, 5), (0, 4))
    """
    if len(ranges) != len(shape):
        raise WrongError(f"a part has {len(ranges)} axes, and the variable {len(shape)}")
    found: list[tuple[int, int]] = []
    for (start, length), size in zip(ranges, shape, strict=True):
        end = size if length == -1 else start + length
        if length < -1 or not 0 <= start <= end <= size or (length == -1 and start):
            raise WrongError(f"a part from {start:,}, of {length:,}, is not inside of {size:,}")
        found.append((start, end))
    return tuple(found)


def sizes(one: Region) -> tuple[int, ...]:
    """Return the axis lengths of a region."""
    return tuple(end - start for start, end in one)


def check_cover(regions: Sequence[Region], shape: tuple[int, ...]) -> None:
    """Raise an error unless regions of an array are all of it, each element in one."""
    total = sum(size_of(sizes(one)) for one in regions)
    if total != size_of(shape):
        raise WrongError(f"its parts have {total:,} of {size_of(shape):,} elements")
    if not total:
        return
    split = [axis for axis, size in enumerate(shape) if any(one[axis] != (0, size) for one in regions)]
    if len(split) < 2:
        ends = sorted(one[split[0]] if split else (0, 1) for one in regions)
        clear = all(end <= start for (_, end), (start, _) in itertools.pairwise(ends))
        if not clear:
            raise WrongError("its parts are over each other")
        return
    if len(regions) > _MOST:
        raise WrongError(f"it has {len(regions):,} parts along several axes")
    bounds = np.array(regions, np.int64)
    starts, stops = bounds[:, :, 0], bounds[:, :, 1]
    for at in range(len(regions)):
        over = ((starts[:at] < stops[at]) & (starts[at] < stops[:at])).all(1)
        if over.any():
            raise WrongError("its parts are over each other")


class Parts:
    """An array that is stored in parts, of which those are read that what is asked for is in.

    Args:
        shape: Axis lengths.
        dtype: The element type.
        regions: Where each part is.
        read: Reads a part by its number.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        regions: Sequence[Region],
        read: Callable[[int], np.ndarray[Any, Any]],
    ) -> None:
        self._shape, self._dtype, self._regions, self._read = shape, dtype, regions, read

    def __getitem__(self, index: tuple[slice, ...]) -> np.ndarray[Any, Any]:
        asked = tuple(one.indices(size)[:2] for one, size in zip(index, self._shape, strict=True))
        shape = sizes(asked)
        made = np.frombuffer(aligned(size_of(shape) * self._dtype.itemsize), self._dtype).reshape(shape)
        for number, part in enumerate(self._regions):
            both = [(max(a, c), min(b, d)) for (a, b), (c, d) in zip(asked, part, strict=True)]
            if all(start < end for start, end in both) or not both:
                there = tuple(slice(s - a, e - a) for (s, e), (a, _) in zip(both, asked, strict=True))
                here = tuple(slice(s - a, e - a) for (s, e), (a, _) in zip(both, part, strict=True))
                made[there] = self._read(number)[here]
        return made

    def whole(self) -> np.ndarray[Any, Any]:
        """Return all of it."""
        return self[tuple(slice(None) for _ in self._shape)]
