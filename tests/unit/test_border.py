"""Borders: one inside of another hands on all that it does not change."""

import inspect
from typing import Any

import pytest

from jaxscope._core.passes.border import OPEN, Border, Inner

METHODS = [name for name, value in vars(Border).items() if inspect.isfunction(value)]


class Told(Border):
    """Notes what it is told, and returns something of its own."""

    listens = True
    stands_in = True

    def __init__(self) -> None:
        self.told: list[Any] = []


def _noting(name: str) -> Any:
    def method(self: Told, *args: Any, **kwargs: Any) -> Any:
        self.told.append((name, args, kwargs))
        return f"{name} of the outer one"

    return method


for name in METHODS:
    setattr(Told, name, _noting(name))


@pytest.mark.parametrize("name", METHODS)
def test_an_inner_border_hands_on(name: str):
    """Each method calls that of the border around with what it was given, and returns what that returns."""
    outer = Told()
    parameters = list(inspect.signature(getattr(Border, name)).parameters.values())[1:]
    args = [f"{p.name} given" for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    kwargs = {p.name: f"{p.name} given" for p in parameters if p.kind is p.KEYWORD_ONLY}
    result = getattr(Inner(outer), name)(*args, **kwargs)
    assert outer.told == [(name, tuple(args), kwargs)]
    returns = inspect.signature(getattr(Border, name)).return_annotation
    assert result == (None if returns is None else f"{name} of the outer one")


def test_what_it_is_follows_the_outer_one():
    assert Inner(Told()).stands_in
    assert not Inner(OPEN).stands_in
    assert Inner(OPEN).listens


def test_an_open_border_around_is_not_asked():
    """Answers go past one that listens to nothing."""
    inner = Inner(OPEN)
    assert inner.asked("a", None, "value", None) == "value"  # type: ignore[arg-type]
    assert inner.through(lambda: 3) == inner.creating(lambda: 3) == 3
