"""Variables: an immutable mapping of full names to arrays, and a pytree whose key paths are the names."""

import itertools
import re
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Self, cast

import jax
import jax.numpy as jnp
from jax.tree_util import DictKey

from jaxscope._core.base import names
from jaxscope._core.base.describe import describe, row, size
from jaxscope._core.variables.tables import tabulate
from jaxscope.errors import MergeError, VariableNotFoundError, near

#: A regular expression that full names match at their start, or a predicate of (full name, value).
Pattern = str | Callable[[str, Any], bool]


class _Layout:
    """The static part of `Variables`: names in canonical order, and which of them are trainable.

    One object for each content, so that pytrees are compared by identity: what a dict pays for at
    each flattening (sorting and comparing keys) is paid here once.
    """

    __slots__ = ("__weakref__", "index", "keys", "names", "trainable")

    def __init__(self, full_names: tuple[str, ...], trainable: tuple[bool, ...]) -> None:
        self.names = full_names
        self.trainable = trainable
        self.index = {name: position for position, name in enumerate(full_names)}
        self.keys = tuple(DictKey(name) for name in full_names)

    def __reduce__(self) -> tuple[Any, ...]:
        return _layout, (self.names, self.trainable)

    def __repr__(self) -> str:
        flags = zip(self.names, self.trainable, strict=True)
        return f"Variables[{', '.join(name if flag else f'{name} (not trainable)' for name, flag in flags)}]"


_layouts: weakref.WeakValueDictionary[Any, _Layout] = weakref.WeakValueDictionary()
_layouts_lock = threading.Lock()


def _layout(full_names: tuple[str, ...], trainable: tuple[bool, ...]) -> _Layout:
    with _layouts_lock:
        found = _layouts.get((full_names, trainable))
        if found is None:
            found = _layouts[full_names, trainable] = _Layout(full_names, trainable)
        return found


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
    _layout: _Layout
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
            raise _not_found(unknown[0], by_name)
        ordered = tuple(sorted(by_name, key=names.order_key))
        _set_layout(self, _layout(ordered, tuple(name not in frozen for name in ordered)))
        _set_values(self, tuple(by_name[name] for name in ordered))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"Variables are immutable; use variables.replace({{{name!r}: ...}})")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("Variables are immutable; use variables.select(...) or .partition(...)")

    def __getitem__(self, name: str) -> Any:
        try:
            return self._values[self._layout.index[name]]
        except KeyError:
            raise KeyError(f"no variable {name!r}{_suggest(name, self)}") from None

    def as_dict(self) -> dict[str, Any]:
        """Return a new dict of the same names and values, in the same order."""
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

    def __reduce__(self) -> tuple[Any, ...]:
        return _unflatten, (self._layout, self._values)

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
            The matching variables; possibly none.

        Example:
            >>> list(Variables({"a/w": 1, "b/w": 2}).select("a/"))
            ['a/w']
        """
        return self._only(self._matches(pattern))

    def partition(self, pattern: Pattern) -> "tuple[Variables, Variables]":
        """Return the variables that match and those that do not; `a | b` merges them again.

        Args:
            pattern: As in `select`.

        Returns:
            `(matching, others)`.

        Example:
            >>> head, body = Variables({"a/w": 1, "b/w": 2}).partition(lambda name, value: value > 1)
            >>> list(head), list(body), list(head | body)
            (['b/w'], ['a/w'], ['a/w', 'b/w'])
        """
        matches = self._matches(pattern)
        return self._only(matches), self._only([not match for match in matches])

    def _matches(self, pattern: Pattern) -> list[bool]:
        if isinstance(pattern, str):
            expression = re.compile(pattern)
            return [expression.match(name) is not None for name in self]
        return [bool(pattern(name, value)) for name, value in zip(self, self._values, strict=True)]

    def _only(self, flags: Iterable[bool]) -> "Variables":
        kept = [position for position, flag in enumerate(flags) if flag]
        if len(kept) == len(self._values):
            return self
        layout = _layout(
            tuple(self._layout.names[position] for position in kept),
            tuple(self._layout.trainable[position] for position in kept),
        )
        return _unflatten(layout, tuple(self._values[position] for position in kept))

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
                raise _not_found(name, self)
            position = self._layout.index[name]
            _check_same(name, new[position], value)
            new[position] = value
        return _unflatten(self._layout, tuple(new))

    def rename(self, mapping: Mapping[str, str] | Callable[[str], str]) -> "Variables":
        """Return these variables under other names.

        Args:
            mapping: Old full name -> new full name (names left out stay), or a function of the name.

        Returns:
            `Variables` with the same arrays.

        Raises:
            VariableNotFoundError: A name to rename does not exist.
            MergeError: Two variables would have one name.

        Example:
            >>> list(Variables({"a/w": 1}).rename(lambda name: name.replace("a/", "encoder/")))
            ['encoder/w']
        """
        if not callable(mapping):
            table = dict(mapping)
            for name in table:
                if name not in self:
                    raise _not_found(name, self)

            renamed: Callable[[str], str] = lambda name: table.get(name, name)  # noqa: E731
        else:
            renamed = mapping
        values: dict[str, Any] = {}
        frozen: list[str] = []
        for name, value, trainable in zip(self, self._values, self._layout.trainable, strict=True):
            new = renamed(name)
            if new in values:
                raise _two_called(new)
            values[new] = value
            if not trainable:
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
        values = dict(self)
        for name, value in right.items():
            if name in values:
                _check_same(name, values[name], value)
                if self._is_trainable(name) != right._is_trainable(name):
                    raise MergeError(
                        f"variable {name!r} is trainable on one side of | and not on the other",
                        trainable="on the left" if self._is_trainable(name) else "on the right",
                        fix="make it with the same `trainable` in both functions; values from elsewhere get "
                        "it by\nnet.spec(...).bind(values), or stay a plain dict, which takes it from the "
                        "other side",
                    )
            values[name] = value
        frozen = [
            n for v in (self, right) for n, flag in zip(v, v._layout.trainable, strict=True) if not flag
        ]
        return Variables(values, non_trainable=frozen)

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
        """Return these variables with those of numbered layers stacked, one array for all layers.

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
        before, found, after = pattern.partition("{}")
        if not found or "{}" in after:
            raise MergeError(f"{pattern!r} must have one {{}} for the layers' numbers", fix='say, "layer_{}"')
        layer = re.compile(rf"(^|.*/){re.escape(before)}(0|[1-9]\d*){re.escape(after)}(/.*|$)", re.DOTALL)
        columns: dict[str, dict[int, str]] = {}
        rest: dict[str, Any] = {}
        for name, value in self.items():
            match = layer.fullmatch(name)
            if match is None:
                rest[name] = value
            else:
                columns.setdefault(f"{match[1]}{pattern}{match[3]}", {})[int(match[2])] = name
        for stacked, column in columns.items():
            if stacked in rest:
                raise _two_called(stacked)
            kinds = {(self._is_trainable(name), describe(self[name])) for name in column.values()}
            if sorted(column) != list(range(len(column))) or len(kinds) > 1:
                raise MergeError(
                    f"the layers of {stacked!r} cannot be stacked",
                    numbers=sorted(column),
                    kinds=", ".join(sorted(kind for _, kind in kinds)),
                    fix="stack layers that are numbered from 0 and alike",
                )
        for stacked, column in columns.items():
            # Axes are in the order of the numbers in the name.
            axis = stacked.partition(pattern)[0].count("{}")
            rest[stacked] = jnp.stack([self[column[index]] for index in range(len(column))], axis)
        frozen = [
            name for name in rest if not self._is_trainable(columns[name][0] if name in columns else name)
        ]
        return Variables(rest, non_trainable=frozen)

    def unstack(self, pattern: str = "{}") -> "Variables":
        """Return these variables with stacked ones split into those of single layers.

        Args:
            pattern: What the names to split contain; all that have `{}` if left out.

        Returns:
            `Variables` in which `layer_0/w`, `layer_1/w`, ... stand for `layer_{}/w`.

        Raises:
            MergeError: A variable has no axis of layers, or a layer's name is taken.

        Example:
            >>> import jax.numpy as jnp
            >>> list(Variables({"layer_{}/w": jnp.ones((2, 3))}).unstack())
            ['layer_0/w', 'layer_1/w']
        """
        before, _, after = map(re.escape, pattern.partition("{}"))
        edges = ("", "") if pattern == "{}" else ("(?:^|/)", "(?=/|$)")
        level = re.compile(rf"{edges[0]}{before}(\{{\}}){after}{edges[1]}")

        def split(name: str, value: Any) -> Iterator[tuple[str, Any]]:
            match = level.search(name)
            if match is None:
                yield name, value
                return
            start, end = match.span(1)
            axis = name[:start].count("{}")  # axes are in the order of the numbers in the name
            if len(getattr(value, "shape", ())) <= axis:
                raise MergeError(
                    f"{name!r} is {describe(value)}, and has no axis {axis} to split into layers",
                    fix="unstack variables that `stack` made, or select them by a pattern",
                )
            for index in range(value.shape[axis]):
                yield from split(f"{name[:start]}{index}{name[end:]}", jnp.take(value, index, axis))

        values: dict[str, Any] = {}
        frozen: list[str] = []
        for name, value in self.items():
            layers = dict(split(name, value))
            if twice := values.keys() & layers.keys():
                raise _two_called(min(twice))
            values |= layers
            frozen += [] if self._is_trainable(name) else layers
        return Variables(values, non_trainable=frozen)

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
        tree: dict[str, Any] = {}
        for name in self:
            # A variable that is also a scope would have to be a leaf and a dict at once.
            *scopes, _ = itertools.accumulate(name.split("/"), names.join)
            if any(scope in self for scope in scopes):
                raise _name_is_scope(name)
        for name, value in self.items():
            *scope, last = name.split("/")
            level = tree
            for part in scope:
                level = level.setdefault(part, {})
            level[last] = value
        return tree

    def __repr__(self) -> str:
        rows = [f"  {name}: {describe(value)} {size(value)}" for name, value in self.items()]
        return "\n".join(["Variables({", *rows, "})"]) if rows else "Variables({})"

    def __str__(self) -> str:
        flags = self._layout.trainable
        return tabulate([row(name, self[name], flag) for name, flag in zip(self, flags, strict=True)])


_set_layout = Variables._layout.__set__  # type: ignore[attr-defined]  # a slot's own setter: no __setattr__
_set_values = Variables._values.__set__  # type: ignore[attr-defined]


def _unflatten(layout: _Layout, values: Iterable[Any]) -> Variables:
    made = object.__new__(Variables)
    _set_layout(made, layout)
    _set_values(made, tuple(values))
    return made


def _flatten(variables: Variables) -> tuple[tuple[Any, ...], _Layout]:
    return variables._values, variables._layout


def _flatten_with_keys(variables: Variables) -> tuple[Iterable[tuple[Any, Any]], _Layout]:
    return zip(variables._layout.keys, variables._values, strict=True), variables._layout


jax.tree_util.register_pytree_with_keys(Variables, _flatten_with_keys, _unflatten, _flatten)


def _suggest(name: object, known: Iterable[str]) -> str:
    close = near(str(name), known)
    return f"; near names: {close}" if close else ""


def _not_found(name: str, known: Iterable[str]) -> VariableNotFoundError:
    return VariableNotFoundError(
        f"there is no variable {name!r}", near=near(name, known), fix="use a name that exists"
    )


def _two_called(name: str) -> MergeError:
    return MergeError(f"two variables would be called {name!r}", fix="rename one of them to another name")


def _name_is_scope(name: str) -> MergeError:
    return MergeError(
        f"variable {name!r} is in a scope whose name is also a variable's",
        fix="keep the flat mapping, or rename one of the two",
    )


def _check_same(name: str, old: Any, new: Any) -> None:
    both = [(getattr(v, "shape", None), getattr(v, "dtype", None)) for v in (old, new)]
    # By identity: NumPy finds its float64 equal to None.
    if both[0] == both[1] or any(fact is None for facts in both for fact in facts):
        return
    raise MergeError(
        f"variable {name!r} has two shapes or dtypes",
        left=describe(old),
        right=describe(new),
        fix="rename one of them, or make both with one shape and dtype",
    )
