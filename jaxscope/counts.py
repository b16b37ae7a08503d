"""Which scopes were entered, so that default names are numbered: a tree that can be put back."""

from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Protocol


class Node:
    """One scope of the tree: whether it was entered since an enclosing scope was last left."""

    # Defaults of the class: a node is made for each scope of each trace.
    entered = False
    children: "dict[str, Node]" = {}  # noqa: RUF012 - most have none; `at` gives a node its own before it adds
    digest = 0  # of the entered scopes below this one

    def __init__(self, own: str, parent: "Node | None") -> None:
        self.own = own
        self.parent = parent

    @property
    def name(self) -> str:
        """The full name."""
        above = self.parent.name if self.parent is not None else ""
        return f"{above}/{self.own}" if above else self.own

    def at(self, path: str) -> "Node":
        """Return the node at `path` (parts joined by slashes) below this one."""
        found = self.children.get(path)
        if found is not None:
            return found
        if "/" not in path:
            if not self.children:
                self.children = {}
            found = self.children[path] = Node(path, self)
            return found
        node = self
        for part in path.split("/"):
            node = node.at(part)
        return node

    def entered_below(self) -> Iterator[str]:
        """Yield the full names of the scopes below this one that count as entered."""
        for child in self.children.values():
            if child.entered:
                yield child.name
            yield from child.entered_below()


class Counts:
    """The table of the scopes entered in one pass.

    TF1 counts entries, but rules R20 to R22 only ask whether a count is zero, so one bit a scope is
    enough. Every change is journaled, so that the table can be put back as it was (R22, R52).
    """

    __slots__ = ("_journal", "_tracked", "root")

    def __init__(self, *, tracked: bool) -> None:
        self.root = Node("", None)
        self._tracked = tracked  # whether `digest` is asked for: it costs a little at each change
        self._journal: list[Node | tuple[Node, dict[str, Node], int]] = []

    @property
    def digest(self) -> int:
        """A number that is equal for equal tables."""
        return self.root.digest

    def mark(self) -> int:
        """Return a mark to go back to."""
        return len(self._journal)

    def enter(self, node: Node) -> None:
        """Add one to a scope's count (R21)."""
        if not node.entered:
            node.entered = True
            self._journal.append(node)
            if self._tracked:
                _spread(node, hash(("entered", node.name)))

    def leave(self, node: Node) -> None:
        """Set all counts below a scope to zero (R21)."""
        if node.children:
            self._journal.append((node, node.children, node.digest))
            node.children = {}
            if node.digest:
                _spread(node, node.digest, itself=True)

    def undo(self, mark: int) -> None:
        """Put the table back as it was when `mark` was taken."""
        while len(self._journal) > mark:
            change = self._journal.pop()
            if isinstance(change, Node):
                change.entered = False
                if self._tracked:
                    _spread(change, hash(("entered", change.name)))
            else:
                node, node.children, digest = change
                _spread(node, node.digest ^ digest, itself=True)

    def free_name(self, parent: Node, default: str) -> str:
        """Return `default`, or the first of `default_1`, `default_2`, ... whose count is zero (R20)."""
        number, name = 0, default
        while parent.at(name).entered:
            number += 1
            name = f"{default}_{number}"
        return name


def _spread(node: Node, change: int, *, itself: bool = False) -> None:
    above = node if itself else node.parent
    while above is not None:
        above.digest ^= change
        above = above.parent


class Named(Protocol):
    """A variable, made by `get_variable` or by `js.Variable`."""

    by_get: bool


class NameScopes:
    """How often each name was asked for, and the current path: the names of `js.Variable` (R55 to R58)."""

    __slots__ = ("_asked", "_journal", "path")

    def __init__(self) -> None:
        self.path = ""
        self._asked: dict[str, int] = {}
        self._journal: list[str] = []

    def mark(self) -> int:
        """Return a mark to go back to."""
        return len(self._journal)

    def ask(self, name: str, entries: Mapping[str, "Named"]) -> str:
        """Return a name never asked for: `name`, or the first free number behind it (R57).

        Args:
            name: What is asked for, with its path.
            entries: The variables made; the full names that `get_variable` made count once (R58).
        """
        asked = self._asked
        entry = entries.get(name)
        if name not in asked and (entry is None or not entry.by_get):
            asked[name] = 1
            self._journal.append(name)
            return name
        number = asked.get(name, 0) + (entry is not None and entry.by_get)
        while (unique := f"{name}_{number}") in asked or unique in entries:
            number += 1
        self._count(unique)
        self._count(name)
        return unique

    def again(self, asks: Iterable[tuple[str, str, str]], entries: Mapping[str, "Named"]) -> None:
        """Ask, below the current path, for what was asked for in a block.

        Args:
            asks: The path that was current, the own name, and the path that was given, each time.
            entries: As in `ask`.
        """
        paths = {"": self.path}
        for path, own, given in asks:
            above = paths[path]
            paths[given] = self.ask(f"{above}/{own}" if above else own, entries)

    def _count(self, name: str) -> None:
        self._asked[name] = self._asked.get(name, 0) + 1
        self._journal.append(name)

    def state(self) -> Hashable:
        """Return a value that is equal where the next names will be."""
        return self.path, frozenset(self._asked.items())

    def undo(self, mark: int) -> None:
        """Forget what was asked for since `mark` was taken."""
        while len(self._journal) > mark:
            name = self._journal.pop()
            self._asked[name] -= 1
            if not self._asked[name]:
                del self._asked[name]
