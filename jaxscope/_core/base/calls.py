"""Staging: an eager call with inner jitted functions is jitted whole, once for each kind of call."""

from collections.abc import Hashable
from typing import Any, cast

import jax
import numpy as np

from jaxscope._core.base.sameness import kind_of_value


def is_array(leaf: Any) -> bool:
    """Tell whether a leaf is an array (or stands for one); all others stay Python values."""
    if isinstance(leaf, (np.ndarray, np.generic)):
        return leaf.dtype.kind not in "OSUMm"  # of objects, texts and dates JAX has no arrays
    return isinstance(leaf, (jax.Array, jax.ShapeDtypeStruct))


class Call:
    """The arguments of one call, split into arrays and the rest, which is part of what is compiled."""

    __slots__ = ("_key", "arrays", "static", "tree")

    def __init__(self, *args: Any) -> None:
        leaves, self.tree = jax.tree.flatten(args)
        self.arrays = [leaf for leaf in leaves if is_array(leaf)]
        self.static = [None if is_array(leaf) else (type(leaf), leaf) for leaf in leaves]

    def key(self) -> Hashable:
        """Return what the call has in common with all others that one program serves.

        Raises:
            TypeError: A leaf that is no array has no hash.
        """
        key = (self.tree, tuple(kept and _key(*kept) for kept in self.static))
        hash(key)
        return key

    def kind(self) -> Hashable:
        """Return the key of the call, or None if it has none."""
        try:
            return self.key()
        except TypeError:
            return None

    def without_arrays(self) -> "Call":
        """Return the same call without its arrays, which a program must not keep."""
        kept = Call()
        kept.tree, kept.static = self.tree, self.static
        return kept

    def join(self, arrays: Any) -> tuple[Any, ...]:
        """Return the arguments, with other arrays in the places of this call's."""
        following = iter(arrays)
        joined: tuple[Any, ...] = jax.tree.unflatten(
            self.tree, [next(following) if kept is None else kept[1] for kept in self.static]
        )
        return joined


def _key(kind: type, leaf: Any) -> Hashable:
    """Return what leaves that one program serves have in common."""
    if kind is float or kind is complex:
        return kind, repr(leaf)  # 0.0 is not -0.0, and nan is nan
    if cast(Any, kind).__eq__ is object.__eq__ and hasattr(leaf, "__dict__"):
        # Of an object that is equal only to itself, an attribute may have been set since.
        return leaf, tuple((name, kind_of_value(value)) for name, value in vars(leaf).items())
    return kind, leaf


@jax.tree_util.register_pytree_node_class
class Result:
    """What a function returned, as a pytree whose leaves are its arrays: jit keeps the rest as structure.

    Args:
        value: Any pytree, with leaves that are no arrays among them.
    """

    __slots__ = ("arrays", "rest")

    def __init__(self, value: Any) -> None:
        call = Call(value)
        self.arrays: Any = call.arrays
        self.rest = call.without_arrays()

    def value(self) -> Any:
        """Return the value again, with the arrays that are here now."""
        return self.rest.join(self.arrays)[0]

    def tree_flatten(self) -> tuple[Any, "Call"]:
        """Return arrays and rest; the rest is equal only to itself."""
        return self.arrays, self.rest

    @classmethod
    def tree_unflatten(cls, rest: "Call", arrays: Any) -> "Result":
        """Return a result of other arrays."""
        made = object.__new__(cls)
        made.arrays, made.rest = arrays, rest
        return made
