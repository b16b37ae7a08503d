"""One layer several times, in numbered scopes."""

from collections.abc import Callable, Iterable
from typing import Any, cast

import jax
from jax.typing import ArrayLike

import jaxscope as js


def repeat(
    inputs: ArrayLike,
    repetitions: int,
    layer: Callable[..., Any],
    *args: Any,
    scope: Any = None,
    **kwargs: Any,
) -> jax.Array:
    """Return what a layer makes of the input, of that again, and so on.

    Args:
        inputs: What the layer takes.
        repetitions: How many times.
        layer: A function with an argument `scope`.
        *args: Its further arguments.
        scope: The scope around; None for `Repeat`. In it those of the layers are `scope_1`, `scope_2`, ...,
            by the layer's name where there is no scope.
        **kwargs: Its further arguments by keyword.

    Returns:
        The last result.

    Source:
        `tf.contrib.layers.repeat`.

    Example:
        >>> slim = js.layers.contrib
        >>> net = js.transform(lambda x: slim.repeat(x, 2, slim.fully_connected, 3, scope="fc"))
        >>> list(net.spec(jnp.ones([2, 3])))[::2]
        ['fc/fc_1/weights', 'fc/fc_2/weights']
    """
    return _one_after_the_other(inputs, layer, [args] * repetitions, "Repeat", scope, kwargs)


def stack(
    inputs: ArrayLike,
    layer: Callable[..., Any],
    stack_args: Iterable[Any],
    *,
    scope: Any = None,
    **kwargs: Any,
) -> jax.Array:
    """Return what layers make of the input, each of the one before it, each with arguments of its own.

    Args:
        inputs: What the layer takes.
        layer: A function with an argument `scope`.
        stack_args: For each time, what comes after the input: one value, or a list or tuple of several.
        scope: The scope around; None for `Stack`. In it those of the layers are `scope_1`, `scope_2`, ..., by
            the layer's name where there is no scope.
        **kwargs: Further arguments by keyword, for all.

    Returns:
        The last result.

    Source:
        `tf.contrib.layers.stack`.

    Example:
        >>> slim = js.layers.contrib
        >>> net = js.transform(lambda x: slim.stack(x, slim.fully_connected, [4, 2], scope="mlp"))
        >>> list(net.spec(jnp.ones([2, 3])))[::2]
        ['mlp/mlp_1/weights', 'mlp/mlp_2/weights']
    """
    each = [tuple(given) if isinstance(given, list | tuple) else (given,) for given in stack_args]
    return _one_after_the_other(inputs, layer, each, "Stack", scope, kwargs)


def _one_after_the_other(
    inputs: Any, layer: Any, each: list[tuple[Any, ...]], default: str, scope: Any, kwargs: dict[str, Any]
) -> jax.Array:
    with js.variable_scope(scope, default):
        own = scope or getattr(layer, "__name__", "layer")
        for number, args in enumerate(each, 1):
            inputs = layer(inputs, *args, scope=f"{own}_{number}", **kwargs)
        return cast(jax.Array, inputs)
