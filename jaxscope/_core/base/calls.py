"""Calls: the arguments of a call, taken apart into arrays and the rest; and what it returned, likewise."""

import enum
from collections.abc import Hashable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxscope._core.base.in_order import in_order
from jaxscope._core.base.sameness import Look, UnknownError


def is_array(leaf: Any, *, structs: bool = True) -> bool:
    """Tell whether a leaf is an array (or a reference to one, or stands for one); others stay Python values.

    Args:
        leaf: Anything.
        structs: Whether a `jax.ShapeDtypeStruct` stands for an array.
    """
    if isinstance(leaf, (np.ndarray, np.generic)):  # of objects, texts, dates and records JAX has no arrays
        return bool(jnp.issubdtype(leaf.dtype, np.number) or leaf.dtype == np.bool_)
    return isinstance(leaf, (jax.Array, jax.Ref)) or (structs and isinstance(leaf, jax.ShapeDtypeStruct))


def narrows(leaf: Any) -> bool:
    """Tell whether `jax.jit` would make something else of an array than what it is: fewer bits, no mask."""
    if not isinstance(leaf, np.ndarray | np.generic):
        return False
    odd = isinstance(leaf, np.ndarray) and not isinstance(leaf, np.memmap) and type(leaf) is not np.ndarray
    return odd or jax.dtypes.canonicalize_dtype(leaf.dtype) != leaf.dtype


def _native(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return an array in the machine's own byte order, which JAX wants."""
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


class Call:
    """The arguments of one call, split into arrays and the rest, which is part of what is compiled.

    Args:
        *args: Pytrees.
        structs: As in `is_array`.
        ordered: Whether dicts in other orders are other calls.
    """

    __slots__ = ("_args", "arrays", "static", "tree")

    def __init__(self, *args: Any, structs: bool = True, ordered: bool = True) -> None:
        self._args = in_order(args) if ordered else args
        leaves, self.tree = jax.tree.flatten(self._args)
        self.arrays: list[Any] = []
        self.static: list[tuple[Any] | None] = []
        for leaf in leaves:
            array = is_array(leaf, structs=structs)
            self.static.append(None if array else (leaf,))
            if array:
                self.arrays.append(_native(leaf) if isinstance(leaf, np.ndarray) else leaf)

    def see(self, look: Look) -> None:
        """Add all but the arrays to a look."""
        look.see_tree(self.tree)
        known = look.unknown is None
        for at, kept in enumerate(self.static):
            if kept is not None:
                look.see(kept[0])
                if known and look.unknown is not None:
                    known = False
                    look.unknown.place = self.place(at) + look.unknown.place

    def key(self, *others: Any, alive: bool = False) -> Hashable:
        """Return what the call has in common with all others that are the same but for their arrays.

        Args:
            *others: What else is to be the same: the function that is called.
            alive: As in `jaxscope._core.base.sameness.key_of`.

        Raises:
            UnknownError: Of something in the call nothing can be said.
        """
        look = Look(alive=alive)
        for other in others:
            look.see(other)
        self.see(look)
        return look.key()

    def kind(self) -> Hashable:
        """Return the key of the call, or None if it has none."""
        try:
            return self.key()
        except UnknownError:
            return None

    def place(self, at: int) -> str:
        """Return where a leaf is: `[0][1]['a']`."""
        paths = jax.tree_util.tree_flatten_with_path(self._args)[0]
        return jax.tree_util.keystr(paths[at][0])

    def narrowed(self) -> str:
        """Return the place of the first array of which `jax.jit` would make something else; "" if none is."""
        if not any(map(narrows, self.arrays)):
            return ""
        places = [at for at, kept in enumerate(self.static) if kept is None]
        return next(self.place(at) for at, one in zip(places, self.arrays, strict=True) if narrows(one))

    def without_arrays(self) -> "Call":
        """Return the same call without its arrays, which a program must not keep."""
        kept = Call()
        kept.tree, kept.static = self.tree, self.static
        return kept

    def join(self, arrays: Any) -> tuple[Any, ...]:
        """Return the arguments, with other arrays in the places of this call's."""
        following = iter(arrays)
        joined: tuple[Any, ...] = jax.tree.unflatten(
            self.tree, [next(following) if kept is None else kept[0] for kept in self.static]
        )
        return joined


class Arguments(Call):
    """The arguments of one call of a function, `(args, kwargs)`, with places as the user writes them.

    Args:
        bound: The arguments that a method has beforehand: its `self`.
        args: The others by position.
        kwargs: Those by name.
        structs: As in `is_array`.
    """

    __slots__ = ("_bound",)

    def __init__(
        self, bound: tuple[Any, ...], args: tuple[Any, ...], kwargs: dict[str, Any], *, structs: bool = True
    ) -> None:
        super().__init__((*bound, *args), kwargs, structs=structs)
        self._bound = len(bound)

    def place(self, at: int) -> str:
        """Return where a leaf is: `args[1]['a']`, `training`, `self`."""
        (kind, first, *rest), _ = jax.tree_util.tree_flatten_with_path(self._args)[0][at]
        return self._name(kind.idx, getattr(first, "idx", None), first) + jax.tree_util.keystr(tuple(rest))

    def _name(self, kind: int, at: Any, name: Any) -> str:
        if kind:
            return str(getattr(name, "key", name))
        return "self" if at < self._bound else f"args[{at - self._bound}]"

    def filled(self, arrays: list[Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
        """Return which argument a function changed; None if it changed none of those that are pytrees.

        Args:
            arrays: What the call was joined with.
            args: What that gave, after the function ran.
            kwargs: Likewise.
        """
        before_args, before_kwargs = self.join(arrays)
        for at, (before, after) in enumerate(zip(before_args, args, strict=True)):
            if not _alike(before, after):
                return self._name(0, at, None)
        for name, before in before_kwargs.items():
            if not _alike(before, kwargs[name]):
                return self._name(1, None, name)
        return None


def _alike(before: Any, after: Any) -> bool:
    tree: Any
    leaves, tree = jax.tree.flatten(in_order(before))
    others, other = jax.tree.flatten(in_order(after))
    return bool(tree == other) and all(one is two for one, two in zip(leaves, others, strict=True))


_PLAIN = (bool, int, float, complex, str, bytes, enum.Enum, type, np.dtype, jax.ShapeDtypeStruct)


@jax.tree_util.register_pytree_node_class
class Result:
    """What a function returned, as a pytree whose leaves are its arrays: jit keeps the rest as structure.

    Args:
        value: Any pytree, with leaves that are no arrays among them.
    """

    __slots__ = ("arrays", "numpy", "rest")

    def __init__(self, value: Any) -> None:
        call = Call(value, structs=False)
        self.numpy = any(isinstance(array, np.ndarray | np.generic) for array in call.arrays)
        self.arrays: Any = call.arrays
        self.rest = call.without_arrays()

    @property
    def plain(self) -> bool:
        """Whether all that is no array surely holds none, and cannot change, and the arrays are JAX's."""
        return not self.numpy and all(
            kept is None or kept[0] is None or isinstance(kept[0], _PLAIN) for kept in self.rest.static
        )

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
        made.arrays, made.rest, made.numpy = arrays, rest, False
        return made
