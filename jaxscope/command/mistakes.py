"""What is wrong, as one message for people."""

import jaxscope as js


class MistakeError(Exception):
    """What was asked for cannot be done, and why."""


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
