"""The border of a pass: who listens to its requests, and what may not be asked for."""

from collections.abc import Callable
from typing import Any, Protocol

from jaxscope._core.base.sites import Site
from jaxscope._core.passes.entries import Entry
from jaxscope._core.requests.request import Request


class Writer(Protocol):
    """A pass, which gives variables new values."""

    def write(self, entry: Entry, value: Any) -> None: ...


class Border:
    """What a pass consults at each request; this one allows all, and listens to nothing.

    Attributes:
        listens: Whether `asked` and `answered` are called.
    """

    listens = False

    def asked(self, name: str, request: Request, value: Any, site: Site) -> Any:
        """Note that the model asked for a name, and return what it gets: the value, or what stands for it."""
        return value

    def answered(self, name: str, request: Request, value: Any, site: Site, *, made: bool) -> None:
        """Note that a variable was made or shared, in front of the getters."""

    def through(self, ask: Callable[[], Any]) -> Any:
        """Return what custom getters return."""
        return ask()

    def refused(self) -> None:
        """Note that a request ended in an error, which the model may catch."""

    def absolute(self, what: str) -> None:
        """Note that something depends on full names, or on the rest of the pass."""

    def enters(self, scope: Any) -> None:
        """Note that a scope object is entered."""

    def sets(self, scope: Any) -> None:
        """Note that a scope object is set."""

    def write(self, run: Writer, entry: Entry, value: Any) -> None:
        """Give a variable a new value."""
        run.write(entry, value)

    def took(self, given: Any, scope: str, parts: tuple[Any, Any]) -> tuple[Any, Any]:
        """Note that a random key was taken, of one given as an object, in a scope; return its parts."""
        return parts


OPEN = Border()
