"""Rotary positions: pairs of features turned by an angle that grows with the position."""

import jax
import jax.numpy as jnp

from jaxscope.layers.arrays import at_least_float32, with_rank_of


def rotate(x: jax.Array, positions: jax.Array, base: float) -> jax.Array:
    """Return heads turned by their positions, so that products of them depend on distances alone.

    The i-th feature of the first half pairs with the i-th of the second, and turns by
    `position / base ** (i / half)`.

    Args:
        x: `[batch, time, heads, size]`, where the size is even.
        positions: `[time]` or `[batch, time]`, whole numbers.
        base: What the slowest pair's wavelength is near, in positions over 2 pi.

    Returns:
        An array like x.

    Source:
        Su et al., "RoFormer", 2021, with the pairing of GPT-NeoX and Llama.

    Example:
        >>> rotate(jnp.ones([1, 1, 1, 2]), jnp.array([0]), 10000.0)[0, 0, 0]
        Array([1., 1.], dtype=float32)
    """
    half = x.shape[-1] // 2
    wide = at_least_float32(x)
    rates = base ** (-jnp.arange(half, dtype=wide.dtype) / half)
    at = positions.astype(wide.dtype)[..., None, None]  # [..., time, 1, 1]
    angles = with_rank_of(at * with_rank_of(rates, at), x)
    cos, sin = jnp.cos(angles), jnp.sin(angles)
    first, second = wide[..., :half], wide[..., half:]
    turned = jnp.concatenate([first * cos - second * sin, second * cos + first * sin], -1)
    return turned.astype(x.dtype)
