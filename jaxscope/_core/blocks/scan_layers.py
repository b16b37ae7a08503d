"""scan_layers: layers that run as one scan, with the variables of a loop."""

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

import jax
import jax.numpy as jnp
import numpy as np

from jaxscope._core.base.calls import Call
from jaxscope._core.base.describe import describe
from jaxscope._core.base.sites import here
from jaxscope._core.blocks.block import placeholders
from jaxscope._core.blocks.layers import Layers, Prepared
from jaxscope._core.model.variable_scope import variable_scope
from jaxscope._core.passes.running import Pass, current
from jaxscope.errors import TraceError

P = ParamSpec("P")
R = TypeVar("R")

_NUMBERS = (jax.Array, np.ndarray, np.generic, bool, int, float, complex)


class Scanned(Layers[P, R]):
    """Layers that run as one `jax.lax.scan`; made by `scan_layers`."""

    def __init__(self, block: Callable[P, R], length: int, name: str, unroll: int | bool, remat: Any) -> None:
        super().__init__(block, length, name)
        self._unroll = unroll
        self._remat = remat

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the layers: the first argument goes from one to the next, the others to all.

        Raises:
            TypeError: There is no first argument by position.
            TraceError: The block returns another type than it takes (code `carry`), or asks for something
                that names relative to its scope cannot say (`cannot_lift`).
        """
        run = current("scan_layers")
        if not args:
            raise TypeError("the first argument, which goes from layer to layer, must be given by position")
        x, *rest = cast("tuple[Any, ...]", args)
        leaves, structure = jax.tree.flatten(x)
        prepared: Prepared | None = None
        call = Call((x, *rest), kwargs)
        if all(isinstance(leaf, _NUMBERS) for leaf in leaves):  # others can't go through a scan
            arrays = [leaf if isinstance(leaf, jax.Array) else jnp.asarray(leaf) for leaf in leaves]
            call = Call((jax.tree.unflatten(structure, arrays), *rest), kwargs)
            if any(map(_is_weak, arrays)):
                # As of `lax.scan`: what goes from layer to layer is of one type, which may not be weak then.
                arrays = self._settled(run, call, arrays)
                call = Call((jax.tree.unflatten(structure, arrays), *rest), kwargs)
            x = jax.tree.unflatten(structure, arrays)
            shared = [None] * len(arrays) + call.arrays[len(arrays) :]
            prepared = self._prepare(run, "scan_layers", call, shared)
        if prepared is None:
            for index in range(self._length):
                with variable_scope(self._scope(index)):
                    x = cast(Any, self._function)(x, *rest, **kwargs)
            return cast(R, x)
        recipe = prepared.recipe
        if run.abstract:
            result, writes = placeholders(recipe, None, self._length)
            _check_carry(result, x)
            prepared.write(run, writes)
            return cast(R, result)
        _check_carry(recipe.returned(recipe.result), x)
        x, writes = self._scan(run, prepared, jax.tree.leaves(x), call.arrays)
        prepared.write(run, writes)
        return cast(R, recipe.returned(x))

    def _settled(self, run: Pass, call: Call, arrays: list[Any]) -> list[Any]:
        """Return the first argument's arrays without a weak type where the block returns them so."""
        recipe = self._record(run, "scan_layers", call)
        if recipe is None or len(recipe.result) != len(arrays):
            return arrays
        pairs = zip(arrays, recipe.result, strict=True)
        return [
            array.astype(array.dtype) if _is_weak(array) and not aval.weak_type else array
            for array, aval in pairs
        ]

    def _scan(self, run: Pass, prepared: Prepared, x: list[Any], arrays: list[Any]) -> tuple[Any, Any]:
        def layer(x: list[Any], xs: Any) -> Any:
            return prepared.compute(xs, [*x, *arrays[len(x) :]])

        if self._remat is not False and self._remat is not None:
            policy = None if self._remat is True else self._remat
            layer = jax.checkpoint(layer, policy=policy, prevent_cse=False)
        with prepared.outside(run, self._name):
            return jax.lax.scan(layer, x, prepared.xs, length=self._length, unroll=self._unroll)


def _is_weak(array: Any) -> bool:
    return bool(getattr(array, "weak_type", False))


def _check_carry(result: Any, x: Any) -> None:
    given, returned = jax.tree.map(describe, x), jax.tree.map(describe, result)
    if given != returned:
        raise TraceError(
            "the block of js.scan_layers must return what its first argument is",
            code="carry",
            at=here(),
            takes=given,
            returns=returned,
            fix="cast or reshape the result to the type of the first argument, or change what goes in",
        )


def scan_layers(
    block: Callable[P, R],
    length: int,
    name: str = "layer_{}",
    *,
    unroll: int | bool = 1,
    remat: Any = False,
) -> Scanned[P, R]:
    """Return a function that runs a block `length` times as one `jax.lax.scan`, with variables for each.

    The variables are those of the loop `for i in range(length): with js.variable_scope(name.format(i)):
    x = block(x)`: the same names, the same initial bits, the same random keys, the same checkpoint. They may
    be given layer by layer, or stacked (`variables.stack(name)`), which spares `apply` the stacking.

    Args:
        block: A function of x and perhaps more that returns what x becomes, of the same shapes and dtypes.
        length: How many layers.
        name: The name of their scopes, with `{}` for the number, from 0.
        unroll: As of `jax.lax.scan`.
        remat: Whether to compute again in the backward pass what is inside a layer: True, or a policy of
            `jax.checkpoint_policies`.

    Returns:
        A function of the block's arguments. The first goes from layer to layer, the others to all.

    Raises:
        InvalidNameError: `name` has no `{}`.
        InvalidShapeError: `length` is below 1.
        TraceError: On a call: the block returns another type than it takes (code `carry`), or asks for
            something that names relative to its scope cannot say (`cannot_lift`).

    Example:
        >>> def layer(x):
        ...     return jnp.tanh(x @ js.get_variable("w", [4, 4]))
        >>> net = js.transform(js.scan_layers(layer, 3))
        >>> variables = net.init(jax.random.key(0), jnp.ones(4))
        >>> list(variables)
        ['layer_0/w', 'layer_1/w', 'layer_2/w']
        >>> {name: v.shape for name, v in variables.stack("layer_{}").items()}
        {'layer_{}/w': (3, 4, 4)}
    """
    return Scanned(block, length, name, unroll, remat)
