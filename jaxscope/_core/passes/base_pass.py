"""A pass: one run of the user's function; and the one ambient value, which pass that is."""

from collections.abc import Callable, Hashable
from contextvars import ContextVar
from threading import get_ident
from typing import Any, cast

from jaxscope._core.base import compat
from jaxscope._core.base.returned import returned
from jaxscope._core.base.sites import Site, here
from jaxscope._core.drawing.keys import words_for
from jaxscope._core.passes import collecting, refusals
from jaxscope._core.passes.books import Books
from jaxscope._core.passes.entries import Added, Entry
from jaxscope._core.passes.keeping import Keeping
from jaxscope._core.passes.learned import Memory
from jaxscope._core.passes.surroundings import NOTHING, Around, During
from jaxscope._core.passes.traces import Traces, retire_neutral
from jaxscope._core.requests.arguments import as_trainable
from jaxscope._core.requests.creators import chained
from jaxscope._core.requests.getters import NextGetter
from jaxscope._core.requests.graph_keys import GraphKeys
from jaxscope._core.requests.request import Request
from jaxscope._core.scopes.scope import VariableScope
from jaxscope._core.scopes.stack import ScopeStack
from jaxscope._core.variables.given import fits
from jaxscope._core.variables.partitioner import partition_spec_of
from jaxscope.errors import GetterError, JaxscopeError, NoPassError, StateError, near


class Pass:
    """One run of a transformed function, in which every request is answered by the same rules.

    The kinds of pass differ in what making, reading and writing a variable is.

    Attributes:
        function: The user's.
        owner: The thread that it runs in; None once the pass has ended.
        traces: The traces inside the pass, and what JAX may take from its caches.
        scopes: The scopes that are open.
        books: What was made so far.
        around: What surrounds the next request.
        sites: Whether it is noted where variables are made.
        keeping: What `per_pass` keeps.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        memory: Memory,
        *,
        everywhere: bool,
        scopes: Callable[..., ScopeStack] = ScopeStack,
        around: Around = NOTHING,
    ) -> None:
        self.function = function
        self.owner: int | None = get_ident()
        self.traces = Traces(memory, everywhere=everywhere)
        touch = self._touch if self.traces.active else None
        self.scopes = scopes(self, touch=touch)
        self.books = Books(touch)
        self.around = around
        self.sites = True
        self.keeping = Keeping()

    #: Whether results do not matter, only what is asked for.
    abstract = False

    # --- the kinds of pass differ in these -----------------------------------------------------

    def begin(self, entry: Entry) -> Any:
        """Give a new entry its value, and return it as `read` does; raise where that fails."""
        raise NotImplementedError

    def read(self, entry: Entry) -> Any:
        """Return the value of an entry, as an array that may be used in the present trace."""
        raise NotImplementedError

    def write(self, entry: Entry, value: Any) -> None:
        """Give an entry a new value."""
        raise NotImplementedError

    # --- answering a request -------------------------------------------------------------------

    def ask(self, name: str, request: Request, site: Site | None = None) -> Any:
        """Return what a request of the model's gets: the variable, behind the getters.

        Args:
            name: The full name, which is valid.
            request: What is asked for.
            site: Where, if the user's line is not on the stack.
        """
        border = self.around.border
        if request.getter is None:
            value = self.answer(name, request, site)
        else:
            place = site = site or here()
            value = border.through(lambda: self._ask_through(name, request, place))
        return border.asked(name, request, value, site or here()) if border.listens else value

    def _ask_through(self, name: str, request: Request, site: Site) -> Any:
        """Return what a custom getter returns for a request, by its full name (R38)."""
        passed_on: dict[str, None] = {}

        def answer(name: str, **others: Any) -> Any:
            self.traces.look()
            value = self.answer(name, request.passed_on(**others), site)
            passed_on[name] = None
            return value

        names = self.scopes.names
        path, names.path = names.path, ""  # R56
        try:
            innermost = NextGetter(answer, lambda: self.scopes.current._options.reuse)
            value = cast("Callable[..., Any]", request.getter)(innermost, **request.arguments(name))
        finally:
            names.path = path
        self.traces.look()
        if len(passed_on) == 1 and name not in passed_on:
            self.books.alias(name, *passed_on)
        return value

    def answer(self, name: str, request: Request, site: Site | None = None) -> Any:
        """Return a variable, behind the getters; the checks come in R23's order, from (6) on."""
        sizes = request.sizes(name, site) if request.asks_sizes else request.known_sizes
        books = self.books
        entry = books.entries.get(name)
        if entry is None and books.groups:
            entry = books.find(name)
        made = entry is None or not entry.by_get
        value = self._made(entry, name, request, site) if made else self._shared(entry, request, sizes, site)
        around = self.around
        if around is not NOTHING and around.border.listens:
            around.border.answered(name, request, value, site or here(), made=made)
        return value

    def _shared(self, entry: Any, request: Request, sizes: Any, site: Site | None) -> Any:
        if request.reuse is False and not compat.repeats_a_call(Pass.run.__code__):
            raise self._exists(entry, "this scope does not share names", refusals.SHARE, site)
        if sizes is not None and sizes != entry.shape and not fits(sizes, entry.shape or ()):
            raise refusals.other_shape(entry, self.first(entry), sizes, site or here(), self.describe_scope())
        around = self.around
        value = self.read(entry) if around is NOTHING else around.border.read(self, entry)
        if request.explicit and request.dtype != value.dtype:
            raise refusals.other_dtype(
                entry, self.first(entry), request.dtype, site or here(), self.describe_scope()
            )
        return value

    def _made(self, taken: Entry | None, name: str, request: Request, site: Site | None) -> Any:
        if request.reuse is True:
            raise refusals.missing(
                name,
                site or here(),
                self.describe_scope(),
                near(name, self.books.entries),
                given=self.is_given(name),
            )
        if taken is not None:
            raise self._exists(taken, "js.Variable made it, which is never shared", "use another name", site)
        if site is None and self.sites:
            site = here(3)
        initializer, shape, dtype = request.known_start or request.start(name, site)
        entry = Entry(name, request, shape, dtype, initializer, site)
        if not request.trainable or self.around is not NOTHING:
            self.check_new(entry)
            if self.around.creators:
                return self.make_through_creators(entry, name)
        return self.make(entry)

    def make(self, entry: Entry) -> Any:
        """Make a variable and return its value; raise and leave nothing where that fails."""
        around = self.around
        value = self.begin(entry) if around is NOTHING else around.border.begin(self, entry)
        if entry.request.partitioner is not None:
            partition_spec_of(
                entry.name,
                entry.request.partitioner,
                value.shape,
                entry.dtype,
                entry.site,
                trainable=entry.trainable,
            )
        if entry.request.regularizer is not None:
            around.border.keeps(collecting.regularize(self, entry, value))
        self.books.enter(entry)
        return value

    def value_of(self, entry: Entry) -> Any:
        """Return the value of an entry, as whoever listens has it."""
        return self.around.border.read(self, entry)

    def is_given(self, name: str) -> bool:
        """Tell whether a variable is among those that the call was given."""
        return False

    def check_new(self, entry: Entry) -> None:
        """Raise an error if a new variable contradicts its collections (R45) or a template (R51)."""
        if not entry.trainable and GraphKeys.TRAINABLE_VARIABLES in entry.collections:
            raise refusals.conflict(entry, self.describe_scope())
        if self.around.frozen:
            raise refusals.frozen(entry, self.describe_scope(), near(entry.name, self.books.entries))

    def make_through_creators(
        self, entry: Entry, own: str | None, named: Callable[[Any], str] | None = None
    ) -> Any:
        """Make a variable through the creators (R41), and return it.

        Args:
            entry: What is to be made.
            own: What creators see as its name.
            named: Returns the full name for what the creators give as name; None if they cannot change it.
        """
        made: list[Entry] = []

        def make(**kwargs: Any) -> Any:
            mark = self.scopes.mark()
            try:
                request = entry.request.replaced(
                    trainable=as_trainable(kwargs.get("trainable"), entry.name),
                    collections=kwargs.get("collections"),
                    regularizer=kwargs.get("regularizer"),
                    constraint=kwargs.get("constraint"),
                    partitioner=kwargs.get("partitioner"),
                )
                new = Entry(
                    entry.name if named is None else named(kwargs.get("name")),
                    request,
                    kwargs.get("shape", entry.shape),
                    kwargs.get("dtype", entry.dtype),
                    kwargs.get("initial_value", entry.initializer),
                    entry.site,
                )
                new.by_get = entry.by_get
                self.check_new(new)
                value = self.make(new)
                made.append(new)
            except BaseException:
                self.scopes.undo(mark)  # R24: a name that was asked for in vain is free
                raise
            return value

        before = self.mark()
        try:
            creators = chained(self.around.creators, make)
            self.around.border.creating(
                lambda: creators(
                    initial_value=entry.initializer,
                    trainable=entry.trainable,
                    collections=entry.request.collections,
                    name=own,
                    shape=entry.shape,
                    dtype=entry.dtype,
                    regularizer=entry.request.regularizer,
                    constraint=entry.request.constraint,
                    partitioner=entry.request.partitioner,
                )
            )
            if len(made) != 1:
                raise GetterError(  # noqa: TRY301 - undone like any other failure
                    f"the variable creators made {len(made)} variables for {entry.name!r}",
                    code="creator_made_none",
                    at=entry.site,
                    fix="call next_creator(**kwargs) once, and return what it returns",
                )
        except BaseException:
            self.undo(before)  # R24: also what was made before a creator failed
            raise
        self.traces.look()
        return self.value_of(made[0])

    def _exists(self, entry: Entry, why: str, fix: str, site: Site | None) -> JaxscopeError:
        made = self.first(entry)
        return refusals.exists(entry, made, entry.site, site or here(), self.describe_scope(), why, fix)

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

    # --- writing -------------------------------------------------------------------------------

    def set(self, entry: Entry, value: Any) -> None:
        """Give a variable a new value that fits it; the checks are those of every write.

        Raises:
            StateError: The variable is trainable; or a transform here loses, repeats or refuses a write.
        """
        if entry.trainable:
            raise StateError(
                f"variable {entry.name!r} is trainable, and only others can be set",
                code="set_trainable",
                first=self.first(entry),
                again=here(),
                fix="make it with trainable=False, or change it outside: variables.replace({...})",
            )
        self.traces.look()
        self.around.border.write(self, entry, value)
        self.books.changed()

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
                fix=refusals.set_outside(entry.name, transform),
            )

    def add(self, added: Added) -> None:
        """Put a value into a collection."""
        self.around.border.adds(added)
        self.books.add(added)

    def key_parts(self, given: Any, scope: str) -> tuple[Any, Any]:
        """Return what makes the next key of a scope another than all others: two words, and a count.

        Args:
            given: The object that the key to fold them into was given as.
            scope: The full name of the scope.
        """
        return self.around.border.took(given, scope, (words_for(scope), self.books.take(given, scope)))

    # --- what surrounds a request --------------------------------------------------------------

    def during(self, change: Callable[[Around], Around]) -> During:
        """Return a context manager inside of which requests are surrounded by something else."""
        return During(self, change)

    def surround(self, around: Around) -> None:
        """Set what surrounds the next requests."""
        self.around = around
        self._touch()

    def mark(self) -> tuple[Any, ...]:
        """Return a mark of books and numbering, to go back to."""
        return self.books.mark(), self.scopes.mark()

    def undo(self, mark: tuple[Any, ...]) -> None:
        """Put books and numbering back as they were when `mark` was taken."""
        self.scopes.undo(mark[1])
        self.books.undo(mark[0])

    # --- what scope objects need ---------------------------------------------------------------

    def look(self, what: str) -> None:
        """Note that something was read that inner traces depend on, if this is the pass that runs here."""
        if running() is self:
            current(what)

    def scope_is_set(self, scope: VariableScope) -> None:
        """Note that a scope object of this pass is set."""
        if not self.ended:  # a scope object may outlive its pass
            current("get_variable_scope")
            self.around.border.sets(scope)
            self.books.changed()

    def absolute(self, what: str) -> None:
        """Note that something depends on full names, or on the rest of the pass."""
        if not self.ended:
            self.around.border.absolute(what)

    def members(self, key: str, matches: Callable[[str], Any] | None) -> list[Any]:
        """Return the members of a collection whose name matches (None: all), in order."""
        self.absolute("js.get_collection")
        return collecting.members(self, key, matches)

    # --- running -------------------------------------------------------------------------------

    def run(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call the function with this pass as the current one, and return what it returns."""
        __tracebackhide__ = True
        token = _current.set(self)
        try:
            with self.traces.neutral():
                self._touch()
                result = returned(self.function(*args, **kwargs))
                self.keeping.end()
                return result
        finally:
            self.keeping.close()
            self.scopes.close()
            self.books.close()
            self.owner = None
            self.traces.close()
            _current.reset(token)

    @property
    def ended(self) -> bool:
        """Whether the function has returned."""
        return self.owner is None

    def count_names(self) -> None:
        """Note that a name depends on how often scopes were opened: inner traces must not skip any."""
        if not self.traces.memory.numbered:
            self.traces.memory.numbered = True
            if self.traces.active or self.scopes.skipped:
                self.traces.restart()

    def describe_scope(self) -> str:
        """Return the current scope for a message: `mlp/dense (reuse=False)`."""
        return str(self.scopes.current)

    def _touch(self) -> None:
        """Set the key of traces that begin from now on."""
        if self.traces.active:
            self.traces.rekey(self.scopes.place(), self._key)

    def _key(self) -> Hashable:
        traces, around = self.traces, self.around
        number = traces.numbers.of_object
        return (
            traces.id,
            self.scopes.key(traces.numbers, named=traces.memory.numbered),
            self.books.key(),
            around.frozen,
            tuple(map(number, around.creators)),
            number(around.stream),
            number(around.border),
        )


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
    if run is None or get_ident() != run.owner:
        raise _no_pass(run, what)
    traces = run.traces
    traces.quiet = False
    state = traces.state()
    if not state == traces.current:  # noqa: SIM201 - it defines == alone, and != costs twice as much
        traces.enter(state)
    return run


def entered(what: str) -> Pass:
    """Return the pass that is running here, for what the next request will note anyway."""
    run = _current.get()
    if run is None or get_ident() != run.owner:
        raise _no_pass(run, what)
    return run


def running() -> Pass | None:
    """Return the pass that is running here, or None."""
    run = _current.get()
    return run if run is not None and get_ident() == run.owner else None


def _no_pass(run: Pass | None, what: str) -> NoPassError:
    if compat.staging_trace() is not None:
        # A function that catches the error has another meaning in a pass, which must not take its trace.
        retire_neutral()
    if run is None:
        return NoPassError(
            f"js.{what} was called outside a transformed function",
            at=here(1),
            fix="wrap the outermost function: net = js.transform(f), then net.init(...) and net.apply(...)",
        )
    return NoPassError(
        f"js.{what} was called for a pass that {'has ended' if run.ended else 'runs in another thread'}",
        at=here(1),
        fix="make the request in the body of the transformed function, and pass its result on",
    )
