"""Which scopes were entered, so that default names are numbered: a tree that can be put back."""

from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Any, Protocol, cast


class _Node:
    """One scope of the tree: whether it was entered since an enclosing scope was last left."""

    __slots__ = ("children", "digest", "entered", "name", "parent")

    def __init__(self, name: str, parent: "_Node | None") -> None:
        self.name = name
        self.parent = parent
        self.entered = False
        self.children: dict[str, _Node] = {}
        self.digest = 0  # of the entered scopes below this one

    def at(self, path: str) -> "_Node":
        """Return the node at `path` (parts joined by slashes) below this one."""
        node = self
        for part in path.split("/"):
            below = node.children.get(part)
            if below is None:
                name = part if node.parent is None else f"{node.name}/{part}"
                below = node.children[part] = _Node(name, node)
            node = below
        return node

    def spread(self, change: int) -> None:
        """Change the digests of this scope and of those around it."""
        node: _Node | None = self
        while node is not None:
            node.digest ^= change
            node = node.parent


class Counts:
    """The table of the scopes entered in one pass.

    TF1 counts entries, but rules R20 to R22 only ask whether a count is zero, so one bit a scope is
    enough. What happens is but logged, and worked into the table when somebody asks for a count, which
    in most passes nobody does. Every change can be taken back (R22, R52).

    Attributes:
        log: The full name of each scope that was entered; and with a slash at its end, of each that was left.
    """

    __slots__ = ("_changes", "_root", "log")

    def __init__(self) -> None:
        self.log: list[str] = []
        self._root = _Node("", None)
        # What each line of the log, as far as it was worked in, has changed.
        self._changes: list[_Node | tuple[_Node, dict[str, _Node], int] | None] = []

    @property
    def digest(self) -> int:
        """A number that is equal for equal tables."""
        return self._table().digest

    def mark(self) -> int:
        """Return a mark to go back to."""
        return len(self.log)

    def undo(self, mark: int) -> None:
        """Put the table back as it was when `mark` was taken."""
        del self.log[mark:]
        while len(self._changes) > mark:
            change = self._changes.pop()
            if isinstance(change, _Node):
                change.entered = False
                cast(_Node, change.parent).spread(hash(("entered", change.name)))
            elif change is not None:
                left, children, digest = change
                left.children = children
                left.spread(left.digest ^ digest)

    def free_name(self, prefix: str, default: str) -> str:
        """Return `default`, or the first of `default_1`, `default_2`, ... whose count is zero (R20).

        Args:
            prefix: What full names in the scope begin with.
            default: The own name that is asked for.
        """
        table = self._table()
        number, name = 0, default
        while table.at(prefix + name).entered:
            number += 1
            name = f"{default}_{number}"
        return name

    def entered_below(self, name: str) -> list[str]:
        """Return the full names of the scopes below one (`""` is the root) that count as entered."""
        table = self._table()
        return list(_entered_below(table.at(name) if name else table))

    def _table(self) -> _Node:
        """Work in what was logged, and return the root."""
        root = self._root
        for event in self.log[len(self._changes) :]:
            node = root.at(event.removesuffix("/"))
            if event[-1] != "/":
                self._changes.append(None if node.entered else node)
                if not node.entered:
                    node.entered = True
                    cast(_Node, node.parent).spread(hash(("entered", event)))
            elif node.children:  # R21: all counts below a scope that is left are zero
                self._changes.append((node, node.children, node.digest))
                node.children = {}
                node.spread(node.digest)
            else:
                self._changes.append(None)
        return root


def _entered_below(node: _Node) -> Iterator[str]:
    for child in node.children.values():
        if child.entered:
            yield child.name
        yield from _entered_below(child)


class Named(Protocol):
    """A variable, made by `get_variable` or by `js.Variable`."""

    by_get: bool


class NameScopes:
    """How often each name was asked for, and the current path: the names of `js.Variable` (R55 to R58)."""

    __slots__ = ("_asked", "_journal", "path")

    def __init__(self) -> None:
        self.path = ""
        self._asked: dict[str, int] = {}
        self._journal: list[tuple[str, str, str]] = []  # path, own name and what was given for them

    def mark(self) -> int:
        """Return a mark to go back to."""
        return len(self._journal)

    def ask(self, path: str, own: str, entries: Mapping[str, "Named"]) -> str:
        """Return a name never asked for: path and own name, or the first free number behind it (R57).

        Args:
            path: The path that it is below.
            own: What is asked for.
            entries: The variables made; the full names that `get_variable` made count once (R58).
        """
        asked = self._asked
        name = f"{path}/{own}" if path else own
        entry = entries.get(name)
        if name not in asked and (entry is None or not entry.by_get):
            asked[name] = 1
            self._journal.append((path, own, name))
            return name
        number = asked.get(name, 0) + (entry is not None and entry.by_get)
        while (unique := f"{name}_{number}") in asked or unique in entries:
            number += 1
        asked[unique] = asked.get(unique, 0) + 1
        asked[name] = asked.get(name, 0) + 1
        self._journal.append((path, own, unique))
        return unique

    def since(self, mark: int) -> list[tuple[str, str, str]]:
        """Return what was asked for since `mark` was taken, for `again`."""
        return self._journal[mark:]

    def again(
        self, asks: Iterable[tuple[str, str, str]], above: str, entries: Mapping[str, "Named"]
    ) -> dict[str, str]:
        """Ask, below the current path, for what was asked for below another one.

        Args:
            asks: What `since` returned.
            above: The path that was current then.
            entries: As in `ask`.

        Returns:
            What is given now, by what was given then.
        """
        paths = {above: self.path}
        for path, own, given in asks:
            paths[given] = self.ask(paths.get(path, path), own, entries)
        return paths

    def state(self) -> Hashable:
        """Return a value that is equal where the next names will be."""
        return self.path, frozenset(self._asked.items())

    def undo(self, mark: int) -> None:
        """Forget what was asked for since `mark` was taken."""
        while len(self._journal) > mark:
            path, own, given = self._journal.pop()
            for name in {f"{path}/{own}" if path else own, given}:
                self._asked[name] -= 1
                if not self._asked[name]:
                    del self._asked[name]


class Numbers:
    """Numbers that stand for keys and for objects, so that JAX's caches keep neither."""

    __slots__ = ("_kept", "_numbers")

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}
        self._kept: list[Any] = []

    def of(self, key: Hashable) -> int:
        """Return the number of a key: equal for equal keys."""
        return self._numbers.setdefault(key, len(self._numbers) + 1)

    def of_object(self, thing: Any) -> int:
        """Return the number of an object's identity; 0 for None."""
        if thing is None:
            return 0
        if (id(thing), None) not in self._numbers:
            self._kept.append(thing)  # so that its id stays its own
        return self.of((id(thing), None))

    def close(self) -> None:
        """Forget the objects."""
        self._kept.clear()
