"""jit: a block that is traced once for all the scopes that it is called in."""

import contextlib
import functools
import types
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar, cast

import jax

from jaxscope._core.base.calls import Call, Result
from jaxscope._core.blocks.block import Block, Surroundings, placeholders
from jaxscope._core.blocks.recipe import CannotLiftError, Recipe
from jaxscope._core.passes.recording import Recording
from jaxscope._core.passes.running import Pass, current

P = ParamSpec("P")
R = TypeVar("R")


class Jitted(Generic[P, R]):
    """A block that is traced once for all the scopes it is called in; made by `jit`."""

    def __init__(self, block: Callable[P, R]) -> None:
        self._function = block
        self._block = Block(block)
        functools.update_wrapper(self, block, updated=())  # the block may be one of these itself

    def __get__(self, instance: Any, owner: type) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the block in the current scope."""
        run = current("jit")
        if run.assuming:
            return self._function(*args, **kwargs)  # the block around this one is traced once
        call = Call(args, kwargs)
        surroundings = Surroundings.of(run)
        recipe = None
        if run.scope.custom_getter is None:
            # Whatever is wrong with the block, running it as it is says so by its full names.
            with contextlib.suppress(CannotLiftError, Exception):
                recipe = self._block.recipe(run, call, surroundings)
        values = None if recipe is None else self._ask(run, recipe)
        if recipe is None or values is None:
            return self._function(*args, **kwargs)
        scope, stream = run.scope, surroundings.stream
        recipe.enter(run)
        words, counts = recipe.key_arguments(run, stream, [scope._name])
        if recipe.keys:
            words, counts = words[0], counts[0]
        if isinstance(run, Recording):
            for name in recipe.writes:
                run.write(run.entries[scope._prefix + name], None)
            return cast(R, placeholders(recipe.result))
        if recipe.program is None:
            # The program outlives this pass, and must not keep its stream of keys.
            kept = surroundings._replace(stream=None)
            recipe.program = self._jit(recipe, kept, call.without_arrays())
        key = stream.key if stream is not None and recipe.keys else None
        with run.traces.neutral():  # the program makes no request of this pass
            result, writes = recipe.program(values, key, words, counts, call.arrays)
        for name, value in writes.items():
            run.write(run.entries[scope._prefix + name], value)
        run.changed()
        return cast(R, result.value())

    def _ask(self, run: Pass, recipe: Recipe) -> list[Any] | None:
        """Return the variables of the block in the current scope; None where it has to run as it is."""
        prefix = run.scope._prefix
        if recipe.has_getters or (recipe.numbers_scopes and run.counts.entered_below(run.scope._name)):
            return None
        new = [prefix + request.name for request in recipe.requests]
        if run.groups or any(name in run.entries for name in new):
            if not all(request.fits(run, prefix) for request in recipe.requests):
                return None
            new = [name for name in new if name not in run.entries]
        try:
            return [request.ask(run, prefix) for request in recipe.requests]
        except Exception:  # noqa: BLE001 - it comes again, from its own line, where the block may catch it
            run.forget(new)
            return None

    def _jit(self, recipe: Recipe, surroundings: Surroundings, call: Call) -> Callable[..., Any]:
        names = [request.name for request in recipe.requests]

        def program(values: Any, key: Any, words: Any, counts: Any, arrays: Any) -> Any:
            args, kwargs = call.join(arrays)
            given = dict(zip(names, values, strict=True))
            result, writes = self._block.play(recipe, surroundings, given, key, words, counts, args, kwargs)
            return Result(result), writes

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
        (`js.Variable`, templates, collections, scope objects from outside, custom getters) runs as it is.

    Example:
        >>> import jax, jax.numpy as jnp, jaxscope as js
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
    return Jitted(block)
