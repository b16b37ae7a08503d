"""Kinds: a key that is equal for functions that surely compute the same, and a memory of recent ones.

`jax.nn.initializers.normal(0.02)` makes a new function at each call. Compiled again for each variable, it
would cost a model of a thousand layers minutes; so functions are told apart by what they are made of.
"""

import dataclasses
import functools
import threading
import types
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar, cast

import jax
import numpy as np
from jax.core import Tracer

from jaxscope._core.base.immutable import Value

__all__ = ["Recent", "Same", "kind_of_callable", "kind_of_value"]

V = TypeVar("V")

# Deep enough for a partial of a closure of a closure; a function that reaches itself ends here.
_DEPTH = 8
_FIXED = type | types.ModuleType  # what is not looked into
_CALL = 3  # what a call of a function of the same module takes of it


class Same:
    """One object as a key: by identity, and without keeping the object alive where Python allows that."""

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


class Recent(Generic[V]):
    """A mapping for several threads that forgets what has not been used for longest.

    Example:
        >>> recent = Recent(2)
        >>> recent.get_or("a", lambda: 1), recent.get_or("a", lambda: 2), len(recent)
        (1, 1, 1)
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._items: OrderedDict[Hashable, V] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._items

    def get_or(self, key: Hashable, make: Callable[[], V]) -> V:
        """Return the value of `key`, made by `make` if there is none."""
        with self._lock:
            if key in self._items:
                self._items.move_to_end(key)
                return self._items[key]
        value = make()  # outside the lock: it may trace, and come back here
        with self._lock:
            value = self._items.setdefault(key, value)
            while len(self._items) > self._size:
                self._items.popitem(last=False)
        return value


class _UnknownError(Exception):
    """A part was met of which nothing can be said."""


def kind_of_callable(function: Callable[..., Any]) -> Hashable | None:
    """Return a key that is equal for callables that are surely the same function of their arguments.

    Args:
        function: Any callable.

    Returns:
        For a Python function its code, defaults, closed-over values and the globals that it names, if
        all are numbers, strings, dtypes, tuples of such, or functions of this sort; the same for
        `functools.partial` and bound methods. Else a key that stands for the object itself. None if it
        closes over a traced value: then nothing about it may be kept.

    Example:
        >>> def times(n):
        ...     return lambda x: n * x
        >>> kind_of_callable(times(2)) == kind_of_callable(times(2))
        True
        >>> kind_of_callable(times(1)) == kind_of_callable(times(True))
        False
    """
    return kind_of_value(function)


def kind_of_value(value: Any) -> Hashable:
    """Return a key that is equal for values that are surely the same, now and for good.

    Args:
        value: Anything.

    Returns:
        For numbers, strings and what is made of them by value; for other objects by identity. None for a
        traced value.

    Example:
        >>> kind_of_value((1, 2.0)) == kind_of_value((1, 2.0)), kind_of_value([]) == kind_of_value([])
        (True, False)
    """
    try:
        return _kind(value, 0)
    except _UnknownError:
        return None


def _kind(value: Any, depth: int) -> Hashable:
    """Return the kind of a value inside a function; types are part of it, for 1 == 1.0 == True."""
    if isinstance(value, Tracer):
        raise _UnknownError
    if value is None or value is Ellipsis or isinstance(value, bool | int | str | bytes):
        return type(value), value
    if isinstance(value, float):
        return type(value), float(value).hex()  # tells 0.0 from -0.0, and nan equals itself
    if isinstance(value, complex):
        return type(value), value.real.hex(), value.imag.hex()
    if isinstance(value, np.generic):
        return type(value), value.tobytes()
    if isinstance(value, np.dtype):
        return np.dtype, value
    if depth < _DEPTH:
        if isinstance(value, tuple):
            return type(value), tuple(_kind(item, depth + 1) for item in value)
        if isinstance(value, frozenset):
            return type(value), frozenset(_kind(item, depth + 1) for item in value)
        if type(value) is functools.partial:
            parts = value.func, value.args, tuple(sorted(value.keywords.items()))
            return functools.partial, _kind(parts, depth + 1)
        if isinstance(value, Value):
            return Same(type(value)), _kind(tuple(vars(value).values()), depth + 1)
        if dataclasses.is_dataclass(value) and _frozen(type(value)):
            fields = tuple(getattr(value, field.name, None) for field in dataclasses.fields(value))
            return Same(type(value)), _kind(fields, depth + 1)
        if isinstance(value, types.MethodType):
            return types.MethodType, _kind(value.__func__, depth + 1), Same(value.__self__)
        if isinstance(value, types.FunctionType):
            return _function(value, depth)
    by_identity = cast(Any, type(value)).__eq__ is object.__eq__ and not isinstance(value, _FIXED)
    if depth < _DEPTH and by_identity and hasattr(value, "__dict__"):
        # Equal only to itself, and yet another function once an attribute was set.
        return Same(value), tuple((name, _kind(held, depth + 1)) for name, held in vars(value).items())
    if isinstance(value, list | dict | set):
        # They may change, so they are not compared; only looked through for what may not be kept.
        for item in value.values() if isinstance(value, dict) else value:
            _kind(item, depth + 1) if depth < _DEPTH else None
    return Same(value)


def _frozen(kind: Any) -> bool:
    # A frozen dataclass of the user's is what its fields are.
    return bool(kind.__dataclass_params__.frozen)


def _function(function: types.FunctionType, depth: int) -> Hashable:
    try:
        closed = tuple(cell.cell_contents for cell in function.__closure__ or ())
    except ValueError:  # a cell that is still empty
        return Same(function)
    defaults = function.__defaults__ or (), tuple(sorted((function.__kwdefaults__ or {}).items()))
    parts = tuple(_kind(part, depth + 1) for part in (closed, *defaults))
    if function.__dict__ or not all(_by_value(part) for part in parts):
        # wrapped functions and closures over objects: the function itself, and still what it reads
        return Same(function), parts, _globals(function, depth)
    return types.FunctionType, function.__code__, parts, _globals(function, depth)


def _globals(function: types.FunctionType, depth: int) -> Hashable:
    """Return the kinds of the globals that `function` names: numbers by value, the rest by identity.

    So that in a notebook, `STDDEV = 0.1` and the same cell run again make another kind. Functions of the same
    module are looked into, a few calls deep.
    """
    space = function.__globals__
    found = [(name, space[name]) for name in _names(function.__code__) if name in space]
    return tuple(
        (name, _kind(item, depth + _CALL if getattr(item, "__globals__", None) is space else _DEPTH))
        for name, item in found
    )


@functools.lru_cache(maxsize=4096)
def _names(code: types.CodeType) -> tuple[str, ...]:
    inner = (_names(const) for const in code.co_consts if isinstance(const, types.CodeType))
    return tuple(dict.fromkeys((*code.co_names, *(name for names in inner for name in names))))


def _by_value(kind: Any) -> bool:
    if isinstance(kind, Same):
        held = kind._object()
        return isinstance(held, type | types.ModuleType | types.BuiltinFunctionType | jax.Array)
    if isinstance(kind, tuple | frozenset):
        return all(_by_value(part) for part in kind)
    return True
