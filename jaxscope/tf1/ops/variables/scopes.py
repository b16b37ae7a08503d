"""`tf.variable_scope`, `tf.name_scope` and their like, over `js`'s."""

import contextlib
import contextvars
from collections.abc import Callable, Generator
from types import TracebackType
from typing import Any

import jaxscope as js
from jaxscope.tf1.base.dtypes import DType, as_dtype
from jaxscope.tf1.base.exporting import export, export_constant
from jaxscope.tf1.ops.variables.adapting import as_given, dtype_of, on_arrays, partitioner_of, reuse_of
from jaxscope.tf1.ops.variables.collections import get_collection, members
from jaxscope.tf1.ops.variables.getting import get_variable, getter_on_arrays
from jaxscope.tf1.ops.variables.initializers import initializer_of, tf_initializer

__all__ = [
    "VariableScope",
    "get_variable_scope",
    "js_scope",
    "name_scope",
    "op_scope",
    "variable_op_scope",
    "variable_scope",
]

export_constant(js.AUTO_REUSE, "AUTO_REUSE")


@export("no_regularizer")
def no_regularizer(_: Any) -> None:
    """Give no loss: where a scope has a regularizer, this switches it off."""


no_regularizer._of_js = js.no_regularizer  # type: ignore[attr-defined]


@export("VariableScope")
class VariableScope:
    """A scope: the prefix of the names in it, and the defaults that they inherit.

    Args:
        scope: The scope of `js`.
    """

    caching_device = None
    use_resource = False
    aux_name_scope = True

    def __init__(self, scope: js.VariableScope) -> None:
        self._scope = scope

    @property
    def name(self) -> str:
        """The full name; `""` for the root."""
        return self._scope.name

    @property
    def original_name_scope(self) -> str:
        """The path of the name scope that was opened with it, and a slash."""
        return self._scope.original_name_scope

    @property
    def reuse(self) -> Any:
        """False, True or `AUTO_REUSE`."""
        return self._scope.reuse

    @property
    def dtype(self) -> DType:
        """The dtype of variables that ask for none."""
        return as_dtype(self._scope.dtype)

    @property
    def initializer(self) -> Any:
        """The default initializer, or None."""
        return tf_initializer(self._scope.initializer)

    @property
    def regularizer(self) -> Any:
        """The default regularizer, or None."""
        return as_given(self._scope.regularizer)

    @property
    def constraint(self) -> Any:
        """The default constraint, or None."""
        return as_given(self._scope.constraint)

    @property
    def partitioner(self) -> Any:
        """The default partitioner, or None."""
        return as_given(self._scope.partitioner)

    @property
    def custom_getter(self) -> Any:
        """The custom getter, or None."""
        return as_given(self._scope.custom_getter)

    def reuse_variables(self) -> None:
        """Set `reuse` to True, for good."""
        self._scope.reuse_variables()

    def set_initializer(self, initializer: Any) -> None:
        """Set the default initializer."""
        self._scope.set_initializer(initializer_of(initializer))

    def set_regularizer(self, regularizer: Any) -> None:
        """Set the default regularizer."""
        self._scope.set_regularizer(on_arrays(regularizer))

    def set_dtype(self, dtype: Any) -> None:
        """Set the dtype of variables that ask for none."""
        self._scope.set_dtype(dtype_of(dtype))

    def set_partitioner(self, partitioner: Any) -> None:
        """Set the default partitioner."""
        self._scope.set_partitioner(partitioner_of(partitioner))

    def set_custom_getter(self, custom_getter: Any) -> None:
        """Set the custom getter, in the place of the whole chain."""
        self._scope.set_custom_getter(getter_on_arrays(custom_getter))

    def set_caching_device(self, caching_device: Any) -> None:
        """Accept a device: JAX places programs as wholes."""

    def set_use_resource(self, use_resource: Any) -> None:
        """Accept it: there is one kind of variable."""

    def get_collection(self, name: str) -> list[Any]:
        """Return the members of a collection that are in this scope."""
        prefix = self._scope.name
        return get_collection(name, f"{prefix}/" if prefix else None)

    def trainable_variables(self) -> list[Any]:
        """Return the trainable variables of this scope."""
        return self.get_collection(js.GraphKeys.TRAINABLE_VARIABLES)

    def global_variables(self) -> list[Any]:
        """Return the global variables of this scope."""
        return self.get_collection(js.GraphKeys.GLOBAL_VARIABLES)

    def local_variables(self) -> list[Any]:
        """Return the local variables of this scope."""
        return self.get_collection(js.GraphKeys.LOCAL_VARIABLES)

    def get_variable(self, var_store: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        """Return a variable of this scope, as `tf.get_variable` does in it.

        Args:
            var_store: Without meaning here.
            name: Its own name.
            *args: As of `tf.get_variable`.
            **kwargs: As of `tf.get_variable`.
        """
        del var_store
        with js.variable_scope(self._scope):
            return get_variable(name, *args, **kwargs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, VariableScope) and other._scope is self._scope

    def __hash__(self) -> int:
        return hash(self._scope)

    def __repr__(self) -> str:
        return repr(self._scope)


def js_scope(scope: Any) -> Any:
    """Return a scope of TensorFlow's as `js` takes it, and all else as it is."""
    return scope._scope if isinstance(scope, VariableScope) else scope


@export("variable_scope")
class variable_scope:  # noqa: N801 - TensorFlow's name
    """Open a scope: a prefix for the names of variables in it, and defaults that they inherit.

    Args:
        name_or_scope: The scope's own name, or a scope object, to which this is then a jump.
        default_name: The own name where that is None; a number is added if it is taken.
        values: Without meaning here.
        initializer: The default initializer in the scope.
        regularizer: The default regularizer in the scope.
        caching_device: Without meaning here.
        partitioner: The default partitioner.
        custom_getter: A getter that each request in the scope goes through first.
        reuse: True to share variables that exist, `tf.AUTO_REUSE` to share or make, None to inherit.
        dtype: The dtype of variables that ask for none.
        use_resource: Without meaning here.
        constraint: The default constraint.
        auxiliary_name_scope: Whether a name scope is opened, too.

    Returns:
        A context manager that gives the `tf.VariableScope`.

    Raises:
        JaxscopeError: On entry, what `js.variable_scope` raises.

    Example:
        >>> @js.transform
        ... def net():
        ...     with variable_scope("a", reuse=js.AUTO_REUSE) as scope:
        ...         return scope.name, scope.original_name_scope
        >>> net.apply({})
        ('a', 'a/')
    """

    def __init__(
        self,
        name_or_scope: Any = None,
        default_name: str | None = None,
        values: Any = None,
        initializer: Any = None,
        regularizer: Any = None,
        caching_device: Any = None,
        partitioner: Any = None,
        custom_getter: Any = None,
        reuse: Any = None,
        dtype: Any = None,
        use_resource: Any = None,
        constraint: Any = None,
        auxiliary_name_scope: bool = True,
    ) -> None:
        del values, caching_device, use_resource
        if default_name is None and name_or_scope is None:
            raise TypeError("If default_name is None then name_or_scope is required")
        self._manager = js.variable_scope(
            js_scope(name_or_scope),
            default_name,
            initializer=initializer_of(initializer),
            regularizer=on_arrays(regularizer),
            partitioner=partitioner_of(partitioner),
            custom_getter=getter_on_arrays(custom_getter),
            reuse=reuse_of(reuse),
            dtype=dtype_of(dtype),
            constraint=on_arrays(constraint),
        )
        self._auxiliary = auxiliary_name_scope
        self._stack: contextlib.ExitStack | None = None

    def __enter__(self) -> VariableScope:
        if self._auxiliary:
            return VariableScope(self._manager.__enter__())
        path = js.get_variable_scope().original_name_scope
        scope = VariableScope(self._manager.__enter__())
        inner = js.name_scope(path or None)
        inner.__enter__()
        self._stack = contextlib.ExitStack()
        self._stack.push(inner)
        return scope

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._stack is not None:
            self._stack.__exit__(None, None, None)
            self._stack = None
        self._manager.__exit__(kind, error, traceback)


@export("get_variable_scope")
def get_variable_scope() -> VariableScope:
    """Return the current scope.

    Raises:
        NoPassError: Outside of a transformed function.
    """
    return VariableScope(js.get_variable_scope())


_outside: contextvars.ContextVar[str] = contextvars.ContextVar("outside", default="")


@export("name_scope", "keras.backend.name_scope")
class name_scope:  # noqa: N801 - TensorFlow's name
    """Open a name scope: a prefix for the names of `tf.Variable`, which `tf.get_variable` ignores.

    Args:
        name: The own name; with a `/` at its end, the path of a name scope to open again; None for
            `default_name`, or for the empty path.
        default_name: The name where `name` is None.
        values: Without meaning here.

    Returns:
        A context manager that gives the path, with a `/` at its end, or `""`.

    Raises:
        InvalidNameError: On entry, if the name cannot be one.
    """

    def __init__(self, name: str | None = None, default_name: str | None = None, values: Any = None) -> None:
        del values
        self._name = default_name if name is None else name
        self._manager: Any = None

    @property
    def name(self) -> str | None:
        """The own name."""
        return self._name

    def __enter__(self) -> str:
        self._manager = js.name_scope(self._name)
        try:
            path: str = self._manager.__enter__()
        except js.errors.NoPassError:  # operations alone need no pass, and nor do their names
            path = _outside.get() + (f"{self._name.rstrip('/')}/" if self._name else "")
            self._manager = _outside.set(path)
        return path

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(self._manager, contextvars.Token):
            _outside.reset(self._manager)
        else:
            self._manager.__exit__(kind, error, traceback)


@export("op_scope")
@contextlib.contextmanager
def op_scope(values: Any, name: str | None, default_name: str | None = None) -> Generator[str]:
    """Open a name scope; the older form of `tf.name_scope`.

    Args:
        values: Without meaning here.
        name: The own name.
        default_name: The name where that is None.
    """
    with name_scope(name, default_name, values) as path:
        yield path


@export("variable_op_scope")
@contextlib.contextmanager
def variable_op_scope(
    values: Any, name_or_scope: Any, default_name: str | None = None, *args: Any, **kwargs: Any
) -> Generator[VariableScope]:
    """Open a variable scope; the older form of `tf.variable_scope`.

    Args:
        values: Without meaning here.
        name_or_scope: The scope.
        default_name: The name where that is None.
        *args: As of `tf.variable_scope`, from `initializer` on.
        **kwargs: As of `tf.variable_scope`.
    """
    with variable_scope(name_or_scope, default_name, values, *args, **kwargs) as scope:
        yield scope


class Template:
    """A function whose calls share one set of variables.

    Args:
        template: The template of `js`.
    """

    def __init__(self, template: Any) -> None:
        self._template = template

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function in the template's scope."""
        return self._template(*args, **kwargs)

    @property
    def variable_scope(self) -> VariableScope | None:
        """The scope in this pass, or None before the first call."""
        scope = self._template.variable_scope
        return None if scope is None else VariableScope(scope)

    @property
    def var_scope(self) -> VariableScope | None:
        """The scope in this pass, or None before the first call."""
        return self.variable_scope

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or not hasattr(type(self._template), name):
            raise AttributeError(name)
        found = getattr(self._template, name)
        if name.endswith(("variables", "weights")):
            return members(js.GraphKeys.GLOBAL_VARIABLES, found)
        return found

    @property
    def name(self) -> str | None:
        """The name of its scope."""
        name: str | None = self._template.variable_scope_name
        return name


@export("make_template")
def make_template(
    name_: str,
    func_: Callable[..., Any],
    create_scope_now_: bool = False,
    unique_name_: str | None = None,
    custom_getter_: Any = None,
    **kwargs: Any,
) -> Template:
    """Return a function that shares its variables between its calls.

    Args:
        name_: The scope's default name.
        func_: The function.
        create_scope_now_: Open the scope here rather than in the first call.
        unique_name_: The scope's name, used as it is.
        custom_getter_: A custom getter for the scope.
        **kwargs: Arguments of `func_` to fix.

    Raises:
        JaxscopeError: What `js.make_template` raises.
    """
    getter = getter_on_arrays(custom_getter_)
    made = js.make_template(name_, func_, create_scope_now_, unique_name_, getter, **kwargs)
    return Template(made)


@export("variable_creator_scope")
def variable_creator_scope(creator: Callable[..., Any]) -> Any:
    """Let a function make each new variable: `c(next_creator, **kwargs)`.

    Args:
        creator: The function; what it gets from `next_creator` is an array.

    Raises:
        GetterError: If it cannot be called.
    """
    return js.variable_creator_scope(creator)
