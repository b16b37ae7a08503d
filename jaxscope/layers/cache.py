"""Keys and values of earlier calls, kept as state so that a text can be fed piece by piece."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import jaxscope as js
from jaxscope.layers.call import LayerCall


class Cache:
    """The cache of one call of an attention layer.

    Attributes:
        begin: How many positions there are from earlier calls.
    """

    def __init__(self, call: LayerCall, size: int) -> None:
        self._call = call
        self._size = size
        _, self.begin = call.state("cache_index", [], js.initializers.zeros, jnp.int32, js.no_regularizer)
        self._end = self.begin + call.inputs.shape[1]

    def append(
        self, k: jax.Array, v: jax.Array, mask: jax.Array | None
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Return all keys and values, and which of them each new position sees: those up to itself.

        Args:
            k: The new keys, `[batch, time, heads, size]`.
            v: The new values.
            mask: Where the new positions have something to see, `[batch, time]`; None for everywhere.

        Raises:
            InvalidShapeError: There are more new positions than the cache has, or the mask is of another
                shape.
        """
        batch, time = k.shape[:2]
        if time > self._size:
            raise self._call.wrong_shape(
                f"has {time} new positions and a cache of {self._size}", "give it a larger cache_size"
            )
        new = jnp.ones([batch, time], bool) if mask is None else mask
        if new.shape != (batch, time):
            raise self._call.wrong_shape(
                f"has a cache, and a mask of shape {list(new.shape)}", f"pass a mask of {[batch, time]}"
            )
        keys = self._keep("cached_key", k)
        values = self._keep("cached_value", v)
        there = self._keep("cached_mask", new)
        js.set_variable("cache_index", self._end)
        at = self.begin + jnp.arange(time, dtype=self.begin.dtype)
        seen = jnp.arange(self._size, dtype=at.dtype)[None, :] <= at[:, None]
        seen = seen[None, None] & there[:, None, None, :]
        return keys.astype(k.dtype), values.astype(v.dtype), seen

    def or_nan(self, outputs: jax.Array) -> jax.Array:
        """Return what was gathered, or NaN where the cache was too small: the write went elsewhere then."""
        return jnp.where(self._end > self._size, np.array(np.nan, outputs.dtype), outputs)

    def _keep(self, name: str, new: jax.Array) -> jax.Array:
        shape = [new.shape[0], self._size, *new.shape[2:]]
        try:
            _, old = self._call.state(name, shape, js.initializers.zeros, new.dtype, js.no_regularizer)
        except js.errors.ShapeMismatchError as error:
            error.fix = "begin with zeros of the shape that is asked for: a cache is for one batch of texts"
            raise
        zero = np.zeros((), self.begin.dtype)
        start: list[Any] = [zero, self.begin, *[zero] * (new.ndim - 2)]
        whole = lax.dynamic_update_slice(old, lax.stop_gradient(new).astype(old.dtype), start)
        js.set_variable(name, whole)
        return lax.dynamic_update_slice(old, new.astype(old.dtype), start)
