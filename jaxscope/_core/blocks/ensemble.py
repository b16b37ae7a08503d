"""ensemble: members that run side by side as one vmap, with the variables of a loop."""

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

import jax
import jax.numpy as jnp
from jax import lax

from jaxscope._core.base.calls import Call
from jaxscope._core.base.describe import describe
from jaxscope._core.base.sites import here
from jaxscope._core.blocks.block import placeholders
from jaxscope._core.blocks.layers import Layers
from jaxscope._core.blocks.results import stack_results
from jaxscope._core.passes.base_pass import Pass, current
from jaxscope.errors import InvalidShapeError

P = ParamSpec("P")
R = TypeVar("R")


class Ensemble(Layers[P, R]):
    """Members that run side by side as one `jax.vmap`; made by `ensemble`."""

    def __init__(self, block: Callable[P, R], size: int, name: str, in_axes: int | None) -> None:
        super().__init__(block, size, name)
        self._in_axes = in_axes

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the members; each array that they return has a leading axis of members."""
        run = current("ensemble")
        call = Call(args, kwargs)
        arrays = call.arrays
        shared = arrays
        if self._in_axes is not None:
            call.arrays = [_without_axis(array, self._in_axes, self._length) for array in arrays]
            shared = [None] * len(arrays)
        recipe = self._record(run, "ensemble", call)
        prepared = None if recipe is None else self._prepare(run, recipe, shared)
        if prepared is None:
            return self._one_after_the_other(run, call.without_arrays(), arrays)
        recipe = prepared.recipe
        if run.abstract:
            outcome = placeholders(recipe, [self._length] * len(recipe.types.arrays), self._length)
        else:
            members = jax.vmap(prepared.compute, in_axes=(0, self._in_axes), axis_size=self._length)
            with prepared.outside(run, self._name):
                outcome = members(prepared.xs, arrays)
        prepared.settle(run, outcome)
        return cast(R, recipe.returned(outcome.arrays))

    def _one_after_the_other(self, run: Pass, call: Call, arrays: list[Any]) -> R:
        def step(index: int) -> Any:
            own = arrays if self._in_axes is None else [jnp.take(a, index, self._in_axes) for a in arrays]
            args, kwargs = call.join(own)
            return cast(Any, self._function)(*args, **kwargs)

        return cast(R, stack_results(self._loop(run, step), "what members return"))


def _without_axis(array: Any, axis: int, size: int) -> Any:
    shape = array.shape
    if not -len(shape) <= axis < len(shape) or shape[axis] != size:
        raise InvalidShapeError(
            f"{describe(array)} has no axis {axis} of {size} members",
            code="member_axis",
            at=here(),
            fix="give each array among the arguments an axis of the ensemble's members, or use in_axes=None",
        )
    return jax.eval_shape(lambda array: lax.index_in_dim(array, 0, axis, keepdims=False), array)


def ensemble(
    block: Callable[P, R], size: int, name: str = "member_{}", *, in_axes: int | None = None
) -> Ensemble[P, R]:
    """Return a function that runs a block `size` times side by side, each time with its own variables.

    The variables are those of a loop over the members' scopes, as in `scan_layers`; the members run as
    one `jax.vmap`.

    Args:
        block: A function that asks for variables.
        size: How many members.
        name: The name of their scopes, with `{}` for the number, from 0.
        in_axes: None to give all members the same arguments; 0 if each array among them has a leading
            axis of members.

    Returns:
        A function of the block's arguments, whose results have a leading axis of members, as have the arrays
        that the block adds to collections.

    Raises:
        InvalidNameError: `name` has no `{}`.
        InvalidShapeError: `size` is below 1.
        TraceError: On a call: the block asks for something that relative names cannot say.

    Example:
        >>> net = js.transform(js.ensemble(lambda x: x @ js.get_variable("w", [4, 2]), 5))
        >>> variables = net.init(jax.random.key(0), jnp.ones(4))
        >>> len(variables), net.apply(variables, jnp.ones(4)).shape
        (5, (5, 2))
    """
    return Ensemble(block, size, name, in_axes)
