"""Which names are public, in which order, and where each object has its entry."""

import functools
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import jaxscope as js
from jaxscope.tf1.base.faces import names_here


def things(module: ModuleType) -> dict[str, Any]:
    """Return what is public in a module, by its name; in jaxscope.tf1 and its namespaces, what is here.

    Functions come first, then what has a capital, as classes have, and last the functions as objects.
    """
    names = list(getattr(module, "__all__", ()))
    root, _, space = module.__name__.partition("jaxscope.tf1")
    if not root:
        names += names_here(space.removeprefix("."))
    found = {name: getattr(module, name) for name in names}
    return dict(sorted(found.items(), key=_place))


def _place(item: tuple[str, Any]) -> int:
    name, thing = item
    return 2 if isinstance(thing, functools.partial) else int(name[0].isupper())


def modules(module: ModuleType = js) -> Iterator[ModuleType]:
    """Go through a module and all that are public in it and in them."""
    yield module
    for name, inner in things(module).items():
        if isinstance(inner, ModuleType) and inner.__name__ == f"{module.__name__}.{name}":
            yield from modules(inner)


@functools.cache
def homes() -> dict[int, str]:
    """Return under which dotted name an object has its entry, by id: the first of the shortest."""
    found: dict[int, str] = {}
    for module in sorted(modules(), key=lambda module: module.__name__.count(".")):
        for name, thing in things(module).items():
            if callable(thing) or type(thing).__module__.startswith("jaxscope"):
                found.setdefault(id(thing), f"{module.__name__}.{name}")
    return found
