"""scan_layers: layers that run as one scan, with the variables of a loop."""

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast, overload

import jax
import jax.numpy as jnp
import numpy as np

from jaxscope._core.base.calls import Call
from jaxscope._core.base.describe import describe
from jaxscope._core.base.sites import here
from jaxscope._core.blocks.block import placeholders
from jaxscope._core.blocks.layers import Layers
from jaxscope._core.blocks.prepared import Prepared
from jaxscope._core.blocks.recipe import Outcome, Recipe
from jaxscope._core.blocks.results import stack_results
from jaxscope._core.passes.base_pass import Pass, current
from jaxscope._core.passes.replaying import strong
from jaxscope.errors import InvalidShapeError, TraceError

P = ParamSpec("P")
R = TypeVar("R")

_NUMBERS = (jax.Array, np.ndarray, np.generic, bool, int, float, complex)


class Scanned(Layers[P, R]):
    """Layers that run as one `jax.lax.scan`; made by `scan_layers`."""

    def __init__(
        self,
        block: Callable[..., Any],
        length: int,
        name: str,
        *,
        xs: Any,
        outputs: bool,
        unroll: int | bool,
        remat: Any,
    ) -> None:
        super().__init__(block, length, name)
        self._xs = xs
        self._outputs = outputs
        self._unroll = unroll
        self._remat = remat
        for path, leaf in jax.tree_util.tree_leaves_with_path(xs):
            shape = getattr(leaf, "shape", ())
            if not shape or shape[0] != length:
                raise InvalidShapeError(
                    f"xs{jax.tree_util.keystr(path)} of js.scan_layers is {describe(leaf)}, "
                    f"without a leading axis of {length} layers",
                    code="layer_axis",
                    at=here(),
                    fix="pass arrays whose first axis is the layers' (jnp.asarray makes one of a list); "
                    "what is the same in all layers is a further argument of the call",
                )

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the layers: the first argument goes from one to the next, the others to all.

        Raises:
            TypeError: There is no first argument by position.
            TraceError: The block returns another type than it takes (code `carry`), or no pair where it has
                outputs (`outputs`); or it asks for something that names relative to its scope cannot say
                (`cannot_lift`).
        """
        run = current("scan_layers")
        if not args:
            raise TypeError("the first argument, which goes from layer to layer, must be given by position")
        given = _Given(self._xs, args, kwargs)
        prepared = self._prepared(run, given)
        if prepared is None:
            return cast(R, self._in_turn(run, given))
        recipe = prepared.recipe
        if run.abstract:
            own = len(recipe.types.arrays) - len(given.x)
            outcome = placeholders(recipe, [None] * len(given.x) + [self._length] * own, self._length)
        else:
            outcome = self._scan(run, prepared, given)
        prepared.settle(run, outcome)
        result = recipe.returned(outcome.arrays)
        return cast(R, tuple(result) if self._outputs else result)

    def _prepared(self, run: Pass, given: "_Given") -> Prepared | None:
        """Return what a scan needs; None where the layers have to run one after the other."""
        if not all(isinstance(leaf, _NUMBERS) for leaf in given.x):  # others can't go through a scan
            return None
        arrays = [leaf if isinstance(leaf, jax.Array) else jnp.asarray(leaf) for leaf in given.x]
        recipe = self._record(run, "scan_layers", given.layer(arrays))
        if recipe is None:
            return None
        self._check(recipe, given, arrays)
        weak = [_is_weak(aval) for aval in recipe.types.arrays[: len(arrays)]]
        if weak != [*map(_is_weak, arrays)]:
            # What goes from layer to layer in a scan is of one type; but the second layer gets another than
            # the first, which is no matter only if all of them compute the same.
            alike = recipe
            returned = recipe.types.arrays[: len(arrays)]
            settled = [
                jax.typeof(array) if one else aval
                for one, array, aval in zip(weak, arrays, returned, strict=True)
            ]
            for now in (returned, settled):
                types = list(jax.eval_shape(lambda *given: given, *now))
                recipe = self._record(run, "scan_layers", given.layer(types))
                if recipe is None or recipe.skeleton != alike.skeleton:
                    return None
            arrays = [a if one else strong(a) for a, one in zip(arrays, weak, strict=True)]
        given.x = arrays
        call = given.layer(arrays)
        own = len(arrays) + len(given.slices)
        return self._prepare(run, recipe, [None] * own + call.arrays[own:])

    def _check(self, recipe: Recipe, given: "_Given", arrays: list[Any]) -> None:
        """Raise `TraceError` if the block does not return what its first argument is."""
        result = self._parts(recipe.returned(recipe.types.arrays))[0]
        takes, returns = (jax.tree.map(describe, one) for one in (given.tree(arrays), result))
        if takes != returns:
            raise TraceError(
                "the block of js.scan_layers must return what its first argument is",
                code="carry",
                at=here(),
                takes=takes,
                returns=returns,
                fix="cast or reshape the result to the type of the first argument, or change what goes in",
            )

    def _parts(self, result: Any) -> tuple[Any, Any]:
        """Return what the first argument becomes, and a layer's output."""
        if not self._outputs:
            return result, None
        if not isinstance(result, tuple | list) or len(cast("Any", result)) != 2:
            raise TraceError(
                "the block of js.scan_layers(..., outputs=True) must return a pair",
                code="outputs",
                at=here(),
                returns=jax.tree.map(describe, result),
                fix="return (x, output) from the block, or leave out outputs=True",
            )
        return cast("tuple[Any, Any]", tuple(result))

    def _scan(self, run: Pass, prepared: Prepared, given: "_Given") -> Outcome:
        carried, shared = len(given.x), given.shared

        def layer(x: list[Any], each: Any) -> Any:
            outcome = prepared.compute(each[0], [*x, *each[1], *shared])
            return outcome.arrays[:carried], outcome._replace(arrays=outcome.arrays[carried:])

        if self._remat is not False and self._remat is not None:
            policy = None if self._remat is True else self._remat
            layer = jax.checkpoint(layer, policy=policy, prevent_cse=False)
        with prepared.outside(run, self._name):
            x, rest = jax.lax.scan(
                layer, given.x, (prepared.xs, given.own), length=self._length, unroll=self._unroll
            )
        return cast(Outcome, rest)._replace(arrays=[*x, *rest.arrays])

    def _in_turn(self, run: Pass, given: "_Given") -> Any:
        x = given.tree(given.x)
        outputs: list[Any] = []

        def step(index: int) -> None:
            nonlocal x
            args, kwargs = given.arguments(x, [leaf[index] for leaf in given.own])
            x, output = self._parts(self._function(*args, **kwargs))
            outputs.append(output)

        self._loop(run, step)
        return (x, stack_results(outputs, "what layers put out")) if self._outputs else x


class _Given:
    """The arguments of one call.

    Attributes:
        x: The leaves of the first argument.
        own: The arrays of which each layer gets its part.
        slices: What stands for such parts.
        shared: The arrays that all layers get.
    """

    def __init__(self, xs: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.x, self._x = jax.tree.flatten(args[0])
        self.own, self._xs = jax.tree.flatten(jax.tree.map(jnp.asarray, xs))
        self._has_own = xs is not None
        self._rest, self._kwargs = args[1:], kwargs
        self.slices = jax.eval_shape(lambda: [leaf[0] for leaf in self.own]) if self.own else []
        self.shared = Call(self._rest, kwargs).arrays

    def tree(self, x: list[Any]) -> Any:
        """Return the first argument, of such leaves."""
        return jax.tree.unflatten(self._x, x)

    def arguments(self, x: Any, own: list[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return what the block is called with."""
        given = (jax.tree.unflatten(self._xs, own),) if self._has_own else ()
        return (x, *given, *self._rest), self._kwargs

    def layer(self, x: list[Any]) -> Call:
        """Return the call of one layer."""
        return Call(*self.arguments(self.tree(x), self.slices))


def _is_weak(array: Any) -> bool:
    return bool(getattr(array, "weak_type", False))


@overload
def scan_layers(
    block: Callable[P, R], length: int, name: str = ..., *, unroll: int | bool = ..., remat: Any = ...
) -> Scanned[P, R]: ...
@overload
def scan_layers(
    block: Callable[..., Any],
    length: int,
    name: str = ...,
    *,
    xs: Any = ...,
    outputs: bool = ...,
    unroll: int | bool = ...,
    remat: Any = ...,
) -> Scanned[..., Any]: ...
def scan_layers(
    block: Callable[..., Any],
    length: int,
    name: str = "layer_{}",
    *,
    xs: Any = None,
    outputs: bool = False,
    unroll: int | bool = 1,
    remat: Any = False,
) -> Scanned[..., Any]:
    """Return a function that runs a block `length` times as one `jax.lax.scan`, with variables for each.

    The variables are those of the loop `for i in range(length): with js.variable_scope(name.format(i)):
    x = block(x)`: the same names, the same initial bits, the same random keys, the same checkpoint. They may
    be given layer by layer, or stacked (`variables.stack(name)`), which spares `apply` the stacking. An array
    that the block adds to a collection is one member for all layers, with a leading axis of them.

    Args:
        block: A function of x and perhaps more that returns what x becomes, of the same shapes and dtypes.
        length: How many layers.
        name: The name of their scopes, with `{}` for the number, from 0.
        xs: What each layer gets of its own, as second argument: a pytree of arrays with a leading axis of
            layers. The block is then called as `block(x, own, *others)`.
        outputs: Whether the block returns a pair, what x becomes and an output of its own. The call then
            returns `(x, outputs)`, with a leading axis of layers in each array of the second.
        unroll: As of `jax.lax.scan`.
        remat: Whether to compute again in the backward pass what is inside a layer: True, or a policy of
            `jax.checkpoint_policies`.

    Returns:
        A function of the block's arguments, without that of `xs`. The first goes from layer to layer, the
        others to all.

    Raises:
        InvalidNameError: `name` has no `{}`.
        InvalidShapeError: `length` is below 1 (code `layer_number`), or an array of `xs` has no leading axis
            of so many layers (`layer_axis`).
        TraceError: On a call: the block returns another type than it takes (code `carry`), or no pair where
            it has outputs (`outputs`), or it asks for something that names relative to its scope cannot say
            (`cannot_lift`).

    Example:
        >>> def layer(x):
        ...     return jnp.tanh(x @ js.get_variable("w", [4, 4]))
        >>> net = js.transform(js.scan_layers(layer, 3))
        >>> variables = net.init(jax.random.key(0), jnp.ones(4))
        >>> list(variables)
        ['layer_0/w', 'layer_1/w', 'layer_2/w']
        >>> {name: v.shape for name, v in variables.stack("layer_{}").items()}
        {'layer_{}/w': (3, 4, 4)}
        >>> @js.transform
        ... def damped(x, rates):
        ...     def block(x, rate):
        ...         x = rate * layer(x)
        ...         return x, jnp.sum(x)
        ...
        ...     return js.scan_layers(block, 3, xs=rates, outputs=True)(x)
        >>> y, sums = damped.apply(variables, jnp.ones(4), jnp.asarray([0.1, 0.2, 0.3]))
        >>> y.shape, sums.shape
        ((4,), (3,))
    """
    return Scanned(block, length, name, xs=xs, outputs=outputs, unroll=unroll, remat=remat)
