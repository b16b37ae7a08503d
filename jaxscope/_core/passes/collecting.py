"""Collecting: the members of a pass's collections, among them the losses of its regularizers."""

import weakref
from collections.abc import Callable
from typing import Any, Protocol

import jax
from jax import core

from jaxscope._core.base.describe import shown
from jaxscope._core.base.sites import here
from jaxscope._core.passes.books import Books
from jaxscope._core.passes.entries import Added, Entry
from jaxscope._core.passes.traces import Traces
from jaxscope._core.requests.graph_keys import GraphKeys
from jaxscope.errors import TraceError


class Reader(Protocol):
    """A pass, as far as this module needs it."""

    @property
    def books(self) -> Books: ...
    @property
    def traces(self) -> Traces: ...
    def value_of(self, entry: Entry) -> Any: ...


def members(run: Reader, key: str, matches: Callable[[str], Any] | None) -> list[Any]:
    """Return the members of a collection whose name matches (None: all), in order of making."""
    books = run.books
    books.settle()
    added = [item for item in books.added if item.key == key]
    found: list[tuple[float, Any]] = []  # with their places in the order of making
    for position, entry in enumerate(books.entries.values()):
        if matches is None or matches(entry.name):
            if key == GraphKeys.REGULARIZATION_LOSSES and entry.loss is not None:
                found += [(position, loss) for loss in _losses(run, entry)]
            if key in entry.request.kept_in:
                found.append((position, run.value_of(entry)))
    found += [
        (item.position - 0.5, _value(run, item))  # before the variable that was made next
        for item in added
        if matches is None or matches(item.path if item.entry is None else item.entry.name)
    ]
    return [value for _, value in sorted(found, key=lambda pair: pair[0])]


def variables(run: Reader, key: str, matches: Callable[[str], Any] | None) -> dict[str, Any]:
    """Return the variables in a collection whose name matches (None: all), in order of making."""
    run.books.settle()
    return {
        name: run.value_of(entry)
        for name, entry in run.books.entries.items()
        if (matches is None or matches(name)) and (key in entry.request.kept_in or key in entry.added_to)
    }


def variable_of(run: Reader, value: Any) -> Entry | None:
    """Return the entry of the variable that a value is, or None if it is another value."""
    for entry in run.books.entries.values():
        if entry.value is value or (entry.held is not None and entry.held() is value):
            return entry
    return None


def regularize(run: Reader, entry: Entry, value: Any) -> Any:
    """Return what an entry's regularizer gives for its value (R33), and keep it."""
    try:
        loss = entry.request.regularizer(value)
    except Exception as problem:
        place = f", asked for at {entry.site}" if entry.site else ""
        problem.add_note(f"in the regularizer of variable {entry.name!r}{place}")
        raise
    run.traces.look()
    if loss is not None:
        keep_loss(run, entry, value, loss)
    return loss


def keep_loss(run: Reader, entry: Entry, value: Any, loss: Any) -> None:
    """Keep what an entry's regularizer gave for its value."""
    entry.loss = (_held(run, value), _held(run, loss), run.traces.current)


def _held(run: Reader, value: Any) -> Callable[[], Any]:
    # Weakly in an inner trace, which must not be kept alive after its end.
    inner = isinstance(value, core.Tracer) and not run.traces.at_root
    return weakref.ref(value) if inner else lambda: value


def _losses(run: Reader, entry: Entry) -> list[Any]:
    """Return the losses of an entry: one, or those that its regularizer gives one by one."""
    regularizer: Any = entry.request.regularizer
    if not getattr(regularizer, "apart", False):
        return [_loss(run, entry)]
    value = run.value_of(entry)
    losses = [part(value) for part in regularizer.regularizers]
    run.traces.look()
    return [loss for loss in losses if loss is not None]


def _loss(run: Reader, entry: Entry) -> Any:
    made_of, loss, state = entry.loss
    # Computed when the variable was made, which may be in a trace that has ended, or a value ago.
    value = run.value_of(entry)
    if value is made_of() and run.traces.is_open(state) and loss() is not None:
        return loss()
    return regularize(run, entry, value)


def _value(run: Reader, added: Added) -> Any:
    if added.entry is not None:
        return run.value_of(added.entry)
    traced = any(isinstance(leaf, core.Tracer) for leaf in jax.tree.leaves(added.value))
    if traced and added.state is not None and not run.traces.is_open(added.state):
        raise TraceError(
            f"a value in collection {shown(added.key)} was added inside a JAX transform that has ended",
            code="value_of_ended_trace",
            first=added.site,
            again=here(),
            fix="return the value from the transformed function, and add it to the collection outside",
        )
    return added.value
