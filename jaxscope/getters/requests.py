"""Requests: what a getter is asked for, as one value, and whose variable it is."""

import operator
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxscope.getters import folds

#: What a getter is given behind `getter` and `name`, in TF1's order, and what stands for what is left out.
DEFAULTS: Mapping[str, Any] = {
    "shape": None,
    "dtype": "float32",
    "initializer": None,
    "regularizer": None,
    "reuse": None,
    "trainable": True,
    "collections": None,
    "partitioner": None,
    "constraint": None,
}


class Request(NamedTuple):
    """What a getter is asked for; what a predicate given as `where` is asked about.

    Attributes:
        name: The full name.
        shape: Axis lengths, in elements; None where a shared variable is asked for without.
        dtype: The element type that is asked for, or that a constant as initializer has.
        trainable: Whether the model asked for it as trainable, also where a getter in front froze it.
        initializer: A function `(key, shape, dtype)`, a constant, or None for the default.
        regularizer: The loss on it, or None.
        collections: The collections that were listed, or None.
        partitioner: How it is laid out on a mesh, or None.
        constraint: What an optimizer is to apply, or None.
        of: Where a getter in front asks for a variable of its own, the full name of the model's; else None.
        frozen: Whether a getter in front froze it.
    """

    name: str
    shape: tuple[int | None, ...] | None
    dtype: Any
    trainable: bool
    initializer: Any
    regularizer: Any
    collections: Any
    partitioner: Any
    constraint: Any
    of: str | None
    frozen: bool

    @property
    def floating(self) -> bool:
        """Whether it is of a floating dtype."""
        return is_floating(self.dtype)

    @property
    def whole(self) -> bool:
        """Whether all of its shape is asked for, or given by a constant."""
        return self.shape is not None and None not in self.shape

    def unfit_as_weight(self) -> str:
        """Return why it is no weight, a floating variable of two axes or more; empty if it is one."""
        if not self.floating:
            return "is of no floating dtype"
        rank = 0 if self.shape is None else len(self.shape)
        return "" if rank > 1 else f"has {'one axis' if rank == 1 else 'no axes'}"

    def __str__(self) -> str:
        sizes = "..." if self.shape is None else ",".join(map(str, self.shape))
        return f"{self.name} {self.dtype}[{sizes}]"


class Inside(NamedTuple):
    """What a getter in front is asking for.

    Attributes:
        name: The full name that it passes on.
        of: The model's variable, where it asks for one of its own.
        trainable: Whether the model asked for it as trainable.
    """

    name: str
    of: str | None
    trainable: bool


_inside: ContextVar[Inside | None] = ContextVar("jaxscope_getters_inside", default=None)


def inside() -> Inside | None:
    """Return what a getter in front is asking for; None where the model itself asks."""
    return _inside.get()


def pass_on(getter: Callable[..., Any], what: Inside, given: Mapping[str, Any]) -> Any:
    """Ask the next getter, and let those of `js.getters` behind it know for what."""
    token = _inside.set(what)
    try:
        return folds.checked(what.name, lambda: getter(what.name, **given))
    finally:
        _inside.reset(token)


def request_of(name: str, given: Mapping[str, Any]) -> Request:
    """Return what a getter is asked for.

    Args:
        name: The full name.
        given: The other arguments, as far as they are given.
    """
    asked = {**DEFAULTS, **given}
    shape, dtype = _shape(asked["shape"]), as_dtype(asked["dtype"])
    if is_constant(asked["initializer"]):
        start = constant(asked["initializer"])
        shape, dtype = tuple(start.shape), as_dtype(start.dtype)
    front = _inside.get()
    if front is not None and front.name != name:
        front = None  # what another getter in between asks for by itself
    trainable = bool(asked["trainable"]) if front is None else front.trainable
    return Request(
        name,
        shape,
        dtype,
        trainable,
        asked["initializer"],
        asked["regularizer"],
        asked["collections"],
        asked["partitioner"],
        asked["constraint"],
        None if front is None else front.of,
        trainable and not asked["trainable"],
    )


def _shape(shape: Any) -> tuple[int | None, ...] | None:
    """Return a shape as a tuple; None where it is none, or is for `get_variable` to refuse."""
    if shape is None:
        return None
    try:
        return tuple(None if size is None else operator.index(size) for size in shape)
    except TypeError:
        try:
            return (operator.index(shape),)
        except TypeError:
            return None


def as_dtype(dtype: Any) -> Any:
    """Return a dtype as JAX has it here, that of random keys too; None where it is none."""
    try:
        return jax.dtypes.canonicalize_dtype(dtype, allow_extended_dtype=True)
    except TypeError:
        return None  # which `get_variable` refuses


def is_floating(dtype: Any) -> bool:
    """Tell whether a dtype is a floating one."""
    return dtype is not None and bool(jnp.issubdtype(dtype, jnp.floating))


def is_constant(initializer: Any) -> bool:
    """Tell whether an initializer is a value itself, which gives shape and dtype (R30)."""
    return initializer is not None and not callable(initializer)


def constant(value: Any) -> Any:
    """Return a constant as an array: of NumPy where it is no array of JAX, Python's numbers as of R32."""
    if isinstance(value, jax.Array | np.ndarray | np.generic):
        return value
    leaves = jax.tree.leaves(value)
    if hasattr(value, "__jax_array__") or any(isinstance(leaf, jax.Array) for leaf in leaves):
        return jnp.asarray(value)
    array = np.asarray(value)
    if hasattr(value, "__array__") or any(isinstance(leaf, np.ndarray | np.generic) for leaf in leaves):
        return array
    narrow = {"f": np.float32, "i": np.int32, "u": np.int32, "c": np.complex64}.get(array.dtype.kind)
    return array if narrow is None else array.astype(narrow)
