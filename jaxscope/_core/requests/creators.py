"""Variable creators: functions that the making of a variable goes through, innermost scope first."""

from collections.abc import Callable
from typing import Any

from jaxscope._core.base.describe import shown
from jaxscope._core.base.sites import here
from jaxscope.errors import GetterError

Creator = Callable[..., Any]


def check_creator(creator: Any) -> None:
    """Raise `GetterError` unless a creator can be called."""
    if not callable(creator):
        raise GetterError(
            f"a variable creator must be callable, and {shown(creator)} is not",
            code="creator_not_callable",
            at=here(),
            fix="pass a function c(next_creator, **kwargs) that returns next_creator(**kwargs)",
        )


class NextCreator:
    """What a creator receives as `next_creator`: the next outer creator, or the making itself."""

    __slots__ = ("_creator", "_next")

    def __init__(self, creator: Creator, following: Creator) -> None:
        self._creator = creator
        self._next = following

    def __call__(self, **kwargs: Any) -> Any:
        return self._creator(self._next, **kwargs)


def chained(creators: tuple[Creator, ...], make: Creator) -> Creator:
    """Return the function that calls the creators, the first one first, and `make` behind them."""
    step = make
    for creator in reversed(creators):
        step = NextCreator(creator, step)
    return step
