"""What is wrong, as one message for people."""

import logging
import sys

import jaxscope as js


class MistakeError(Exception):
    """What was asked for cannot be done, and why."""


def alone() -> None:
    """Let the message be the only one.

    Where a read of orbax's fails, its other reads find their event loop closed, and its threads print a
    traceback each. Errors of the command itself do not come this way: `main` catches them.
    """
    sys.excepthook = lambda *_: None
    sys.unraisablehook = lambda _: None
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)


def told(problem: BaseException) -> str:
    """Return an error as one message, without a traceback.

    Example:
        >>> told(FileNotFoundError("there is no file 'a.npz'")), told(ZeroDivisionError("by zero"))
        ("there is no file 'a.npz'", 'ZeroDivisionError: by zero')
    """
    if isinstance(problem, OSError) and problem.filename is not None:
        return f"{problem.filename}: {problem.strerror}"
    if isinstance(problem, js.errors.JaxscopeError | ImportError | OSError):
        return str(problem)
    if isinstance(problem, KeyError) and problem.args:
        return str(problem.args[0])
    return f"{type(problem).__name__}: {problem}"
