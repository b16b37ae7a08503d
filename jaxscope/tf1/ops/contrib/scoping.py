"""`arg_scope`: defaults for the arguments of layers, for all calls inside of a block."""

import contextlib
import contextvars
import functools
import inspect
from collections.abc import Callable, Generator
from typing import Any

from jaxscope.tf1.base.errors import TensorTypeError, TensorValueError
from jaxscope.tf1.base.exporting import export

__all__ = ["add_arg_scope", "arg_scope", "scoped"]

_PLACES = ("contrib.framework.{0}", "contrib.slim.{0}")

#: The function's key -> its defaults, in the innermost scope.
_current: contextvars.ContextVar[dict[Any, dict[str, Any]] | None] = contextvars.ContextVar(
    "arg_scope", default=None
)
#: The keys of functions that take defaults, with the names of their arguments with a default.
_decorated: dict[Any, list[str]] = {}


def _key(function: Any) -> Any:
    return getattr(function, "_key_op", None) or str(function)


def _with_defaults(function: Callable[..., Any]) -> list[str]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:
        return []
    return [one.name for one in parameters if one.default is not one.empty]


def _all_places(name: str) -> list[str]:
    return [place.format(name) for place in _PLACES]


@export(*_all_places("add_arg_scope"))
def add_arg_scope(func: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function take defaults of its arguments from `arg_scope`.

    Args:
        func: The function.

    Example:
        >>> @add_arg_scope
        ... def layer(x, units=1):
        ...     return x * units
        >>> with arg_scope([layer], units=3):
        ...     layer(2), layer(2, units=5)
        (6, 10)
    """
    key = (getattr(func, "__module__", ""), getattr(func, "__qualname__", repr(func)), id(func))

    @functools.wraps(func)
    def call(*args: Any, **kwargs: Any) -> Any:
        given = (_current.get() or {}).get(key)
        return func(*args, **({**given, **kwargs} if given else kwargs))

    call._key_op = key  # type: ignore[attr-defined]
    _decorated[key] = _with_defaults(func)
    return call


scoped = add_arg_scope


@export(*_all_places("arg_scope"))
@contextlib.contextmanager
def arg_scope(list_ops_or_scope: Any, **kwargs: Any) -> Generator[dict[Any, dict[str, Any]]]:
    """Give functions defaults for their arguments, in all calls inside of the block.

    Args:
        list_ops_or_scope: The functions, or what an earlier `arg_scope` gave, which is then in force again.
        **kwargs: The defaults, which come before those of scopes around.

    Yields:
        The scope, to open it again.

    Raises:
        TensorValueError: If defaults are given with a scope (`tensor_value`), or a function does not take
            defaults (`no_arg_scope`).
        TensorTypeError: If the first argument is neither (`tensor_type`).
    """
    if isinstance(list_ops_or_scope, dict):
        if kwargs:
            raise TensorValueError("arg_scope that opens a scope again takes no arguments")
        scope = {key: dict(given) for key, given in list_ops_or_scope.items()}
    elif isinstance(list_ops_or_scope, list | tuple):
        scope = {key: dict(given) for key, given in (_current.get() or {}).items()}
        for function in list_ops_or_scope:
            key = _key(function)
            if key not in _decorated:
                raise TensorValueError(
                    f"{getattr(function, '__name__', function)} takes no defaults from arg_scope",
                    code="no_arg_scope",
                    fix="decorate it with add_arg_scope",
                )
            scope[key] = {**scope.get(key, {}), **kwargs}
    else:
        raise TensorTypeError(
            "arg_scope takes a list of functions, or a scope of an earlier one",
            fix="put the function in a list",
        )
    token = _current.set(scope)
    try:
        yield scope
    finally:
        _current.reset(token)


@export(*_all_places("current_arg_scope"))
def current_arg_scope() -> dict[Any, dict[str, Any]]:
    """Return the scope that is in force."""
    return _current.get() or {}


@export(*_all_places("has_arg_scope"))
def has_arg_scope(func: Any) -> bool:
    """Tell whether a function takes defaults.

    Args:
        func: The function.
    """
    return _key(func) in _decorated


@export(*_all_places("arg_scoped_arguments"))
def arg_scoped_arguments(func: Any) -> list[str]:
    """Return the names of the arguments that a function has defaults for.

    Args:
        func: The function.
    """
    return _decorated.get(_key(func), [])
