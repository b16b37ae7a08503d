"""Looks: one look at all that a call depends on, from which its key is made."""

import hashlib
import weakref
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any

import jax

from jaxscope._core.base.sameness.same import Same, UnknownError, class_of

__all__ = [
    "FAMILIES",
    "FILL",
    "HANDLERS",
    "Handler",
    "Look",
    "digest",
    "held_by",
    "key_of",
]

#: Beyond these, looking would cost more than what it saves: an eager call looks anew each time.
_THINGS = 40_000
_DEPTH = 64  # each step in takes some four of Python's frames
_TOO_MUCH = "too large or too deep to look through"

#: Marks in keys: what was seen before, and a leaf of a pytree.
_AGAIN = object()
_LEAF = object()

#: What is compared as it is, together with its type; some of it may be long.
_PLAIN = frozenset({type(None), bool, int, str, bytes, type(Ellipsis), type(NotImplemented)})
_TEXTS = frozenset({str, bytes})
#: Longer texts are not kept in keys, in bytes or characters.
_LONG = 1024


class Look:
    """One look at all that a call depends on.

    Args:
        alive: As in `key_of`.

    Attributes:
        alive: Likewise.
        arrays: The arrays that were met outside of each other, which the key compares by identity.
        tracers: The traced values that were met.
        calls: What the user's code takes from libraries: `("jax", "lax", "scan")`.
        users: Whether a function or an object of the user's was met.
        wraps: Whether a library's function or object holds a function of the user's, which it may trace.
        inside: Whether such a thing is being looked into now.
        unknown: The first thing of which nothing can be said; None: there is none.
    """

    __slots__ = (
        "_left",
        "_out",
        "_path",
        "_seen",
        "alive",
        "arrays",
        "calls",
        "inside",
        "tracers",
        "unknown",
        "users",
        "wraps",
    )

    def __init__(self, *, alive: bool = False) -> None:
        self.alive = alive
        self.arrays: list[jax.Array] = []
        self.tracers: list[jax.Array] = []
        self.calls: set[tuple[str, ...]] = set()
        self.users = False
        self.wraps = False
        self.inside = False
        self.unknown: UnknownError | None = None
        self._out: list[Any] = []
        # Number and thing by address; a thing is kept, so that no other one gets its address.
        self._seen: dict[int, tuple[int, Any]] = {}
        self._path: list[str] = []
        self._left = _THINGS

    def key(self) -> Hashable:
        """Return the key of all that was seen.

        Raises:
            UnknownError: Of something nothing can be said.
        """
        if self.unknown is not None:
            raise self.unknown
        return tuple(self._out)

    def identity(self) -> Hashable:
        """Return a key of all things that can change, or that hold such, by identity; it keeps none alive."""
        return tuple(Same(thing) for _, thing in self._seen.values())

    def see(self, value: Any) -> None:
        """Add a thing to the key."""
        kind = type(value)
        if kind in _PLAIN:
            self._out += (kind, digest(value) if kind in _TEXTS else value)
            return
        self._left -= 1
        if self._left < 0 or len(self._path) > _DEPTH:
            self.give_up(_TOO_MUCH)
            return
        try:
            _handler_for(kind, value)(self, value)
        except Exception as problem:  # noqa: BLE001 - a thing may do anything when it is asked for its parts
            self.give_up(f"{class_of(value)}, which gives {type(problem).__name__} when it is looked at")

    def see_at(self, place: str, value: Any) -> None:
        """Add a thing to the key, which messages find at a place: `args[1]`, `.cfg`, `[0]`."""
        self._path.append(place)
        self.see(value)
        self._path.pop()

    def give_up(self, what: str) -> None:
        """Note that nothing can be said of the thing that is looked at now.

        The look goes on: what the user's code calls is worth knowing all the same.
        """
        if self.unknown is None:
            self.unknown = UnknownError("".join(self._path), what)

    def add(self, *tokens: Any) -> None:
        """Add to the key what is compared as it is."""
        self._out += tokens

    def again(self, value: object) -> bool:
        """Tell whether a thing was seen before, after noting that it is here, too."""
        seen = self._seen.get(id(value))
        if seen is None:
            self._seen[id(value)] = len(self._seen), value
            return False
        self._out += (_AGAIN, seen[0])
        return True

    def see_items(self, items: Iterable[Any], count: int) -> None:
        """See things one after the other."""
        if self._fits(count):
            for at, item in enumerate(items):
                self.see_at(f"[{at}]", item)

    def see_pairs(self, pairs: Iterable[tuple[Any, Any]], count: int) -> None:
        """See keys and values, in their order, which a function may depend on."""
        if self._fits(count):
            for name, item in pairs:
                self.see(name)
                self.see_at(f"[{name!r}]", item)

    def _fits(self, count: int) -> bool:
        """Tell whether so many more things can be looked at, after adding the number to the key."""
        self.add(count)
        self._left -= count
        if self._left < 0:
            self.give_up(_TOO_MUCH)
        return self._left >= 0

    def see_attributes(self, attributes: Mapping[str, Any]) -> None:
        """See attributes by name."""
        self.add(len(attributes))
        for name, item in tuple(attributes.items()):
            self.add(name)
            self.see_at(f".{name}", item)

    def see_tree(self, tree: Any) -> None:
        """Add the structure of a pytree, whose nodes may have data of their own."""
        node = tree.node_data()
        if node is None:
            self.add(_LEAF)
            return
        self.see(node[0])
        self.see(node[1])
        children = tree.children()
        self.add(len(children))
        for child in children:
            self.see_tree(child)


def digest(text: str | bytes) -> str | bytes | tuple[int, bytes]:
    """Return what stands for a text in a key: the text itself, unless that is long."""
    if len(text) <= _LONG:
        return text
    content = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return len(text), hashlib.blake2b(content).digest()


Handler = Callable[[Look, Any], None]

#: How things are looked at, by their exact type, and by the first class that they are objects of.
HANDLERS: dict[type, Handler] = {}
FAMILIES: list[tuple[Any, Handler]] = []
#: What fills both tables when the first thing is looked at.
FILL: list[Callable[[], None]] = []

_known: weakref.WeakKeyDictionary[type, Handler] = weakref.WeakKeyDictionary()


def _handler_for(kind: type, value: Any) -> Handler:
    handler = HANDLERS.get(kind) or _known.get(kind)
    if handler is None and not FAMILIES:
        for fill in FILL:
            fill()
        return _handler_for(kind, value)
    if handler is None:
        handler = next(handler for base, handler in FAMILIES if isinstance(value, base))
        _known[kind] = handler
    return handler


def key_of(value: Any, *, alive: bool = False) -> Hashable:
    """Return a key that is equal for values that are surely the same.

    Args:
        value: Anything.
        alive: Whether the key is used only while the traces of the value last: traced values then compare
            by identity, as arrays do; else they are unknown.

    Returns:
        A key that keeps neither the value alive nor any array in it.

    Raises:
        UnknownError: Nothing can be said of the value, or of something in it.

    Example:
        >>> def times(n):
        ...     return lambda x: n * x
        >>> key_of(times(2)) == key_of(times(2)), key_of(times(1)) == key_of(times(True))
        (True, False)
    """
    look = Look(alive=alive)
    look.see(value)
    return look.key()


def held_by(value: Any) -> list[jax.Array]:
    """Return the arrays that the key of a value compares by identity.

    Example:
        >>> array = jnp.ones(3)
        >>> held_by(lambda: array)[0] is array
        True
    """
    look = Look()
    look.see(value)
    return look.arrays
