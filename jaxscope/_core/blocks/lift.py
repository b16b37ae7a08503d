"""lift: a block as a pure function of its variables."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

import jax

from jaxscope._core.base.calls import Call
from jaxscope._core.base.sites import here
from jaxscope._core.blocks.block import Block, Surroundings
from jaxscope._core.blocks.recipe import CannotLiftError, Recipe
from jaxscope._core.passes.running import current
from jaxscope._core.variables.tree import Variables

R = TypeVar("R")


def lift(block: Callable[..., R], /, *args: Any, **kwargs: Any) -> tuple[Callable[..., R], Variables]:
    """Return a block as a pure function of its variables, and the variables, which are made here.

    For the places where JAX lets no function read a value from outside: a function with a custom derivative
    that is differentiated with respect to it, or a `jax.shard_map` over Explicit axes.

    Args:
        block: A function that asks for variables in the current scope.
        *args: Arguments like those of the later calls.
        **kwargs: Likewise.

    Returns:
        `(function, values)`: `function(values, *args, **kwargs)` is what `block(*args, **kwargs)` would
        return here, and asks for nothing; `values` are named relative to the current scope.

    Raises:
        TraceError: The block writes variables, takes random keys, or asks for something that relative
            names cannot say (code `cannot_lift`).
        JaxscopeError: As the block's requests.

    Example:
        >>> import jax, jax.numpy as jnp, jaxscope as js
        >>> def scaled(x):
        ...     return x * js.get_variable("scale", [])
        >>> @js.transform
        ... def net(x):
        ...     function, values = js.lift(scaled, x)
        ...     custom = jax.custom_vjp(function)
        ...     custom.defvjp(
        ...         lambda values, x: (function(values, x), (values, x)),
        ...         lambda saved, g: jax.vjp(function, *saved)[1](jnp.clip(g, -1, 1)),
        ...     )
        ...     return custom(values, x)
        >>> jax.grad(net.apply)({"scale": jnp.float32(2)}, 3.0)
        {'scale': Array(3., dtype=float32)}
    """
    run = current("lift")
    lifted = Block(block)
    entered = run.counts.entered_below(run.scope._name)
    surroundings = Surroundings.of(run)._replace(
        entered=tuple(path.removeprefix(run.scope._prefix) for path in entered)
    )
    call = Call(args, kwargs)
    try:
        recipe = lifted.recipe(run, call, surroundings)
        _check_pure(recipe)
    except CannotLiftError as problem:
        meaning = "js.lift makes a pure function of its block"
        raise problem.error(run, meaning, ": pass keys in, and return what is to be written") from None
    except Exception:
        block(*args, **kwargs)  # says what is wrong by the full names
        raise
    getter = run.scope.custom_getter
    prefix = run.scope._prefix
    values = {request.name: request.ask(run, prefix, getter) for request in recipe.requests}
    recipe.enter(run)
    words, counts = jax.tree.map(lambda array: array[0], recipe.key_arguments(run, None, [run.scope._name]))

    def function(values: Mapping[str, Any], /, *args: Any, **kwargs: Any) -> R:
        result, _ = lifted.play(recipe, surroundings, values, None, words, counts, args, kwargs)
        return cast(R, result)

    made = {request.name: run.entries.get(prefix + request.name) for request in recipe.requests}
    frozen = [name for name, entry in made.items() if entry is not None and not entry.trainable]
    return function, Variables(values, non_trainable=frozen)


def _check_pure(recipe: Recipe) -> None:
    shared = any(not key.own for key in recipe.keys)
    if shared or recipe.writes:
        raise CannotLiftError("js.next_key" if shared else "js.set_variable", here())
