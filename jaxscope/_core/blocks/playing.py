"""Playing: a pass that runs a block again, on values that were asked for outside of it."""

from collections.abc import Callable, Mapping
from typing import Any

from jaxscope._core.base.sites import Site, here
from jaxscope._core.passes.around import Around
from jaxscope._core.passes.entries import Entry
from jaxscope._core.passes.memory import Memory
from jaxscope._core.passes.running import Pass
from jaxscope._core.requests.request import Request
from jaxscope._core.scopes.stack import ScopeStack
from jaxscope.errors import StateError, TraceError


class Playing(Pass):
    """A pass of a block, in which every request has its answer already.

    Args:
        function: The block.
        memory: Whatever earlier passes of it have taught.
        values: By the keys of its requests.
        entries: Of the variables that it may set or ask for plainly, by full name.
        aliases: The names that getters exchanged.
        parts: Words and count of each key that it takes, in order.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        memory: Memory,
        *,
        everywhere: bool,
        scopes: Callable[..., ScopeStack],
        around: Around,
        values: Mapping[Any, Any],
        entries: Mapping[str, Entry],
        aliases: Mapping[str, str],
        parts: list[tuple[Any, Any]],
    ) -> None:
        super().__init__(function, memory, everywhere=everywhere, scopes=scopes, around=around)
        self.sites = False
        self.values = values
        self._parts = parts
        self._taken = 0
        self._counts: dict[str, int] = {}
        self.books.aliases.update(aliases)
        for name, entry in entries.items():
            copy = Entry(name, entry.request, entry.shape, entry.dtype, entry.initializer, entry.site)
            copy.value = values.get(name, entry.value)
            self.books.enter(copy)

    def get(self, name: str, request: Request, site: Site | None) -> Any:
        if request.getter is None:
            entry = self.books.entries.get(name)
            if entry is not None:
                return entry.value
        else:
            self._counts[name] = count = self._counts.get(name, 0) + 1
            if (name, count) in self.values:
                return self.values[name, count]
        raise self._unknown(f"for variable {name!r}")

    def read(self, entry: Entry) -> Any:
        return entry.value

    def write(self, entry: Entry, value: Any) -> None:
        if not self.traces.at_root:
            raise inner_write(self, entry)
        entry.value = value

    def key_parts(self, given: Any, scope: str) -> tuple[Any, Any]:
        if self._taken == len(self._parts):
            raise self._unknown(f"for a random key in scope {scope!r}")
        self.around.border.took(given, scope)
        self._taken += 1
        self.books.changed()
        return self._parts[self._taken - 1]

    def mark(self) -> tuple[Any, ...]:
        return (*super().mark(), dict(self._counts), self._taken)

    def undo(self, mark: tuple[Any, ...]) -> None:
        *rest, self._counts, self._taken = mark
        super().undo(tuple(rest))

    def _unknown(self, what: str) -> TraceError:
        return TraceError(
            f"a block asks {what}, for which it did not ask when it was recorded",
            code="block_differs",
            at=here(),
            scope=self.describe_scope(),
            fix="let the block do the same each time; what differs from call to call, pass in as an argument",
        )


def inner_write(run: Pass, entry: Entry) -> StateError:
    """Return the error for a variable that is set in an inner trace of a block."""
    return StateError(
        f"variable {entry.name!r} of a block is set inside a JAX transform in it",
        code="write_in_block",
        first=run.first(entry),
        again=here(),
        fix="return the new value from the inner function, and set the variable in the block itself",
    )
