"""Prepared: all that a run of many layers needs, and what becomes of its results."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax

from jaxscope._core.blocks.group import Group
from jaxscope._core.blocks.recipe import Answers, Outcome, Recipe
from jaxscope._core.passes.entries import Entry
from jaxscope._core.passes.running import Pass


class Row(NamedTuple):
    """One of many layers.

    Attributes:
        prefix: What names begin with in its scope.
        answers: What the block gets in it.
        entries: The variables that the block sets, by relative name; None for one that there is not.
        reads: The full names that were asked for, also by getters.
        paths: The paths of name scopes, by what they were where the block was recorded.
    """

    prefix: str
    answers: Answers
    entries: dict[str, Entry | None]
    reads: set[str]
    paths: dict[str, str]

    @classmethod
    def of(
        cls,
        run: Pass,
        prefix: str,
        recipe: Recipe,
        answers: Answers,
        reads: set[str],
        paths: dict[str, str],
    ) -> "Row":
        """Return a row, after the variables that the block sets were found."""
        entries = {name: run.books.find(prefix + name) for name in recipe.names}
        return cls(prefix, answers, entries, reads, paths)


class Prepared:
    """All that a run of the layers needs.

    Args:
        recipe: The block's.
        length: How many layers.
        stacked: What differs from layer to layer, with a leading axis of layers, by the keys of requests.
        same: What does not differ.
        parts: Words and counts of the keys of each layer.
        paths: What stands for the paths of all layers, for each value that the block adds.
        group: The variables of all layers, or
        rows: the layers one by one.

    Attributes:
        recipe: The block's.
        xs: What differs from layer to layer, with a leading axis of layers.
    """

    def __init__(
        self,
        recipe: Recipe,
        length: int,
        stacked: dict[Any, Any],
        same: dict[Any, Any],
        parts: list[list[tuple[Any, Any]]],
        paths: list[str],
        *,
        group: Group | None = None,
        rows: list[Row] | None = None,
    ) -> None:
        self.recipe = recipe
        self._length = length
        self._keys = sorted(stacked, key=str)  # as in a dict of them, which JAX would sort
        self.xs = ([stacked[key] for key in self._keys], *recipe.stack(parts))
        self._same = same
        self._paths = paths
        self._group = group
        self._rows = rows or []

    def compute(self, xs: Any, arrays: list[Any]) -> Outcome:
        """Compute one layer, with what is its own."""
        values, words, counts = xs
        given = {**self._same, **dict(zip(self._keys, values, strict=True))}
        return self.recipe.compute(given, words, counts, arrays)

    @contextmanager
    def outside(self, run: Pass, name: str) -> Generator[None]:
        """Run the layers under their name, without requests of the pass."""
        with run.traces.neutral(), jax.named_scope(name):
            yield

    def settle(self, run: Pass, outcome: Outcome) -> None:
        """Set the variables of all layers, and add to collections what they add.

        Args:
            run: The pass.
            outcome: What the layers came to. What they set and add has a leading axis of layers.
        """
        for name, values in outcome.writes.items():
            if self._group is not None:
                run.set(self._group.stacked(name), values)
            for index, row in enumerate(self._rows):
                entry = row.entries[name]
                assert entry is not None
                run.set(entry, values[index])
        collected = self.recipe.collected
        for row in self._rows:
            for one, position in zip(collected, row.answers.places, strict=True):
                if not one.is_stacked:
                    one.add(run, row.paths.get(one.path, one.path), [], position, row.prefix)
        for one, arrays, path in zip(collected, outcome.added, self._paths, strict=True):
            if one.is_stacked:
                one.add_stacked(run, path, arrays, self._length)
