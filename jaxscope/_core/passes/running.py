"""A pass: one run of the user's function, and its books."""

import weakref
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextvars import ContextVar
from threading import get_ident
from typing import Any

import jax
from jax import core

from jaxscope._core.base import compat
from jaxscope._core.base.sites import Site, here
from jaxscope._core.drawing.keys import words_for
from jaxscope._core.passes.entries import Added, Entry, Group
from jaxscope._core.passes.memory import Memory
from jaxscope._core.passes.traces import Traces, retire_neutral
from jaxscope._core.requests.graph_keys import GraphKeys
from jaxscope._core.scopes.numbering import Counts, NameScopes
from jaxscope._core.scopes.options import Options
from jaxscope._core.scopes.scope import VariableScope
from jaxscope.errors import (
    NoPassError,
    StateError,
    TraceError,
)


class Pass:
    """One run of a transformed function, and everything that the rules ask it to remember.

    Attributes:
        entries: The variables made so far, by full name, in order of making.
        added: The values added to collections, in order.
        scope: The current scope object.
    """

    assuming = False  # that names asked for under reuse=True exist (in a block that is lifted)
    numbers_scopes = False  # whether a default name was asked for
    sites = True  # whether it is noted where variables are made
    skipped_scopes = False  # whether a block that was lifted entered scopes that no name counts
    open_stream: Callable[[Any], Any] | None = None  # how a stream of keys is opened, if not as usual
    context: tuple[Any, Any] = (None, None)  # what JAX's caches depend on, in the trace of the last look

    def __init__(
        self, function: Callable[..., Any], memory: Memory, *, everywhere: bool, kind: Hashable = None
    ) -> None:
        self.function = function
        self.traces = Traces(memory, everywhere=everywhere)
        self.written = memory.written(kind)  # variables that inner traces write in this kind of call
        self.entries: dict[str, Entry] = {}
        self.groups: dict[str, Group] = {}  # by pattern; their entries are not made yet
        self.added: list[Added] = []
        self.counts = Counts()
        self.name_scopes = NameScopes()
        self.named_scope = compat.named_scope_function()
        self.scope = VariableScope("", Options(), weakref.ref(self))
        self.careful = 0  # the number of reasons for which all requests take the long way
        self.quiet = True  # whether no request was made since a scope was last entered
        self.creators: tuple[Callable[..., Any], ...] = ()
        self.templates: dict[Any, Any] = {}  # what the pass knows of each, in order of learning
        self.template_scopes: dict[Any, VariableScope] = {}  # of those that are made with their scope
        self.frozen = False  # during a template's later call, when nothing is made
        self.streams: tuple[Any, ...] = ()
        self.version = 0  # counts what no digest covers
        self._digest = 0
        self.owner: int | None = get_ident()  # None once the pass has ended
        # Whose requests need no look; none's where the pass has ended, or is one of a block that is lifted.
        self.thread: int | None = self.owner
        self._numbers: dict[Any, int] = {}
        self._kept: list[Any] = []

    # --- the two kinds of pass differ in these -------------------------------------------------

    def take(
        self,
        name: str,
        shape: Any,
        dtype: Any,
        initializer: Any,
        trainable: bool,
        explicit: bool = False,
        site: Site | None = None,
    ) -> jax.Array | None:
        """Return a variable that is asked for plainly, if no rule has a say in it; else None.

        Args:
            name: The full name, which is valid.
            shape: As the user gave it.
            dtype: The call's or the scope's.
            initializer: A callable, or None for the default of the dtype.
            trainable: Whether the value belongs to what gradients are taken of.
            explicit: Whether the call itself gave the dtype.
            site: Where it is asked for, if the user's line is not on the stack.
        """
        raise NotImplementedError

    def make(self, entry: Entry, explicit: bool) -> Any:
        """Make a variable and return its value; raise and leave nothing where that fails.

        Args:
            entry: The entry, not in the books yet.
            explicit: Whether the call itself gave the dtype.
        """
        self._set_value(entry, explicit)
        if entry.regularizer is not None:
            self._regularize(entry)
        self._enter(entry)
        return entry.value

    def _enter(self, entry: Entry) -> None:
        self.entries[entry.name] = entry
        if self.traces.active:
            self._note(entry.name)

    def _note(self, name: str) -> None:
        self._digest ^= hash(name)
        self.rekey()

    def _set_value(self, entry: Entry, explicit: bool) -> None:
        raise NotImplementedError

    def read(self, entry: Entry) -> Any:
        """Return the value of an entry, as an array that may be used in the present trace."""
        return entry.value

    def write(self, entry: Entry, value: Any) -> None:
        """Give an entry a new value."""
        raise NotImplementedError

    def _note_write(self, entry: Entry) -> None:
        if not self.traces.at_root:
            self.written.add(entry.name)

    def first(self, entry: Entry) -> str:
        """Return what and where an entry is, for an error.

        Raises:
            Restart: This pass does not note where variables are made, which takes a third of its time, and
                no recording of the function has noted it.
        """
        memory = self.traces.memory
        if entry.site is None:
            entry.site = memory.made_at.get(entry.name)
        if entry.site is None:
            memory.sites = True
            self.traces.restart()
        return str(entry)

    def check_write(self, entry: Entry) -> None:
        """Raise `StateError` inside a transform that loses, repeats or refuses a write."""
        transform = compat.loses_writes(Pass.run.__code__)
        if transform is not None:
            raise StateError(
                f"variable {entry.name!r} is set inside {transform}, "
                "where JAX loses, repeats or refuses the write",
                code="write_in_transform",
                first=self.first(entry),
                again=here(),
                fix=f"return the new value from the function under {transform}, "
                "and set the variable outside it",
            )

    def check_from_inputs(self, entry: Entry) -> None:
        """Raise `TraceError` where an initial value is computed inside an inner trace: it cannot leave."""
        if not self.traces.at_root:
            raise TraceError(
                f"the initial value of {entry.name!r} is computed inside a JAX transform",
                code="initial_value_in_trace",
                at=entry.site,
                scope=self.describe_scope(),
                fix=(
                    "pass a function (key, shape, dtype) -> array, or a NumPy array, as initializer "
                    "(jnp.zeros(3) is\ncomputed, too); "
                    if entry.by_get
                    else "pass a NumPy array; "
                )
                + "for a value that depends on the data, make the variable outside the transform",
            )

    # --- books ---------------------------------------------------------------------------------

    def members(self, key: str, matches: Callable[[str], Any] | None) -> list[Any]:
        """Return the members of a collection whose name matches (None: all), in order."""
        current("get_collection")
        self.settle()
        found: list[tuple[float, Any]] = []  # with their places in the order of making
        for position, entry in enumerate(self.entries.values()):
            if matches is None or matches(entry.name):
                if key == GraphKeys.REGULARIZATION_LOSSES and entry.loss is not None:
                    found.append((position, self._loss(entry)))
                if key in entry.collections:
                    found.append((position, self.read(entry)))
        found += [
            (item.position - 0.5, self._added(item))  # before the variable that was made next
            for item in self.added
            if item.key == key and (matches is None or matches(item.path))
        ]
        return [value for _, value in sorted(found, key=lambda pair: pair[0])]

    def _regularize(self, entry: Entry) -> Any:
        """Return what an entry's regularizer gives for its current value (R33), and keep it."""
        value = self.read(entry)
        try:
            loss = entry.regularizer(value)
        except Exception as problem:
            place = f", asked for at {entry.site}" if entry.site else ""
            problem.add_note(f"in the regularizer of variable {entry.name!r}{place}")
            raise
        if loss is not None:
            entry.loss = (self._held(value), self._held(loss), self.traces.current)
        return loss

    def _held(self, value: Any) -> Callable[[], Any]:
        # Weakly in an inner trace, which must not be kept alive after its end.
        inner = isinstance(value, core.Tracer) and not self.traces.at_root
        return weakref.ref(value) if inner else lambda: value

    def _loss(self, entry: Entry) -> Any:
        value, loss, state = entry.loss
        # Computed when the variable was made, which may be in a trace that has ended, or a value ago.
        if self.read(entry) is value() and self.traces.is_open(state) and loss() is not None:
            return loss()
        return self._regularize(entry)

    def _added(self, added: Added) -> Any:
        traced = any(isinstance(leaf, core.Tracer) for leaf in jax.tree.leaves(added.value))
        if traced and added.state is not None and not self.traces.is_open(added.state):
            raise TraceError(
                f"a value in collection {added.key!r} was added inside a JAX transform that has ended",
                code="value_of_ended_trace",
                first=added.site,
                again=here(),
                fix="return the value from the transformed function, and add it to the collection outside",
            )
        return added.value

    def scope_set(self) -> None:
        """Note that a scope object of this pass was set."""
        if not self.ended:  # a scope object may outlive its pass
            current("get_variable_scope")
            self.changed()

    def count_names(self) -> None:
        """Note that a name depends on how often scopes were opened: inner traces must not skip any."""
        if not self.traces.memory.numbered:
            self.traces.memory.numbered = True
            if self.traces.active or self.skipped_scopes:
                self.traces.restart()

    def changed(self) -> None:
        """Note a change that no digest covers: an inner function called before must run again."""
        self.version += 1
        if self.traces.active:
            self.rekey()

    def mark(self) -> tuple[Any, ...]:
        """Return a mark of all the books, to go back to."""
        self.settle()
        return (
            dict(self.groups),
            len(self.entries),
            len(self.added),
            self.counts.mark(),
            self.name_scopes.mark(),
            len(self.templates),
            self._digest,
        )

    def undo(self, mark: tuple[Any, ...]) -> None:
        """Put the books back as they were when `mark` was taken."""
        self.settle()
        self.groups, entries, added, counts, asked, templates, self._digest = mark
        while len(self.entries) > entries:
            self.entries.popitem()
        while len(self.templates) > templates:
            self.templates.popitem()
        del self.added[added:]
        self.counts.undo(counts)
        self.name_scopes.undo(asked)
        self.changed()

    # --- groups of layers ----------------------------------------------------------------------

    def add_group(self, group: "Group") -> None:
        """Enter the variables of many layers into the books at once."""
        self.careful += 1
        group.position = len(self.entries)
        self.groups[group.pattern] = group
        self.changed()

    def settled(self, name: str) -> "Entry | None":
        """Return the entry of a name, after making those of the groups that it may be in."""
        if any(name.startswith(group.prefix) for group in self.groups.values()):
            self.settle()
        return self.entries.get(name)

    def settle(self) -> None:
        """Make the entries of all groups, in their places in the order of making."""
        made = list(self.entries.values())
        for group in reversed(self.groups.values()):
            if not group.settled:
                group.settled = True
                made[group.position : group.position] = group.entries()
        self.entries = {entry.name: entry for entry in made}

    # --- scopes --------------------------------------------------------------------------------

    def chain(self) -> Iterator[VariableScope]:
        """Yield the open scopes, innermost first; the last is the root."""
        scope: VariableScope | None = self.scope
        while scope is not None:
            yield scope
            scope = scope._parent

    # --- the key of inner traces ---------------------------------------------------------------

    def rekey(self) -> None:
        """Set the key of traces that begin from now on; for every change while `traces.active`."""
        scope = self.scope
        scope._changes += 1
        self.traces.rekey((scope._name, scope._changes), self._key)

    def _key(self) -> Hashable:
        return (
            self.traces.id,
            self._chain_id(self.scope),
            self._number_of(self.scope._options),
            self._digest,
            self.counts.digest,
            self.version,
            self.frozen,
            tuple(map(self._number_of, self.creators)),
            tuple(map(self._number_of, self.streams)),
            self.name_scopes.state() if self.traces.memory.numbered else None,
        )

    def _chain_id(self, scope: VariableScope) -> int:
        if scope._parent is not None and not scope._id:
            scope._id = self._number((self._chain_id(scope._parent), scope._name))
        return scope._id

    def _number(self, key: Hashable) -> int:
        return self._numbers.setdefault(key, len(self._numbers) + 1)

    def _number_of(self, thing: Any) -> int:
        """Return a number for an object's identity, which keeps the object out of JAX's caches."""
        if thing is None:
            return 0
        if (id(thing), None) not in self._numbers:
            self._kept.append(thing)  # so that its id stays its own while the pass lives
        return self._number((id(thing), None))

    # --- running -------------------------------------------------------------------------------

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function with this pass as the current one, and return what it returns."""
        token = _current.set(self)
        try:
            with self.traces.neutral():
                if self.traces.active:
                    self.rekey()
                return self.function(*args, **kwargs)
        finally:
            while self.scope._parent is not None:  # left open by the function, or left in disorder
                self.scope = self.scope.leave()
            self.owner = self.thread = None
            self._kept.clear()  # among it streams, whose keys may be traced
            _current.reset(token)

    def admit(self, scope: VariableScope) -> None:
        """Check that a scope object may be entered in this pass."""

    def admit_use(self, what: str) -> None:
        """Check that something which depends on full names may be used in this pass."""

    def admit_getter(self) -> None:
        """Note that a request goes through custom getters."""

    def words(self, name: str) -> Any:
        """Return the two words that stand for a full name in keys."""
        return words_for(name)

    def forget(self, names: Iterable[str]) -> None:
        """Take variables out of the books again."""
        for name in names:
            if self.entries.pop(name, None) is not None and self.traces.active:
                self._digest ^= hash(name)

    @property
    def ended(self) -> bool:
        """Whether the function has returned."""
        return self.owner is None

    def check_open(self, what: str) -> None:
        """Raise `NoPassError` where this pass has ended, or belongs to another thread."""
        if self.ended or get_ident() != self.owner:
            where = "has ended" if self.ended else "runs in another thread"
            raise NoPassError(
                f"js.{what} was called for a pass that {where}",
                at=here(),
                fix="make the request in the body of the transformed function, and pass its result on",
            )

    def describe_scope(self) -> str:
        """Return the current scope for a message: `mlp/dense (reuse=False)`."""
        return str(self.scope)


def fits(asked: tuple[int | None, ...], found: tuple[int, ...]) -> bool:
    """Tell whether a shape asked for fits the one found: equal but for None, which fits any size (R25)."""
    return len(asked) == len(found) and all(a is None or a == f for a, f in zip(asked, found, strict=True))


_current: ContextVar[Pass | None] = ContextVar("jaxscope_pass", default=None)


def current(what: str) -> Pass:
    """Return the pass that is running here, after noting that it is asked for something.

    Every request calls this before it changes anything.

    Args:
        what: The public name of the function that asks, for the message.

    Raises:
        NoPassError: No transformed function is running in this thread, task or generator.
    """
    run = _current.get()
    if run is None or get_ident() != run.thread:
        run = entered(what)
    run.quiet = False
    traces = run.traces
    state = traces.state()
    if not state == traces.current:  # noqa: SIM201 - it defines == alone, and != costs twice as much
        traces.enter(state)
    return run


def entered(what: str) -> Pass:
    """Return the pass that is running here, for what the next request will note anyway."""
    run = _current.get()
    if run is None:
        if compat.staging_trace() is not None:
            # A function that catches the error has another meaning in a pass, which must not take its trace.
            retire_neutral()
        raise NoPassError(
            f"js.{what} was called outside a transformed function",
            at=here(),
            fix="wrap the outermost function: net = js.transform(f), then net.init(...) and "
            "net.apply(...);\nin a derivative rule that JAX runs later, pass the value in as an argument",
        )
    if get_ident() != run.thread:
        run.check_open(what)
    return run


def running() -> Pass | None:
    """Return the pass that is running here, or None."""
    run = _current.get()
    return run if run is not None and get_ident() == run.owner else None
