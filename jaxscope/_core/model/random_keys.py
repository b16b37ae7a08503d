"""Random keys for dropout and the like, by scope, so that code elsewhere does not shift them."""

from contextlib import AbstractContextManager
from typing import Any

import jax

from jaxscope._core.base import compat
from jaxscope._core.base.sites import here
from jaxscope._core.drawing.keys import as_key, fold
from jaxscope._core.passes.base_pass import Pass, current
from jaxscope.errors import KeyStreamError


class Stream:
    """Where keys come from.

    Attributes:
        given: The key as the user gave it: keys of one object are counted together.
        key: The key, or None.
        loops: How many loops were open when the stream was: they run their bodies with this stream in each
            step, on a key of the step.
    """

    def __init__(self, given: Any) -> None:
        self.given = given
        self.key = None if given is None else as_key(given, here())
        self.loops = compat.loops_open(Pass.run.__code__)

    def of(self, key: Any) -> "Stream":
        """Return this stream for the pass of a block, in which the key is another array."""
        made = Stream(None)
        made.given, made.key, made.loops = self.given, key, 0
        return made


def random_keys(key: jax.Array | None) -> AbstractContextManager[None]:
    """Make `key` the source of `next_key` inside the block.

    Args:
        key: A typed or legacy key, usually an argument of the transformed function; None for no
            source: `next_key` is then an error.

    Returns:
        A context manager. Of one and the same key object, later blocks go on where earlier ones ended.

    Raises:
        KeyStreamError: `key` is no key, or a batch of keys.
        ScopeNestingError: On leaving, where a block that was entered later is still open.
        NoPassError: Outside a transformed function.

    Example:
        >>> import jax, jax.numpy as jnp, jaxscope as js
        >>> @js.transform
        ... def noisy(x, key):
        ...     with js.random_keys(key):
        ...         return x + jax.random.normal(js.next_key(), x.shape)
        >>> noisy.apply({}, jnp.zeros(2), jax.random.key(0)).shape
        (2,)
    """
    run = current("random_keys")
    stream = Stream(key)
    return run.during(lambda around: around._replace(stream=stream))


def next_key() -> jax.Array:
    """Return a key that no other call of this pass gets, from the innermost `random_keys`.

    It depends on (the key given to `random_keys`, the current scope's full name, how many keys of that
    key were taken in that scope before) alone. Two keys of equal bits are two keys only where they are two
    objects: split a key rather than making it twice.

    Returns:
        A typed key, of shape `()`.

    Raises:
        KeyStreamError: No `random_keys` is open (code `no_key_stream`); or the call is in the body of a
            loop, each step of which would get the same key (`key_in_loop`); or in a derivative rule that
            JAX runs by itself (`key_in_rule`).
        NoPassError: Outside a transformed function.

    Example:
        >>> import jax, jaxscope as js
        >>> @js.transform
        ... def two(key):
        ...     with js.random_keys(key):
        ...         return js.next_key(), js.next_key()
        >>> a, b = two.apply({}, jax.random.key(0))
        >>> bool(a == b)
        False
    """
    run = current("next_key")
    stream = run.around.stream
    if stream is None or stream.key is None:
        raise KeyStreamError(
            "next_key has no key to take from",
            code="no_key_stream",
            at=here(),
            scope=run.describe_scope(),
            fix="open a stream around the call: with js.random_keys(key): ..., where key is an argument",
        )
    check_taking(run, stream)
    words, count = run.key_parts(stream.given, run.scopes.current._name)
    return jax.random.fold_in(fold(stream.key, words), count)


def check_taking(run: Pass, stream: Stream) -> None:
    """Raise `KeyStreamError` where JAX runs a body more than once, on the same key each time."""
    if compat.loops_open(Pass.run.__code__) > stream.loops:
        raise KeyStreamError(
            "next_key is called in the body of a loop, and each step would get the same key",
            code="key_in_loop",
            at=here(),
            scope=run.describe_scope(),
            fix="pass a key to each step and open it in the body:\n"
            "keys = jax.random.split(js.next_key(), steps)\n"
            "def body(carry, key):\n"
            "    with js.random_keys(key): ...\n"
            "jax.lax.scan(body, carry, keys)",
        )
    if compat.in_derivative_rule(Pass.run.__code__):
        raise KeyStreamError(
            "next_key is called in a derivative rule that JAX runs by itself",
            code="key_in_rule",
            at=here(),
            scope=run.describe_scope(),
            fix="take the key outside the function with the custom derivative, and pass it in",
        )
