"""The border of a pass: who listens to its requests, and what may not be asked for."""

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from jaxscope._core.base.sites import Site
from jaxscope._core.passes.cells import Cell
from jaxscope._core.passes.entries import Added, Entry
from jaxscope._core.requests.request import Request


class Kind(Protocol):
    """A pass: what making, reading and writing a variable is in it."""

    def begin(self, entry: Entry) -> Any: ...
    def read(self, entry: Entry) -> Any: ...
    def write(self, entry: Entry, value: Any) -> None: ...


class Border:
    """What a pass consults at each request; this one allows all, and listens to nothing.

    Attributes:
        listens: Whether `asked` and `answered` are called.
        stands_in: Whether the model gets something else than a variable's value, which stands for it.
    """

    listens = False
    stands_in = False

    def asked(self, name: str, request: Request, value: Any, site: Site) -> Any:
        """Note that the model asked for a name, and return what it gets: the value, or what stands for it."""
        return value

    def answered(self, name: str, request: Request, value: Any, site: Site, *, made: bool) -> None:
        """Note that a variable was made or shared, in front of the getters."""

    def through(self, ask: Callable[[], Any]) -> Any:
        """Return what custom getters return."""
        return ask()

    def creating(self, make: Callable[[], Any]) -> Any:
        """Return what variable creators return."""
        return make()

    def refused(self) -> None:
        """Note that a request ended in an error, which the model may catch, or that something was undone."""

    def absolute(self, what: str, *, loop: bool = False) -> None:
        """Note that something depends on full names, or on the rest of the pass.

        Args:
            what: What it is, for messages.
            loop: Whether a loop is what is meant where a block does so.
        """

    def calls(self, template: Any) -> None:
        """Note that a template is called."""

    def enters(self, scope: Any) -> None:
        """Note that a scope object is entered."""

    def sets(self, scope: Any) -> None:
        """Note that a scope object is set."""

    def begin(self, run: Kind, entry: Entry) -> Any:
        """Give a new variable its value, and return it."""
        return run.begin(entry)

    def keeps(self, loss: Any) -> None:
        """Note what a regularizer has returned for a new variable."""

    def read(self, run: Kind, entry: Entry) -> Any:
        """Return a variable's value."""
        return run.read(entry)

    def read_stack(self, cell: Cell, index: Any, names: Iterable[str]) -> Any:
        """Return the values of the variables of many layers as one array; None where they are not in a cell.

        Args:
            cell: The home of the array in which they are given.
            index: Which part of it they are.
            names: Their full names.
        """
        return cell.read(index)

    def write(self, run: Kind, entry: Entry, value: Any) -> None:
        """Give a variable a new value."""
        run.write(entry, value)

    def will_write(self, name: str) -> None:
        """Note that a variable will get a new value before the border that is inside of this one ends."""

    def variable_of(self, value: Any, known: Entry | None) -> Entry | None:
        """Return the variable that a value is, or None.

        Args:
            value: Anything.
            known: What the books say it is.
        """
        return known

    def adds(self, added: Added) -> None:
        """Note that a value is added to a collection."""

    def took(self, given: Any, scope: str, parts: tuple[Any, Any]) -> tuple[Any, Any]:
        """Note that a random key was taken, of one given as an object, in a scope; return its parts."""
        return parts

    def becomes(self, given: Any, now: Any) -> None:
        """Note that a key of which others were taken is another object from now on."""


class Inner(Border):
    """A border inside of another, to which it hands on all that it does not change."""

    listens = True

    def __init__(self, outer: Border) -> None:
        self.outer = outer
        self.stands_in = outer.stands_in

    def asked(self, name: str, request: Request, value: Any, site: Site) -> Any:
        return self.outer.asked(name, request, value, site) if self.outer.listens else value

    def answered(self, name: str, request: Request, value: Any, site: Site, *, made: bool) -> None:
        if self.outer.listens:
            self.outer.answered(name, request, value, site, made=made)

    def through(self, ask: Callable[[], Any]) -> Any:
        return self.outer.through(ask)

    def creating(self, make: Callable[[], Any]) -> Any:
        return self.outer.creating(make)

    def refused(self) -> None:
        self.outer.refused()

    def absolute(self, what: str, *, loop: bool = False) -> None:
        self.outer.absolute(what, loop=loop)

    def calls(self, template: Any) -> None:
        self.outer.calls(template)

    def enters(self, scope: Any) -> None:
        self.outer.enters(scope)

    def sets(self, scope: Any) -> None:
        self.outer.sets(scope)

    def begin(self, run: Kind, entry: Entry) -> Any:
        return self.outer.begin(run, entry)

    def keeps(self, loss: Any) -> None:
        self.outer.keeps(loss)

    def read(self, run: Kind, entry: Entry) -> Any:
        return self.outer.read(run, entry)

    def read_stack(self, cell: Cell, index: Any, names: Iterable[str]) -> Any:
        return self.outer.read_stack(cell, index, names)

    def write(self, run: Kind, entry: Entry, value: Any) -> None:
        self.outer.write(run, entry, value)

    def will_write(self, name: str) -> None:
        self.outer.will_write(name)

    def variable_of(self, value: Any, known: Entry | None) -> Entry | None:
        return self.outer.variable_of(value, known)

    def adds(self, added: Added) -> None:
        self.outer.adds(added)

    def took(self, given: Any, scope: str, parts: tuple[Any, Any]) -> tuple[Any, Any]:
        return self.outer.took(given, scope, parts)

    def becomes(self, given: Any, now: Any) -> None:
        self.outer.becomes(given, now)


OPEN = Border()
