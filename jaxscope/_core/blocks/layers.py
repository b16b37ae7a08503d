"""Layers: one block, and the variables of many scopes, stacked; what scan_layers and ensemble share."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Generic, ParamSpec, TypeVar, cast

import jax
import jax.numpy as jnp

from jaxscope._core.base.calls import Call
from jaxscope._core.base.describe import shown
from jaxscope._core.base.sites import here
from jaxscope._core.blocks.block import Block
from jaxscope._core.blocks.border import BlockFailedError, CannotLiftError
from jaxscope._core.blocks.group import Group
from jaxscope._core.blocks.recipe import Answers, Recipe
from jaxscope._core.model.variable_scope import variable_scope
from jaxscope._core.passes.running import Pass
from jaxscope.errors import InvalidNameError, InvalidShapeError

P = ParamSpec("P")
R = TypeVar("R")


class Layers(Generic[P, R]):
    """What `scan_layers` and `ensemble` share: one block, and variables of many scopes, stacked."""

    def __init__(self, block: Callable[P, R], length: int, name: str) -> None:
        for number in (block, length):
            if not (callable(number) if number is block else isinstance(number, int)):
                raise TypeError(
                    f"js.scan_layers and js.ensemble take a function and a number, not {shown(number)}"
                )
        if "{}" not in name or name.count("{}") != 1 or "/" in name:
            raise InvalidNameError(
                f"the name of layers must have one {{}} for their numbers, and no slash, unlike {name!r}",
                code="layer_name",
                at=here(),
                fix='pass name="layer_{}", say',
            )
        if length < 1:
            raise InvalidShapeError(
                f"the number of layers must be at least 1, and is {length}",
                code="layer_number",
                at=here(),
                fix="pass the number of times that the block is to run",
            )
        self._function = block
        self._block = Block(block)
        self._length = length
        self._name = name
        self.__wrapped__ = block
        self.__name__ = getattr(block, "__name__", "block")
        self.__doc__ = block.__doc__

    def _prepare(self, run: Pass, what: str, call: Call, shared: list[Any]) -> "Prepared | None":
        """Return the block's recipe, and the variables of all layers, stacked.

        None where the layers have to run one by one: where the block fails, or the layers are not alike.

        Args:
            run: The pass.
            what: The public name of the function, for messages.
            call: The arguments of one layer.
            shared: Its arrays; None for those that are not the same for all layers.
        """
        recipe = self._record(run, what, call)
        if recipe is None:
            return None
        group = self._group(run, recipe)
        if group is None:
            return self._one_by_one(run, recipe, shared)
        self._enter_all(run, recipe)
        values = {recipe.prefix + name: home[0].read(home[1]) for name, home in group.homes.items()}
        scopes = [run.scopes.current._prefix + self._scope(index) for index in range(self._length)]
        rows = [recipe.take(run, scope, shared) for scope in scopes] if recipe.takes_keys else []
        return Prepared(recipe, values, {}, rows, group, [])

    def _record(self, run: Pass, what: str, call: Call) -> Recipe | None:
        """Return the block's recipe in the first layer, or None where only a loop is right."""
        mark, floor = run.scopes.mark(), run.scopes.entered
        try:
            with variable_scope(self._scope(0)):
                return self._block.recipe(run, call, floor)
        except CannotLiftError as problem:
            if problem.loop:
                return None
            meaning = f"js.{what} runs its block for all layers at once"
            raise problem.error(run, meaning, ", or run the layers in a Python loop") from None
        except BlockFailedError as problem:
            if getattr(problem.__cause__, "code", "") == "write_in_block":
                raise cast(Exception, problem.__cause__) from None  # what to write instead, in the block
            return None
        finally:
            run.scopes.undo(mark)

    def _scope(self, index: int) -> str:
        return self._name.replace("{}", str(index))

    def _group(self, run: Pass, recipe: Recipe) -> Group | None:
        """Return the layers' variables as a group, if no rule has to see single layers; else None."""
        books, around = run.books, run.around
        if not recipe.plain or around.border.listens:
            return None
        group = Group(run.scopes.current._prefix, self._name, self._length, recipe.variables)
        before = books.groups.get(group.pattern)
        if isinstance(before, Group):
            return before if before.shares(group) else None
        one_by_one = (
            around.creators
            or around.frozen
            or (recipe.writes and not run.traces.at_root)
            or any(entry.request.reuse is True for entry in group.requests.values())
            or any(name.startswith(group.prefix) for name in (*books.entries, *books.groups))
        )
        if one_by_one or not group.find(run):
            return None
        books.add_group(group)
        return group

    def _enter_all(self, run: Pass, recipe: Recipe) -> None:
        """Enter the scopes of all layers into the books."""
        if run.traces.memory.numbered:
            for index in range(self._length):
                with variable_scope(self._scope(index)):
                    recipe.enter(run)
            return
        above = run.scopes.current._prefix
        run.scopes.counts.log += [above + self._scope(index) for index in range(self._length)]
        run.scopes.skipped = True

    def _one_by_one(self, run: Pass, recipe: Recipe, shared: list[Any]) -> "Prepared | None":
        """Ask for the variables of each layer; None where one is refused, or is not like the others."""
        rows: list[Answers] = []
        entries: list[dict[str, Any]] = []
        mark = run.mark()
        try:
            for index in range(self._length):
                with variable_scope(self._scope(index)) as scope:
                    answers = recipe.ask(run, shared)
                    if answers is None:
                        break
                    recipe.enter(run)
                    rows.append(answers)
                    found = {name: run.books.find(scope._prefix + name) for name in recipe.writes}
                    entries.append(found)
        except Exception:  # noqa: BLE001 - it comes again in a loop over the layers, from its own line
            rows.clear()
        if len(rows) < self._length or any(entry is None for found in entries for entry in found.values()):
            run.undo(mark)
            return None
        stacked: dict[Any, Any] = {}
        same: dict[Any, Any] = {}
        for key, first in rows[0].values.items():
            column = [row.values[key] for row in rows]
            if all(value is first for value in column) and self._length > 1:
                same[key] = first
            else:
                stacked[key] = jnp.stack(column)
        return Prepared(recipe, stacked, same, [row.parts for row in rows], None, entries)


class Prepared:
    """All that a run of the layers needs.

    Attributes:
        xs: What differs from layer to layer, with a leading axis of layers.
    """

    def __init__(
        self,
        recipe: Recipe,
        stacked: dict[Any, Any],
        same: dict[Any, Any],
        rows: list[list[tuple[Any, Any]]],
        group: Group | None,
        entries: list[dict[str, Any]],
    ) -> None:
        self.recipe = recipe
        self._keys = sorted(stacked, key=str)  # as in a dict of them, which JAX would sort
        self.xs = ([stacked[key] for key in self._keys], *recipe.stack(rows))
        self._same = same
        self._group = group
        self._entries = entries

    def compute(self, xs: Any, arrays: list[Any]) -> tuple[list[Any], dict[str, Any]]:
        """Compute one layer, with what is its own; return the arrays of its result, and what it sets."""
        values, words, counts = xs
        given = {**self._same, **dict(zip(self._keys, values, strict=True))}
        return self.recipe.compute(given, words, counts, arrays)

    @contextmanager
    def outside(self, run: Pass, name: str) -> Generator[None]:
        """Run the layers under their name, without requests of the pass."""
        with run.traces.neutral(), jax.named_scope(name):
            yield

    def write(self, run: Pass, writes: dict[str, Any]) -> None:
        """Set the variables of all layers."""
        for name, values in writes.items():
            if self._group is not None:
                run.set(self._group.stacked(name), values)
                continue
            for index, entries in enumerate(self._entries):
                run.set(entries[name], values[index])
