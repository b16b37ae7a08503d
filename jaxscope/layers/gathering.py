"""What heads gather: products of queries and keys, their masks, and the mean of values by them."""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxscope.layers.call import LayerCall

#: Sizes of (batch, heads, queries, keys).
Pairs = tuple[int, int, int, int]


def booleans(mask: ArrayLike) -> jax.Array:
    """Return a mask as booleans; raise `ValueError` where it is made of numbers to add."""
    given = jnp.asarray(mask)
    if jnp.issubdtype(given.dtype, jnp.inexact):
        raise ValueError("mask tells by booleans where there is something to see; numbers to add are bias=")
    return given.astype(bool)


def mask_of(call: LayerCall, mask: jax.Array, pairs: Pairs) -> jax.Array:
    """Return a mask with axes of batch, heads, queries and keys.

    Raises:
        InvalidShapeError: It is of none of the shapes that a mask may have.
    """
    given = mask.shape
    if mask.ndim == 2:
        mask = mask[:, None, None, :]
    elif mask.ndim == 3:
        mask = mask[:, None]
    if mask.ndim != 4 or not _goes_with(mask.shape, pairs):
        batch, heads, queries, keys = pairs
        raise call.wrong_shape(
            f"has a mask of shape {list(given)}",
            f"pass {[batch, keys]}, or with axes of time and heads: {[batch, heads, queries, keys]}",
        )
    return mask


def bias_of(call: LayerCall, bias: ArrayLike, pairs: Pairs) -> jax.Array:
    """Return numbers for the logits with axes of batch, heads, queries and keys.

    Raises:
        InvalidShapeError: They do not broadcast to these axes.
    """
    bias = jnp.asarray(bias)
    if jnp.issubdtype(bias.dtype, jnp.bool):
        raise ValueError("bias is added to the logits; booleans that tell where there is something are mask=")
    shape = (1,) * (4 - bias.ndim) + bias.shape
    if not _goes_with(shape, pairs):
        raise call.wrong_shape(
            f"has a bias of shape {list(bias.shape)}", f"pass one that is broadcast to {list(pairs)}"
        )
    return bias.reshape(shape)


def _goes_with(shape: tuple[int, ...], pairs: Pairs) -> bool:
    return len(shape) == 4 and all(size in {1, own} for size, own in zip(shape, pairs, strict=True))


def gather(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    bias: jax.Array | None,
    mask: jax.Array | None,
    scale: float | None,
    causal: bool,
    implementation: Literal["xla", "cudnn"] | None,
) -> jax.Array:
    """Return for each query the mean of the values, by how its key agrees; 0 where it sees nothing.

    Args:
        q: `[batch, queries, heads, size]`.
        k: `[batch, keys, kv_heads, size]`.
        v: Likewise.
        bias: Added to the logits, with axes of batch, heads, queries and keys.
        mask: Where there is something to see, with the same axes.
        scale: The factor of the logits; None for `1 / sqrt(size)`.
        causal: Whether a query sees no key that is later.
        implementation: As of `jax.nn.dot_product_attention`.
    """
    dtype = q.dtype
    # JAX asks for products of float16 that are summed in float32, which only GPUs have; and the gradient of
    # such products of bfloat16 fails where promotion is strict.
    strict = jax.config.jax_numpy_dtype_promotion == "strict"  # type: ignore[attr-defined]
    widens = dtype == jnp.float16 or (dtype == jnp.bfloat16 and strict)
    seen = mask
    if mask is not None and causal:
        seen = mask & jnp.tri(q.shape[1], k.shape[1], dtype=bool)[None, None]
    with jax.numpy_dtype_promotion("standard"):  # JAX's function mixes dtypes
        if dtype == jnp.float64:
            z = _in_float64(q, k, v, bias, seen, scale, causal and mask is None)
        elif implementation == "cudnn":  # which broadcasts no axis of time
            wide = (None if x is None else _wide(x, q.shape[1], k.shape[1]) for x in (bias, mask))
            z = jax.nn.dot_product_attention(
                q, k, v, *wide, scale=scale, is_causal=causal, implementation=implementation
            )
        else:
            if widens:
                q, k, v = (x.astype(jnp.float32) for x in (q, k, v))
            z = jax.nn.dot_product_attention(
                q,
                k,
                v,
                bias,
                seen,
                scale=scale,
                is_causal=causal and mask is None,
                implementation=implementation,
            )
    if seen is not None:
        some = seen.any(-1).swapaxes(1, 2)[..., None]  # [batch, queries, heads, 1]
        z = jnp.where(some, z, jnp.zeros([], z.dtype))
    return z.astype(dtype)


def _in_float64(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    bias: jax.Array | None,
    mask: jax.Array | None,
    scale: float | None,
    causal: bool,
) -> jax.Array:
    """Return what JAX's function does, whose softmax is in float32 for all dtypes."""
    (batch, queries, heads, size), (keys, served) = q.shape, k.shape[1:3]
    grouped = q.reshape(batch, queries, served, heads // served, size)
    logits = jnp.einsum("bqkgs,bpks->bkgqp", grouped, k).reshape(batch, heads, queries, keys)
    logits = logits * (1 / np.sqrt(size) if scale is None else scale)
    if bias is not None:
        logits = logits + bias
    if causal:
        mask = jnp.tri(queries, keys, dtype=bool)[None, None]
    if mask is not None:
        logits = jnp.where(mask, logits, float(np.finfo(np.float64).min) / 2)
    shares = jax.nn.softmax(logits).reshape(batch, served, heads // served, queries, keys)
    return jnp.einsum("bkgqp,bpks->bqkgs", shares, v).reshape(q.shape)


def _wide(x: jax.Array, queries: int, keys: int) -> jax.Array:
    return jnp.broadcast_to(x, (*x.shape[:-2], queries, keys))
