"""Layouts: the static part of `Variables`, one object for each content, which JAX compares by identity."""

import threading
import weakref
from collections.abc import Iterable
from typing import Any

from jax.tree_util import DictKey

from jaxscope._core.base import names


class Layout:
    """Names in canonical order, and which of them are trainable; made by `layout_of` alone.

    What a dict pays for at each flattening (sorting and comparing keys) is paid here once.
    """

    __slots__ = ("__weakref__", "index", "keys", "names", "trainable")

    def __init__(self, full_names: tuple[str, ...], trainable: tuple[bool, ...]) -> None:
        self.names = full_names
        self.trainable = trainable
        self.index = {name: position for position, name in enumerate(full_names)}
        self.keys = tuple(DictKey(name) for name in full_names)

    @property
    def non_trainable(self) -> list[str]:
        """The names that are not trainable."""
        return [name for name, flag in zip(self.names, self.trainable, strict=True) if not flag]

    def only(self, positions: Iterable[int]) -> "Layout":
        """Return the layout of some of the names."""
        kept = list(positions)
        return layout_of(tuple(self.names[at] for at in kept), tuple(self.trainable[at] for at in kept))

    def __repr__(self) -> str:
        flags = zip(self.names, self.trainable, strict=True)
        return f"Variables[{', '.join(name if flag else f'{name} (not trainable)' for name, flag in flags)}]"


_layouts: weakref.WeakValueDictionary[Any, Layout] = weakref.WeakValueDictionary()
_lock = threading.Lock()


def layout_of(full_names: tuple[str, ...], trainable: tuple[bool, ...]) -> Layout:
    """Return the one layout of names in canonical order."""
    with _lock:
        found = _layouts.get((full_names, trainable))
        if found is None:
            found = _layouts[full_names, trainable] = Layout(full_names, trainable)
        return found


def sorted_layout(full_names: Iterable[str], non_trainable: Iterable[str]) -> Layout:
    """Return the one layout of names in any order."""
    frozen = frozenset(non_trainable)
    ordered = tuple(sorted(full_names, key=names.order_key))
    return layout_of(ordered, tuple(name not in frozen for name in ordered))


def to_bytes(layout: Layout) -> bytes:
    """Return a layout as bytes, for programs that `jax.export` saves."""
    import json  # here, since importing it takes as long as three modules of ours

    return json.dumps({"names": layout.names, "non_trainable": layout.non_trainable}).encode()


def from_bytes(data: bytes) -> Layout:
    """Return the layout that `to_bytes` made bytes of."""
    import json

    content = json.loads(data)
    return sorted_layout(content["names"], content["non_trainable"])
