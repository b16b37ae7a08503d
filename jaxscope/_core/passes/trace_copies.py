"""Lending: what inner traces of an eager call read, so that nothing keeps a variable when the call is over.

JAX keeps the trace of an inner function as long as that function, with all values that it closes over. An
eager call would leave its variables behind there. So an inner trace gets a copy, which is emptied at the end:
the trace belongs to one pass, and is never used again.
"""

import weakref
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer

__all__ = ["Loans"]


class Loans:
    """The copies that the inner traces of one pass were lent."""

    def __init__(self) -> None:
        self._copies: dict[int, tuple[Any, jax.Array]] = {}
        self._trace: Any = None  # the one in which something was lent last
        self._lent: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()

    def lend(self, value: Any, trace: Any) -> Any:
        """Return a value for a trace that must not keep the value itself.

        Args:
            value: What was given for a variable. A traced value is returned as it is.
            trace: The present trace: the same object as long as it is the same trace.
        """
        if isinstance(value, Tracer) or not isinstance(value, jax.Array):
            return value
        if trace is not self._trace:
            self._trace, self._lent = trace, weakref.WeakValueDictionary()
        lent = self._lent.get(id(value))
        if lent is None:
            if id(value) not in self._copies:
                with jax.ensure_compile_time_eval():
                    self._copies[id(value)] = (value, jnp.copy(value))
            # One more copy, in the trace: so the one that will be emptied cannot get out of it.
            lent = self._lent[id(value)] = jnp.copy(self._copies[id(value)][1])
        return lent

    def close(self) -> None:
        """Empty the copies."""
        for _, copy in self._copies.values():
            copy.delete()
        self._copies.clear()
        self._trace = None
