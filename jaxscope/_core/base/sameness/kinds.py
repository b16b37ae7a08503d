"""Kinds: how each kind of thing is looked at, in a look at what a call depends on."""

import contextvars
import datetime as dt
import decimal
import enum
import functools
import logging
import re
import threading
import types
import weakref
from typing import Any

import jax
import numpy as np
from jax.core import Tracer

from jaxscope._core.base.sameness.functions import (
    see_builtin,
    see_cache,
    see_cell,
    see_function,
    see_method,
    see_module,
    see_partial,
    see_wrapping,
)
from jaxscope._core.base.sameness.look import FAMILIES, HANDLERS, Handler, Look, digest
from jaxscope._core.base.sameness.objects import see_class, see_object
from jaxscope._core.base.sameness.reach import Name, reads_of
from jaxscope._core.base.sameness.same import Same
from jaxscope._core.base.wrapper import Made

__all__ = ["fill"]

#: Larger NumPy arrays are not compared at each call, in bytes.
_LARGEST = 2**20

_ARRAY = object()


def _see_float(look: Look, value: float) -> None:
    # 0.0 is not -0.0, and nan is nan.
    look.add(float, value if value and value == value else repr(value))  # noqa: PLR0124


def _see_by_repr(look: Look, value: Any) -> None:
    """Look at what says in its repr more than it compares."""
    look.add(type(value), repr(value))


def _see_by_value(look: Look, value: Any) -> None:
    look.add(type(value), value)


def _see_by_identity(look: Look, value: Any) -> None:
    look.add(type(value), Same(value))


def _by_parts(*names: str) -> Handler:
    """Return how to look at objects that are all that some of their attributes are."""

    def see(look: Look, value: Any) -> None:
        look.add(type(value))
        for name in names:
            look.see_at(f".{name}", getattr(value, name))

    return see


def _see_numpy_number(look: Look, value: np.generic) -> None:
    look.add(type(value), str(value.dtype), value.tobytes())


def _see_numpy_array(look: Look, value: "np.ndarray[Any, Any]") -> None:
    if look.again(value):
        return
    look.add(np.ndarray, str(value.dtype), value.shape)
    if value.dtype.hasobject:
        look.see_items(value.ravel(), value.size)
    elif value.nbytes > _LARGEST:
        look.give_up(f"a NumPy array of {value.nbytes} bytes")
    else:
        look.add(digest(value.tobytes()))


def _see_array(look: Look, value: jax.Array) -> None:
    if not look.again(value):
        look.arrays.append(value)
        look.add(_ARRAY, Same(value))


def _see_tracer(look: Look, value: Any) -> None:
    if not look.alive:
        look.give_up("a traced value")
    look.tracers.append(value)
    look.add(_ARRAY, Same(value))


def _see_sequence(look: Look, value: Any) -> None:
    # A tuple that is met twice may be looked at twice: it cannot change, and is no part of itself.
    if type(value) is tuple or not look.again(value):
        look.add(type(value))
        look.see_items(value, len(value))


def _see_mapping(look: Look, value: Any) -> None:
    if not look.again(value):
        look.add(type(value))
        look.see_pairs(value.items(), len(value))


def _see_code(look: Look, value: types.CodeType) -> None:
    look.add(types.CodeType, reads_of(value))


def _see_reference(look: Look, value: "weakref.ref[Any]") -> None:
    look.add(weakref.ref)
    look.see_at("()", value())


def _see_structure(look: Look, value: Any) -> None:
    look.add(type(value))
    look.see_tree(value)


def _see_member(look: Look, value: enum.Enum) -> None:
    if not look.again(value):
        look.see(type(value))
        look.see_attributes({name: item for name, item in vars(value).items() if name != "__objclass__"})


def _see_field(look: Look, value: Any) -> None:
    """Look at what gives a field of a named tuple; its arguments are the field's number and words."""
    look.add(type(value))
    look.see(value.__reduce__()[1])


def _see_context_variable(look: Look, value: "contextvars.ContextVar[Any]") -> None:
    """Look at what a context variable is here and now, which is what code that reads it gets."""
    look.add(contextvars.ContextVar, Same(value))
    look.see_at(".get()", value.get(None))


def _see_ufunc(look: Look, value: np.ufunc) -> None:
    look.add(np.ufunc, value)
    if getattr(np, value.__name__, None) is not value:
        look.give_up(f"{value!r}, which may run any function")


def _see_thread_local(look: Look, value: threading.local) -> None:
    if not look.again(value):
        look.add(threading.local)
        look.see_attributes(vars(value))


def _see_made(look: Look, value: Made) -> None:
    look.wraps = look.wraps or value.traces
    if not look.again(value):
        look.add(type(value))
        look.see(value.made_of())


def fill() -> None:
    """Fill the tables of how things are looked at."""
    handlers: dict[Any, Handler] = {
        float: _see_float,
        tuple: _see_sequence,
        list: _see_sequence,
        set: _see_sequence,
        frozenset: _see_sequence,
        dict: _see_mapping,
        types.MappingProxyType: _see_mapping,
        range: _by_parts("start", "stop", "step"),
        np.ndarray: _see_numpy_array,
        types.FunctionType: see_function,
        types.MethodType: see_method,
        types.BuiltinFunctionType: see_builtin,
        types.MethodWrapperType: see_builtin,
        functools.partial: see_partial,
        type(jax.jit(lambda: None)): see_wrapping,
        type(functools.lru_cache(lambda: None)): see_cache,
        property: _by_parts("fget", "fset", "fdel"),
        classmethod: _by_parts("__func__"),
        staticmethod: _by_parts("__func__"),
        types.CellType: see_cell,
        types.CodeType: _see_code,
        type(Name.attributes): _see_field,
        contextvars.ContextVar: _see_context_variable,
        threading.local: _see_thread_local,
        np.ufunc: _see_ufunc,
        types.UnionType: _by_parts("__args__"),
        weakref.ref: _see_reference,
        jax.tree_util.PyTreeDef: _see_structure,
    }
    by_repr = complex, decimal.Decimal, dt.date, dt.datetime, dt.time, dt.timedelta
    keys = jax.tree_util.DictKey, jax.tree_util.SequenceKey, jax.tree_util.GetAttrKey
    handlers |= dict.fromkeys((*by_repr, *keys), _see_by_repr)
    by_value = re.Pattern, dt.timezone
    slots = types.WrapperDescriptorType, types.MethodDescriptorType, types.ClassMethodDescriptorType
    handlers |= dict.fromkeys((*by_value, *slots), _see_by_value)
    # These have a state, on which no result should depend.
    handlers |= dict.fromkeys((type(threading.Lock()), type(threading.RLock())), _see_by_identity)
    HANDLERS.update(handlers)
    families: list[tuple[Any, Handler]] = [
        (Tracer, _see_tracer),
        (jax.Array, _see_array),
        (np.generic, _see_numpy_number),
        (np.dtype, _see_by_value),
        (enum.Enum, _see_member),
        (types.GenericAlias, _by_parts("__origin__", "__args__")),
        (type, see_class),
        (types.ModuleType, see_module),
        (Made, _see_made),
        (jax.Device | jax.sharding.Sharding | jax.sharding.Mesh | jax.sharding.PartitionSpec, _see_by_value),
        (jax.Ref | logging.Logger, _see_by_identity),
        (object, see_object),
    ]
    FAMILIES[:] = families
