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

from jaxscope import compat

_context: Callable[[Hashable], AbstractContextManager[None]] = jax.make_user_context(None)
_ids = itertools.count(1)
_neutral: Hashable = None


class Restart(BaseException):
    """Ends a pass that has to run again with other keys; users' `except Exception` lets it through."""

    def __init__(self, traces: "Traces") -> None:
        super().__init__("jaxscope: this pass starts again (do not catch BaseException inside a model)")
        self.traces = traces


class Memory:
    """What one transformed function's passes have taught: it makes later passes faster, never different."""

    __slots__ = ("completed", "numbered", "places", "written")

    #: Beyond this many places, a function whose scopes have ever new names would fill the memory.
    LIMIT = 100_000

    def __init__(self) -> None:
        self.places: set[tuple[str, int]] = set()  # in which traces begin that make requests
        self.written: set[str] = set()  # variables that are written in inner traces
        self.numbered = False  # whether inner traces make js.Variables, whose names are numbered
        self.completed = False  # whether any pass came to its end


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
        "requests",
        "state",
    )

    def __init__(self, memory: Memory, *, everywhere: bool) -> None:
        self.id = next(_ids)
        self.memory = memory
        self.everywhere = everywhere or len(memory.places) > Memory.LIMIT
        self.active = self.everywhere or bool(memory.places)
        self.aborted = False
        self.requests = 0
        self.state = compat.trace_state_function()
        self.current: Any = self.state()
        # The traces that enclose the present one, with the jaxprs that they write into.
        self._open = [(self.current, _reference(compat.staging_trace()))]
        self._key: Hashable = _neutral
        self._place = ("", 0)

    def neutral(self) -> AbstractContextManager[None]:
        """Return a context manager that sets the neutral key, and puts the present one back at its end."""
        return _context(_neutral)

    @property
    def at_root(self) -> bool:
        """Whether the present trace is the one in which the pass began."""
        return bool(self.current == self._open[0][0])

    def is_open(self, state: Any) -> bool:
        """Tell whether a trace seen before is the present one, or encloses it."""
        return any(state == known for known, _ in self._open)

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
                self.current = state
                return
        staging = compat.staging_trace()
        # vmap and grad run their function each time, on the trace around them: nothing is cached.
        if staging is not None and all(reference() is not staging for _, reference in known):
            if self._key == _neutral:
                self.restart()
            self.memory.places.add(self._place)
        known.append((state, _reference(staging)))
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
        new = key() if self.everywhere or place in self.memory.places else _neutral
        self._place = place
        if new != self._key:
            self._key = new
            # Entered and never left: the driver's context manager puts the outer value back.
            _context(new).__enter__()


def aborted(attempt: Callable[[list[Any], bool], None], passes: list[Any]) -> bool:
    """Make an attempt at a pass, with the neutral key; tell whether it has to run again.

    Args:
        attempt: Called with `passes`, to which it appends its pass, and False (for `everywhere`).
        passes: Where the attempt puts its pass.
    """
    try:
        attempt(passes, False)
    except Restart:
        if not (passes and passes[-1].traces.aborted):
            raise  # another pass's, around this one
        return True
    except Exception:
        if not (passes and passes[-1].traces.aborted):
            raise
    if passes[-1].traces.aborted:
        # The function caught BaseException, and so let a trace finish under the neutral key.
        retire_neutral()
        return True
    return False
