"""Signatures as one would write them: `js.initializers.zeros`, and not the repr of a class."""

import inspect
import re
from typing import Any

import jax
import jax.numpy as jnp
from sphinx.application import Sphinx
from sphinx.util.inspect import object_description

from .names import homes

#: `*args: P.args` and `**kwargs: P.kwargs`, whose annotations Sphinx writes as it would a type's repr.
_PARTS = re.compile(r"(\*\*?)(\w+): ~(?:typing\.~)?(\w+)(?=[,)])")
#: A parameter of types elsewhere.
_PARAMETER = re.compile(r"(?<![\w.])~(?:typing\.~)?(?=[A-Z]\w*\b(?!\.))")
#: Where a name is looked for that stands in signatures.
_SPACES = {"jnp": jnp, "jax.nn": jax.nn}


def words(default: Any) -> str | None:
    """Return how a program would write a default: a class, a function or a mark; None for other values."""
    home = homes().get(id(default))
    if home is not None:
        return home.replace("jaxscope", "js", 1)
    if type(default) is object:  # a mark that says that nothing was given
        return "..."
    name = getattr(default, "__name__", None)
    found = [f"{path}.{name}" for path, space in _SPACES.items() if name and vars(space).get(name) is default]
    return found[0] if found else None


def written(signature: str, thing: Any) -> str:
    """Return the signature of a function or class, a string, with defaults and `*args` as in its source."""
    try:
        defaults = [one.default for one in inspect.signature(thing).parameters.values()]
    except (TypeError, ValueError):
        defaults = []
    for default in defaults:
        there = words(default)
        if there is not None:
            signature = signature.replace(object_description(default), there).replace(repr(default), there)
    return _PARAMETER.sub("", _PARTS.sub(_part, signature))


def _part(found: re.Match[str]) -> str:
    stars, name, parameter = found.groups()
    return f"{stars}{name}: {parameter}.{'args' if stars == '*' else 'kwargs'}"


def on_signature(
    _app: Sphinx, _what: str, _name: str, thing: Any, _options: Any, signature: str | None, result: str | None
) -> tuple[str | None, str | None]:
    """Change what autodoc has found."""
    return signature and written(signature, thing), result and _PARAMETER.sub("", result)


def setup(app: Sphinx) -> dict[str, bool]:
    """Let Sphinx know."""
    app.connect("autodoc-process-signature", on_signature)
    return {"parallel_read_safe": True}
