"""Which trace of JAX's is the current one: an array that was got in one is valid in it."""

from typing import Any

import jax
import jax.core
import jax.extend.core

__all__ = ["trace_state"]

# Where it is public depends on JAX's version.
_OWNER: Any = jax.extend.core if hasattr(jax.extend.core, "get_opaque_trace_state") else jax.core
_get: Any = _OWNER.get_opaque_trace_state


def trace_state() -> Any:
    """Return what is equal to itself alone, for as long as one trace is the current one."""
    return _get(convention="flax")
