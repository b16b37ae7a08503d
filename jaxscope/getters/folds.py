"""What getters do while they are folded: they stand aside, note what they are asked for, or report."""

import contextlib
from collections.abc import Callable, Generator
from contextvars import ContextVar
from typing import Any

import jaxscope as js

#: What getters gave and passed on, since the last of them passed on something: (full name, value).
Reports = list[tuple[str, Any]]

_bare: ContextVar[bool] = ContextVar("jaxscope_getters_bare", default=False)
_noted: ContextVar[dict[str, list[Callable[[], Any]]] | None] = ContextVar(
    "jaxscope_getters_noted", default=None
)
_reports: ContextVar[Reports | None] = ContextVar("jaxscope_getters_reports", default=None)


@contextlib.contextmanager
def during(variable: ContextVar[Any], value: Any) -> Generator[None]:
    """Give a variable of the context a value for a while."""
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


def standing_aside() -> contextlib.AbstractContextManager[None]:
    """Let all getters of `js.getters` pass requests on as they are."""
    return during(_bare, True)


def bare() -> bool:
    """Tell whether getters stand aside."""
    return _bare.get()


def noting(noted: dict[str, list[Callable[[], Any]]]) -> contextlib.AbstractContextManager[None]:
    """Let getters note what they are asked for by others than themselves: by name, how to ask once more."""
    return during(_noted, noted)


def note(name: str, again: Callable[[], Any]) -> None:
    """Note that a getter is asked for a name."""
    noted = _noted.get()
    if noted is not None:
        noted.setdefault(name, []).append(again)


def reporting() -> contextlib.AbstractContextManager[None]:
    """Have what getters pass on checked: nothing but getters of `js.getters` may change it."""
    return during(_reports, [])


def report(name: str, value: Any) -> None:
    """Report what was given for a name."""
    reports = _reports.get()
    if reports is not None:
        reports.append((name, value))


def checked(name: str, ask: Callable[[], Any]) -> Any:
    """Return what the next getter gives for a name.

    Raises:
        GetterError: Getters are being folded, and another getter has changed it.
    """
    if _reports.get() is None:
        return ask()
    inside: Reports = []
    with during(_reports, inside):
        value = ask()
    if not any(own == name and given is value for own, given in inside):
        raise js.errors.GetterError(
            f"{name!r} cannot be folded: behind a getter of js.getters stands one that is none of them",
            code="cannot_fold",
            fix="give the getters of js.getters to a scope around that of your own getter",
        )
    return value
