"""Likeness: which leaves of a tree belong to which variables, and how each lives beside its variable."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
from jax.sharding import NamedSharding, PartitionSpec
from jax.tree_util import DictKey

from jaxscope._core.base.describe import type_of
from jaxscope._core.drawing.axes import entries_of, with_axis, without_axis
from jaxscope._core.variables.sharding_errors import axis_sizes, misfits
from jaxscope.errors import VariablesMismatchError

Shape = tuple[int, ...]


class Likeness(NamedTuple):
    """A leaf of a tree, and what is known of it.

    Attributes:
        path: Its place, as of `jax.tree_util`.
        leaf: The leaf.
        name: The full name of the variable that it belongs to; None if it belongs to none.
        sharding: Where it lives: as its variable does, or whole on each device.
    """

    path: tuple[Any, ...]
    leaf: Any
    name: str | None
    sharding: NamedSharding


def likenesses(
    tree: Any, shardings: Mapping[str, Any], shapes: Mapping[str, Shape] | None = None
) -> list[Likeness]:
    """Return what is known of each leaf of a tree, in the order of its leaves.

    Args:
        tree: An optimizer's state, say: somewhere in it are values by the names of variables.
        shardings: Full name -> `NamedSharding`, all on one mesh.
        shapes: The shapes of the variables, where they are known.

    Raises:
        VariablesMismatchError: These are no shardings; or the tree has names without a sharding, or arrays
            and none of the names.
    """
    one = next(iter(shardings.values()), None)
    wrong = sorted(name for name, value in shardings.items() if not isinstance(value, NamedSharding))
    if wrong or not isinstance(one, NamedSharding):
        raise VariablesMismatchError(
            "values are laid out like variables by the shardings of these, and there are none",
            code="likeness",
            wrong=", ".join(wrong),
            fix="pass what specs.shardings(mesh) returns",
        )
    if any(value.mesh != one.mesh for value in shardings.values()):
        raise VariablesMismatchError(
            "the shardings are on several meshes, and what belongs to no variable has to live on one",
            code="likeness",
            fix="pass the shardings of one mesh, and the part of the tree that lives there",
        )
    whole = NamedSharding(one.mesh, PartitionSpec())
    sizes = axis_sizes(one.mesh)
    found: list[Likeness] = []
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        name = _name_in(path, shardings)
        shape, _ = type_of(leaf)
        own = whole
        if name is not None and shape is not None:
            own = _fitted(tuple(shape), shardings[name], sizes, (shapes or {}).get(name)) or whole
        found.append(Likeness(path, leaf, name, own))
    _check(found)
    return found


def _check(found: list[Likeness]) -> None:
    """Raise `VariablesMismatchError` where a tree is about other variables than the shardings are."""
    beside = {one.path[:-1] for one in found if one.name is not None}
    unknown = [one for one in found if one.name is None and _is_strange(one, beside)]
    if unknown:
        raise VariablesMismatchError(
            "the tree is not of the variables that the shardings are of",
            code="likeness",
            unknown="\n".join(jax.tree_util.keystr(one.path) or "the tree itself" for one in unknown),
            fix="pass shardings of all variables that the tree was made for, stacked as they are there",
        )


def _is_strange(one: Likeness, beside: set[tuple[Any, ...]]) -> bool:
    """Tell whether a leaf without a variable should have one: an array among named ones, or instead of them.

    Args:
        one: The leaf.
        beside: Where in the tree there are leaves of variables.
    """
    shape, _ = type_of(one.leaf)
    if shape is None:
        return not isinstance(one.leaf, bool | int | float | complex)
    if not shape:
        return False
    return not beside or (_is_word(one.path[-1]) and ("/" in one.path[-1].key or one.path[:-1] in beside))


def _name_in(path: tuple[Any, ...], known: Mapping[str, Any]) -> str | None:
    """Return the last full name on a path, in one key or in several, one for each scope."""
    for end in range(len(path), 0, -1):
        words = [str(key.key) for key in reversed(list(itertools.takewhile(_is_word, reversed(path[:end]))))]
        for start in range(len(words)):
            name = "/".join(words[start:])
            if name in known:
                return name
    return None


def _is_word(key: Any) -> bool:
    return isinstance(key, DictKey) and isinstance(key.key, str)


def _fitted(
    shape: Shape, sharding: NamedSharding, sizes: Mapping[str, int], variable: Shape | None
) -> NamedSharding | None:
    """Return the sharding of something of a shape beside a variable; None where it has none in common."""
    candidates = list(_candidates(shape, sharding, variable))
    fits = [one for one in candidates if not any(misfits(shape, one.spec, sizes))]
    if not fits or any(entries_of(one.spec) != entries_of(fits[0].spec) for one in fits):
        return None
    return fits[0]


def _candidates(shape: Shape, sharding: NamedSharding, variable: Shape | None) -> Iterator[NamedSharding]:
    if variable is None or shape == variable:
        yield sharding
    elif (
        len(shape) > len(variable) and shape[len(shape) - len(variable) :] == variable
    ):  # several of its values, one after the other
        for _ in range(len(shape) - len(variable)):
            sharding = with_axis(sharding, 0)
        yield sharding
    elif len(shape) < len(variable):  # sums along some of its axes
        for left_out in itertools.combinations(range(len(variable)), len(variable) - len(shape)):
            if shape == tuple(size for axis, size in enumerate(variable) if axis not in left_out):
                kept = sharding
                for axis in reversed(left_out):
                    kept = without_axis(kept, axis)
                yield kept
