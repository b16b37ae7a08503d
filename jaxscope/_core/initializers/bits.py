"""Random bits: those of an element depend on the key and on its place alone, whatever is drawn beside it.

With threefry keys (JAX's default) they are those of `jax.random.bits`, computed in one expression without
loops: XLA fuses it with whatever uses the bits, and splits it over devices along any axis.
"""

import math
from typing import Any, cast

import jax
import numpy as np
from jax import lax

__all__ = ["bits", "extensible", "is_threefry", "threefry"]

_config: Any = jax.config  # whose flags have no types


def is_threefry(impl: Any) -> bool:
    """Tell whether keys are threefry's, of which several may be used at once without another result."""
    return str(impl) in ("threefry2x32", "fry")


def extensible(impl: Any) -> bool:
    """Tell whether bits depend on key and place alone, so that a longer draw begins with a shorter one's.

    Args:
        impl: Implementation of a key, `jax.random.key_impl(key)`.

    Returns:
        True for threefry, unless `jax_threefry_partitionable` is off.
    """
    return is_threefry(impl) and bool(_config.jax_threefry_partitionable)


def bits(data: jax.Array, impl: Any, shape: tuple[int, ...], width: int) -> jax.Array:
    """Return `width` random bits for each element of `shape`; only for use inside `jax.jit`.

    Args:
        data: Raw data of one key.
        impl: Implementation of the key, `jax.random.key_impl(key)`.
        shape: Axis lengths, in elements.
        width: 32, or 64 where `jax_enable_x64` is on.

    Returns:
        Array of `shape` and dtype uint32 or uint64: the bits of `jax.random.bits`.
    """
    if not extensible(impl):
        return jax.random.bits(jax.random.wrap_key_data(data, impl=impl), shape, f"uint{width}")
    first, second = threefry(data[0], data[1], *_places(shape))
    if width == 32:
        return cast("jax.Array", first ^ second)
    high, low = (lax.convert_element_type(word, np.uint64) for word in (first, second))
    return (high << np.uint64(32)) | low


def threefry(k0: Any, k1: Any, x0: Any, x1: Any) -> tuple[Any, Any]:
    """Return two words that are made of two by a key of two: arrays of uint32, of NumPy's or JAX's.

    Source:
        Threefry-2x32 with 20 rounds: Salmon et al., Parallel random numbers: as easy as 1, 2, 3 (2011).
    """
    schedule = k0, k1, k0 ^ k1 ^ np.uint32(0x1BD11BDA)
    x0, x1 = x0 + k0, x1 + k1
    for four in range(5):
        for turn in ((13, 15, 26, 6), (17, 29, 16, 24))[four % 2]:
            x0 = x0 + x1
            x1 = ((x1 << np.uint32(turn)) | (x1 >> np.uint32(32 - turn))) ^ x0
        x0 = x0 + schedule[(four + 1) % 3]
        x1 = x1 + schedule[(four + 2) % 3] + np.uint32(four + 1)
    return x0, x1


def _places(shape: tuple[int, ...]) -> tuple[Any, jax.Array]:
    """Return the number of each element, counted in row-major order: its high and its low 32 bits."""
    along = [lax.broadcasted_iota(np.uint32, shape, axis) for axis in range(len(shape))]
    high: Any = np.uint32(0)
    low = lax.full(shape, np.uint32(0))
    if math.prod(shape) <= 2**32:
        for length, place in zip(shape, along, strict=True):
            low = low * np.uint32(length) + place
        return high, low
    for length, place in zip(shape, along, strict=True):
        over, low = _product(low, np.uint32(length))
        low = low + place
        carry = lax.convert_element_type(low < place, np.uint32)
        high = high * np.uint32(length) + over + carry
    return high, low


def _product(one: jax.Array, other: np.uint32) -> tuple[jax.Array, jax.Array]:
    """Return the high and the low 32 bits of a product."""
    half, rest = np.uint32(16), np.uint32(0xFFFF)
    a, b, c, d = one >> half, one & rest, other >> half, other & rest
    middle = (b * d >> half) + (a * d & rest) + (b * c & rest)
    return a * c + (a * d >> half) + (b * c >> half) + (middle >> half), one * other
