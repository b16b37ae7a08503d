"""Collections: lists of a pass's variables, losses and other values, by key."""

import re
from typing import Any

from jaxscope._core.base.sites import here
from jaxscope._core.passes.entries import Added
from jaxscope._core.passes.running import current, entered


def get_collection(key: str, scope: str | None = None) -> list[Any]:
    """Return the members of a collection, in the order in which they were made or added.

    Args:
        key: A collection's name: one of `GraphKeys`, or your own.
        scope: A regular expression that the members' names must match at their start. The name of an
            added value is the path of the name scopes (and variable scopes) in which it was added.

    Returns:
        A new list. For `regularization_losses`: a scalar loss for each variable that has a regularizer,
        computed here from the variable's current value.

    Raises:
        TraceError: A value was added inside an inner trace that has ended.
        NoPassError: Outside a transformed function.

    Source:
        `tf.compat.v1.get_collection`.

    Example:
        >>> import jaxscope as js
        >>> @js.transform
        ... def net():
        ...     js.get_variable("w", [3], regularizer=js.regularizers.l2(0.1))
        ...     return sum(js.get_collection(js.GraphKeys.REGULARIZATION_LOSSES))
        >>> import jax.numpy as jnp
        >>> print(f"{net.apply({'w': jnp.ones(3)}):.2f}")
        0.15
    """
    return entered("get_collection").members(key, re.compile(scope).match if scope else None)


def add_to_collection(key: str, value: Any) -> None:
    """Append a value to a collection of this pass.

    Args:
        key: The collection's name.
        value: Anything; an array or a Python object.

    Raises:
        NoPassError: Outside a transformed function.

    Source:
        `tf.compat.v1.add_to_collection`.

    Example:
        >>> import jaxscope as js
        >>> @js.transform
        ... def net():
        ...     js.add_to_collection("losses", 2.0)
        ...     return js.get_collection("losses")
        >>> net.apply({})
        [2.0]
    """
    run = current("add_to_collection")
    state = None if run.traces.at_root else run.traces.current
    path = run.name_scopes.path
    run.added.append(Added(key, path and path + "/", value, state, len(run.entries), here()))
    run.changed()
