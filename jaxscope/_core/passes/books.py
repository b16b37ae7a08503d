"""Books: what a pass has made, and what was added to its collections; all of it can be undone."""

import weakref
from collections.abc import Callable, Hashable
from typing import Any, Protocol

from jaxscope._core.passes.entries import Added, Entry


class Group(Protocol):
    """The variables of many layers, whose entries are made when they are asked for."""

    pattern: str
    prefix: str
    position: int
    settled: bool

    @property
    def size(self) -> int:
        """How many variables there are."""
        ...

    def entries(self) -> list[Entry]:
        """Return an entry for each variable of each layer, in order of making."""
        ...

    def cells(self) -> list[Any]:
        """Return the homes of those that are not trainable, where they are given stacked."""
        ...


class Books:
    """What a pass has made and noted.

    Attributes:
        entries: The variables made so far, by full name, in order of making; complete after `settle`.
        groups: The groups of layers, by the pattern of their names.
        added: The values added to collections, in order.
        aliases: The full names that getters exchanged, with what they passed on.
        templates: What the pass knows of each template, in order of learning.
        template_scopes: The scopes of those that are made with their scope.
        touch: Called at each change, where inner traces depend on it; else None.
    """

    __slots__ = (
        "_digest",
        "_journal",
        "_taken",
        "_version",
        "added",
        "aliases",
        "entries",
        "groups",
        "template_scopes",
        "templates",
        "touch",
    )

    def __init__(self, touch: Callable[[], None] | None = None) -> None:
        self.entries: dict[str, Entry] = {}
        self.groups: dict[str, Group] = {}
        self.added: list[Added] = []
        self.aliases: dict[str, str] = {}
        self.templates: dict[Any, Any] = {}
        self.template_scopes: dict[Any, Any] = {}
        self.touch = touch
        self._journal: list[str] = []  # the names that were entered
        # How many keys were taken, by what they were taken of and the scope. It may be of a trace that ends.
        self._taken: dict[tuple[int, str], tuple[Callable[[], Any], int]] = {}
        self._digest = 0  # of the names of the entries
        self._version = 0  # counts what the digest does not cover

    def find(self, name: str) -> Entry | None:
        """Return the entry of a name, after making those of the groups that it may be in."""
        if self.groups and any(name.startswith(group.prefix) for group in self.groups.values()):
            self.settle()
        return self.entries.get(name)

    def enter(self, entry: Entry) -> None:
        """Enter a variable that was made."""
        self.entries[entry.name] = entry
        self._journal.append(entry.name)
        if self.touch is not None:
            self._digest ^= hash(entry.name)
            self.touch()

    def changed(self) -> None:
        """Note a change that no digest covers: an inner function called before must run again."""
        self._version += 1
        if self.touch is not None:
            self.touch()

    @property
    def made(self) -> int:
        """How many variables were made so far, those of groups included."""
        groups = (group for group in self.groups.values() if not group.settled)
        return len(self.entries) + sum(group.size for group in groups)

    def add(self, added: Added) -> None:
        """Enter a value that was added to a collection."""
        entry = added.entry
        if entry is not None:
            entry.added_to = (*entry.added_to, added.key)
        self.added.append(added)
        self.changed()

    def alias(self, asked: str, passed_on: str) -> None:
        """Note that a getter passed on another name than it was asked for."""
        self.aliases[asked] = passed_on

    def take(self, given: Any, scope: str) -> int:
        """Return how many keys were taken of a given one in a scope, and count one more."""
        kept, count = self._taken.get((id(given), scope), (_forgotten, 0))
        if kept() is not given:  # but another one, that has ended, at the same address
            kept, count = _weakly(given), 0
        self._taken[id(given), scope] = kept, count + 1
        self.changed()
        return count

    def taken(self, given: Any) -> dict[str, int]:
        """Return how many keys were taken of a given one, by scope."""
        return {
            scope: count
            for (at, scope), (kept, count) in self._taken.items()
            if at == id(given) and kept() is given
        }

    def retake(self, given: Any, counts: dict[str, int]) -> None:
        """Note that so many keys were taken of a given one, by scope."""
        kept = _weakly(given)
        self._taken |= {(id(given), scope): (kept, count) for scope, count in counts.items()}

    # --- groups of layers ----------------------------------------------------------------------

    def add_group(self, group: Group) -> None:
        """Enter the variables of many layers at once."""
        group.position = len(self.entries)
        self.groups[group.pattern] = group
        self.changed()

    def settle(self) -> None:
        """Make the entries of all groups, in their places in the order of making."""
        unsettled = [group for group in self.groups.values() if not group.settled]
        if not unsettled:
            return
        made = list(self.entries.values())
        for group in reversed(unsettled):
            group.settled = True
            made[group.position : group.position] = group.entries()
        self.entries = {entry.name: entry for entry in made}

    # --- going back ----------------------------------------------------------------------------

    def mark(self) -> tuple[Any, ...]:
        """Return a mark of all that is in the books, to go back to."""
        return (
            len(self._journal),
            dict(self.groups),
            len(self.added),
            dict(self.aliases),
            dict(self._taken),
            len(self.templates),
            self._digest,
        )

    def undo(self, mark: tuple[Any, ...]) -> None:
        """Put the books back as they were when `mark` was taken."""
        entered, groups, added, self.aliases, self._taken, templates, self._digest = mark
        for name in self._journal[entered:]:
            del self.entries[name]
        del self._journal[entered:]
        for pattern in self.groups.keys() - groups.keys():
            if self.groups[pattern].settled:
                for entry in self.groups[pattern].entries():
                    del self.entries[entry.name]
        self.groups = groups
        while len(self.templates) > templates:
            self.templates.popitem()
        for one in reversed(self.added[added:]):
            if one.entry is not None:
                one.entry.added_to = one.entry.added_to[:-1]
        del self.added[added:]
        self.changed()

    def close(self) -> None:
        """Let go of what may keep traces alive; the pass has ended."""
        self.touch = None
        self._taken.clear()

    def key(self) -> Hashable:
        """Return what inner traces depend on."""
        return self._digest, self._version


def _weakly(thing: Any) -> Callable[[], Any]:
    """Return what returns a thing for as long as others keep it, or for good where there is no other way."""
    try:
        return weakref.ref(thing)
    except TypeError:
        return lambda: thing


def _forgotten() -> None:
    return None
