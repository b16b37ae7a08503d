"""Recent: a memory of what was used lately."""

import threading
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

__all__ = ["Recent"]

V = TypeVar("V")
_NONE: Any = object()


class Recent(Generic[V]):
    """A mapping for several threads that forgets what has not been used for longest.

    Example:
        >>> recent = Recent(2)
        >>> recent.get_or("a", lambda: 1), recent.get_or("a", lambda: 2), len(recent)
        (1, 1, 1)
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._items: dict[Hashable, V] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._items

    def put(self, key: Hashable, value: V) -> None:
        """Let a key have a value from now on."""
        with self._lock:
            self._items.pop(key, None)
            self._items[key] = value
            while len(self._items) > self._size:
                del self._items[next(iter(self._items))]

    def get_or(self, key: Hashable, make: Callable[[], V]) -> V:
        """Return the value of `key`, made by `make` if there is none."""
        with self._lock:
            found: V = self._items.pop(key, _NONE)
            if found is not _NONE:
                self._items[key] = found  # among the youngest
                return found
        value = make()  # outside the lock: it may trace, and come back here
        with self._lock:
            value = self._items.setdefault(key, value)
            while len(self._items) > self._size:
                del self._items[next(iter(self._items))]
        return value
