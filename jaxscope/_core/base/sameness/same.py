"""Same, or unknown: what looking at one thing comes to."""

import weakref
from collections.abc import Hashable
from typing import Any

__all__ = ["Same", "UnknownError", "class_of", "lasting"]


class Same:
    """One object as a key: by identity, and without keeping the object alive where Python allows that.

    Example:
        >>> one, two = [], []
        >>> Same(one) == Same(one), Same(one) == Same(two)
        (True, False)
    """

    __slots__ = ("_held", "_id", "_reference")

    def __init__(self, held: object) -> None:
        self._id = id(held)
        self._held: object = None
        self._reference: weakref.ref[Any] | None = None
        try:
            self._reference = weakref.ref(held)
        except TypeError:
            self._held = held

    def _object(self) -> object:
        return self._held if self._reference is None else self._reference()

    def __hash__(self) -> int:
        return self._id

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        held = self._object()
        # An object that is gone equals nothing, not even a later one at its address.
        return isinstance(other, Same) and held is not None and held is other._object()


def lasting(value: Any) -> Hashable:
    """Return a key by identity for a thing that lasts: it may be kept, which is faster."""
    cls: Any = type(value)
    return value if cls.__eq__ is object.__eq__ and cls.__hash__ is object.__hash__ else Same(value)


class UnknownError(TypeError):
    """Nothing can be said of a thing: it may be another at the next call.

    Args:
        place: Where it was found: `args[1].cfg`; what a function takes from outside comes after an arrow.
        what: What it is, as a phrase: `"a generator"`.
    """

    def __init__(self, place: str, what: str) -> None:
        super().__init__(place, what)
        self.place = place
        self.what = what

    def __str__(self) -> str:
        return f"{self.place or 'it'} is {self.what}"


def class_of(value: Any) -> str:
    """Return the class of a thing, as a phrase: `"a numpy.random.Generator"`."""
    cls = type(value)
    home = "" if cls.__module__ in ("builtins", "__main__") else f"{cls.__module__}."
    return f"a {home}{cls.__qualname__}"
