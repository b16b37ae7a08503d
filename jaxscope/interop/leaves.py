"""Leaves: what of a module is a variable, how it is called here, and how it is asked for and written."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import jaxscope as js
from jaxscope.sites import users_line

#: True: all that the library trains; False: nothing; or a function of a parameter's own name.
Trainable = bool | Callable[[str], bool]


class Leaf(NamedTuple):
    """One array of a module.

    Attributes:
        theirs: What it is called in files of the library's: keys joined by slashes.
        name: What it is called here, below the scope.
        shape: Its shape.
        dtype: Its dtype.
        trainable: Whether the library trains it.
        partitioner: How it is split, if the module says so.
    """

    theirs: str
    name: str
    shape: tuple[int, ...]
    dtype: Any
    trainable: bool
    partitioner: Any = None


def leaf_of(theirs: str, name: str, value: Any, *, trainable: bool, partitioner: Any = None) -> Leaf:
    """Return the leaf that stands for an array.

    Raises:
        TypeError: It is none.
    """
    if not hasattr(value, "shape") or not hasattr(value, "dtype"):
        raise TypeError(f"{theirs!r} is no array, but {value!r:.60}")
    return Leaf(theirs, name, value.shape, value.dtype, trainable, partitioner)


def path_text(path: Iterable[Any]) -> str:
    """Return a path of JAX's as keys joined by slashes: `layers/0/weight`."""
    return "/".join(str(_key(entry)) for entry in path)


def _key(entry: Any) -> Any:
    for attribute in ("key", "name", "idx"):
        if hasattr(entry, attribute):
            return getattr(entry, attribute)
    return entry


def is_float(dtype: Any) -> bool:
    """Tell whether gradients are taken of values of a dtype."""
    return bool(jnp.issubdtype(dtype, jnp.inexact))


def checked(leaves: Sequence[Leaf], trainable: Trainable) -> list[Leaf]:
    """Return leaves of which those are trainable that the library trains and the user wants so.

    Raises:
        InvalidNameError: Two leaves would have one name (code `same_name`).
    """
    names: dict[str, str] = {}
    for leaf in leaves:
        if leaf.name in names:
            raise js.errors.InvalidNameError(
                f"two arrays of the module would both be called {leaf.name!r}",
                code="same_name",
                at=users_line(),
                first=names[leaf.name],
                again=leaf.theirs,
                fix="give the module's parts other names",
            )
        names[leaf.name] = leaf.theirs
    return [
        leaf._replace(trainable=leaf.trainable and _wanted(trainable, leaf.name) and is_float(leaf.dtype))
        for leaf in leaves
    ]


def _wanted(trainable: Trainable, name: str) -> bool:
    return trainable(name) if callable(trainable) else trainable


def ask(leaves: Sequence[Leaf], starts: Sequence[Any]) -> list[jax.Array]:
    """Return the variables of the current scope that stand for leaves."""
    return [
        js.get_variable(
            leaf.name,
            leaf.shape if callable(start) else None,
            leaf.dtype,
            start,
            trainable=leaf.trainable,
            partitioner=leaf.partitioner,
        )
        for leaf, start in zip(leaves, starts, strict=True)
    ]


def write(leaves: Sequence[Leaf], before: Sequence[Any], after: Sequence[Any]) -> None:
    """Set those variables of the current scope whose value has become another."""
    for leaf, old, new in zip(leaves, before, after, strict=True):
        if new is not old:
            js.set_variable(leaf.name, new)


def restructured(what: str, missing: Iterable[str], extra: Iterable[str], fix: str) -> js.errors.StateError:
    """Return the error for a call after which the module has other arrays than before."""
    return js.errors.StateError(
        f"the call has changed which arrays {what} has",
        code="other_state",
        at=users_line(),
        missing=", ".join(sorted(missing)),
        extra=", ".join(sorted(extra)),
        fix=fix,
    )
