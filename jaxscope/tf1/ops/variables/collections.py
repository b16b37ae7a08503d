"""`tf.get_collection` and its like: variables as objects, all else as tensors."""

from collections.abc import Iterable
from typing import Any, NoReturn, Self

import jax

import jaxscope as js
from jaxscope.tf1.base.errors import GraphLifeError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.tensor import wrap
from jaxscope.tf1.ops.variables.finding import NAMED
from jaxscope.tf1.ops.variables.variable import (
    Variable,
    all_variables,
    known_object,
    object_of,
    objects_of,
)

__all__ = ["GraphKeys", "add_to_collection", "get_collection", "members", "seen"]


@export("GraphKeys")
class GraphKeys(js.GraphKeys):
    """The names of TensorFlow 1's standard collections."""

    VARIABLES = "variables"
    SAVEABLE_OBJECTS = "saveable_objects"
    TRAINABLE_RESOURCE_VARIABLES = "trainable_resource_variables"
    QUEUE_RUNNERS = "queue_runners"
    TABLE_INITIALIZERS = "table_initializer"
    ASSET_FILEPATHS = "asset_filepaths"
    CONCATENATED_VARIABLES = "concatenated_variables"
    SAVERS = "savers"
    SUMMARY_OP = "summary_op"
    INIT_OP = "init_op"
    LOCAL_INIT_OP = "local_init_op"
    READY_OP = "ready_op"
    READY_FOR_LOCAL_INIT_OP = "ready_for_local_init_op"
    EVAL_STEP = "eval_step"
    TRAIN_OP = "train_op"
    COND_CONTEXT = "cond_context"
    WHILE_CONTEXT = "while_context"
    RESOURCES = "resources"
    LOCAL_RESOURCES = "local_resources"


#: Keys that programs have used beside the standard ones.
seen: dict[Any, None] = {}


def members(key: Any, found: list[Any]) -> list[Any]:
    """Return what a collection has, as TensorFlow's programs see it."""
    names: dict[int, str] | None = None
    trainable: dict[str, Any] = {}
    result: list[Any] = []
    for value in found:
        if not isinstance(value, jax.Array):
            result.append(value)
            continue
        known = known_object(value)
        if known is None:
            if names is None:
                names = {id(array): name for name, array in all_variables().items()}
                trainable = js.trainable_variables()
            name = names.get(id(value))
            if name is not None:
                known = object_of(value, name, trainable=name in trainable)
        result.append(wrap(value, _kind(key)) if known is None else known)
    return result


def _kind(key: Any) -> str:
    return str(key) if isinstance(key, str) else "Collection"


@export("get_collection")
def get_collection(key: Any, scope: str | None = None) -> list[Any]:
    """Return the members of a collection, in the order in which they were made or added.

    Args:
        key: The collection's name.
        scope: A regular expression that the members' names must match at their start.

    Returns:
        A new list, of variables, tensors and whatever was added.

    Raises:
        NoPassError: Outside of a transformed function.
    """
    named = NAMED.get(key) if isinstance(key, str) else None
    if named is not None:
        return list(objects_of(named(scope)))
    return members(key, js.get_collection(key, scope))


class _Ref(list[Any]):
    """A collection's members as a list, to which may be added."""

    def __init__(self, key: Any) -> None:
        super().__init__(get_collection(key))
        self._key = key

    def append(self, value: Any) -> None:
        add_to_collection(self._key, value)
        super().append(value)

    def extend(self, values: Iterable[Any]) -> None:
        for value in values:
            self.append(value)

    def __iadd__(self, values: Iterable[Any]) -> Self:  # type: ignore[misc]
        self.extend(values)
        return self

    def _refuse(self, *_: Any) -> NoReturn:
        raise GraphLifeError(
            "what is in a collection stays there for the pass", fix="list(tf.get_collection(key))"
        )

    __delitem__ = __setitem__ = insert = remove = clear = pop = _refuse


@export("get_collection_ref")
def get_collection_ref(key: Any) -> list[Any]:
    """Return the members of a collection as a list; what is appended to it is added to the collection.

    Args:
        key: The collection's name.

    Raises:
        NoPassError: Outside of a transformed function.
        GraphLifeError: When something is taken out of it (`graph_life`).
    """
    return _Ref(key)


@export("add_to_collection")
def add_to_collection(name: Any, value: Any) -> None:
    """Append a value to a collection of this pass.

    Args:
        name: The collection's name.
        value: Anything.

    Raises:
        NoPassError: Outside of a transformed function.
    """
    seen.setdefault(name)
    # As which the variable is found again, whatever a step has made of it since.
    js.add_to_collection(name, value._untrained() if isinstance(value, Variable) else value)


@export("add_to_collections")
def add_to_collections(names: Any, value: Any) -> None:
    """Append a value to several collections, to each once.

    Args:
        names: The collections' names, or one name.
        value: Anything.

    Raises:
        NoPassError: Outside of a transformed function.
    """
    for name in dict.fromkeys([names] if isinstance(names, str) else names or ()):
        add_to_collection(name, value)


@export("trainable_variables")
def trainable_variables(scope: str | None = None) -> list[Variable]:
    """Return the variables that gradients are taken of, in order of making.

    Args:
        scope: A regular expression that their names must match at their start.

    Raises:
        NoPassError: Outside of a transformed function.

    Example:
        >>> @js.transform
        ... def net():
        ...     js.tf1.get_variable("w", [2])
        ...     return [v.name for v in trainable_variables()]
        >>> net.apply({"w": jnp.ones(2)})
        ['w:0']
    """
    return objects_of(js.trainable_variables(scope))


@export("global_variables", "all_variables")
def global_variables(scope: str | None = None) -> list[Variable]:
    """Return the global variables, in order of making.

    Args:
        scope: A regular expression that their names must match at their start.

    Raises:
        NoPassError: Outside of a transformed function.
    """
    return objects_of(js.global_variables(scope))


@export("local_variables")
def local_variables(scope: str | None = None) -> list[Variable]:
    """Return the local variables, in order of making.

    Args:
        scope: A regular expression that their names must match at their start.

    Raises:
        NoPassError: Outside of a transformed function.
    """
    return objects_of(js.local_variables(scope))


@export("model_variables")
def model_variables(scope: str | None = None) -> list[Variable]:
    """Return the variables in the collection `model_variables`, in order of making.

    Args:
        scope: A regular expression that their names must match at their start.

    Raises:
        NoPassError: Outside of a transformed function.
    """
    return objects_of(js.model_variables(scope))


@export("moving_average_variables")
def moving_average_variables(scope: str | None = None) -> list[Any]:
    """Return the variables of which moving averages are kept.

    Args:
        scope: A regular expression that their names must match at their start.

    Raises:
        NoPassError: Outside of a transformed function.
    """
    return get_collection(GraphKeys.MOVING_AVERAGE_VARIABLES, scope)
