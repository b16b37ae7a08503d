"""Random keys for dropout and the like, by scope, so that code elsewhere does not shift them."""

import contextlib
from collections.abc import Generator
from typing import Any, cast

import jax

from jaxscope._core.base import compat
from jaxscope._core.base.sites import here
from jaxscope._core.drawing.keys import as_key, fold, words_for
from jaxscope._core.passes.running import Pass, current
from jaxscope.errors import KeyStreamError


class Stream:
    """A key, and how many keys each scope has taken from it."""

    def __init__(self, key: jax.Array | None) -> None:
        self.key = None if key is None else as_key(key, here())
        self.counts: dict[str, int] = {}
        # Loops that are open already run their bodies with this stream in each step, on a key of the step.
        self.loops = compat.loops_open(Pass.run.__code__)

    def take(self, scope: str) -> jax.Array:
        """Return the next key of a scope."""
        words, count = self.parts(scope)
        return jax.random.fold_in(fold(cast(jax.Array, self.key), words), count)

    def parts(self, scope: str) -> tuple[Any, Any]:
        """Return what makes the next key of a scope another than all others: two words, and a count."""
        count = self.counts.get(scope, 0)
        self.counts[scope] = count + 1
        return words_for(scope), count


@contextlib.contextmanager
def random_keys(key: jax.Array | None) -> Generator[None]:
    """Make `key` the source of `next_key` inside the block.

    Args:
        key: A typed or legacy key, usually an argument of the transformed function; None for no
            source: `next_key` is then an error.

    Raises:
        KeyStreamError: `key` is no key, or a batch of keys.
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
    before = run.streams
    run.streams = (*before, (run.open_stream or Stream)(key))
    run.changed()
    try:
        yield
    finally:
        run.streams = before
        run.changed()


def next_key() -> jax.Array:
    """Return a key that no other call of this pass gets.

    It depends on (the key given to `random_keys`, the current scope's full name, how many keys were
    taken in that scope before) alone.

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
    stream = run.streams[-1] if run.streams else None
    if stream is None or stream.key is None:
        raise KeyStreamError(
            "next_key has no key to take from",
            code="no_key_stream",
            at=here(),
            scope=run.describe_scope(),
            fix="open a stream around the call: with js.random_keys(key): ..., where key is an argument",
        )
    check_taking(run, stream)
    run.changed()
    return cast(jax.Array, stream.take(run.scope._name))


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
    if compat.in_derivative_rule():
        raise KeyStreamError(
            "next_key is called in a derivative rule that JAX runs by itself",
            code="key_in_rule",
            at=here(),
            scope=run.describe_scope(),
            fix="take the key outside the function with the custom derivative, and pass it in",
        )
