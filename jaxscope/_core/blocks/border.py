"""The border of a block: notes what the block asks for, and refuses what cannot be repeated for other scopes."""

from typing import Any, NamedTuple

import jax

from jaxscope._core.base.sites import Site, here
from jaxscope._core.blocks.playing import inner_write
from jaxscope._core.passes.border import Border, Writer
from jaxscope._core.passes.entries import Entry
from jaxscope._core.passes.running import Pass
from jaxscope._core.requests.request import Request
from jaxscope._core.scopes.scope import VariableScope
from jaxscope.errors import TraceError


class CannotLiftError(BaseException):
    """Ends the recording of a block that asks for something that cannot be repeated for another scope.

    Args:
        what: What it is, for messages.
        site: Where.
        loop: Whether a loop over the scopes is right in its place.
    """

    def __init__(self, what: str, site: Site, *, loop: bool = False) -> None:
        super().__init__(what)
        self.what = what
        self.site = site
        self.loop = loop

    def error(self, run: Pass, meaning: str, fix: str) -> TraceError:
        """Return the error for users: what was meant, and how to write it otherwise."""
        return TraceError(
            f"{meaning}, and the block uses {self.what}",
            code="cannot_lift",
            at=self.site,
            scope=run.describe_scope(),
            fix=f"keep that out of the block{fix}",
        )


class Asked(NamedTuple):
    """One request of a block.

    Attributes:
        key: Stands for its value: the name, and where getters have a say, also how often it was asked for.
        name: The full name, in the scope that the block was recorded in.
        request: What was asked for.
        site: Where.
        creators: What the making goes through.
        type: Shape, dtype and weak type of what the block got.
    """

    key: Any
    name: str
    request: Request
    site: Site
    creators: tuple[Any, ...]
    type: Any


class Took(NamedTuple):
    """One random key that a block takes: in which scope, and of what.

    Attributes:
        scope: The full name of the scope, in the one that the block was recorded in.
        given: The object that the key to derive it from was given as: an argument, something made inside, ...
    """

    scope: str
    given: Any


class Noting(Border):
    """Notes what a block asks for while it is recorded.

    Args:
        run: The pass.
        root: The scope that the block runs in.
        floor: How many scopes were entered before those that are the block's own.

    Attributes:
        events: The requests and the keys taken, in order.
        writes: The variables written, by full name.
        plain: The variables that it asked for without getters, by full name.
        refusals: Whether a request ended in an error, which the block has caught.
    """

    listens = True

    def __init__(self, run: Pass, root: VariableScope, floor: int) -> None:
        self.events: list[Asked | Took] = []
        self.writes: dict[str, Entry] = {}
        self.plain: dict[str, Entry] = {}
        self.refusals = False
        self.touched: set[str] = set()  # what getters wrote
        self._run = run
        self._root = root
        self._floor = floor
        self._counts: dict[str, int] = {}

    def asked(self, name: str, request: Request, value: Any, site: Site) -> None:
        key: Any = name
        if request.getter is not None:
            self._counts[name] = count = self._counts.get(name, 0) + 1
            key = name, count
        elif name in self.touched:
            raise CannotLiftError("state that a custom getter has set", site, loop=True)
        else:
            self.plain[name] = self._run.books.entries[name]
        if not isinstance(value, jax.Array):
            raise CannotLiftError("a custom getter that returns no array", site, loop=True)
        if getattr(value, "weak_type", False):
            raise CannotLiftError("a custom getter that returns an array of a weak type", site, loop=True)
        self.events.append(
            Asked(key, name, request, site, self._run.around.creators, jax.typeof(value))
        )

    def in_getter(self) -> Border:
        return _InGetter(self)

    def refused(self) -> None:
        self.refusals = True

    def absolute(self, what: str) -> None:
        raise CannotLiftError(what, here())

    def enters(self, scope: VariableScope) -> None:
        if scope is not self._root:
            self.sets(scope)

    def sets(self, scope: VariableScope) -> None:
        if scope._serial <= self._floor or scope._owner() is not self._run:
            raise CannotLiftError("a scope object from outside", here())

    def write(self, run: Writer, entry: Entry, value: Any) -> None:
        self._run.check_write(entry)
        if not self._run.traces.at_border:
            raise inner_write(self._run, entry)
        self.writes[entry.name] = entry

    def took(self, given: Any, scope: str) -> None:
        self.events.append(Took(scope, given))


class _InGetter(Border):
    """What a getter does while a block is recorded: it runs again for each scope, outside of the block."""

    listens = True

    def __init__(self, block: Noting) -> None:
        self._block = block

    def answered(self, name: str, request: Request, value: Any, site: Site, *, made: bool) -> None:
        if name in self._block.writes:
            raise CannotLiftError("a custom getter that reads what the block has set", site, loop=True)

    def write(self, run: Writer, entry: Entry, value: Any) -> None:
        self._block.touched.add(entry.name)
