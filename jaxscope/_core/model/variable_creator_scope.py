"""variable_creator_scope: a function that the making of variables goes through."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from jaxscope._core.passes.base_pass import current
from jaxscope._core.requests.creators import check_creator


def variable_creator_scope(creator: Callable[..., Any]) -> AbstractContextManager[None]:
    """Send the making of variables through a function.

    Args:
        creator: `c(next_creator, **kwargs)`, which returns `next_creator(**kwargs)`, perhaps with
            other arguments: `initial_value`, `trainable`, `collections`, `name`, `shape`, `dtype`,
            `regularizer`, `constraint`. The innermost scope's runs first. For `get_variable`, `name`
            is the full name, and changing it does nothing.

    Returns:
        A context manager.

    Raises:
        GetterError: `creator` is not callable.
        ScopeNestingError: On leaving, where a block that was entered later is still open.
        NoPassError: Outside a transformed function.

    Source:
        `tf.compat.v1.variable_creator_scope`.

    Example:
        >>> def frozen(next_creator, **kwargs):
        ...     return next_creator(**{**kwargs, "trainable": False})
        >>> @js.transform
        ... def net():
        ...     with js.variable_creator_scope(frozen):
        ...         return js.get_variable("w", [2])
        >>> net.spec()["w"].trainable
        False
    """
    run = current("variable_creator_scope")
    check_creator(creator)
    return run.during(lambda around: around._replace(creators=(creator, *around.creators)))
