"""Where TensorFlow 1 samples an image to give it another size, and with which weights.

Places are computed in float32, as there, so that the nearest one is the same one.
"""

from typing import NamedTuple

import numpy as np

__all__ = ["Taps", "area", "bicubic", "bilinear", "nearest"]

Numbers = np.ndarray[tuple[int, ...], np.dtype[np.float32]]
Places = np.ndarray[tuple[int, ...], np.dtype[np.int64]]


class Taps(NamedTuple):
    """What is summed for each place of a result along one axis.

    Attributes:
        places: Places of the input, `[taps, size]`.
        weights: Their weights, `[taps, size]`.
    """

    places: Places
    weights: Numbers


def scale_of(size: int, target: int, *, align_corners: bool) -> np.float32:
    """Return the distance of two samples, in places of the input."""
    if align_corners and target > 1:
        return np.float32(np.float32(size - 1) / np.float32(target - 1))
    return np.float32(np.float32(size) / np.float32(target))


def _samples(size: int, target: int, *, align_corners: bool, half_pixel: bool) -> Numbers:
    scale = scale_of(size, target, align_corners=align_corners)
    steps = np.arange(target, dtype=np.float32)
    if half_pixel:
        return ((steps + np.float32(0.5)) * scale - np.float32(0.5)).astype(np.float32)
    return (steps * scale).astype(np.float32)


def nearest(size: int, target: int, *, align_corners: bool, half_pixel: bool) -> Places:
    """Return the nearest place of the input for each of the result."""
    scale = scale_of(size, target, align_corners=align_corners)
    steps = np.arange(target, dtype=np.float32)
    where = (steps + np.float32(0.5)) * scale if half_pixel else steps * scale
    found = np.floor(where + np.float32(0.5)) if align_corners else np.floor(where)
    places: Places = np.clip(found.astype(np.int64), 0, size - 1)
    return places


def bilinear(
    size: int, target: int, *, align_corners: bool, half_pixel: bool
) -> tuple[Places, Places, Numbers]:
    """Return the two places around each sample, and how far it is from the first to the second."""
    where = _samples(size, target, align_corners=align_corners, half_pixel=half_pixel)
    below = np.floor(where)
    low = np.maximum(below.astype(np.int64), 0)
    high = np.minimum(np.ceil(where).astype(np.int64), size - 1)
    return np.minimum(low, size - 1), np.maximum(high, 0), (where - below).astype(np.float32)


_STEPS = 1024  # TensorFlow has a table of so many weights


def _cubic(half_pixel: bool) -> tuple[Numbers, Numbers]:
    """Return the weights of what is nearer than one place, and of what is farther."""
    a = -0.5 if half_pixel else -0.75
    x = np.arange(_STEPS + 1) / _STEPS
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    x = x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return near.astype(np.float32), far.astype(np.float32)


def bicubic(size: int, target: int, *, align_corners: bool, half_pixel: bool) -> Taps:
    """Return four places and their weights for each sample.

    With centers of pixels, places outside have no weight and a = -0.5; without, the edge stands for them and
    a = -0.75.
    """
    where = _samples(size, target, align_corners=align_corners, half_pixel=half_pixel)
    below = np.floor(where)
    step = np.rint((where - below) * np.float32(_STEPS)).astype(np.int64)
    near, far = _cubic(half_pixel)
    places = below.astype(np.int64) + np.arange(-1, 3)[:, None]
    inside = np.clip(places, 0, size - 1)
    weights = np.stack([far[step], near[step], near[_STEPS - step], far[_STEPS - step]])
    if half_pixel:
        weights = np.where(places == inside, weights, np.float32(0))
        total = weights.sum(0, keepdims=True)
        weights = np.where(np.abs(total) < 1e-30, weights, weights / np.where(total == 0, 1, total))
    return Taps(inside, weights.astype(np.float32))


def area(size: int, target: int, *, align_corners: bool) -> Numbers:
    """Return the share that each place of the input has in each of the result, `[target, size]`."""
    scale = scale_of(size, target, align_corners=align_corners)
    shares = np.zeros([target, size], np.float32)
    for at in range(target):
        begin, end = float(np.float32(at) * scale), float(np.float32(at + 1) * scale)
        for place in range(int(np.floor(begin)), int(np.ceil(end))):
            covered = min(place + 1, end) - max(place, begin)
            shares[at, min(max(place, 0), size - 1)] += covered / float(scale)
    return shares
