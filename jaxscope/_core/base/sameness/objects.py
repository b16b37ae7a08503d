"""Objects: what a look at one has to see: its class, as far as that is the user's, and what it holds."""

import collections
import types
import weakref
from typing import Any, cast

from jaxscope._core.base.sameness.attributes import layout_of
from jaxscope._core.base.sameness.functions import ABSENT, is_fixed, see_fixed
from jaxscope._core.base.sameness.look import Look
from jaxscope._core.base.sameness.reach import is_library_name
from jaxscope._core.base.sameness.same import Same, class_of, lasting

__all__ = ["see_class", "see_object"]

_END = object()
_MEMORIES = (weakref.WeakKeyDictionary, weakref.WeakValueDictionary)
_SLOTS = (types.MemberDescriptorType, types.GetSetDescriptorType)
#: What Python and its library note in a class of what is written in it.
_NOTES = frozenset(
    f"__{name}__"
    for name in (
        *("module", "doc", "dict", "weakref", "slots", "qualname", "annotations", "match_args", "hash"),
        *("firstlineno", "static_attributes", "dataclass_fields", "dataclass_params", "orig_bases"),
        *("parameters", "abstractmethods", "type_params", "annotate_func", "annotations_cache", "signature"),
        *("protocol_attrs", "non_callable_proto_members", "required_keys", "optional_keys", "total"),
    )
)


def see_class(look: Look, cls: Any) -> None:
    """Look at a class: of the user's, all that is written in it, and in those that it inherits from."""
    if look.again(cls):
        return
    if is_library_name(cls.__module__):
        look.add(lasting(cls) if "<locals>" not in cls.__qualname__ else Same(cls))
        look.calls.add((cls.__module__, cls.__qualname__))
        return
    look.add(Same(cls), cls.__name__, cls.__qualname__)
    look.see(cls.__doc__)
    if type(cls) is not type:
        look.see(type(cls))
    for base in cls.__bases__:
        look.see(base)
    for name, item in tuple(vars(cls).items()):
        if name not in _NOTES and name != "_abc_impl" and not isinstance(item, _SLOTS):
            look.add(name)
            look.see_at(f".{name}", item)
    look.add(_END)


def see_object(look: Look, value: Any) -> None:
    """Look at an object of a class that is written in Python."""
    if look.again(value):
        return
    cls = type(value)
    library = is_library_name(cls.__module__)
    if library and is_fixed(value):
        see_fixed(look, value)
        return
    layout = layout_of(cls)
    if layout.hidden:
        look.give_up(class_of(value))
        return
    if cls.__module__ == "typing":  # what types are written with
        look.add(Same(value))
        return
    outer = look.inside
    look.users = look.users or not library
    look.inside = library and callable(value)
    look.see(cls)
    attributes = getattr(value, "__dict__", None) or {}
    if library:
        # In these it keeps what it remembers of other objects, on which nothing depends.
        attributes = {name: item for name, item in attributes.items() if not isinstance(item, _MEMORIES)}
    look.see_attributes(attributes)
    for name, descriptor in layout.slots:
        try:
            item = descriptor.__get__(value, cls)
        except AttributeError:
            look.add(ABSENT)
        else:
            look.see_at(f".{name}", item)
    if layout.content is not None:
        _see_content(look, value, layout.content)
    look.inside = outer


def _see_content(look: Look, value: Any, base: Any) -> None:
    """Look at what an object holds because its class is also a builtin one."""
    if base is dict:
        # An OrderedDict has an order of its own.
        pairs = collections.OrderedDict if isinstance(value, collections.OrderedDict) else dict
        look.see_pairs(pairs.items(value), len(value))
    elif base is bytearray:
        look.add(bytes(value))
    elif base in (int, float, complex, str, bytes):
        look.see(cast(Any, base).__getnewargs__(value))  # the builtin number or text that it is equal to
    else:
        look.add(value.maxlen if base is collections.deque else None)
        look.see_items(base.__iter__(value), base.__len__(value))
