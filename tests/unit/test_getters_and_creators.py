"""Getters and creators: functions around a request, or around a making, the innermost scope's first."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jaxscope as js
from jaxscope._core.requests.arguments import check_getter
from jaxscope._core.requests.creators import chained, check_creator
from jaxscope._core.requests.getters import NextGetter, compose
from jaxscope.errors import GetterError, InvalidNameError, ReuseError

LABELS = st.lists(st.integers(0, 9), max_size=6)


def spelled(label: int, seen: list[int]) -> Callable[..., Any]:
    """Return a getter, or a creator, that notes its call, and puts its label on the answer."""

    def function(following: Any, **kwargs: Any) -> Any:
        seen.append(label)
        return [label, *following(**kwargs)]

    return function


@given(LABELS)
def test_the_innermost_getter_runs_first(labels: list[int]):
    """However many are chained, each once, and the request is answered behind them (R38)."""
    seen: list[int] = []
    chain = None
    for label in labels:  # the outermost scope is opened first
        chain = compose(spelled(label, seen), chain)
    end = NextGetter(lambda **passed: [passed["name"]], lambda: False)
    found = ["w"] if chain is None else chain(end, name="w")
    assert found == [*labels[::-1], "w"]
    assert seen == labels[::-1]


@given(LABELS)
def test_the_first_creator_runs_first(labels: list[int]):
    """They are kept innermost first, and the making is behind them (R41)."""
    seen: list[int] = []
    creators = tuple(spelled(label, seen) for label in labels)
    assert chained(creators, lambda **kwargs: [kwargs["name"]])(name="w") == [*labels, "w"]
    assert seen == labels


def test_what_is_left_out_has_plain_defaults():
    """Except reuse, which is then that of the scope that is open at that moment (R39)."""
    reuse: list[Any] = [False]
    passed: list[dict[str, Any]] = []
    getter = NextGetter(lambda **arguments: passed.append(arguments), lambda: reuse[0])
    getter("w")
    reuse[0] = True
    getter("w")
    getter("w", reuse=None)
    plain = {"shape": None, "dtype": "float32", "trainable": True, "collections": None}
    others = dict.fromkeys(["initializer", "regularizer", "partitioner", "constraint"])
    assert passed == [{"name": "w", "reuse": one, **plain, **others} for one in (False, True, None)]


def test_what_is_passed_on_is_checked():
    """A name has to be valid, and reuse to have a meaning."""
    getter = NextGetter(lambda **passed: passed, lambda: False)
    for name, error in (("a b", InvalidNameError), ("/a", InvalidNameError), (3, InvalidNameError)):
        with pytest.raises(error):
            getter(name)
    with pytest.raises(ReuseError):
        getter("w", reuse=1)


class Callable_:
    def __call__(self, getter: Any, name: str, **kwargs: Any) -> Any:
        return getter(name, **kwargs)

    def method(self, getter: Any, *args: Any, **kwargs: Any) -> Any:
        return getter(*args, **kwargs)


def all_by_name(
    getter: Any,
    name: Any,
    shape: Any,
    dtype: Any,
    initializer: Any,
    regularizer: Any,
    reuse: Any,
    trainable: Any,
    collections: Any,
    partitioner: Any,
    constraint: Any,
) -> None: ...


SOUND = [None, Callable_(), Callable_().method, all_by_name, lambda getter, **kwargs: 0]


@pytest.mark.parametrize("sound", SOUND)
def test_what_can_be_a_getter(sound: Any):
    """Whatever can be called with all that a getter gets, by keyword."""
    check_getter(sound)


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (3, "getter_not_callable"),
        ("getter", "getter_not_callable"),
        (lambda getter, name: 0, "getter_signature"),
        (lambda other, **kwargs: 0, "getter_signature"),
        (lambda getter, name, shape, **kwargs: 0 if kwargs else 1, None),
        (lambda getter, /, **kwargs: 0, "getter_signature"),
    ],
)
def test_what_cannot(wrong: Any, code: str | None):
    """It is refused where it is given (R37), not when the first request comes."""
    if code is None:
        check_getter(wrong)
        return
    with pytest.raises(GetterError) as caught:
        check_getter(wrong)
    assert caught.value.code == code


def test_a_creator_can_be_called():
    """What cannot is refused where the scope is opened."""
    check_creator(lambda following, **kwargs: following(**kwargs))
    with pytest.raises(GetterError) as caught:
        check_creator(3)
    assert caught.value.code == "creator_not_callable"
    with pytest.raises(GetterError):
        js.transform(lambda: js.variable_creator_scope(3)).spec()


ASKS = {
    "get_variable": lambda: js.get_variable("w", [2]),
    "Variable": lambda: js.Variable([1.0, 1.0], name="w"),
}
TWICE = pytest.mark.xfail(raises=KeyError, reason="the name is entered twice, and cannot be undone twice")


@pytest.mark.parametrize(
    ("ask", "times"),
    [("get_variable", 0), pytest.param("get_variable", 2, marks=TWICE), ("Variable", 0), ("Variable", 2)],
)
def test_a_creator_makes_one_variable(ask: str, times: int):
    """One that makes none, or two, leaves nothing, and is told so."""

    def creator(following: Any, **kwargs: Any) -> Any:
        return [following(**kwargs) for _ in range(times)]

    @js.transform
    def net() -> list[str]:
        with js.variable_creator_scope(creator), pytest.raises(GetterError, match=f"made {times} variables"):
            ASKS[ask]()
        return list(js.global_variables())

    assert list(net.spec()) == []
    assert net.apply({"w": jnp.ones(2), "w_1": jnp.ones(2)}) == []
