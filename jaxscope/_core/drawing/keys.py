r"""A key from a name: what is drawn for a variable depends on the user's key and its full name alone.

Derivation, version 1. The first eight bytes of `sha256(b"jaxscope/1\0" + full_name.encode())`, read as
two big-endian 32-bit words w0 and w1, give the key `fold_in(fold_in(key, w0), w1)`. Sixty-four bits keep
two of a million names apart with a chance of a collision below 1 in 30 million; one word would not
(about one collision in ten programs of 30,000 names). A later version would have another prefix, so that
versions cannot be mixed up; version 1 stays what it is.
"""

import functools
import hashlib
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from jaxscope._core.initializers.bits import threefry
from jaxscope.errors import KeyStreamError

__all__ = ["as_key", "fold", "fold_data", "key_for", "threefry_folds", "words_for"]

_PREFIX = b"jaxscope/1\0"


def key_for(key: jax.Array, full_name: str) -> jax.Array:
    """Return the key of `full_name` under `key`.

    Args:
        key: One JAX key, typed (`jax.random.key(0)`) or legacy (`jax.random.PRNGKey(0)`, uint32); both
            give the same bits. May be traced.
        full_name: Full name of a variable or scope; any string.

    Returns:
        One typed key of the same implementation.

    Raises:
        KeyStreamError: `key` is no key (code `not_a_key`) or a batch of keys (code `key_batch`).

    Source:
        Derivation version 1, described at the top of this module.

    Example:
        >>> jax.random.key_data(key_for(jax.random.key(0), "tower/kernel")).tolist()
        [625943653, 3016567963]
    """
    words = words_for(full_name)
    return fold(as_key(key), words)


def fold(key: jax.Array, words: Any) -> jax.Array:
    """Fold two 32-bit `words` (uint32[2], concrete or traced) into one typed `key`, the first one first."""
    return jax.random.fold_in(jax.random.fold_in(key, words[0]), words[1])


def fold_data(data: jax.Array, impl: Any, words: Any) -> jax.Array:
    """Do what `fold` does with the raw data of a key."""
    return jax.random.key_data(fold(jax.random.wrap_key_data(data, impl=impl), words))


def threefry_folds(data: Any, words: Any) -> Any:
    """Return what `fold` gives for a threefry key and many names, in one expression without loops.

    NumPy computes it for eager draws, since a program of JAX would have to be compiled first.

    Args:
        data: Raw data of the key, uint32[2], of NumPy or JAX.
        words: Words of the names, uint32[n, 2].

    Returns:
        Raw data of the keys, uint32[n, 2], of NumPy if `data` is.

    Source:
        `jax.random.fold_in(key, w)` encrypts the counter (0, w).

    Example:
        >>> key = jax.random.key(0)
        >>> folded = threefry_folds(np.asarray(jax.random.key_data(key)), words_for("w")[None])
        >>> bool((folded[0] == jax.random.key_data(key_for(key, "w"))).all())
        True
    """
    xp: Any = np if isinstance(data, np.ndarray) else jnp
    keys = xp.broadcast_to(data, words.shape)
    for word in (words[:, 0], words[:, 1]):
        keys = xp.stack(threefry(keys[:, 0], keys[:, 1], xp.zeros_like(word), word), axis=1)
    return keys


@functools.lru_cache(maxsize=65536)
def words_for(full_name: str) -> np.ndarray:
    """Return the two words that stand for `full_name` in keys.

    Args:
        full_name: Any string; hashed in UTF-8.

    Returns:
        Read-only uint32[2].

    Source:
        Derivation version 1, described at the top of this module.

    Example:
        >>> words_for("tower/kernel").tolist()
        [130214286, 1994397633]
    """
    digest = hashlib.sha256(_PREFIX + full_name.encode("utf-8", "surrogatepass")).digest()
    words = np.frombuffer(digest[:8], dtype=">u4").astype(np.uint32)
    words.setflags(write=False)
    return words


def as_key(key: Any, site: object = None) -> jax.Array:
    """Return `key` as one typed key.

    Args:
        key: One typed key, or a legacy key (uint32[2], or uint32[4] where the default implementation
            of JAX is `rbg`).
        site: The user's file and line, for the message.

    Returns:
        The typed key; a legacy one is wrapped, which leaves its bits alone.

    Raises:
        KeyStreamError: `key` is no key (code `not_a_key`) or a batch of keys (code `key_batch`).

    Example:
        >>> as_key(jax.random.PRNGKey(7)) == jax.random.key(7)
        Array(True, dtype=bool)
    """
    dtype, shape = getattr(key, "dtype", None), getattr(key, "shape", None)
    if dtype is None or shape is None:
        raise KeyStreamError(
            f"a JAX key is needed, not {_short(key)}",
            code="not_a_key",
            at=site,
            fix="pass a key, such as jax.random.key(0)",
        )
    if jnp.issubdtype(dtype, jax.dtypes.prng_key):
        if shape:
            raise _batch(tuple(shape), site)
        return cast("jax.Array", key)
    if dtype != np.uint32 or not shape:
        raise KeyStreamError(
            f"a JAX key is needed, not an array {np.dtype(dtype).name}{list(shape)}",
            code="not_a_key",
            at=site,
            fix="pass a key, such as jax.random.key(0)",
        )
    if len(shape) > 1:
        raise _batch(tuple(shape[:-1]), site)
    try:
        return cast("jax.Array", jax.random.wrap_key_data(key))
    except (TypeError, ValueError) as error:
        raise KeyStreamError(
            f"a JAX key is needed, not an array uint32{list(shape)}",
            code="not_a_key",
            at=site,
            fix="pass a key, such as jax.random.key(0)",
        ) from error


def _batch(shape: tuple[int, ...], site: object) -> KeyStreamError:
    return KeyStreamError(
        f"one key is needed, not a batch of keys of shape {shape}",
        code="key_batch",
        at=site,
        fix="pass one of them, keys[0], or map over all of them with jax.vmap",
    )


def _short(value: object) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"
