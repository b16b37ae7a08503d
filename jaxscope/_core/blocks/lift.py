"""lift: a block as a pure function of its variables."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

import jax
import jax.numpy as jnp

from jaxscope._core.base.calls import Call
from jaxscope._core.base.describe import describe
from jaxscope._core.base.sites import here
from jaxscope._core.blocks.block import Block
from jaxscope._core.blocks.border import Asked, BlockFailedError, CannotLiftError
from jaxscope._core.blocks.recipe import Answers, Recipe
from jaxscope._core.passes.base_pass import current
from jaxscope._core.variables.given import as_given
from jaxscope._core.variables.tree import Variables
from jaxscope.errors import TraceError, VariableNotFoundError, near

R = TypeVar("R")


def lift(block: Callable[..., R], /, *args: Any, **kwargs: Any) -> tuple[Callable[..., R], Variables]:
    """Return a block as a pure function of its variables, and the variables, which are made here.

    For the places where JAX lets no function read a value from outside: a function with a custom derivative
    that is differentiated with respect to it, or a `jax.shard_map` over Explicit axes.

    Args:
        block: A function that asks for variables in the current scope.
        *args: Arguments like those of the later calls. A `float` or `complex` is an array, since JAX makes
            it one on the way to the later calls; an `int` or `bool` stays what it is.
        **kwargs: Likewise.

    Returns:
        `(function, values)`: `function(values, *args, **kwargs)` is what `block(*args, **kwargs)` would
        return here, and asks for nothing; `values` are named relative to the current scope.

    Raises:
        TraceError: The block writes variables, takes random keys, or asks for something that relative
            names cannot say (code `cannot_lift`).
        JaxscopeError: As the block's requests.

    Example:
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
    call = _call(args, kwargs)
    try:
        recipe = Block(block).recipe(run, call)
        if recipe.names or recipe.takes_shared_keys:
            raise CannotLiftError("js.set_variable" if recipe.names else "js.next_key", here())  # noqa: TRY301
        if recipe.collected:
            raise CannotLiftError("js.add_to_collection", recipe.collected[0].site)  # noqa: TRY301
        answers = recipe.ask(run, call.arrays)
        names = _names(recipe, answers)
    except CannotLiftError as problem:
        meaning = "js.lift makes a pure function of its block"
        raise problem.error(run, meaning, ": pass keys in, and return what is to be written") from None
    except BlockFailedError as problem:
        block(*args, **kwargs)  # leaves behind what a call leaves, and says what is wrong
        raise cast(Exception, problem.__cause__) from None
    assert answers is not None
    recipe.enter(run)
    words, counts = recipe.stack([answers.parts])

    def function(values: Mapping[str, Any], /, *args: Any, **kwargs: Any) -> R:
        if missing := [name for name in names.values() if name not in values]:
            raise VariableNotFoundError(
                f"variable {missing[0]!r} of a block is not among the values that it is called with",
                at=here(),
                near=near(missing[0], values),
                fix="call the function with the values that js.lift returned, or with others of these names",
            )
        given = {key: as_given(name, values[name]) for key, name in names.items()}
        own = (None, None) if words is None else (words[0], counts[0])
        arrays = _like(call, _call(args, kwargs))
        return cast(R, recipe.returned(recipe.compute(given, own[0], own[1], arrays).arrays))

    prefix = run.scopes.current._prefix
    values = {name: answers.values[key] for key, name in names.items()}
    made = {name: run.books.entries.get(prefix + name) for name in values}
    frozen = [name for name, entry in made.items() if entry is not None and not entry.trainable]
    return function, Variables(values, non_trainable=frozen)


def _names(recipe: Recipe, answers: Answers | None) -> dict[Any, str]:
    """Return the relative name of each request's value, by its key."""
    if answers is None:
        raise CannotLiftError("a request that is answered otherwise when it is repeated", here())
    names: dict[Any, str] = {}
    values: dict[str, Any] = {}
    for request in recipe.events:
        if not isinstance(request, Asked):
            continue
        names[request.key] = name = request.name.removeprefix(recipe.prefix)
        value = answers.values[request.key]
        if values.setdefault(name, value) is not value:
            raise CannotLiftError("a custom getter that gives one name several values", request.site)
    return names


def _call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    """Return a call in which fractions are arrays."""

    def array(leaf: Any) -> Any:
        return jnp.asarray(leaf) if isinstance(leaf, float | complex) else leaf

    return Call(*jax.tree.map(array, (args, kwargs)))


def _like(recorded: Call, call: Call) -> list[Any]:
    """Return the arrays of a call, which must be like the one that the block was recorded with."""
    one, other = (
        (call.tree, [kept and kept[0] for kept in call.static], [describe(array) for array in call.arrays])
        for call in (recorded, call)
    )
    if one != other:
        raise TraceError(
            "a lifted function is called with other arguments than it was lifted with",
            code="lifted_arguments",
            at=here(),
            lifted=f"{one[2]}",
            called=f"{other[2]}",
            fix="call it with arguments of the same structure, shapes and dtypes, or lift the block again",
        )
    return call.arrays
