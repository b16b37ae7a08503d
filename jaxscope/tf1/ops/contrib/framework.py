"""`tf.contrib.framework`: variables by scope, name and suffix, and model variables."""

import re
from typing import Any

import jaxscope as js
from jaxscope.tf1.base.errors import TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.ops.contrib.scoping import add_arg_scope
from jaxscope.tf1.ops.variables import collections
from jaxscope.tf1.ops.variables.getting import get_variable
from jaxscope.tf1.ops.variables.scopes import VariableScope

__all__ = ["filter_variables", "get_variables", "get_variables_to_restore", "model_variable", "variable"]


def _places(name: str) -> list[str]:
    return [f"contrib.framework.{name}", f"contrib.slim.{name}"]


@export(*_places("variable"))
@add_arg_scope
def variable(
    name: str,
    shape: Any = None,
    dtype: Any = None,
    initializer: Any = None,
    regularizer: Any = None,
    trainable: bool = True,
    collections: Any = None,
    caching_device: Any = None,
    device: Any = None,
    partitioner: Any = None,
    custom_getter: Any = None,
    use_resource: Any = None,
    synchronization: Any = None,
    aggregation: Any = None,
) -> Any:
    """Return a variable, as `tf.get_variable` does.

    Args:
        name: As of `tf.get_variable`, like all others.
        shape: The shape.
        dtype: The dtype.
        initializer: How it begins.
        regularizer: A loss on it.
        trainable: Whether it is trained.
        collections: The collections that it is in, instead of `variables`.
        caching_device: Without meaning here.
        device: Without meaning here.
        partitioner: How it lies on a mesh.
        custom_getter: A getter in the place of the scope's.
        use_resource: Without meaning here.
        synchronization: Without meaning here.
        aggregation: Without meaning here.
    """
    del caching_device, device, use_resource, synchronization, aggregation
    keys = [js.GraphKeys.GLOBAL_VARIABLES] if collections is None else list(dict.fromkeys(collections))
    return get_variable(
        name,
        shape,
        dtype,
        initializer,
        regularizer,
        trainable,
        keys,
        partitioner=partitioner,
        custom_getter=custom_getter,
    )


@export(*_places("model_variable"))
@add_arg_scope
def model_variable(
    name: str,
    shape: Any = None,
    dtype: Any = "float32",
    initializer: Any = None,
    regularizer: Any = None,
    trainable: bool = True,
    collections: Any = None,
    caching_device: Any = None,
    device: Any = None,
    partitioner: Any = None,
    custom_getter: Any = None,
    use_resource: Any = None,
    synchronization: Any = None,
    aggregation: Any = None,
) -> Any:
    """Return a variable that is in the collections `variables` and `model_variables`.

    Args:
        name: As of `tf.get_variable`, like all others.
        shape: The shape.
        dtype: The dtype.
        initializer: How it begins.
        regularizer: A loss on it.
        trainable: Whether it is trained.
        collections: Further collections.
        caching_device: Without meaning here.
        device: Without meaning here.
        partitioner: How it lies on a mesh.
        custom_getter: A getter in the place of the scope's.
        use_resource: Without meaning here.
        synchronization: Without meaning here.
        aggregation: Without meaning here.
    """
    del caching_device, device, use_resource, synchronization, aggregation
    keys = [*(collections or []), js.GraphKeys.GLOBAL_VARIABLES, js.GraphKeys.MODEL_VARIABLES]
    return variable(
        name,
        shape,
        dtype,
        initializer,
        regularizer,
        trainable,
        keys,
        partitioner=partitioner,
        custom_getter=custom_getter,
    )


@export(*_places("local_variable"))
def local_variable(
    initial_value: Any, validate_shape: bool = True, name: str | None = None, use_resource: Any = None
) -> Any:
    """Return a new variable that is in `local_variables` alone, and is not trained.

    Args:
        initial_value: What it begins with.
        validate_shape: Without meaning here.
        name: Its own name.
        use_resource: Without meaning here.
    """
    from jaxscope.tf1.ops.variables.variable import Variable

    return Variable(initial_value, False, [js.GraphKeys.LOCAL_VARIABLES], name=name)


@export(*_places("global_variable"))
def global_variable(
    initial_value: Any, validate_shape: bool = True, name: str | None = None, use_resource: Any = None
) -> Any:
    """Return a new variable that is in `variables`, and is not trained.

    Args:
        initial_value: What it begins with.
        validate_shape: Without meaning here.
        name: Its own name.
        use_resource: Without meaning here.
    """
    from jaxscope.tf1.ops.variables.variable import Variable

    return Variable(initial_value, False, [js.GraphKeys.GLOBAL_VARIABLES], name=name)


@export(*_places("add_model_variable"))
def add_model_variable(var: Any) -> None:
    """Add a variable to the collection `model_variables`.

    Args:
        var: The variable.
    """
    if var not in collections.get_collection(js.GraphKeys.MODEL_VARIABLES):
        collections.add_to_collection(js.GraphKeys.MODEL_VARIABLES, var)


@export(*_places("get_variables"))
def get_variables(scope: Any = None, suffix: str | None = None, collection: Any = "variables") -> list[Any]:
    """Return the variables of a collection, by scope and by the end of their names.

    Args:
        scope: A scope, or an expression that names must match at their start.
        suffix: What names must end with; behind `a/`, or the whole of it.
        collection: The collection.
    """
    if isinstance(scope, VariableScope):
        scope = scope.name
    if suffix is not None:
        scope = f"{scope or ''}.*{re.escape(suffix.partition(':')[0])}$"
    return collections.get_collection(collection, scope)


@export(*_places("get_variables_by_suffix"))
def get_variables_by_suffix(suffix: str, scope: Any = None) -> list[Any]:
    """Return the variables whose names end so.

    Args:
        suffix: The end.
        scope: A scope, or an expression that names must match at their start.
    """
    return get_variables(scope, suffix)


@export(*_places("get_variables_by_name"))
def get_variables_by_name(given_name: str, scope: Any = None) -> list[Any]:
    """Return the variables of such an own name.

    Args:
        given_name: The last part of their names.
        scope: A scope, or an expression that names must match at their start.
    """
    found = get_variables(scope)
    return [one for one in found if re.search(rf"(^|/){re.escape(given_name)}$", one.op.name)]


@export(*_places("get_unique_variable"))
def get_unique_variable(var_op_name: str) -> Any:
    """Return the variable of a full name.

    Args:
        var_op_name: The full name, without `:0`.

    Raises:
        TensorValueError: If there is none (`tensor_value`).
    """
    found = [one for one in collections.global_variables() if one.op.name == var_op_name]
    if not found:
        raise TensorValueError(f"Couldn't find variable {var_op_name}")
    return found[0]


def _of(name: str, key: str) -> None:
    def variables(scope: Any = None, suffix: str | None = None) -> list[Any]:
        return get_variables(scope, suffix, key)

    variables.__name__ = variables.__qualname__ = name
    variables.__doc__ = f"""Return the variables in `{key}`, by scope and by the end of their names.

    Args:
        scope: A scope, or an expression that names must match at their start.
        suffix: What names must end with.
    """
    export(*_places(name))(variables)


_of("get_model_variables", "model_variables")
_of("get_local_variables", "local_variables")
_of("get_trainable_variables", "trainable_variables")


@export(*_places("get_variables_to_restore"))
def get_variables_to_restore(include: Any = None, exclude: Any = None) -> list[Any]:
    """Return global variables by scopes to take and to leave out.

    Args:
        include: Scopes, or None for all.
        exclude: Scopes to leave out, or None.

    Raises:
        TypeError: If one of them is no list.
    """
    for given in (include, exclude):
        if given is not None and not isinstance(given, list | tuple):
            raise TypeError("include and exclude must be lists or tuples")
    taken = [one for scope in ([None] if include is None else include) for one in get_variables(scope)]
    left = [one for scope in exclude or [] for one in get_variables(scope)]
    return [one for one in dict.fromkeys(taken) if one not in left]


@export(*_places("filter_variables"))
def filter_variables(
    var_list: Any, include_patterns: Any = None, exclude_patterns: Any = None, reg_search: bool = True
) -> list[Any]:
    """Return those of some variables whose names match expressions, and do not match others.

    Args:
        var_list: The variables.
        include_patterns: Expressions, or None for all.
        exclude_patterns: Expressions, or None.
        reg_search: Whether to look anywhere in names, or else at their start.
    """
    look = re.search if reg_search else re.match

    def any_of(patterns: Any, name: str) -> bool:
        return any(look(pattern, name) for pattern in patterns)

    return [
        one
        for one in var_list
        if (not include_patterns or any_of(include_patterns, one.name))
        and not (exclude_patterns and any_of(exclude_patterns, one.name))
    ]


@export(*_places("get_variable_full_name"))
def get_variable_full_name(var: Any) -> str:
    """Return the full name of a variable.

    Args:
        var: The variable.
    """
    name: str = var.op.name
    return name


@export("contrib.framework.get_name_scope")
def get_name_scope() -> str:
    """Return the path of the name scope of the current variable scope."""
    return js.get_variable_scope().original_name_scope.rstrip("/")
