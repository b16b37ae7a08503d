"""Memory: what an object remembers, which is no part of what it is.

Where jaxscope asks whether two calls are surely the same it looks through all that they reach, but not into
what is remembered of other objects by weak reference. A jaxpr of thousands of equations is such: it follows
from its module.
"""

import weakref
from typing import Generic, TypeVar

T = TypeVar("T")


class _Owner:
    """What a value is remembered for."""


class Memory(Generic[T]):
    """A value that lives as long as this object, and is not looked into."""

    def __init__(self, value: T) -> None:
        self._owner = _Owner()
        self._kept: weakref.WeakKeyDictionary[_Owner, T] = weakref.WeakKeyDictionary({self._owner: value})

    @property
    def value(self) -> T:
        """The value."""
        return self._kept[self._owner]
