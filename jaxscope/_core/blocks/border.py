"""The border of a block: notes what it asks for, and answers with inputs of the block's own program."""

import gc
import weakref
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxscope._core.base import compat
from jaxscope._core.base.sites import Site, here
from jaxscope._core.model.templates import made_since
from jaxscope._core.passes.base_pass import Pass
from jaxscope._core.passes.border import Border, Kind
from jaxscope._core.passes.cells import Cell
from jaxscope._core.passes.entries import Added, Entry
from jaxscope._core.passes.recording import labelled
from jaxscope._core.requests.request import Request
from jaxscope._core.scopes.options import Options
from jaxscope._core.scopes.scope import VariableScope
from jaxscope.errors import StateError, TraceError


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


class BlockFailedError(Exception):
    """The block itself fails while it is recorded; run as it is, it fails again, where a user sees it."""


class Asked(NamedTuple):
    """One request of a block.

    Attributes:
        key: Stands for its value: the name, and where getters have a say, also how often it was asked for.
        name: The full name, in the scope that the block was recorded in.
        request: What was asked for.
        site: Where.
        scope: The full name of the scope that was open, and
        options: its options.
        creators: What the making goes through.
        frozen: Whether nothing may be made.
        type: Of what the block got.
    """

    key: Any
    name: str
    request: Request
    site: Site
    scope: str
    options: Options
    creators: tuple[Any, ...]
    frozen: bool
    type: Any


class Took(NamedTuple):
    """One random key that a block takes: in which scope, and of what.

    Attributes:
        scope: The full name of the scope, in the one that the block was recorded in.
        given: The object that the key to derive it from was given as: an argument, something made inside, ...
    """

    scope: str
    given: Any


class Put(NamedTuple):
    """One value that a block adds to a collection.

    Attributes:
        added: What the books say about it.
        name: The full name of the variable that it is, in the scope that the block was recorded in, or None.
    """

    added: Added
    name: str | None


class Noting(Border):
    """Notes what a block asks for while it is recorded.

    Args:
        run: The pass.
        floor: How many scopes were entered before those that are the block's own.

    Attributes:
        events: The requests, the keys taken and the values added, in order.
        plain: The variables that it asked for without getters, by full name.
        values: What it asks for by name alone, as it is now: what it has set, or an input.
        writes: The variables that it sets, by full name.
        refusals: Whether a request ended in an error, which the block has caught, or something was undone.
    """

    listens = True
    stands_in = True

    def __init__(self, run: Pass, floor: int) -> None:
        self.events: list[Asked | Took | Put] = []
        self.plain: dict[str, Entry] = {}
        self.values: dict[str, Any] = {}
        self.writes: dict[str, Entry] = {}
        self.refusals = False
        self._will_write: set[str] = set()
        self._touched: set[str] = set()  # what getters have set
        self._run = run
        self._floor = floor
        self._path = run.scopes.names.path
        self._stream = run.around.stream
        self._is_new = made_since()
        self._templates: dict[int, weakref.ref[Any]] = {}
        self._counts: dict[str, int] = {}
        self._trace: Any = None

    def start(self) -> None:
        """Note that the block begins, in the present trace, in which its inputs are."""
        self._trace = compat.traces()[0]

    def release(self) -> None:
        """Let go of what belongs to the trace, which ends."""
        self.values.clear()
        self._trace = None

    def _input(self, label: Any, aval: Any) -> Any:
        # Also where the request is made in an inner trace: one input serves all.
        with compat.tracing().set_current_trace(self._trace):
            return labelled(label, aval)

    # --- requests ------------------------------------------------------------------------------

    def asked(self, name: str, request: Request, value: Any, site: Site) -> Any:
        if not isinstance(value, jax.Array) or getattr(value, "weak_type", False):
            raise CannotLiftError(
                "a custom getter that returns no array with a dtype of its own", site, loop=True
            )
        scope, around = self._run.scopes.current, self._run.around
        asked = Asked(
            name,
            name,
            request,
            site,
            scope._name,
            scope._options,
            around.creators,
            around.frozen,
            jax.typeof(value),
        )
        if request.getter is not None:
            self._counts[name] = count = self._counts.get(name, 0) + 1
            self.events.append(asked._replace(key=(name, count)))
            return self._input((name, count), asked.type)
        if name in self._touched:
            raise CannotLiftError("state that a custom getter has set", site, loop=True)
        self.events.append(asked)
        if name not in self.values:
            self.plain[name] = self._run.books.entries[name]
            self.values[name] = self._input(name, asked.type)
        return self.values[name]

    def through(self, ask: Callable[[], Any]) -> Any:
        """Return what custom getters return, without what they do: they run again, outside of the block."""
        stream = self._run.around.stream
        inside = _InGetter(self, None if stream is self._stream else stream)

        def aside() -> Any:
            self._run.traces.adopt()
            return ask()

        with self._run.traces.nested(), self._run.during(lambda around: around._replace(border=inside)):
            closed, made = jax.make_jaxpr(aside, return_shape=True)()
        self._run.traces.look()
        if not isinstance(made, jax.ShapeDtypeStruct):
            return made
        return labelled(None, closed.out_avals[0])

    def creating(self, make: Callable[[], Any]) -> Any:
        """Return what creators return, without what else they do: they run again, outside of the block."""
        stream = self._run.around.stream
        inside = _InGetter(self, None if stream is self._stream else stream)
        with self._run.during(lambda around: around._replace(border=inside)):
            return make()

    def took(self, given: Any, scope: str, parts: tuple[Any, Any]) -> tuple[Any, Any]:
        at = sum(isinstance(event, Took) for event in self.events)
        self.events.append(Took(scope, given))
        words = self._input(("words", at), jax.typeof(np.zeros(2, np.uint32)))
        return words, self._input(("count", at), jax.typeof(np.zeros((), np.uint32)))

    def becomes(self, given: Any, now: Any) -> None:
        self.events = [
            event._replace(given=now) if isinstance(event, Took) and event.given is given else event
            for event in self.events
        ]

    def write(self, run: Kind, entry: Entry, value: Any) -> None:
        self._run.check_write(entry)
        if not self._run.traces.at_border:
            raise written_in_transform(self._run, entry)
        if not any(isinstance(event, Asked) and event.name == entry.name for event in self.events):
            raise CannotLiftError(
                "js.set_variable of a variable that it does not ask for by its own name", here(), loop=True
            )
        self.writes[entry.name] = entry
        self.values[entry.name] = value

    def read_stack(self, cell: Cell, index: Any, names: Iterable[str]) -> Any:
        return None

    def will_write(self, name: str) -> None:
        self._will_write.add(name)

    # --- collections ---------------------------------------------------------------------------

    def variable_of(self, value: Any, known: Entry | None) -> Entry | None:
        names = (name for name, held in self.values.items() if held is value)
        return next((self.plain.get(name) or self.writes[name] for name in names), known)

    def adds(self, added: Added) -> None:
        if not self._run.traces.at_border:
            raise CannotLiftError("js.add_to_collection inside a JAX transform", added.site, loop=True)
        if added.entry is not None and added.entry.name not in self.values:
            raise CannotLiftError(
                "js.add_to_collection of a variable that it does not ask for", added.site, loop=True
            )
        if added.path != (self._path and self._path + "/"):
            self._run.count_names()  # which tell the path in other scopes
        self.events.append(Put(added, None if added.entry is None else added.entry.name))

    # --- what is refused -----------------------------------------------------------------------

    def refused(self) -> None:
        self.refusals = True

    def absolute(self, what: str, *, loop: bool = False) -> None:
        raise CannotLiftError(what, here(), loop=loop)

    def calls(self, template: Any) -> None:
        if not self._is_new(template):
            raise CannotLiftError("a template from outside", here(), loop=True)
        self._templates[id(template)] = weakref.ref(template)

    def check_templates(self) -> None:
        """Raise `CannotLiftError` if a template outlives the block, which the next layer may then share."""
        books = self._run.books
        books.template_scopes = {
            template: scope
            for template, scope in books.template_scopes.items()
            if id(template) not in self._templates
        }
        if self._template_lives():
            gc.collect()  # it may be held by what holds itself
            if self._template_lives():
                raise CannotLiftError("a template that it keeps", here(), loop=True)

    def _template_lives(self) -> bool:
        return any(reference() is not None for reference in self._templates.values())

    def enters(self, scope: VariableScope) -> None:
        self.sets(scope)

    def sets(self, scope: VariableScope) -> None:
        if scope._serial <= self._floor or scope._owner() is not self._run:
            raise CannotLiftError("a scope object from outside", here())

    def reads(self, name: str, site: Site) -> None:
        """Note that a getter reads a variable."""
        if name in self.writes or name in self._will_write:
            raise CannotLiftError("a custom getter that reads what the block has set", site, loop=True)

    def touches(self, name: str) -> None:
        """Note that a getter sets a variable."""
        self._touched.add(name)


class _InGetter(Border):
    """What a getter or a creator does while a block is recorded.

    Args:
        block: What the block does.
        stream: Where it takes keys from, if that is a stream of the block's own.
    """

    listens = True

    def __init__(self, block: Noting, stream: Any) -> None:
        self._block = block
        self._stream = stream

    def answered(self, name: str, request: Request, value: Any, site: Site, *, made: bool) -> None:
        self._block.reads(name, site)

    def write(self, run: Kind, entry: Entry, value: Any) -> None:
        self._block.touches(entry.name)

    def took(self, given: Any, scope: str, parts: tuple[Any, Any]) -> tuple[Any, Any]:
        if self._stream is not None and given is self._stream.given:
            raise CannotLiftError("a custom getter that takes keys of the block's", here(), loop=True)
        return parts


def written_in_transform(run: Pass, entry: Entry) -> StateError:
    """Return the error for a write in a trace inside of a block, out of which nothing comes."""
    return StateError(
        f"variable {entry.name!r} of a block is set inside a JAX transform in it",
        code="write_in_block",
        first=run.first(entry),
        again=here(),
        fix="return the new value from the inner function, and set the variable in the block itself",
    )
