"""Arrays as layers need them: of one dtype, of one rank, wide enough for sums, made once, laid out alike."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax


def promote(*arrays: jax.Array | None) -> list[Any]:
    """Return the arrays in the dtype that JAX's standard rule gives for all of them; None stays None."""
    dtypes = {array.dtype for array in arrays if array is not None}
    if len(dtypes) == 1:
        return list(arrays)
    with jax.numpy_dtype_promotion("standard"):
        common = jnp.result_type(*dtypes)
    return [None if array is None else array.astype(common) for array in arrays]


def with_rank_of(array: jax.Array, x: jax.Array) -> jax.Array:
    """Return an array with as many axes as x, ones in front: users may have made JAX refuse to add them."""
    return array.reshape((1,) * (x.ndim - array.ndim) + array.shape)


def at_least_float32(array: jax.Array) -> jax.Array:
    """Return an array in float32 where its own dtype is too narrow for sums over many elements."""
    return array.astype(jnp.float32) if array.dtype.itemsize < 4 else array


def made_once(array: jax.Array) -> jax.Array:
    """Return an array that XLA computes once, before two sums over it that wait for each other.

    XLA would compute what an array is made of again in each of them: in a deep model all residuals before,
    so that programs grow with the square of the depth, and take several times as long.
    """
    once: jax.Array = lax.optimization_barrier(array)
    return once


def laid_out_as(state: jax.Array, x: jax.Array) -> jax.Array:
    """Return `[batch, ...]` laid out over a mesh as a batch `[time, batch, ...]` is, where layouts are types.

    They are so inside `jax.shard_map` and on explicit axes of a mesh, and what a `jax.lax.scan` begins with
    has to be of the type that its steps return. XLA drops the choice.
    """
    if jax.sharding.get_abstract_mesh().empty:
        return state
    rows = jnp.ones_like(x, bool).any((0, *range(2, x.ndim)))
    return jnp.where(rows.reshape(-1, *[1] * (state.ndim - 1)), state, state)
