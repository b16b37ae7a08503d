"""Rows: the layers of a block, asked for one by one, and what they get as columns."""

from typing import NamedTuple

from jaxscope._core.blocks.alike import alike
from jaxscope._core.blocks.columns import Column, Columns
from jaxscope._core.blocks.in_place import InPlace
from jaxscope._core.blocks.recipe import Answers, Recipe
from jaxscope._core.passes.base_pass import Pass
from jaxscope._core.passes.entries import Entry


class Row(NamedTuple):
    """One of many layers.

    Attributes:
        prefix: What names begin with in its scope.
        answers: What the block gets in it.
        entries: The variables that the block sets, by relative name; None for one that there is not.
        reads: The full names that were asked for, also by getters.
        paths: The paths of name scopes, by what they were where the block was recorded.
        block: What getters compute and set, if that is still to be done; the answers are then its result.
    """

    prefix: str
    answers: Answers
    entries: dict[str, Entry | None]
    reads: set[str]
    paths: dict[str, str]
    block: InPlace | None

    @property
    def reaches_out(self) -> bool:
        """Whether the next layer may have to see what getters set or add in this one."""
        block = self.block
        return block is not None and (
            block.adds or any(not name.startswith(self.prefix) for name in block.written)
        )

    @property
    def sets(self) -> set[str]:
        """The full names of what is set in the layer."""
        own = {entry.name for entry in self.entries.values() if entry is not None}
        return own if self.block is None else own | self.block.written

    def answered(self) -> "Row":
        """Return the row after getters have computed and set what they do."""
        block = self.block
        if block is None:
            return self
        arrays, rest = block.parts(block.inputs, block.compute(block.inputs))
        block.settle(rest)
        values = dict(zip(self.answers.values, block.result(arrays), strict=True))
        return self._replace(answers=self.answers._replace(values=values), block=None)


def in_columns(run: Pass, recipe: Recipe, rows: list[Row], pattern: str) -> tuple[list[Row], Columns]:
    """Return the rows, and what differs between them, as columns.

    These are the answers; or, where getters surely compute the same in all layers, what they compute it of.

    Args:
        run: The pass.
        recipe: What the layers were asked for.
        rows: The layers.
        pattern: What names begin with in a layer, with `{}` for its number.
    """
    if run.abstract:
        return rows, Columns([])
    scopes = [row.prefix for row in rows]
    blocks = [row.block for row in rows if row.block is not None]
    if len(blocks) == len(rows) and _all_alike(blocks):
        columns: list[Column] = []
        for inputs in zip(*(block.inputs for block in blocks), strict=True):
            entries = [block.variable_of(value) for block, value in zip(blocks, inputs, strict=True)]
            columns.append(Column.of_variables(run, inputs, entries, scopes, pattern))
        return rows, Columns(columns)
    rows = [row.answered() for row in rows]
    columns = []
    for key in rows[0].answers.values:
        # By a name alone, nothing but the variable itself was asked for.
        own = key.removeprefix(recipe.prefix) if isinstance(key, str) else None
        entries = [None if own is None else run.books.entries.get(scope + own) for scope in scopes]
        values = [row.answers.values[key] for row in rows]
        columns.append(Column.of_variables(run, values, entries, scopes, pattern))
    return rows, Columns(columns)


def _all_alike(blocks: list[InPlace]) -> bool:
    first, *rest = blocks
    return all(first.is_like(other) and alike(first.program, other.program) for other in rest)
