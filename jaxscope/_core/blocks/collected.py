"""Collected: what blocks add to collections, as it is for one scope, and stacked for many."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, cast

import jax
import jax.numpy as jnp
from jax.core import Tracer

from jaxscope._core.blocks.border import Put
from jaxscope._core.blocks.results import is_value, same
from jaxscope._core.passes.base_pass import Pass
from jaxscope._core.passes.entries import Added


class Collected:
    """One value that a block adds to a collection: what of it the block computes, and what is known before.

    Args:
        put: What the block did.
        prefix: What names begin with in the scope that the block was recorded in.

    Attributes:
        name: The relative name of the variable that it is, or None.
        path: The path of name scopes that it was added in, where the block was recorded.
        site: Where it is added.
        count: How many arrays the block computes of it.
    """

    def __init__(self, put: Put, prefix: str) -> None:
        added = put.added
        self.name = None if put.name is None else put.name.removeprefix(prefix)
        self.path = added.path.removesuffix("/")
        self._key, self.site = added.key, added.site
        leaves, self._tree = jax.tree.flatten(None if self.name is not None else added.value)
        self._kept = [None if isinstance(leaf, Tracer) else (leaf,) for leaf in leaves]
        self._added, self._traced = added, [leaf for leaf in leaves if isinstance(leaf, Tracer)]
        self.count = len(self._traced)

    def release(self) -> list[Any]:
        """Return what the block computes of it, and let go of that; called while it is recorded."""
        traced, self._traced = self._traced, []
        self._added.value = None
        return traced

    @property
    def kept(self) -> list[Any]:
        """What of it the block does not compute."""
        return [kept[0] for kept in self._kept if kept is not None]

    @property
    def is_stacked(self) -> bool:
        """Whether many scopes make one value of it: it has arrays, and is no variable."""
        return self.name is None and (self.count > 0 or any(map(is_value, self.kept)))

    def add(self, run: Pass, path: str, arrays: Iterable[Any], position: int, prefix: str) -> None:
        """Add the value, as it is in one scope.

        Args:
            run: The pass.
            path: Of the name scopes.
            arrays: What the block has computed of it.
            position: How many variables were made before.
            prefix: What names begin with in the scope.
        """
        entry = None if self.name is None else run.books.find(prefix + self.name)
        following = iter(arrays)
        leaves = [next(following) if kept is None else kept[0] for kept in self._kept]
        self._add(run, path, jax.tree.unflatten(self._tree, leaves), position, entry)

    def add_stacked(self, run: Pass, path: str, arrays: Iterable[Any], length: int) -> None:
        """Add the values of many scopes as one, whose arrays have a leading axis of scopes."""
        following = iter(arrays)
        leaves = [
            next(following)
            if kept is None
            else jnp.broadcast_to(kept[0], (length, *kept[0].shape))
            if is_value(kept[0])
            else kept[0]
            for kept in self._kept
        ]
        self._add(run, path, jax.tree.unflatten(self._tree, leaves), run.books.made, None)

    def _add(self, run: Pass, path: str, value: Any, position: int, entry: Any) -> None:
        run.add(Added(self._key, path and path + "/", value, run.traces.here, position, self.site, entry))


# --- what a loop over scopes has added ------------------------------------------------------------


def stack_added(run: Pass, start: int, counts: Sequence[int], root: str, path: str) -> None:
    """Make one value of those that a loop over scopes has added, as if a block had: each with a leading axis.

    Where the scopes did not add alike, all stays as it is.

    Args:
        run: The pass.
        start: How many values there were before the loop.
        counts: How many there were after each round.
        root: The path of the first round's scope.
        path: What stands for that of all rounds.
    """
    added = run.books.added
    ends = [start, *counts]
    rounds = [added[one:two] for one, two in pairwise(ends)]
    if len({len(items) for items in rounds}) != 1:
        return
    stacks: list[Added] = []
    kept = set(map(id, added[start:]))
    for column in zip(*rounds, strict=True):
        value = _stacked(run, column)
        if value is not None:
            first = column[0]
            kept -= set(map(id, column))
            place = path + first.path.removesuffix("/").removeprefix(root) + "/"
            here, made = run.traces.here, run.books.made
            stacks.append(Added(first.key, place, value[0], here, made, first.site, None))
    added[start:] = [item for item in added[start:] if id(item) in kept]
    for item in stacks:
        run.add(item)


def _stacked(run: Pass, column: Sequence[Added]) -> tuple[Any] | None:
    """Return the values of a column as one; None where that is not possible, or none of them is an array."""
    first, *rest = column
    if any(item.key != first.key or item.entry is not None for item in column):
        return None
    if any(item.state is not None and not run.traces.is_open(item.state) for item in column):
        return None
    leaves, tree = jax.tree.leaves(first.value), jax.tree.structure(first.value)
    rows = [leaves]
    for item in rest:
        rows.append(jax.tree.leaves(item.value))
        if cast(Any, jax.tree.structure(item.value)) != tree:
            return None
    if not any(map(is_value, leaves)):
        return None
    made: list[Any] = []
    for leaf, *others in zip(*rows, strict=True):
        if is_value(leaf):
            kinds = {(one.shape, str(one.dtype)) if is_value(one) else None for one in (leaf, *others)}
            if len(kinds) != 1:
                return None
            made.append(jnp.stack([leaf, *others]))
        elif all(same(leaf, one) for one in others):
            made.append(leaf)
        else:
            return None
    return (jax.tree.unflatten(tree, made),)
