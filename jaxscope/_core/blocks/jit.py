"""jit: a block that is traced once for all the scopes that it is called in."""

import types
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar, cast

import jax

from jaxscope._core.base.calls import Call
from jaxscope._core.base.wrapper import Wrapper
from jaxscope._core.blocks.attempt import Attempt
from jaxscope._core.blocks.block import Block, placeholders
from jaxscope._core.blocks.border import Asked, BlockFailedError, CannotLiftError
from jaxscope._core.blocks.recipe import Answers, Outcome, Recipe
from jaxscope._core.passes.base_pass import Pass, current

P = ParamSpec("P")
R = TypeVar("R")


class Jitted(Wrapper, Generic[P, R]):
    """A block that is traced once for all the scopes it is called in; made by `jit`."""

    def __init__(self, block: Callable[P, R]) -> None:
        super().__init__(block)
        self._function = block
        self._block = Block(block)

    def __get__(self, instance: Any, owner: type) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the block in the current scope."""
        run = current("jit")
        call = Call(args, kwargs)
        found = self._ask(run, call)
        if found is None:
            return self._function(*args, **kwargs)
        recipe, answers, paths = found
        outcome = self._compute(run, recipe, answers, call.arrays)
        prefix = run.scopes.current._prefix
        for name, value in outcome.writes.items():
            run.set(run.books.entries[prefix + name], value)
        for collected, arrays, position in zip(recipe.collected, outcome.added, answers.places, strict=True):
            collected.add(run, paths.get(collected.path, collected.path), arrays, position, prefix)
        given = dict(enumerate(call.arrays)) | answers.values
        return cast(R, recipe.returned(outcome.arrays, given))

    def _ask(self, run: Pass, call: Call) -> tuple[Recipe, Answers, dict[str, str]] | None:
        """Return the block's recipe, what it gets here, and its paths; None where it has to run as it is."""
        try:
            recipe = self._block.recipe(run, call)
        except (CannotLiftError, BlockFailedError):
            return None
        attempt = Attempt(run, recipe)
        answers = attempt.ask(call.arrays)
        prefix = run.scopes.current._prefix
        if answers is None or any(run.books.find(prefix + name) is None for name in recipe.names):
            attempt.undo()
            return None
        return recipe, answers, recipe.enter(run)

    def _compute(self, run: Pass, recipe: Recipe, answers: Answers, arrays: list[Any]) -> Outcome:
        if run.abstract:
            return placeholders(recipe)
        if recipe.program is None:
            recipe.program = self._program(recipe)
        words, counts = recipe.stack([answers.parts])
        if words is not None:
            words, counts = words[0], counts[0]
        with run.traces.neutral():  # the program makes no request of this pass
            outcome: Outcome = recipe.program(list(answers.values.values()), words, counts, arrays)
        return outcome

    def _program(self, recipe: Recipe) -> Callable[..., Any]:
        keys = list(dict.fromkeys(event.key for event in recipe.events if isinstance(event, Asked)))

        def program(values: Any, words: Any, counts: Any, arrays: Any) -> Any:
            return recipe.compute(dict(zip(keys, values, strict=True)), words, counts, arrays)

        program.__name__ = getattr(self._function, "__name__", "block")
        return jax.jit(program)


def jit(block: Callable[P, R]) -> Jitted[P, R]:
    """Return a block that is traced once for all the scopes it is called in.

    The variables that it asks for become its arguments, under names relative to the scope. What it does
    is what the block does; only tracing and compiling are faster, in a deep model by as much as it has
    blocks. `jax.jit` inside a model is right, too, but traces anew for each scope.

    Args:
        block: A function that asks for variables. Its arguments may be any pytrees; leaves that are no
            arrays are part of what is traced.

    Returns:
        A function to call in its place. A block that asks for something that relative names cannot say
        (`js.Variable`, members of collections, templates and scope objects from outside) runs as it is.

    Raises:
        TypeError: `block` is not callable.
        JaxscopeError: On a call, as the block's requests.

    Example:
        >>> @js.jit
        ... def layer(x):
        ...     return jnp.tanh(x @ js.get_variable("w", [x.shape[-1], x.shape[-1]]))
        >>> @js.transform
        ... def net(x):
        ...     for i in range(3):
        ...         with js.variable_scope(f"layer_{i}"):
        ...             x = layer(x)
        ...     return x
        >>> list(net.spec(jnp.ones(4)))
        ['layer_0/w', 'layer_1/w', 'layer_2/w']
    """
    if not callable(block):
        raise TypeError(f"js.jit takes a function, not {type(block).__name__}")
    return Jitted(block)
