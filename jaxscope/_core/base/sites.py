"""Sites: the user's file and line behind a request."""

import contextlib
import functools
import inspect
import os
import sys
import warnings
from types import CodeType
from typing import NamedTuple

import numpy as np

from jaxscope._core.base.compat import JAX_FOLDER, OWN_FOLDER
from jaxscope._core.base.immutable import Value

# Frames of these are not the user's: jaxscope, JAX (which calls what it traces), NumPy (which hands on what
# it is asked for), and Python's own wrappers.
_NOT_USERS = (
    OWN_FOLDER,
    JAX_FOLDER,
    os.path.join(os.path.dirname(np.__file__), ""),
    inspect.getfile(contextlib),
    inspect.getfile(functools),
)


class Site(NamedTuple):
    """One place in the user's code, kept as a code object and resolved only when it is shown.

    Example:
        >>> site = here()
        >>> site.function
        '<module>'
    """

    code: CodeType
    instruction: int
    caller: tuple[CodeType, int] | None = None  # the code and instruction that called the function

    @property
    def file(self) -> str:
        """The path of the source file, as Python gives it."""
        return self.code.co_filename

    @property
    def line(self) -> int:
        """The line number, from 1."""
        for start, stop, line in self.code.co_lines():
            if start <= self.instruction < stop and line is not None:
                return line
        return self.code.co_firstlineno

    @property
    def function(self) -> str:
        """The name of the function that contains the line."""
        return self.code.co_name

    @property
    def called(self) -> str:
        """Where the function was called by a user's, as a phrase to add; `""` if that is not known."""
        return "" if self.caller is None else f", called at {Site(*self.caller)}"

    def __str__(self) -> str:
        return f"{os.path.basename(self.file)}:{self.line} in {self.function}"

    def __repr__(self) -> str:
        return f"Site({self})"

    def __reduce__(self) -> tuple[type["ResolvedSite"], tuple[str, int, str]]:
        return ResolvedSite, (self.file, self.line, self.function)


class ResolvedSite(Value):
    """A site that came back from a pickle: the same facts, without the code object."""

    def __init__(self, file: str, line: int, function: str) -> None:
        self.file = file
        self.line = line
        self.function = function

    def __str__(self) -> str:
        return f"{os.path.basename(self.file)}:{self.line} in {self.function}"


def here(skip: int = 0) -> Site:
    """Return the innermost place on the stack that is the user's.

    Args:
        skip: How many of the caller's own frames are surely jaxscope's, beside the caller's.
    """
    frame = sys._getframe(skip + 1)
    while not is_users(frame.f_code.co_filename) and frame.f_back is not None:
        frame = frame.f_back
    outer = frame.f_back
    users = outer is not None and is_users(outer.f_code.co_filename)
    caller = (outer.f_code, outer.f_lasti) if outer is not None and users else None
    return tuple.__new__(Site, (frame.f_code, frame.f_lasti, caller))  # twice as fast as Site(...)


def warn(message: str) -> None:
    """Warn about the innermost line that is the user's; Python shows it once for each."""
    site = here(1)
    warnings.warn_explicit(message, UserWarning, site.file, site.line)


@functools.lru_cache(maxsize=4096)
def is_users(file: str) -> bool:
    """Tell whether a frame of a file is the user's."""
    return not file.startswith(_NOT_USERS)
