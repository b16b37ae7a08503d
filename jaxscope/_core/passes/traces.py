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

import contextlib
import itertools
import weakref
from collections.abc import Callable, Generator, Hashable
from contextlib import AbstractContextManager
from typing import Any

import jax

from jaxscope._core.base import compat
from jaxscope._core.passes.learned import Memory
from jaxscope._core.scopes.numbering import Numbers

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


def neutral_key() -> Hashable:
    """Return the present neutral key."""
    return _neutral


def retire_neutral() -> None:
    """Never use the present neutral key again: a trace with a request may have been cached under it."""
    global _neutral  # noqa: PLW0603 - one value for all threads and passes is its point
    _neutral = next(_ids)


class Traces:
    """The traces of one pass, and the key under which new ones begin."""

    __slots__ = (
        "_base",
        "_key",
        "_open",
        "_place",
        "aborted",
        "active",
        "current",
        "everywhere",
        "found",
        "id",
        "memory",
        "numbers",
        "quiet",
        "state",
    )

    def __init__(self, memory: Memory, *, everywhere: bool) -> None:
        self.id = next(_ids)
        self.memory = memory
        self.everywhere = everywhere or len(memory.places) > Memory.LIMIT
        self.active = self.everywhere or bool(memory.places)
        self.aborted = False
        self.numbers = Numbers()
        self.quiet = True  # whether no request was made since a scope was last entered
        self.state = compat.trace_state_function()
        self.current: Any = self.state()
        self._base = self.current
        self.found = False  # whether there were requests in traces that JAX may keep
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

    @property
    def here(self) -> Any:
        """The present trace, for what belongs to it; None for the one in which the pass began."""
        return None if self.at_root else self.current

    def is_here(self, state: Any) -> bool:
        """Tell whether a trace is the present one, and not that of the pass."""
        return state is not None and bool(state == self.current)

    @property
    def eager(self) -> bool:
        """Whether operations of the pass are run, not staged."""
        return self._open[0][2]() is None

    def is_open(self, state: Any) -> bool:
        """Tell whether a trace seen before is the present one, or encloses it."""
        return state is self.current or any(state == known for known, *_ in self._open)

    def look(self) -> None:
        """Note in which trace we are, after code of the user's ran."""
        state = self.state()
        if not state == self.current:  # noqa: SIM201 - it defines == alone, and != costs twice as much
            self.enter(state)

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
        staging = compat.staging_trace(chain)
        if staging is None:
            # Inside a staged pass only `jax.core.eval_context` hides what is staged around it.
            new = not self.eager
        else:
            # vmap and grad run their function each time, on the trace around them: nothing is cached.
            new = all(reference() is not staging for *_, reference in self._around(chain))
        if new:
            if self._key is None:
                self.restart()
            self.found = True
            self.memory.places.add(self._place)
        self._note(state, chain, staging)

    def adopt(self) -> None:
        """Take the present trace for one that JAX's caches cannot hand out: its function serves one call."""
        state = self.state()
        if not state == self.current:  # noqa: SIM201 - see `look`
            chain = compat.traces()
            self._note(state, chain, compat.staging_trace(chain))
        self._base = self.current

    @contextlib.contextmanager
    def nested(self) -> Generator["Traces"]:
        """Let `at_border` be told of, and `found` be noted for, what runs inside, which adopts its trace."""
        before, found = self._base, self.found
        self.found = False
        try:
            yield self
        finally:
            self._base = before
            self.found = self.found or found

    @contextlib.contextmanager
    def aside(self, trace: Any) -> Generator[None]:
        """Let what runs inside run in a trace around the present one."""
        before, known = self.current, list(self._open)
        try:
            with compat.tracing().set_current_trace(trace):
                self.look()
                yield
        finally:
            self.current, self._open = before, known

    def where_it_began(self) -> AbstractContextManager[None]:
        """Return a context manager inside of which operations are those of the trace of the pass."""
        context: AbstractContextManager[None] = compat.tracing().set_current_trace(self._open[0][1]())
        return context

    @property
    def at_border(self) -> bool:
        """Whether the present trace is the one that was adopted last."""
        return self.current is self._base

    def _around(self, chain: list[Any]) -> list[Any]:
        """Return what is known of the traces in a chain."""
        known = self._open
        return [known[0], *(one for one in known[1:] if any(one[1]() is trace for trace in chain))]

    def _note(self, state: Any, chain: list[Any], staging: Any) -> None:
        self._open = [*self._around(chain), (state, _reference(chain[0]), _reference(staging))]
        self.current = state

    def stage(self) -> None:
        """Have an eager call staged whole, for it has something that JAX would compile at each call.

        Raises:
            Restart: The pass runs operation by operation, and may run again.
        """
        self.memory.compiles = True
        if self.eager and not self.everywhere:
            self.restart()

    def restart(self) -> None:
        """Abort the pass, which its driver runs again with the real key everywhere.

        Raises:
            Restart: Always.
        """
        self.aborted = True
        self.current = None  # so that each further request comes to `enter` again
        raise Restart(self)

    def close(self) -> None:
        """Forget what the keys were made of, streams among it, whose keys may be traced."""
        self.numbers.close()

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
