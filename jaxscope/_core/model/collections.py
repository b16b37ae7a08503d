"""Collections: lists of a pass's variables, losses and other values, by key; and variables by name."""

import re
from typing import Any

from jaxscope._core.base.sites import here
from jaxscope._core.passes import collecting
from jaxscope._core.passes.base_pass import current
from jaxscope._core.passes.entries import Added
from jaxscope._core.requests.graph_keys import GraphKeys


def get_collection(key: str, scope: str | None = None) -> list[Any]:
    """Return the members of a collection, in the order in which they were made or added.

    Args:
        key: A collection's name: one of `GraphKeys`, or your own.
        scope: A regular expression that the members' names must match at their start. The name of an
            added value is the path of the name scopes (and variable scopes) in which it was added; a variable
            of this pass that was added has its own full name, as in TF1.

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
    return current("get_collection").members(key, _matches(scope))


def _matches(scope: str | None) -> Any:
    return re.compile(scope).match if scope else None


def add_to_collection(key: str, value: Any) -> None:
    """Append a value to a collection of this pass.

    Args:
        key: The collection's name.
        value: Anything; an array or a Python object. Where it is a variable of this pass, its spec lists the
            key, too.

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
    path = run.scopes.names.path
    entry = run.around.border.variable_of(value, collecting.variable_of(run, value))
    run.add(Added(key, path and path + "/", value, run.traces.here, run.books.made, here(), entry))


def _named(function: str, key: str, scope: str | None) -> dict[str, Any]:
    run = current(function)
    run.absolute(f"js.{function}")
    return collecting.variables(run, key, _matches(scope))


def global_variables(scope: str | None = None) -> dict[str, Any]:
    """Return the variables of this pass that are in the collection `variables`, by full name.

    Args:
        scope: A regular expression that the full names must match at their start: `"generator/"`.

    Returns:
        Full name -> value, in order of making. Those made later are not in it.

    Raises:
        NoPassError: Outside a transformed function.

    Source:
        `tf.compat.v1.global_variables`.

    Example:
        >>> @js.transform
        ... def net():
        ...     js.get_variable("b", [2])
        ...     js.get_variable("a", [2], trainable=False)
        ...     return list(js.global_variables())
        >>> net.apply({"a": jnp.ones(2), "b": jnp.ones(2)})
        ['b', 'a']
    """
    return _named("global_variables", GraphKeys.GLOBAL_VARIABLES, scope)


def trainable_variables(scope: str | None = None) -> dict[str, Any]:
    """Return the trainable variables of this pass, by full name.

    Args:
        scope: As in `global_variables`.

    Returns:
        Full name -> value, in order of making.

    Raises:
        NoPassError: Outside a transformed function.

    Source:
        `tf.compat.v1.trainable_variables`.

    Example:
        >>> @js.transform
        ... def net():
        ...     for tower in ("generator", "critic"):
        ...         with js.variable_scope(tower):
        ...             js.get_variable("w", [2])
        ...     return sum(jnp.sum(w**2) for w in js.trainable_variables("generator/").values())
        >>> net.apply({"generator/w": 2 * jnp.ones(2), "critic/w": jnp.ones(2)})
        Array(8., dtype=float32)
    """
    return _named("trainable_variables", GraphKeys.TRAINABLE_VARIABLES, scope)


def local_variables(scope: str | None = None) -> dict[str, Any]:
    """Return the variables of this pass that are in the collection `local_variables`, by full name.

    Args:
        scope: As in `global_variables`.

    Returns:
        Full name -> value, in order of making.

    Raises:
        NoPassError: Outside a transformed function.

    Source:
        `tf.compat.v1.local_variables`.

    Example:
        >>> @js.transform
        ... def net():
        ...     js.get_local_variable("seen", [], "int32")
        ...     return list(js.local_variables())
        >>> net.apply({"seen": jnp.int32(0)})
        ['seen']
    """
    return _named("local_variables", GraphKeys.LOCAL_VARIABLES, scope)


def model_variables(scope: str | None = None) -> dict[str, Any]:
    """Return the variables of this pass that are in the collection `model_variables`, by full name.

    Args:
        scope: As in `global_variables`.

    Returns:
        Full name -> value, in order of making.

    Raises:
        NoPassError: Outside a transformed function.

    Source:
        `tf.compat.v1.model_variables`.

    Example:
        >>> @js.transform
        ... def net():
        ...     w = js.get_variable("w", [2])
        ...     js.add_to_collection(js.GraphKeys.MODEL_VARIABLES, w)
        ...     return list(js.model_variables())
        >>> net.apply({"w": jnp.ones(2)})
        ['w']
    """
    return _named("model_variables", GraphKeys.MODEL_VARIABLES, scope)
