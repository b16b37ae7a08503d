"""Parts: `net.apply` and its like, which bear the name of the user's function."""

import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

from jaxscope._core.base.tracebacks import without_own_frames

__all__ = ["part"]

F = TypeVar("F", bound=Callable[..., Any])


class Part:
    """A bound method that is shown as a part of a function of the user's: `net_apply`.

    Args:
        owner: What it is a method of: it has the function's name and signature.
        method: The function of the class.
    """

    __slots__ = ("__weakref__", "_method", "_owner")

    def __init__(self, owner: Any, method: Callable[..., Any]) -> None:
        self._owner = owner
        self._method = method

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call the method."""
        __tracebackhide__ = True
        try:
            return self._method(self._owner, *args, **kwargs)
        except Exception as problem:
            problem.__traceback__ = without_own_frames(problem)
            raise

    @property
    def __self__(self) -> Any:
        """What it is a method of."""
        return self._owner

    @property
    def __func__(self) -> Callable[..., Any]:
        """The function of the class."""
        return self._method

    @property
    def __name__(self) -> str:
        """`net_apply`, which is what compiled functions are called by."""
        return f"{getattr(self._owner, '__name__', 'function')}_{self._method.__name__}"

    @property
    def __doc__(self) -> str | None:  # type: ignore[override]
        """The method's words."""
        return self._method.__doc__

    @property
    def __signature__(self) -> inspect.Signature:
        """The method's own parameters, and the function's, so that `static_argnames` finds these."""
        users = inspect.signature(self._owner)
        own = list(inspect.signature(self._method).parameters.values())[1:]
        first = [one for one in own if one.kind is one.POSITIONAL_ONLY]
        # Another parameter may be called the same, or anything.
        anything = any(one.kind is one.VAR_KEYWORD for one in users.parameters.values())
        taken = {one.name for one in first} if anything else set(users.parameters)
        named = [one.replace(name=one.name + "_") if one.name in taken else one for one in first]
        return users.replace(parameters=[*named, *users.parameters.values()])

    def __getattr__(self, name: str) -> Any:
        if name != "__qualname__":  # which a class cannot have as a property
            raise AttributeError(name)
        return f"{getattr(self._owner, '__qualname__', 'function')}.{self._method.__name__}"

    def __eq__(self, other: object) -> bool:
        """Tell whether two are the same method of the same thing."""
        return isinstance(other, Part) and self._owner is other._owner and self._method is other._method

    def __hash__(self) -> int:
        return hash((id(self._owner), self._method))

    def __repr__(self) -> str:
        return f"<{self.__getattr__('__qualname__')}>"

    def __reduce__(self) -> Any:
        return getattr, (self._owner, self._method.__name__)


class _Descriptor:
    """Gives out a method as a part of the thing that it is asked of."""

    def __init__(self, method: Callable[..., Any]) -> None:
        self._method = method
        self.__doc__ = method.__doc__

    def __get__(self, owner: Any, cls: type) -> Any:
        return self._method if owner is None else Part(owner, self._method)


def part(method: F) -> F:
    """Let a method be shown as a part of the user's function: as `net_apply` in profiles.

    Example:
        >>> class Net:
        ...     __name__ = "net"
        ...
        ...     @part
        ...     def apply(self, variables, /):
        ...         return variables
        >>> Net().apply.__name__, Net().apply(3)
        ('net_apply', 3)
    """
    return cast(F, _Descriptor(method))
