"""Homes: what a public module exports says that it lives there, so that pickles name a path that lasts."""

from collections.abc import Iterable, Mapping
from types import FunctionType
from typing import Any

_PRIVATE = "jaxscope._core."


def publish(module: str, exported: Iterable[str], namespace: Mapping[str, Any]) -> None:
    """Let the classes and functions that a public module exports name it as their home.

    A pickle names what it is made of by module and name. If that were a module below `_core`, none could
    ever be moved without breaking the files that people have saved.

    Args:
        module: The public module: `"jaxscope"`, `"jaxscope.initializers"`, ...
        exported: The names. Constants, modules, and what has a public home already, stay as they are.
        namespace: The module's `globals()`.

    Example:
        >>> one = type("one", (), {"__module__": "jaxscope._core.model.ones"})
        >>> publish("jaxscope", ["one"], {"one": one})
        >>> one.__module__
        'jaxscope'
    """
    for name in exported:
        thing = namespace[name]
        # Under another name than its own it could not be found again.
        if isinstance(thing, type | FunctionType) and namespace.get(thing.__qualname__) is thing:
            members = vars(thing).values() if isinstance(thing, type) else ()
            for one in (thing, *(getattr(member, "__func__", member) for member in members)):
                if isinstance(one, FunctionType) or one is thing:
                    _move(one, module)


def _move(thing: Any, module: str) -> None:
    if str(thing.__module__).startswith(_PRIVATE):
        thing.__module__ = module
