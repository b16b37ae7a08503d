"""Layouts: where an object of a class keeps what it holds, and whether Python shows all of that."""

import collections
import types
import weakref
from typing import Any

__all__ = ["Layout", "layout_of"]

#: Classes written in C whose content a look gets by iterating, or by making a plain value of it.
CONTENTS = (
    dict,
    list,
    tuple,
    set,
    frozenset,
    collections.deque,
    int,
    float,
    complex,
    str,
    bytes,
    bytearray,
)
_OPEN = frozenset({object, *CONTENTS, collections.OrderedDict, collections.defaultdict})
_POINTER = tuple.__itemsize__  # bytes


class Layout:
    """Where an object of a class keeps what it holds.

    Attributes:
        content: The builtin class whose content it has, too; None if there is none.
        slots: Name and descriptor of each slot.
        hidden: Whether it may hold more than can be seen from Python.
    """

    __slots__ = ("content", "hidden", "slots")

    def __init__(self, cls: type) -> None:
        mro = cls.__mro__
        self.content: type | None = next((one for one in CONTENTS if one in mro), None)
        self.slots: tuple[tuple[str, Any], ...] = tuple(
            (name, item)
            for one in mro
            for name, item in vars(one).items()
            if type(item) is types.MemberDescriptorType
        )
        self.hidden = any(_hides(one) for one in mro if one not in _OPEN)


def _hides(cls: Any) -> bool:
    """Tell whether objects of a class are larger than what one sees of them explains."""
    base = cls.__base__
    known = sum(type(item) is types.MemberDescriptorType for item in vars(cls).values())
    known += bool(cls.__dictoffset__) and not base.__dictoffset__
    known += bool(cls.__weakrefoffset__) and not base.__weakrefoffset__
    return bool(cls.__basicsize__ - base.__basicsize__ > known * _POINTER)


_layouts: weakref.WeakKeyDictionary[type, Layout] = weakref.WeakKeyDictionary()


def layout_of(cls: type) -> Layout:
    """Return the layout of a class.

    Example:
        >>> import collections
        >>> layout_of(collections.Counter).content, layout_of(collections.Counter).hidden
        (<class 'dict'>, False)
        >>> layout_of(np.random.Generator).hidden
        True
    """
    layout = _layouts.get(cls)
    if layout is None:
        layout = _layouts.setdefault(cls, Layout(cls))
    return layout
