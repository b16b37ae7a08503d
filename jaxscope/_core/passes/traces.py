"""Traces inside a pass: what JAX may take from its caches, and when a pass must start again.

JAX caches the trace of an inner `jax.jit` (or scan, cond, checkpoint, ...) by function and argument
types; a hit skips the body. A body that asks for variables has a meaning that also depends on the pass,
the scope and what was made so far, so these go into the cache's key (`jax.make_user_context`). But a key
that changes with each request makes every jitted `jnp` function trace again. Hence:

*   A pass begins with the neutral key. The first request from a trace that was begun under the neutral
    key aborts the pass, before that trace can finish, and so before it can enter a cache.
*   The pass runs again with the real key everywhere, and learns the places in which such traces begin: a
    place is a scope, and how often the books have changed in it.
*   Later passes of the function use the real key in these places, and the neutral one elsewhere.

So no trace with a request in it ever finishes under the neutral key: that is why sharing it is safe.
"""

import itertools
import weakref
from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager
from typing import Any

import jax

from jaxscope._core.base import compat
from jaxscope._core.passes.memory import Memory

_context: Callable[[Hashable], AbstractContextManager[None]] = jax.make_user_context(None)
_ids = itertools.count(1)
_neutral: Hashable = None


class Restart(BaseException):
    """Ends a pass that has to run again with other keys; users' `except Exception` lets it through."""

    def __init__(self, traces: "Traces") -> None:
        super().__init__("jaxscope: this pass starts again (do not catch BaseException inside a model)")
        self.traces = traces


def _reference(trace: Any) -> Callable[[], Any]:
    # Weak, so that JAX can free a trace that has ended.
    return (lambda: None) if trace is None else weakref.ref(trace)


def retire_neutral() -> None:
    """Never use the present neutral key again: a trace with a request may have been cached under it."""
    global _neutral  # noqa: PLW0603 - one value for all threads and passes is its point
    _neutral = next(_ids)


class Traces:
    """The traces of one pass, and the key under which new ones begin."""

    __slots__ = (
        "_key",
        "_open",
        "_place",
        "aborted",
        "active",
        "current",
        "everywhere",
        "id",
        "memory",
        "state",
    )

    def __init__(self, memory: Memory, *, everywhere: bool) -> None:
        self.id = next(_ids)
        self.memory = memory
        self.everywhere = everywhere or len(memory.places) > Memory.LIMIT
        self.active = self.everywhere or bool(memory.places)
        self.aborted = False
        self.state = compat.trace_state_function()
        self.current: Any = self.state()
        chain = compat.traces()
        # The present trace and those around it in which there were requests, and what they write into.
        self._open = [(self.current, _reference(chain[0]), _reference(compat.staging_trace(chain)))]
        self._key: Hashable = None  # the neutral one
        self._place = ("", 0)

    def neutral(self) -> AbstractContextManager[None]:
        """Return a context manager that sets the neutral key, and puts the present one back at its end."""
        return _context(_neutral)

    @property
    def at_root(self) -> bool:
        """Whether the present trace is the one in which the pass began."""
        return self.current is self._open[0][0]

    def is_open(self, state: Any) -> bool:
        """Tell whether a trace seen before is the present one, or encloses it."""
        return state is self.current or any(state == known for known, *_ in self._open)

    def enter(self, state: Any) -> None:
        """Note that a request is made in another trace than the last one.

        Args:
            state: JAX's name for the present trace.

        Raises:
            Restart: The present trace was begun under the neutral key.
        """
        if self.aborted:
            raise Restart(self)
        known = self._open
        for position in range(len(known) - 1, -1, -1):
            if known[position][0] == state:
                del known[position + 1 :]
                self.current = known[position][0]  # the same object for the same trace
                return
        chain = compat.traces()
        around = [known[0], *(one for one in known[1:] if any(one[1]() is trace for trace in chain))]
        staging = compat.staging_trace(chain)
        # vmap and grad run their function each time, on the trace around them: nothing is cached.
        if staging is not None and all(reference() is not staging for *_, reference in around):
            if self._key is None:
                self.restart()
            self.memory.places.add(self._place)
        self._open = [*around, (state, _reference(chain[0]), _reference(staging))]
        self.current = state

    def restart(self) -> None:
        """Abort the pass, which its driver runs again with the real key everywhere.

        Raises:
            Restart: Always.
        """
        self.aborted = True
        self.current = None  # so that each further request comes to `enter` again
        raise Restart(self)

    def rekey(self, place: tuple[str, int], key: Callable[[], Hashable]) -> None:
        """Set the key for traces that begin from now on.

        Args:
            place: The current scope's full name, and how often the books have changed in it.
            key: Returns the real key; called only where it is used.
        """
        new = key() if self.everywhere or place in self.memory.places else None
        self._place = place
        if new != self._key:
            self._key = new
            # Entered and never left: the driver's context manager puts the outer value back.
            _context(_neutral if new is None else new).__enter__()
