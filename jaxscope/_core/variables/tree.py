"""Variables: an immutable mapping of full names to arrays, and a pytree whose key paths are the names."""

import copyreg
import functools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self, cast

import jax

from jaxscope._core.base import names
from jaxscope._core.variables import stacks
from jaxscope._core.variables.merging import check_same, differently_trainable
from jaxscope._core.variables.patterns import Pattern, flags, no_entry, not_found, renamer
from jaxscope._core.variables.tree_structure import Layout, from_bytes, layout_of, sorted_layout, to_bytes


class Variables(Mapping[str, Any]):
    """An immutable mapping of full names to arrays, which is a pytree with the names as key paths.

    The order is canonical (part by part, numbers by size), so the tree structure does not depend on
    the order in which variables were made. Leaves are plain arrays; whatever a transform puts in
    their place (gradients, masks, optimizer moments) keeps the names.

    Args:
        values: Full name -> array, or pairs of both.
        non_trainable: The names among them that `set_variable` may write and gradients skip.

    Raises:
        VariableNotFoundError: `non_trainable` has a name that `values` does not have.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> variables = Variables({"layer_10/w": jnp.ones(2), "layer_2/w": jnp.zeros(3)})
        >>> list(variables)
        ['layer_2/w', 'layer_10/w']
        >>> doubled = jax.tree.map(lambda v: 2 * v, variables)
        >>> doubled["layer_10/w"].sum()
        Array(4., dtype=float32)
    """

    __slots__ = ("__weakref__", "_layout", "_values")
    _layout: Layout
    _values: tuple[Any, ...]

    def __init__(
        self,
        values: Mapping[str, Any] | Iterable[tuple[str, Any]] = (),
        *,
        non_trainable: Iterable[str] = (),
    ) -> None:
        by_name = dict(values)
        for name in by_name:
            names.check_string(name, "variable", "")
        frozen = frozenset(non_trainable)
        if unknown := sorted(frozen - by_name.keys()):
            raise not_found(unknown[0], by_name)
        layout = sorted_layout(by_name, frozen)
        _set_layout(self, layout)
        _set_values(self, tuple(by_name[name] for name in layout.names))
        if "flax.serialization" in sys.modules:
            from jaxscope._core.variables.flax_state import tell_flax

            tell_flax(Variables)

    @classmethod
    def from_nested(cls, tree: Mapping[str, Any], *, non_trainable: Iterable[str] = ()) -> "Variables":
        """Return the values of a dict of dicts as `Variables`; the inverse of `nested`.

        Args:
            tree: Mappings inside mappings, to any depth; the keys on the way to a value, joined by slashes,
                are its full name. `Variables` among them keep what is not trainable.
            non_trainable: Full names, as of the constructor.

        Returns:
            `Variables` of everything in the tree that is no mapping.

        Raises:
            InvalidNameError: A key is no string.
            MergeError: Two values would have one name.
            VariableNotFoundError: `non_trainable` has a name that is not there.

        Example:
            >>> list(Variables.from_nested({"a": {"w": 1, "n": 2}, "b": 3}, non_trainable=["a/n"]).trainable)
            ['a/w', 'b']
        """
        from jaxscope._core.variables.nesting import leaves

        values: dict[str, Any] = {}
        frozen = list(non_trainable)
        for name, holder, key in leaves(tree):
            if name in values:
                raise stacks.two_called(name)
            values[name] = holder[key]
            if isinstance(holder, Variables) and not holder._is_trainable(key):
                frozen.append(name)
        return cls(values, non_trainable=frozen)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"Variables are immutable; use variables.replace({{{name!r}: ...}})")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("Variables are immutable; use variables.select(...) or .partition(...)")

    if not TYPE_CHECKING:  # to a type checker it is a mistake already

        def __setitem__(self, name: str, value: object) -> None:
            raise TypeError(
                f"Variables are immutable; variables.replace({{{name!r}: ...}}), or variables | {{...}} with "
                "further names, returns new ones"
            )

        def __delitem__(self, name: str) -> None:
            raise TypeError("Variables are immutable; use variables.select(...) or .partition(...)")

    def __getitem__(self, name: str) -> Any:
        try:
            return self._values[self._layout.index[name]]
        except KeyError:
            raise no_entry("variable", name, self) from None

    def as_dict(self) -> dict[str, Any]:
        """Return a new dict of the same names and values, in the same order.

        It is what libraries take that know no other pytrees than dicts: `flax.serialization`, say.
        """
        return dict(zip(self._layout.names, self._values, strict=True))

    def __iter__(self) -> Iterator[str]:
        return iter(self._layout.names)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, name: object) -> bool:
        return name in self._layout.index

    # Values are arrays, which have no truth: two sets of variables are equal only if they are one.
    __eq__ = object.__eq__
    __hash__ = object.__hash__  # pyright: ignore[reportAssignmentType] - Mapping says None

    def __copy__(self) -> Self:
        return self

    # Pickles name `jaxscope.Variables`, and `_structure` of it: so files stay readable wherever modules move.
    def __reduce__(self) -> tuple[Any, ...]:
        return functools.partial(Variables, non_trainable=self._layout.non_trainable), (self.as_dict(),)

    @classmethod
    def _structure(cls, full_names: tuple[str, ...], trainable: tuple[bool, ...]) -> Layout:
        return layout_of(full_names, trainable)

    # --- selecting -----------------------------------------------------------------------------

    @property
    def trainable(self) -> "Variables":
        """The trainable variables: what to differentiate."""
        return self._only(self._layout.trainable)

    @property
    def non_trainable(self) -> "Variables":
        """The others: state, such as moving averages and counters."""
        return self._only([not flag for flag in self._layout.trainable])

    def select(self, pattern: Pattern) -> "Variables":
        """Return the variables whose full name matches.

        Args:
            pattern: A regular expression that must match at the start of the full name, as in TF1's
                `get_collection`, or a predicate of (full name, value).

        Returns:
            The matching variables; none only where there are none, or where a predicate finds none.

        Raises:
            VariableNotFoundError: A regular expression matches no name (code `nothing_matches`).

        Example:
            >>> list(Variables({"a/w": 1, "b/w": 2}).select("a/"))
            ['a/w']
        """
        return self._only(flags(pattern, self))

    def partition(self, pattern: Pattern) -> "tuple[Variables, Variables]":
        """Return the variables that match and those that do not; `a | b` merges them again.

        Args:
            pattern: As in `select`.

        Returns:
            `(matching, others)`.

        Raises:
            VariableNotFoundError: As in `select`.

        Example:
            >>> head, body = Variables({"a/w": 1, "b/w": 2}).partition(lambda name, value: value > 1)
            >>> list(head), list(body), list(head | body)
            (['b/w'], ['a/w'], ['a/w', 'b/w'])
        """
        matches = flags(pattern, self)
        return self._only(matches), self._only([not match for match in matches])

    def _only(self, flags: Iterable[bool]) -> "Variables":
        kept = [position for position, flag in enumerate(flags) if flag]
        if len(kept) == len(self._values):
            return self
        return _unflatten(self._layout.only(kept), tuple(self._values[position] for position in kept))

    # --- changing ------------------------------------------------------------------------------

    def replace(self, values: Mapping[str, Any]) -> "Variables":
        """Return these variables with new values for some names.

        Args:
            values: Full name -> new value, of the same shape and dtype as the old one.

        Returns:
            New `Variables` of the same structure.

        Raises:
            VariableNotFoundError: A name is not among these variables.
            MergeError: A new value has another shape or dtype.

        Example:
            >>> Variables({"w": 1}).replace({"w": 2})["w"]
            2
        """
        new = list(self._values)
        for name, value in values.items():
            if name not in self:
                raise not_found(name, self)
            position = self._layout.index[name]
            check_same(name, new[position], value)
            new[position] = value
        return _unflatten(self._layout, tuple(new))

    def rename(
        self, mapping: Mapping[str, str] | Callable[[str], str] | str, prefix: str | None = None
    ) -> "Variables":
        """Return these variables under other names.

        Args:
            mapping: Old full name -> new full name (names left out stay), a function of the name, or what the
                names to change begin with: `rename("old/", "new/")`.
            prefix: In that last case, what they begin with then.

        Returns:
            `Variables` with the same arrays.

        Raises:
            VariableNotFoundError: A name to rename is not there, or none begins so (code `nothing_matches`).
            MergeError: Two variables would have one name.

        Example:
            >>> variables = Variables({"a/w": 1, "b/w": 2})
            >>> list(variables.rename("a/", "encoder/")), list(variables.rename({"b/w": "w"}))
            (['b/w', 'encoder/w'], ['a/w', 'w'])
        """
        renamed = renamer(mapping, prefix, self)
        return self._regrouped((renamed(name), name, value) for name, value in self.items())

    def _regrouped(self, made: Iterable[tuple[str, str, Any]]) -> "Variables":
        """Return `Variables` of (new name, old name, value), each as trainable as the old one."""
        values: dict[str, Any] = {}
        frozen: list[str] = []
        for new, old, value in made:
            if new in values:
                raise stacks.two_called(new)
            values[new] = value
            if not self._is_trainable(old):
                frozen.append(new)
        return Variables(values, non_trainable=frozen)

    def __or__(self, other: Mapping[str, Any]) -> "Variables":
        """Merge two sets of variables; where both have a name, the right value wins, as in a dict.

        A plain mapping does not say what is trainable: for names in both, the other side does.

        Raises:
            MergeError: A name in both has two shapes, two dtypes, or is trainable in one only.
        """
        if not isinstance(cast(object, other), Mapping):
            return NotImplemented
        right = other if isinstance(other, Variables) else self._like(other)
        for name in filter(right.__contains__, self):
            check_same(name, self[name], right[name])
            if self._is_trainable(name) != right._is_trainable(name):
                raise differently_trainable(name, on_the_left=self._is_trainable(name))
        frozen = self._layout.non_trainable + right._layout.non_trainable
        return Variables({**self, **right}, non_trainable=frozen)

    def __ror__(self, other: Mapping[str, Any]) -> "Variables":
        if not isinstance(cast(object, other), Mapping):
            return NotImplemented
        return self._like(other) | self

    def _like(self, values: Mapping[str, Any]) -> "Variables":
        """Return values as `Variables` of which those are trainable that are trainable here."""
        frozen = [name for name in values if name in self and not self._is_trainable(name)]
        return Variables(values, non_trainable=frozen)

    def _is_trainable(self, name: str) -> bool:
        return self._layout.trainable[self._layout.index[name]]

    # --- layers --------------------------------------------------------------------------------

    def stack(self, pattern: str) -> "Variables":
        """Return these variables with those of numbered layers stacked, one for all layers.

        Whatever names variables can be stacked so: arrays get an axis; so do shardings and
        `jax.ShapeDtypeStruct`s; the flags of masks and labels stand for all layers where they are equal.

        Args:
            pattern: The name of the layers' scopes, with `{}` for the number: `"layer_{}"`. It may stand
                at any depth of the full names.

        Returns:
            `Variables` in which `layer_{}/w`, of shape `(layers, ...)`, stands for all `layer_0/w`, ...

        Raises:
            MergeError: The layers are not numbered from 0 without gaps, differ in a variable's shape, dtype
                or trainability, or a stack of that name is there already.

        Example:
            >>> import jax.numpy as jnp
            >>> layers = Variables({"layer_0/w": jnp.zeros(2), "layer_1/w": jnp.ones(2), "b": jnp.ones(1)})
            >>> {name: value.shape for name, value in layers.stack("layer_{}").items()}
            {'b': (1,), 'layer_{}/w': (2, 2)}
        """
        return self._regrouped(stacks.stacked(self, pattern, self._is_trainable, stacks.join))

    def unstack(self, pattern: str = "{}", *, layers: int | None = None) -> "Variables":
        """Return these variables with stacked ones split into those of single layers.

        Args:
            pattern: What the names to split contain; all that have `{}` if left out.
            layers: How many layers there are; needed where no array tells, as of shardings and masks.

        Returns:
            `Variables` in which `layer_0/w`, `layer_1/w`, ... stand for `layer_{}/w`.

        Raises:
            MergeError: A variable has no axis of layers, or one of another size, or a layer's name is taken.

        Example:
            >>> import jax.numpy as jnp
            >>> list(Variables({"layer_{}/w": jnp.ones((2, 3))}).unstack())
            ['layer_0/w', 'layer_1/w']
        """
        return self._regrouped(stacks.unstacked(self, pattern, layers, stacks.part))

    def like(self, tree: Any, *, shapes: Mapping[str, Any] | None = None) -> Any:
        """Return shardings for a tree that has values by these names; these variables are their shardings.

        What belongs to a variable lives as it does: what is of its shape, several of it in one array, sums
        along some of its axes. Whatever else there is, is whole on each device.

        Args:
            tree: An optimizer's state, say, of arrays or of `jax.ShapeDtypeStruct`s. Somewhere in it are
                `Variables`, or dicts with full names, or dicts of dicts.
            shapes: What has the variables' shapes, by full name: specs, arrays, `shape_dtypes()`. Without
                it, a leaf under a variable's name has the variable's sharding wherever that is possible.

        Returns:
            The same tree with a `NamedSharding` in the place of each leaf.

        Raises:
            VariablesMismatchError: These are no shardings, or the tree is of other variables (code
                `likeness`).

        Example:
            >>> from jax.sharding import AbstractMesh, NamedSharding, PartitionSpec as P
            >>> rows = NamedSharding(AbstractMesh((2,), ("data",)), P("data"))
            >>> state = {"mean": Variables({"w": np.zeros(4)}), "count": np.zeros(())}
            >>> like = Variables({"w": rows}).like(state)
            >>> like["mean"]["w"].spec == P("data"), like["count"].spec == P()
            (True, True)
        """
        from jaxscope._core.variables.companions import likenesses

        known = None if shapes is None else {name: tuple(value.shape) for name, value in shapes.items()}
        found = [one.sharding for one in likenesses(tree, self, known)]
        return jax.tree.unflatten(jax.tree.structure(tree), found)

    # --- views ---------------------------------------------------------------------------------

    def nested(self) -> dict[str, Any]:
        """Return the values as a dict of dicts, one level for each part of the names.

        Returns:
            `{"a": {"w": ...}}` for a variable `a/w`.

        Raises:
            MergeError: One name is also the scope of another, so no nested dict can hold both.

        Example:
            >>> Variables({"a/w": 1, "b": 2}).nested()
            {'a': {'w': 1}, 'b': 2}
        """
        from jaxscope._core.variables.nesting import nested

        return nested(self)

    def __repr__(self) -> str:
        from jaxscope._core.variables.tables import listing

        return listing("Variables", self._layout.names, self.__getitem__)

    def __str__(self) -> str:
        from jaxscope._core.variables.tables import tabulate

        return tabulate(zip(self._layout.names, self._values, self._layout.trainable, strict=True))

    def _repr_html_(self) -> str:
        from jaxscope._core.variables.notebooks import html

        frozen = set(self.non_trainable)
        return html("Variables", self._layout.names, self.__getitem__, frozen)

    def __treescope_repr__(self, path: str | None, subtree_renderer: Any) -> Any:
        from jaxscope._core.variables.notebooks import treescope

        return treescope(type(self), self._layout.names, self.__getitem__, path, subtree_renderer)


_set_layout = Variables._layout.__set__  # type: ignore[attr-defined]  # a slot's own setter: no __setattr__
_set_values = Variables._values.__set__  # type: ignore[attr-defined]


def _unflatten(layout: Layout, values: Iterable[Any]) -> Variables:
    made = object.__new__(Variables)
    _set_layout(made, layout)
    _set_values(made, tuple(values))
    return made


def _flatten(variables: Variables) -> tuple[tuple[Any, ...], Layout]:
    return variables._values, variables._layout


def _flatten_with_keys(variables: Variables) -> tuple[Iterable[tuple[Any, Any]], Layout]:
    return zip(variables._layout.keys, variables._values, strict=True), variables._layout


jax.tree_util.register_pytree_with_keys(Variables, _flatten_with_keys, _unflatten, _flatten)
jax.export.register_pytree_node_serialization(
    Variables,
    serialized_name="jaxscope.Variables",
    serialize_auxdata=to_bytes,
    deserialize_auxdata=from_bytes,
)
copyreg.pickle(Layout, lambda layout: (Variables._structure, (layout.names, layout.trainable)))
