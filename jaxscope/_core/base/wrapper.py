"""Wrappers: objects that stand where a function stood, under its name."""

import functools
import sys
from collections.abc import Callable
from typing import Any, cast

__all__ = ["Made", "Wrapper"]


class Made:
    """A thing of jaxscope's that is all that it was made of, whatever it remembers beside that."""

    #: Whether calling it may run functions of the user's in a trace of JAX's.
    traces = True

    def made_of(self) -> tuple[Any, ...]:
        """Return all that tells two of these apart."""
        raise NotImplementedError


class Wrapper(Made):
    """An object that stands for a function: it has its name and words, and is pickled and copied like it.

    Attributes of the function other than these are not taken over, so that none hides a method.

    Args:
        function: What it stands for.
    """

    __wrapped__: Callable[..., Any]

    def __init__(self, function: Callable[..., Any], /) -> None:
        functools.update_wrapper(cast(Any, self), function, updated=())

    def made_of(self) -> tuple[Any, ...]:
        """Return the function."""
        return (self.__wrapped__,)

    def __reduce__(self) -> Any:
        name = getattr(self, "__qualname__", "")
        found: Any = sys.modules.get(getattr(self, "__module__", None) or "")
        for part in name.split("."):
            found = getattr(found, part, None)
        # By its name, where it has taken the function's place; else as what makes it.
        return name if found is self else (type(self), self.made_of())
