"""Prepared: all that a run of many layers needs, and what becomes of its results."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import jax

from jaxscope._core.blocks.columns import Columns
from jaxscope._core.blocks.group import Group
from jaxscope._core.blocks.recipe import Outcome, Recipe
from jaxscope._core.blocks.rows import Row
from jaxscope._core.passes.base_pass import Pass


class Prepared:
    """All that a run of the layers needs.

    Args:
        recipe: The block's.
        length: How many layers.
        keys: Those of the requests.
        columns: Their values for each layer, or the inputs of what getters compute.
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
        keys: list[Any],
        columns: Columns,
        parts: list[list[tuple[Any, Any]]],
        paths: list[str],
        *,
        group: Group | None = None,
        rows: list[Row] | None = None,
    ) -> None:
        self.recipe = recipe
        self._length = length
        self._keys = keys
        self._columns = columns
        self.xs = (columns.stacked, *recipe.stack(parts))
        self._paths = paths
        self._group = group
        self._rows = rows or []
        self._getters = self._rows[0].block if self._rows else None

    def compute(self, xs: Any, arrays: list[Any]) -> Outcome:
        """Compute one layer, with what is its own."""
        stacked, words, counts = xs
        own = self._columns.of_one(stacked)
        rest: list[Any] = []
        if self._getters is not None:
            own, rest = self._getters.parts(own, self._getters.compute(own))
        given = dict(zip(self._keys, own, strict=True))
        return self.recipe.compute(given, words, counts, arrays)._replace(rest=rest)

    @contextmanager
    def outside(self, run: Pass, name: str) -> Generator[None]:
        """Run the layers under their name, without requests of the pass."""
        with run.traces.neutral(), jax.named_scope(name):
            yield

    def settle(self, run: Pass, outcome: Outcome) -> None:
        """Set the variables of all layers, and add to collections what they add.

        Args:
            run: The pass.
            outcome: What the layers came to. All but the result has a leading axis of layers.
        """
        for index, row in enumerate(self._rows):
            if row.block is not None:
                row.block.settle([value[index] for value in outcome.rest])
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
