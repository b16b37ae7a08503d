"""Custom getters: functions that a request goes through, innermost scope first."""

from collections.abc import Callable
from typing import Any

from jaxscope._core.base import names
from jaxscope._core.base.sites import here
from jaxscope._core.requests.arguments import Reuse, check_reuse

Getter = Callable[..., Any]

_LEFT_OUT: Any = object()


class NextGetter:
    """What a custom getter receives as `getter`: the next outer getter, or the request itself.

    Arguments that are left out have plain defaults, except `reuse`, which is then the scope's (R39).

    Args:
        then: Called with the arguments of a request, all by keyword.
        reuse: Returns the reuse of the scope that is open.
    """

    __slots__ = ("_then", "reuse")

    def __init__(self, then: Getter, reuse: Callable[[], Reuse]) -> None:
        self._then = then
        self.reuse = reuse

    def __call__(
        self,
        name: str,
        shape: Any = None,
        dtype: Any = "float32",
        initializer: Any = None,
        regularizer: Any = None,
        reuse: Reuse | None = _LEFT_OUT,
        trainable: bool = True,
        collections: Any = None,
        partitioner: Any = None,
        constraint: Any = None,
    ) -> Any:
        if type(name) is not str:
            names.check_string(name, "variable", here())
        if not names.is_valid(name):
            raise names.invalid(name, "variable", here())
        if reuse is _LEFT_OUT:
            reuse = self.reuse()
        else:
            check_reuse(reuse, name)
        return self._then(
            name=name,
            shape=shape,
            dtype=dtype,
            initializer=initializer,
            regularizer=regularizer,
            reuse=reuse,
            trainable=trainable,
            collections=collections,
            partitioner=partitioner,
            constraint=constraint,
        )


def compose(inner: Getter, outer: Getter | None) -> Getter:
    """Return the getter that runs `inner` first, with `outer` as what it passes on to (R38)."""
    if outer is None:
        return inner

    def composed(getter: Getter, **kwargs: Any) -> Any:
        # Called by hand, it may be given any function, which knows no scope.
        reuse = getter.reuse if isinstance(getter, NextGetter) else lambda: kwargs.get("reuse", False)
        return inner(NextGetter(lambda **passed: outer(getter, **passed), reuse), **kwargs)

    return composed
