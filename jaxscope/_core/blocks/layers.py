"""Depth: layers that run as one scan, and members of an ensemble as one vmap."""

from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar

import jax.numpy as jnp

from jaxscope._core.base.calls import Call
from jaxscope._core.base.sites import here
from jaxscope._core.blocks.block import Block, Surroundings
from jaxscope._core.blocks.group import Group, stacked_values
from jaxscope._core.blocks.recipe import CannotLiftError, Recipe
from jaxscope._core.model.variable_scope import variable_scope
from jaxscope._core.passes.running import Pass
from jaxscope.errors import InvalidNameError, InvalidShapeError

P = ParamSpec("P")
R = TypeVar("R")


class _Layers(Generic[P, R]):
    """What `scan_layers` and `ensemble` share: one block, and variables of many scopes, stacked."""

    def __init__(self, block: Callable[P, R], length: int, name: str) -> None:
        for number in (block, length):
            if not (callable(number) if number is block else isinstance(number, int)):
                raise TypeError(
                    f"js.scan_layers and js.ensemble take a function and a number, not {number!r}"
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

    def _prepare(self, run: Pass, what: str, call: Call) -> "_Prepared | None":
        """Return the block's recipe in one layer, and the variables of all layers, stacked.

        None where the layers have to run one by one: where the block fails, or a rule has to see each.
        """
        mark = run.name_scopes.mark()
        with variable_scope(self._scope(0)) as scope:
            surroundings = Surroundings.of(run)
            try:
                recipe = self._block.recipe(run, call, surroundings)
            except CannotLiftError as problem:
                meaning = f"js.{what} runs its block for all layers at once"
                raise problem.error(run, meaning, ", or run the layers in a Python loop") from None
            except Exception as problem:
                if getattr(problem, "code", "") == "write_in_block":
                    raise  # what to write instead, in the block
                recipe = None  # the layers in a loop say what is wrong, by full names
            getter = scope.custom_getter
        run.name_scopes.undo(mark)
        if recipe is None or (getter is not None and recipe.writes):
            return None
        prepared = _Prepared(recipe, surroundings)
        group = Group(run.scope._prefix, self._name, self._length, recipe.requests)
        before = run.groups.get(group.pattern)
        if getter is None and isinstance(before, Group) and before.shared_by(group):
            prepared.group = before
        elif getter is None and self._at_once(run, group, recipe):
            group.values = stacked_values(run, group)
        if group.values:
            run.add_group(group)
            prepared.group = group
        if prepared.group is not None:
            prepared.values = prepared.group.values
            self._enter_all(run, recipe)
        else:
            entries = self._one_by_one(run, recipe, getter)
            if entries is None:
                return None
            prepared.entries = entries
            prepared.values = {
                name: jnp.stack([run.read(entry) if entry else value for entry, value in column])
                for name, column in entries.items()
            }
        if recipe.keys:
            scopes = [run.scope._prefix + self._scope(index) for index in range(self._length)]
            prepared.words, prepared.counts = recipe.key_arguments(run, surroundings.stream, scopes)
        return prepared

    def _scope(self, index: int) -> str:
        return self._name.replace("{}", str(index))

    def _enter_all(self, run: Pass, recipe: Recipe) -> None:
        """Enter the scopes of all layers into the books."""
        if run.assuming or run.traces.memory.numbered:
            for index in range(self._length):
                with variable_scope(self._scope(index)):
                    recipe.enter(run)
            return
        above = run.scope._prefix
        run.counts.log += [above + self._scope(index) for index in range(self._length)]
        run.skipped_scopes = True

    def _at_once(self, run: Pass, group: Group, recipe: Recipe) -> bool:
        """Tell whether no rule has to see single layers: then their entries are made when asked for."""
        return not (
            run.creators
            or run.frozen
            or run.assuming
            or (recipe.writes and not run.traces.at_root)
            or any(request.regularizer is not None or request.reuse is True for request in recipe.requests)
            or any(name.startswith(group.prefix) for name in (*run.entries, *run.groups))
        )

    def _one_by_one(self, run: Pass, recipe: Recipe, getter: Any) -> dict[str, list[Any]] | None:
        """Ask for the variables of each layer; None where one is refused, or is not like the others."""
        columns: dict[str, list[Any]] = {request.name: [] for request in recipe.requests}
        run.settle()
        before, mark = set(run.entries), run.name_scopes.mark()
        try:
            for index in range(self._length):
                with variable_scope(self._scope(index)) as scope:
                    if not all(request.fits(run, scope._prefix) for request in recipe.requests):
                        break
                    for request in recipe.requests:
                        value = request.ask(run, scope._prefix, getter)
                        entry = None if getter else run.entries[scope._prefix + request.name]
                        columns[request.name].append((entry, value))
                    recipe.enter(run)
            else:
                return columns
        except Exception:  # noqa: BLE001, S110 - it comes again in a loop over the layers, from its own line
            pass
        run.forget([name for name in run.entries if name not in before])
        run.name_scopes.undo(mark)
        return None

    def _write(self, run: Pass, prepared: "_Prepared", writes: dict[str, Any]) -> None:
        for name, values in writes.items():
            if prepared.group is not None:
                run.write(prepared.group.stacked_entry(name), values)
                continue
            for index, (entry, _) in enumerate(prepared.entries[name]):
                run.write(entry, None if values is None else values[index])
        run.changed()


class _Prepared:
    """All that a run of the layers needs."""

    group: Group | None = None
    words: Any = None
    counts: Any = None

    def __init__(self, recipe: Recipe, surroundings: Surroundings) -> None:
        self.recipe = recipe
        self.surroundings = surroundings
        self.values: dict[str, Any] = {}
        self.entries: dict[str, list[Any]] = {}

    def play(self, block: Block, values: Any, words: Any, counts: Any, args: Any, kwargs: Any) -> Any:
        """Run the block in one layer."""
        stream = self.surroundings.stream
        key = None if stream is None else stream.key
        return block.play(self.recipe, self.surroundings, values, key, words, counts, args, kwargs)
