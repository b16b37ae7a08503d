"""The stack of open scopes: entering, jumping and leaving; the only place that looks inside scope objects."""

import contextlib
import weakref
from collections.abc import Callable, Generator, Hashable, Iterator, Mapping
from typing import Any

from jaxscope._core.base import compat, names
from jaxscope._core.base.sites import here
from jaxscope._core.scopes.numbering import Counts, NameScopes, Numbers
from jaxscope._core.scopes.options import Options
from jaxscope._core.scopes.scope import Owner, VariableScope
from jaxscope.errors import ScopeNestingError


class ScopeStack:
    """The scopes that are open in a pass, and the numbering of names.

    Attributes:
        current: The scope that was opened last.
        counts: Which scopes were entered, so that default names are numbered.
        names: The names of `js.Variable` that were asked for.
        entered: How many scopes were entered so far.
        numbers: Whether a default name was asked for.
        skipped: Whether a block entered scopes that the names of `js.Variable` do not know.
        touch: Called at each change, where inner traces depend on it; else None.
    """

    __slots__ = (
        "_named_scope",
        "_root",
        "counts",
        "current",
        "entered",
        "names",
        "numbers",
        "skipped",
        "touch",
    )

    def __init__(
        self,
        owner: Owner,
        name: str = "",
        options: Options | None = None,
        touch: Callable[[], None] | None = None,
    ) -> None:
        self.current = self._root = VariableScope(name, options or Options(), weakref.ref(owner))
        self.counts = Counts()
        self.names = NameScopes()
        self.entered = 0
        self.numbers = False
        self.skipped = False
        self.touch = touch
        self._named_scope = compat.named_scope_function()

    # --- entering ------------------------------------------------------------------------------

    def enter(
        self, own: str, asked: str, given: dict[str, Any], manager: Any, entries: Mapping[str, Any]
    ) -> VariableScope:
        """Enter a scope below the current one.

        Args:
            own: Its own name.
            asked: The name of the name scope that is opened with it.
            given: The options that replace inherited ones.
            manager: Who enters it, and has to leave it.
            entries: The variables made so far, whose names count as asked for.
        """
        outer, scopes = self.current, self.names
        path = scopes.path
        name = outer._prefix + own
        options = outer._options.below(given) if given else outer._options
        self.entered = serial = self.entered + 1
        scope = VariableScope(name, options, outer._owner, outer, manager, path, serial)
        self.counts.log.append(name)
        scope._space = scopes.path = scopes.ask(path, asked, entries)
        scope._named_scope = named_scope = self._named_scope(own)
        named_scope.__enter__()
        self.current = scope
        if self.touch is not None:
            self.touch()
        return scope

    def enter_unchecked(self, own: str, *args: Any) -> VariableScope:
        """Enter a scope whose name may be one that no variable's may begin with; arguments as of `enter`."""
        scope = self.enter(own, *args)
        if not names.is_valid(scope._name):  # at the root, below a name scope: no variable can be in it
            scope._options = scope._options.changed(named=False)
        return scope

    def free_name(self, default: str) -> str:
        """Return the first numbered name whose scope was not entered below the current one (R20)."""
        self.numbers = True
        return self.counts.free_name(self.current._prefix, default)

    def enter_same(self, given: dict[str, Any], manager: Any) -> VariableScope:
        """Enter a scope that only sets options (R9)."""
        outer, path = self.current, self.names.path
        self.entered = serial = self.entered + 1
        options = outer._options.below(given) if given else outer._options
        scope = VariableScope(outer._name, options, outer._owner, outer, manager, path, serial)
        scope._space = outer._space
        self.current = scope
        if self.touch is not None:
            self.touch()
        return scope

    def jump(
        self, target: VariableScope, given: dict[str, Any], manager: Any, entries: Mapping[str, Any]
    ) -> VariableScope:
        """Enter a scope object: its name and options hold, whatever the place (R19)."""
        outer, counts, scopes = self.current, self.counts, self.names
        self.entered = serial = self.entered + 1
        options = target._options.below(given) if given else target._options
        # The object may come from an earlier pass, to which this scope does not belong.
        scope = VariableScope(target._name, options, outer._owner, outer, manager, scopes.path, serial)
        above, _, last = target._name.rpartition("/")
        mark = counts.mark()
        if target._name:
            counts.log.append(target._name)
        # R22: the count stays where the target's direct parent is open; the root always is.
        parent_is_open = any(open_._name == above for open_ in self.chain())
        scope._mark = counts.mark() if parent_is_open else mark
        if last:
            scope._space = scopes.path = scopes.ask(scopes.path, last, entries)
            scope._named_scope = self._named_scope(last)
            scope._named_scope.__enter__()
        self.current = scope
        if self.touch is not None:
            self.touch()
        return scope

    # --- leaving -------------------------------------------------------------------------------

    def leave(self, manager: Any) -> None:
        """Leave the current scope.

        Raises:
            ScopeNestingError: Another manager has entered it.
        """
        scope = self.current
        if scope._manager is not manager:
            raise ScopeNestingError(
                f"a scope is left while {scope} is the current one",
                at=here(),
                fix="leave scopes in the reverse order of entering; do not yield inside one",
            )
        self.names.path = scope._path
        if scope._mark is not None:
            self.counts.undo(scope._mark)
        elif scope._named_scope is not None:
            self.counts.log.append(scope._prefix)
        self._pop(scope)
        if self.touch is not None:
            self.touch()

    def _pop(self, scope: VariableScope) -> None:
        if scope._named_scope is not None:
            scope._named_scope.__exit__(None, None, None)
        assert scope._parent is not None
        self.current = scope._parent
        scope._parent = scope._manager = scope._named_scope = None

    def close(self) -> None:
        """Leave what the function left open, or left in disorder; the pass has ended."""
        self.touch = None
        while self.current._parent is not None:
            self._pop(self.current)
        self.current._options.forget()

    def chain(self) -> Iterator[VariableScope]:
        """Yield the open scopes, innermost first; the last is the root."""
        scope: VariableScope | None = self.current
        while scope is not None:
            yield scope
            scope = scope._parent

    # --- for blocks ----------------------------------------------------------------------------

    @contextlib.contextmanager
    def standing_in(self, name: str, options: Options) -> Generator[None]:
        """Let what runs inside stand in a scope, as a request did that is repeated; it is not entered."""
        outer = self.current
        self.current = VariableScope(name, options, outer._owner, outer, None, outer._path, self.entered)
        try:
            if self.touch is not None:
                self.touch()
            yield
        finally:
            self.current = outer
            if self.touch is not None:
                self.touch()

    def mark(self) -> tuple[int, int]:
        """Return a mark of the numbering, to go back to."""
        return self.counts.mark(), self.names.mark()

    def undo(self, mark: tuple[int, int]) -> None:
        """Put the numbering back as it was when `mark` was taken."""
        self.counts.undo(mark[0])
        self.names.undo(mark[1])

    # --- for the keys of inner traces ----------------------------------------------------------

    def place(self) -> tuple[str, int]:
        """Return where the pass is: the current scope's name, and how often anything changed in it."""
        scope = self.current
        scope._changes += 1
        return scope._name, scope._changes

    def key(self, numbers: Numbers, *, named: bool) -> Hashable:
        """Return what inner traces depend on.

        Args:
            numbers: Gives scopes and options their numbers.
            named: Whether inner traces also depend on the names of `js.Variable`.
        """
        return (
            self._chain_id(self.current, numbers),
            numbers.of_object(self.current._options),
            self.counts.digest,
            self.names.state() if named else None,
        )

    def _chain_id(self, scope: VariableScope, numbers: Numbers) -> int:
        if scope._parent is not None and not scope._id:
            scope._id = numbers.of((self._chain_id(scope._parent, numbers), scope._name))
        return scope._id
