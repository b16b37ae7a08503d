"""Kinds of call: what a call has in common with all that are surely alike, and whether it traces."""

import functools
import sys
from collections.abc import Callable, Hashable
from types import ModuleType
from typing import Any

import jax
from jax import lax

from jaxscope._core.base.calls import Arguments
from jaxscope._core.base.sameness import Look

__all__ = ["Kind"]


class Kind:
    """What is known of a call before it runs.

    Args:
        function: What is called.
        call: With what.

    Attributes:
        key: Equal for calls that are the same but for their arrays; None where that is unknown.
        why: What is unknown, and where the user finds it.
        arrays: The arrays that the key tells apart: what the function, and objects among the arguments, hold.
        calm: Whether the call surely runs no function of the user's in a trace of JAX's.
    """

    __slots__ = ("_look", "arrays", "calm", "key", "types", "why")

    def __init__(self, function: Callable[..., Any], call: Arguments) -> None:
        look = Look()
        look.see_at(str(getattr(function, "__name__", type(function).__name__)), function)
        call.see(look)
        self.key: Hashable = None
        self.why = ""
        if look.unknown is None:
            self.key = look.key()
        else:
            self.why = f"it cannot tell whether {look.unknown.place} ({look.unknown.what}) has changed"
        self._look = look
        self.types = tuple(map(jax.typeof, call.arrays))
        self.arrays = look.arrays
        self.calm = not (look.wraps or any(map(_may_trace, look.calls)))

    @property
    def known(self) -> bool:
        """Whether there is a key."""
        return self.key is not None

    @property
    def identity(self) -> Hashable:
        """Equal for calls with the very same objects."""
        return self._look.identity()

    def forget(self, why: str) -> None:
        """Give up the key."""
        self.key, self.why = None, why

    @property
    def exact(self) -> Hashable:
        """Equal for calls that are the same but for the values of their arrays; None: unknown."""
        return None if self.key is None else (self.key, self.types)


# --- what traces -----------------------------------------------------------------------------------

#: Libraries whose functions run none of the user's in a trace, apart from those of JAX that are named below.
_CALM = frozenset({"jax", "jaxlib", "jaxscope", "numpy", *sys.stdlib_module_names})
_BLOCKS = frozenset({"jit", "scan_layers", "ensemble", "lift", "jaxscope"})
_MODULES = frozenset({"jax.numpy", "jax.nn", "jax.random", "jax.scipy.special"})


@functools.cache
def _tracing() -> list[Any]:
    """Return the functions of JAX that trace what they are given, and may take the trace from a cache."""
    named = {
        jax: "jit checkpoint remat eval_shape make_jaxpr closure_convert linear_transpose custom_gradient "
        "custom_jvp custom_vjp custom_batching custom_derivatives shard_map smap pmap linearize named_call",
        lax: "scan cond switch while_loop fori_loop map associative_scan custom_root custom_linear_solve "
        "platform_dependent reduce reduce_window",
        jax.numpy: "vectorize apply_along_axis apply_over_axes piecewise fromfunction frompyfunc",
    }
    found = [getattr(module, name, None) for module, names in named.items() for name in names.split()]
    return [thing for thing in found if thing is not None]


@functools.lru_cache(maxsize=4096)
def _may_trace(called: tuple[str, ...]) -> bool:
    """Tell whether what is called of a library may run one of the user's functions in a trace."""
    if called[0].partition(".")[0] not in _CALM:
        return True
    if called[0].startswith("jaxscope"):
        return called[-1] in _BLOCKS
    if not called[0].startswith("jax"):
        return False
    thing: Any = sys.modules.get(called[0])
    for name in called[1:]:
        for part in name.split("."):
            thing = getattr(thing, part, None)
        if thing is None or any(thing is one for one in _tracing()):
            return True
    if isinstance(thing, ModuleType):
        return thing.__name__ not in _MODULES
    return "experimental" in ".".join((called[0], *called[1:], str(getattr(thing, "__module__", ""))))
