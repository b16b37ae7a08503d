"""Kinds of call: what a call has in common with all that are surely alike, and whether it traces."""

import functools
import sys
from collections.abc import Callable, Hashable, Iterable, Mapping
from types import ModuleType
from typing import Any

import jax
from jax import lax

from jaxscope._core.base.calls import Arguments
from jaxscope._core.base.sameness import Look
from jaxscope._core.variables.given import OnDemand
from jaxscope._core.variables.tree import Variables

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

    def with_given(self, given: Mapping[Any, Any]) -> Hashable:
        """Equal for calls that are the same, but for the values of arrays, with like variables; or None."""
        if isinstance(given, OnDemand):  # whose values are not to be read
            return self.key and (self.key, self.types, tuple(given))
        values = given.as_dict() if isinstance(given, Variables) else given
        return self.with_variables(
            (name, value.shape, value.dtype) for name, value in values.items() if isinstance(value, jax.Array)
        )

    def with_variables(self, variables: Iterable[tuple[Any, ...]]) -> Hashable:
        """Return what `with_given` does where variables of such names, shapes and dtypes are given."""
        return self.key and (self.key, self.types, frozenset(variables))


# --- what traces -----------------------------------------------------------------------------------

#: Libraries whose functions run none of the user's in a trace, apart from those of JAX that are named below.
_CALM = frozenset({"jax", "jaxlib", "jaxscope", "numpy", *sys.stdlib_module_names})
#: By these code gets at anything.
_ANY = frozenset({"gc", "importlib", "inspect", "pkgutil", "runpy", "sys"})
_BLOCKS = frozenset({"jit", "scan_layers", "ensemble", "lift", "remat", "jaxscope"})
#: The modules of JAX whose functions run none of the user's, apart from those of `_tracing`.
_MODULES = (
    "jax jax.core jax.debug jax.dtypes jax.errors jax.extend.core jax.lax jax.nn jax.nn.initializers "
    "jax.numpy jax.numpy.fft jax.numpy.linalg jax.random jax.scipy.special jax.scipy.stats jax.sharding "
    "jax.tree jax.tree_util"
)


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


@functools.cache
def _calm() -> frozenset[int]:
    """Return the identities of all that JAX offers which runs none of the user's functions in a trace."""
    modules = [sys.modules[name] for name in _MODULES.split() if name in sys.modules]
    tracing = {id(thing) for thing in _tracing()}
    things = [
        thing for module in modules for thing in vars(module).values() if not isinstance(thing, ModuleType)
    ]
    return frozenset(map(id, things)) - tracing


def _says_so(thing: Any) -> bool:
    """Tell whether the module that one of our things is from, or a package around it, says so itself."""
    module = thing.__name__ if isinstance(thing, ModuleType) else str(getattr(thing, "__module__", ""))
    while module and not getattr(sys.modules.get(module), "RUNS_FUNCTIONS", False):
        module = module.rpartition(".")[0]
    return bool(module)


@functools.lru_cache(maxsize=4096)
def _may_trace(called: tuple[str, ...]) -> bool:
    """Tell whether what is called of a library may run one of the user's functions in a trace."""
    root = called[0].partition(".")[0]
    if root not in _CALM or root in _ANY:
        return True
    if root not in ("jax", "jaxlib", "jaxscope"):
        return False
    thing: Any = sys.modules.get(called[0])
    for part in [part for name in called[1:] for part in name.split(".")]:
        thing = getattr(thing, part, None)
        if id(thing) in _calm():  # and so are its attributes: those of `jax.Array`, of a ufunc, ...
            return False
    return root != "jaxscope" or called[-1] in _BLOCKS or _says_so(thing)
