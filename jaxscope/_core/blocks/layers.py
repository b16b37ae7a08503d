"""Layers: one block, and the variables of many scopes, stacked; what scan_layers and ensemble share."""

from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar, cast

from jaxscope._core.base.calls import Call
from jaxscope._core.base.describe import shown
from jaxscope._core.base.sites import here
from jaxscope._core.blocks.attempt import Attempt
from jaxscope._core.blocks.block import Block
from jaxscope._core.blocks.border import BlockFailedError, CannotLiftError
from jaxscope._core.blocks.collected import stack_added
from jaxscope._core.blocks.columns import Column, Columns
from jaxscope._core.blocks.group import Group
from jaxscope._core.blocks.prepared import Prepared
from jaxscope._core.blocks.recipe import Recipe
from jaxscope._core.blocks.results import as_arrays
from jaxscope._core.blocks.rows import Row, in_columns
from jaxscope._core.model.variable_scope import variable_scope
from jaxscope._core.passes.base_pass import Pass
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
        self._block = Block(block, as_arrays)
        self._length = length
        self._name = name
        self.__wrapped__ = block
        self.__name__ = getattr(block, "__name__", "block")
        self.__doc__ = block.__doc__

    def _prepare(self, run: Pass, recipe: Recipe, shared: list[Any]) -> Prepared | None:
        """Return the variables of all layers, stacked; None where the layers are not alike.

        Args:
            run: The pass.
            recipe: The block's.
            shared: The arrays of the call; None for those that are not the same for all layers.
        """
        group = self._group(run, recipe)
        if group is None:
            return self._one_by_one(run, recipe, shared)
        path = self._enter_all(run, recipe)
        values = {recipe.prefix + name: home[0].read(home[1]) for name, home in group.homes.items()}
        keys = sorted(values)
        columns = Columns([Column(None, values[key]) for key in keys])
        scopes = [run.scopes.current._prefix + self._scope(index) for index in range(self._length)]
        parts = [recipe.take(run, scope, shared) for scope in scopes] if recipe.takes_keys else []
        return Prepared(recipe, self._length, keys, columns, parts, path, group=group)

    def _record(self, run: Pass, what: str, call: Call) -> Recipe | None:
        """Return the block's recipe in the first layer, or None where only a loop is right.

        Args:
            run: The pass.
            what: The public name of the function, for messages.
            call: The arguments of one layer.
        """
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

    def _path(self, run: Pass) -> str:
        """Return what stands for the paths of all layers' name scopes."""
        path = run.scopes.names.path
        return f"{path}/{self._name}" if path else self._name

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
            or (recipe.names and not run.traces.at_root)
            or any(entry.request.reuse is True for entry in group.requests.values())
            or any(name.startswith(group.prefix) for name in (*books.entries, *books.groups))
        )
        if one_by_one or not group.find(run):
            return None
        books.add_group(group)
        return group

    def _enter_all(self, run: Pass, recipe: Recipe) -> list[str]:
        """Enter the scopes of all layers into the books; return the paths of what the block adds."""
        outer = self._path(run)
        if run.traces.memory.numbered:
            found: list[str] = []
            for index in range(self._length):
                with variable_scope(self._scope(index)):
                    root, paths = run.scopes.names.path, recipe.enter(run)
                found = found or _of_all(recipe, paths, root, outer)
            return found
        above = run.scopes.current._prefix
        run.scopes.counts.log += [above + self._scope(index) for index in range(self._length)]
        run.scopes.skipped = True
        return [outer] * len(recipe.collected)  # a block that adds below its scope has names counted

    def _one_by_one(self, run: Pass, recipe: Recipe, shared: list[Any]) -> Prepared | None:
        """Ask for the variables of each layer; None where one is refused, or is not like the others."""
        outer, above = self._path(run), run.scopes.current._prefix
        rows: list[Row] = []
        path: list[str] = []
        attempt = Attempt(run, recipe, apart=not run.around.border.stands_in)
        for index in range(self._length):
            with variable_scope(self._scope(index)) as scope:
                answers = attempt.ask(shared)
                if answers is None:
                    attempt.undo()
                    return None
                root, paths = run.scopes.names.path, recipe.enter(run)
                path = path or _of_all(recipe, paths, root, outer)
                entries = {name: run.books.find(scope._prefix + name) for name in recipe.names}
            row = Row(scope._prefix, answers, entries, attempt.reads, paths, attempt.block)
            rows.append(row.answered() if row.reaches_out else row)
        if any(None in row.entries.values() for row in rows) or _depend(rows):
            attempt.undo()
            return None
        rows, columns = in_columns(run, recipe, rows, f"{above}{self._name}/")
        keys, parts = list(rows[0].answers.values), [row.answers.parts for row in rows]
        return Prepared(recipe, self._length, keys, columns, parts, path, rows=rows)

    def _loop(self, run: Pass, step: Callable[[int], Any]) -> list[Any]:
        """Run the layers one after the other, and return what each came to; what they add is stacked."""
        start = len(run.books.added)
        results: list[Any] = []
        counts: list[int] = []
        outer, root = self._path(run), ""
        for index in range(self._length):
            with variable_scope(self._scope(index)):
                root = root or run.scopes.names.path
                results.append(step(index))
            counts.append(len(run.books.added))
        stack_added(run, start, counts, root, outer)
        return results


def _of_all(recipe: Recipe, paths: dict[str, str], root: str, outer: str) -> list[str]:
    """Return what stands for the paths of what all layers add.

    Args:
        recipe: The block's.
        paths: The paths in one layer, by what they were where the block was recorded.
        root: The path of that layer.
        outer: What stands for the paths of all layers.
    """
    found = [paths.get(collected.path, collected.path) for collected in recipe.collected]
    return [outer + path.removeprefix(root) for path in found]


def _depend(rows: list[Row]) -> bool:
    """Tell whether a getter reads in one layer what another one sets, so that their order matters."""
    setters: dict[str, set[int]] = {}
    for index, row in enumerate(rows):
        for name in row.sets:
            setters.setdefault(name, set()).add(index)
    return any(
        setters[name] != {index} for index, row in enumerate(rows) for name in row.reads & setters.keys()
    )
