"""Keys: what modules draw with, from `js.random_keys`; refused only where a module has made use of one."""

from typing import Any, NamedTuple

import jax

import jaxscope as js


class Keys(NamedTuple):
    """Keys for one call of a module.

    Attributes:
        given: As many as were asked for; none where there are none to be had.
        refused: Then, why.
    """

    given: list[jax.Array]
    refused: js.errors.KeyStreamError | None


def keys(count: int) -> Keys:
    """Return that many keys of the innermost `js.random_keys`; no error yet where there are none."""
    try:
        return Keys([js.next_key() for _ in range(count)], None)
    except js.errors.KeyStreamError as problem:
        # A module that is evaluated needs none: whoever finds that it draws raises this.
        return Keys([], problem)


def shaped(key: jax.Array, like: Any) -> jax.Array:
    """Return one key, or an array of keys of some shape."""
    return jax.random.split(key, like.shape) if like.shape else key
