"""Blocks: functions that are recorded once in a pass for all calls of one kind."""

import weakref
from collections.abc import Callable, Hashable
from typing import Any, cast

import jax

from jaxscope._core.base.calls import Call, Result
from jaxscope._core.base.sameness import Same, kind_of_callable
from jaxscope._core.base.wrapper import Made
from jaxscope._core.blocks.recipe import Recipe
from jaxscope._core.passes.recording import placeholder
from jaxscope._core.passes.running import Pass


class Block(Made):
    """A function whose requests may be repeated in other scopes, and its recipes in the passes that run."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self._recipes: weakref.WeakKeyDictionary[Pass, dict[Hashable, Recipe]] = weakref.WeakKeyDictionary()

    traces = True

    def made_of(self) -> tuple[Any, ...]:
        """Return the function."""
        return (self.function,)

    def recipe(self, run: Pass, call: Call, floor: int | None = None) -> Recipe:
        """Return what the block asks for in such a call, in the current scope.

        Args:
            run: The pass.
            call: The arguments.
            floor: How many scopes were entered before those that are the block's own.

        Raises:
            CannotLiftError: It asks for something that cannot be repeated for another scope.
            BlockFailedError: From what the block raises.
        """
        run.traces.stage()
        if floor is None:
            floor = run.scopes.entered
        recipes = self._recipes.setdefault(run, {})
        key = self._key(run, call)
        found = recipes.get(key) if key is not None else None
        if found is None or (found.numbers and found.before != _entered_below(run)):
            found = Recipe(run, self.function, call, floor)
            if key is not None:
                recipes[key] = found
        return found

    def _key(self, run: Pass, call: Call) -> Hashable | None:
        """Return what the call has in common with those that a recipe serves; None if that is not known."""
        function = kind_of_callable(self.function)
        if function is None:
            return None
        around = run.around
        number = run.traces.numbers.of_object
        try:
            key = (
                function,
                call.key(),
                tuple(map(jax.typeof, call.arrays)),
                number(run.scopes.current._options),
                tuple(map(number, around.creators)),
                number(around.stream),
                around.frozen,
                _trace_context(run),
            )
            hash(key)
        except TypeError:
            return None
        return key


def _entered_below(run: Pass) -> tuple[str, ...]:
    scope = run.scopes.current
    return tuple(path.removeprefix(scope._prefix) for path in run.scopes.counts.entered_below(scope._name))


@jax.jit
def _context() -> Result:
    return Result(None)


_contexts: weakref.WeakKeyDictionary[Pass, tuple[Any, Hashable]] = weakref.WeakKeyDictionary()


def _trace_context(run: Pass) -> Hashable:
    """Return what else, beside its arguments, JAX would trace a function anew for: named axes, x64, a mesh.

    JAX itself tells: it traces `_context` for each such context once, and each trace has a result of its own.
    """
    state, context = _contexts.get(run, (None, None))
    x64 = bool(cast(Any, jax.config).jax_enable_x64)  # may change within a trace
    if context is None or state != (run.traces.current, x64):
        with run.traces.neutral():
            context = Same(jax.eval_shape(_context).rest)
        _contexts[run] = (run.traces.current, x64), context
    return context


def placeholders(recipe: Recipe, result: int | None = None, writes: int | None = None) -> tuple[Any, Any]:
    """Return what stands for the result of a block, and for what it sets.

    Args:
        recipe: The block's.
        result: The size of a leading axis of the results, or None for none.
        writes: Likewise, of what it sets.
    """

    def stand_in(aval: Any, size: int | None) -> Any:
        leading = () if size is None else (size,)
        return placeholder((*leading, *aval.shape), aval.dtype, weak=aval.weak_type)

    arrays = [stand_in(aval, result) for aval in recipe.result]
    written = {name: stand_in(aval, writes) for name, aval in recipe.writes.items()}
    return recipe.returned(arrays), written
