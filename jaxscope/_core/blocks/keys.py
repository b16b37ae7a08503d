"""Random keys of a block."""

from typing import Any, NamedTuple

import jax

from jaxscope._core.model.random_keys import Stream


class Key(NamedTuple):
    """One key that a block takes: of which scope, which one, and whether from a stream of the block's own."""

    scope: str
    number: int
    own: bool


class RecordedStream(Stream):
    """Notes which keys a block takes."""

    def __init__(self, key: jax.Array | None, taken: list[Key], *, own: bool) -> None:
        super().__init__(key)
        self.loops = self.loops if own else 0
        self._taken = taken
        self._own = own

    def parts(self, scope: str) -> tuple[Any, Any]:
        words, count = super().parts(scope)
        self._taken.append(Key(scope, count, self._own))
        return words, count


class Taken(NamedTuple):
    """The keys that a block takes, with their words and counts in the scope that it runs in."""

    order: list[Key]
    words: Any
    counts: Any

    def parts(self, key: Key) -> tuple[Any, Any]:
        """Return words and count of a key."""
        at = self.order.index(key)
        return self.words[at], self.counts[at]


class GivenStream(Stream):
    """Hands out the keys of the scope that a block runs in."""

    def __init__(self, key: jax.Array | None, taken: Taken, *, own: bool) -> None:
        super().__init__(key)
        self.loops = self.loops if own else 0
        self._given = taken
        self._own = own

    def parts(self, scope: str) -> tuple[Any, Any]:
        _, count = super().parts(scope)
        return self._given.parts(Key(scope, count, self._own))
