"""Blocks: functions that are recorded once in a pass for all calls of one kind."""

import weakref
from collections.abc import Callable, Hashable, Sequence
from typing import Any, cast

import jax
import jax.numpy as jnp

from jaxscope._core.base.calls import Call, Result
from jaxscope._core.base.sameness import Same, UnknownError
from jaxscope._core.base.wrapper import Made
from jaxscope._core.blocks.recipe import Outcome, Recipe
from jaxscope._core.passes.base_pass import Pass
from jaxscope._core.passes.recording import labelled


class Block(Made):
    """A function whose requests may be repeated in other scopes, and its recipes in the passes that run.

    Args:
        function: The user's.
        finish: What is done with its results.
    """

    def __init__(
        self, function: Callable[..., Any], finish: Callable[[Any], Any] = lambda result: result
    ) -> None:
        self.function = function
        self._finish = finish
        self._recipes: weakref.WeakKeyDictionary[Pass, dict[Hashable, Recipe]] = weakref.WeakKeyDictionary()

    traces = True

    def call(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call the function as it is."""
        return self._finish(self.function(*args, **kwargs))

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
            found = Recipe(run, self.call, call, floor)
            if key is not None:
                recipes[key] = found
        return found

    def _key(self, run: Pass, call: Call) -> Hashable | None:
        """Return what the call has in common with those that a recipe serves; None if that is not known."""
        around = run.around
        number = run.traces.numbers.of_object
        try:
            key = (
                call.key(self.function, alive=True),
                tuple(map(jax.typeof, call.arrays)),
                number(run.scopes.current._options),
                tuple(map(number, around.creators)),
                number(around.stream),
                around.frozen,
                _trace_context(run),
            )
            hash(key)
        except (TypeError, UnknownError):
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


def placeholders(recipe: Recipe, sizes: Sequence[int | None] = (), length: int | None = None) -> Outcome:
    """Return what stands for what a block comes to.

    Args:
        recipe: The block's.
        sizes: The size of a leading axis of each array that it returns, or None for none. If they are left
            out, none has one.
        length: Likewise, of all else.
    """

    def stand_in(aval: Any, size: int | None) -> Any:
        one = labelled(None, aval)
        return one if size is None else jnp.broadcast_to(one, (size, *aval.shape))

    arrays, writes, added, _ = recipe.types
    return Outcome(
        [stand_in(aval, size) for aval, size in zip(arrays, sizes or [None] * len(arrays), strict=True)],
        {name: stand_in(aval, length) for name, aval in writes.items()},
        [[stand_in(aval, length) for aval in one] for one in added],
    )
