"""`tf.get_default_graph`: what a program may ask the graph for while a model is built, asked of the pass."""

import contextlib
from collections.abc import Callable, Generator
from typing import Any, NoReturn, TypeVar

import jaxscope as js
from jaxscope.tf1.base.errors import GraphLifeError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.tensor import Operation
from jaxscope.tf1.ops.variables import collections
from jaxscope.tf1.ops.variables.scopes import get_variable_scope, name_scope
from jaxscope.tf1.ops.variables.variable import Variable

__all__ = ["DefaultGraph", "Graph", "RegisterGradient", "get_default_graph", "reset_default_graph"]

T = TypeVar("T")

_STORE, _SCOPE = ("__variable_store",), ("__varscope",)


class _Store:
    """What `tf.get_variable` keeps its variables in: the pass."""

    @property
    def _vars(self) -> dict[str, Any]:
        return {one.op.name: one for one in collections.global_variables()}


class DefaultGraph:
    """The pass, as far as a model asks the default graph for something."""

    seed = None
    building_function = False
    finalized = False

    @property
    def collections(self) -> list[Any]:
        """The names of the collections that have members."""
        return self.get_all_collection_keys()

    def get_all_collection_keys(self) -> list[Any]:
        """Return the names of the collections that have members."""
        standard = [getattr(js.GraphKeys, name) for name in dir(js.GraphKeys) if name.isupper()]
        keys = dict.fromkeys([*standard, *collections.seen])
        return [_STORE, _SCOPE, *(key for key in keys if js.get_collection(key))]

    def get_collection(self, name: Any, scope: str | None = None) -> list[Any]:
        """Return the members of a collection.

        Args:
            name: Its name.
            scope: A regular expression that the members' names must match at their start.
        """
        if name in (_STORE, _SCOPE):
            return [_Store() if name == _STORE else get_variable_scope()]
        return collections.get_collection(name, scope)

    def get_collection_ref(self, name: Any) -> list[Any]:
        """Return the members of a collection, to which may be added."""
        return collections.get_collection_ref(name)

    def add_to_collection(self, name: Any, value: Any) -> None:
        """Append a value to a collection."""
        collections.add_to_collection(name, value)

    def add_to_collections(self, names: Any, value: Any) -> None:
        """Append a value to several collections."""
        collections.add_to_collections(names, value)

    def name_scope(self, name: str | None) -> name_scope:
        """Open a name scope."""
        return name_scope(name)

    def get_name_scope(self) -> str:
        """Return the path of the name scope of the current variable scope."""
        return js.get_variable_scope().original_name_scope.rstrip("/")

    def unique_name(self, name: str, mark_as_used: bool = True) -> str:
        """Return a name as it is: operations are not numbered here."""
        return name

    def get_operations(self) -> list[Any]:
        """Return nothing: a trace keeps no operations."""
        return []

    @contextlib.contextmanager
    def as_default(self) -> Generator["DefaultGraph"]:
        """Give the graph itself: there is one."""
        yield self

    @contextlib.contextmanager
    def control_dependencies(self, control_inputs: Any) -> Generator[None]:
        """Accept what must be done before: it is done, in the order of the program."""
        yield

    @contextlib.contextmanager
    def device(self, device_name_or_function: Any) -> Generator[None]:
        """Accept a device: JAX places programs as wholes."""
        yield

    @contextlib.contextmanager
    def colocate_with(self, op: Any, ignore_existing: bool = False) -> Generator[None]:
        """Accept a place: JAX places programs as wholes."""
        yield

    @contextlib.contextmanager
    def as_graph_element(self, obj: Any) -> Generator[Any]:
        """Give what it is given."""
        yield obj

    def gradient_override_map(self, op_type_map: Any) -> NoReturn:
        """Refuse: gradients belong to functions."""
        raise GraphLifeError("gradient_override_map belongs to TensorFlow's graph", fix="jax.custom_vjp")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise GraphLifeError(
            f"Graph.{name} belongs to TensorFlow's graph, which is not here",
            fix="return what you want to see from the model",
        )


_THE_GRAPH = DefaultGraph()


def _refuse_a_second(asked: str) -> None:
    """Raise an error where this pass, which is the graph, has something in it."""
    try:
        inside = [key for key in _THE_GRAPH.get_all_collection_keys() if key not in (_STORE, _SCOPE)]
    except js.errors.NoPassError:
        return
    if inside:
        raise GraphLifeError(
            f"{asked} begins a second graph, and a pass is one",
            fix="each pass starts empty: another function, in a js.transform of its own",
        )


@export("Graph")
class Graph(DefaultGraph):
    """A graph that a program opens before it builds: the pass that runs, as long as that is empty.

    Example:
        >>> @js.transform
        ... def net():
        ...     with Graph().as_default():
        ...         return js.tf1.get_variable("w", [2]).name
        >>> net.apply({"w": jnp.ones(2)})
        'w:0'
    """

    @contextlib.contextmanager
    def as_default(self) -> Generator[DefaultGraph]:
        """Give the pass.

        Raises:
            GraphLifeError: If something is in it already (`graph_life`).
        """
        _refuse_a_second("tf.Graph().as_default()")
        yield self


@export("reset_default_graph")
def reset_default_graph() -> None:
    """Check that the pass is empty, as each is where it starts.

    Raises:
        GraphLifeError: If something is in it already (`graph_life`).
    """
    _refuse_a_second("tf.reset_default_graph()")


@export("RegisterGradient")
def RegisterGradient(op_type: str) -> Callable[[T], T]:
    """Return a decorator that leaves a function as it is: no operation here is of a type that programs name.

    What would ask for it, `gradient_override_map` and `load_op_library`, is refused.

    Args:
        op_type: The type of operations whose gradient the function would be.
    """
    del op_type
    return lambda function: function


@export("get_default_graph")
def get_default_graph() -> DefaultGraph:
    """Return what stands for the graph: the pass that runs.

    Example:
        >>> @js.transform
        ... def net():
        ...     js.tf1.get_variable("w", [2])
        ...     return ("__variable_store",) in get_default_graph().collections
        >>> net.apply({"w": jnp.ones(2)})
        True
    """
    return _THE_GRAPH


# A variable's graph, which stands on variables itself.
setattr(Variable, "graph", property(lambda _: get_default_graph()))  # noqa: B010


def _nothing(name: str) -> Any:
    def initializer(*_: Any, **__: Any) -> Operation:
        return Operation(name, "NoOp")

    initializer.__name__ = initializer.__qualname__ = name
    initializer.__doc__ = "Return an operation that does nothing: `net.init` gives each variable its value."
    return initializer


for _name in (
    "global_variables_initializer",
    "local_variables_initializer",
    "variables_initializer",
    "initialize_all_variables",
    "initialize_local_variables",
    "initialize_variables",
):
    export(_name)(_nothing(_name))
