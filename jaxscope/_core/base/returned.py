"""Returned: what a function returns that only stands for an array becomes that array where its pass ends."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import jax

__all__ = ["register_returned", "returned"]

T = TypeVar("T")

_KINDS: dict[type, Callable[[Any], Any]] = {}


def register_returned(kind: type[T], convert: Callable[[T], Any]) -> None:
    """Let functions that return objects of a class return something else from `apply`.

    It is for libraries whose functions compute with objects of their own: a model written for them runs in
    `js.transform` as it is, and `jax.grad` and the rest get arrays.

    Args:
        kind: The class. Where it is a pytree, it is converted as a whole.
        convert: Called with each such object, also inside of pytrees; returns an array, or any other pytree.

    Raises:
        TypeError: `kind` is no class, or `convert` cannot be called.

    Example:
        >>> class Meters:
        ...     def __init__(self, value):
        ...         self.value = value
        >>> js.register_returned(Meters, lambda meters: meters.value)
        >>> js.transform(lambda x: {"length": Meters(2 * x)}).apply({}, jnp.float32(3))
        {'length': Array(6., dtype=float32)}
    """
    if not inspect.isclass(kind) or not callable(convert):
        raise TypeError("js.register_returned takes a class and a function")
    _KINDS[kind] = convert


def returned(result: Any) -> Any:
    """Return what a function returned, with arrays in the places of what stands for them."""
    if not _KINDS or not any(map(_stands, jax.tree.leaves(result, is_leaf=_is_whole))):
        return result
    return jax.tree.map(_converted, result, is_leaf=_is_whole)


def _stands(value: Any) -> bool:
    return isinstance(value, tuple(_KINDS))


def _is_whole(value: Any) -> bool:
    return _stands(value) or isinstance(value, Iterator)  # of which JAX warns that it does not look inside


def _converted(value: Any) -> Any:
    for kind in type(value).__mro__:
        if kind in _KINDS:
            return _KINDS[kind](value)
    return value
