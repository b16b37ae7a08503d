"""The quantile of the normal law, by steps that give the same bits however they are compiled.

A compiler may fuse a product with a sum that follows, and then rounds once instead of twice; whether it does
depends on the backend, on the shape and on what else is in the program. Logarithms come from a library that
has one formula for vectors and another for the elements left over. So there are sums here, conversions,
selections, products by powers of two, and `times`; each is exact, or rounded in the one way of IEEE 754.
"""

from typing import Any

import jax
import numpy as np
from jax import lax

__all__ = ["BEYOND_TWO", "quantile", "times"]

#: The share of a normal law's numbers that are beyond two standard deviations.
BEYOND_TWO = 0.04550026389635842

# Fits of least largest error: of log2(1 + d) / d for 1 + d in [sqrt(1/2), sqrt(2)], to 7e-9 (times d), ...
_LOG2 = (
    1.44269487, -0.7213471289, 0.4809224227, -0.3607211365, 0.2876587551,
    -0.2385212026, 0.2173657712, -0.2102896689, 0.1254276499,
)  # fmt: skip
# ... and of quantile / inside, in powers of log2(1 - inside**2) + 5 for logarithms in [-10, 0], and in powers
# of the logarithm + 20 in [-30, -10], both to a relative error of 1.4e-8.
_NEAR = (
    2.453317893, -0.2311614611, -0.00452965236, 0.0002369297071, 5.265959099e-05, 3.570668043e-06,
    -7.505555374e-08, -3.771567811e-08, -2.543599641e-09, 1.356715229e-10, 2.108797871e-11,
)  # fmt: skip
_FAR = (
    5.035408283, -0.1327658838, -0.001633085035, -3.930337946e-05, -1.158669775e-06, -3.586008488e-08,
    -1.035565322e-09, -4.06890403e-11, -1.130084892e-12, 1.963267101e-13, 1.369267128e-14,
)  # fmt: skip


def times(one: jax.Array, other: Any) -> jax.Array:
    """Return a product, cut to one bit less than the dtype has, so that no compiler may fuse it with a sum.

    Args:
        one: Array of float32 or float64.
        other: Array or number of the same dtype.

    Example:
        >>> float(times(jnp.float32(3), np.float32(0.5)))
        1.5
    """
    product = one * other
    return _as(_as(product, _WHOLE[product.dtype]) & np.array(-2, _WHOLE[product.dtype]), product.dtype)


def quantile(share: jax.Array) -> jax.Array:
    """Return how many standard deviations away the given share of a normal law's numbers begins.

    Args:
        share: Array of float32 or float64 in [2**-31, 1]: how likely a number is beyond, on either side.

    Returns:
        Array of the same shape and dtype, at least 0; right to 1.5e-8 of it, and to the dtype's rounding.

    Example:
        >>> quantile(jnp.float32([1.0, 0.3173105, 0.0455003])).round(3).tolist()
        [0.0, 1.0, 2.0]
    """
    inside = 1 - share
    log = _log2(times(share, 2 - share))  # of 1 - inside**2, without the rounding
    near = log > -10

    def either(one: float, other: float) -> jax.Array:
        return lax.select(near, lax.full_like(log, one), lax.full_like(log, other))

    x = log + either(5, 20)
    ratio = either(_NEAR[-1], _FAR[-1])
    for pair in zip(_NEAR[-2::-1], _FAR[-2::-1], strict=True):
        ratio = times(ratio, x) + either(*pair)
    return times(inside, ratio)


def _log2(value: jax.Array) -> jax.Array:
    """Return the binary logarithm of positive numbers to an absolute error of 3e-9, and to their rounding."""
    dtype, whole = value.dtype, _WHOLE[value.dtype].type
    digits = whole(np.finfo(dtype).nmant)
    root = np.sqrt(dtype.type(0.5)).view(whole)
    above = _as(value, whole) - root
    power = lax.convert_element_type(above >> digits, dtype)
    rest = _as((above & ((whole(1) << digits) - whole(1))) + root, dtype) - 1  # in [sqrt(1/2), sqrt(2)) - 1
    ratio = lax.full_like(rest, _LOG2[-1])
    for factor in _LOG2[-2::-1]:
        ratio = times(ratio, rest) + dtype.type(factor)
    return power + times(ratio, rest)


_WHOLE: dict[Any, np.dtype[Any]] = {
    np.dtype(np.float32): np.dtype(np.int32),
    np.dtype(np.float64): np.dtype(np.int64),
}


def _as(array: jax.Array, dtype: Any) -> jax.Array:
    return lax.bitcast_convert_type(array, dtype)
