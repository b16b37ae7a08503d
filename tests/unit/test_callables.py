"""Functions and arguments of all kinds can be transformed."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxscope as js
from jaxscope.errors import (
    JaxscopeError,
)

KEY = jax.random.key(0)
ONE = jnp.ones(3)


@js.transform
def scale(x: Any) -> Any:
    return x * js.get_variable("w", [3])


def refused(kind: type[JaxscopeError], code: str, run: Callable[[], Any]) -> JaxscopeError:
    with pytest.raises(kind) as caught:
        run()
    assert caught.value.code == code
    return caught.value


def recorded(function: Callable[..., Any], *args: Any) -> js.VariableSpecs:
    return js.transform(function).spec(*args)


# --- functions of all kinds --------------------------------------------------------------------


class Model:
    """A model as a class: its methods, bound or not, its call and its statics are functions."""

    def __init__(self, size: int) -> None:
        self.size = size

    def method(self, x: Any) -> Any:
        return x * js.get_variable("w", [self.size])

    __call__ = method
    transformed = js.transform(method)

    @staticmethod
    @js.transform
    def static(x: Any) -> Any:
        return x * js.get_variable("w", [3])

    @classmethod
    def of_class(cls, x: Any) -> Any:
        return x * js.get_variable("w", [3])


model = Model(3)


@pytest.mark.parametrize(
    "net",
    [
        js.transform(model.method),
        js.transform(model),
        js.transform(Model.of_class),
        js.transform(functools.partial(Model.method, model)),
        js.transform(functools.partial(lambda x, size: x * js.get_variable("w", [size]), size=3)),
        js.transform(jax.jit(lambda x: x * js.get_variable("w", [3]))),
        model.transformed,
        model.static,
        Model.static,
    ],
    ids=[
        "bound",
        "callable",
        "classmethod",
        "partial",
        "partial keyword",
        "jitted",
        "method",
        "static",
        "of class",
    ],
)
def test_any_callable(net: Any):
    assert net.spec(ONE)["w"].shape == (3,)
    variables = net.init(KEY, ONE)
    for apply in (net.apply, jax.jit(net.apply)):
        np.testing.assert_array_equal(apply(variables, 2 * ONE), 2 * variables["w"])
    assert repr(net).startswith("<transformed ")


def test_methods_know_their_instance():
    five = Model(5)
    assert five.transformed.spec(1.0)["w"].shape == (5,)
    assert model.transformed.spec(1.0)["w"].shape == (3,)
    assert Model.transformed.spec(five, 1.0)["w"].shape == (5,)


def test_arguments_of_all_kinds():
    """Without a hash, without equality, containers of both; with inner transforms and without."""

    class Unhashable:
        __hash__ = None  # type: ignore[assignment]

        def __eq__(self, other: object) -> bool:
            raise ZeroDivisionError

    def plain(x: Any, options: Any) -> Any:
        return x * js.get_variable("w", [options["n"]])

    options = {"n": 3, "set": {1}, "list": [Unhashable(), None], "f": lambda: 0}
    net = js.transform(plain)
    assert net.spec(ONE, options)["w"].shape == (3,)
    np.testing.assert_array_equal(net.apply({"w": ONE}, ONE, options), ONE)
    net = js.transform(lambda x, options: jax.jit(lambda x: plain(x, options))(x))
    assert net.spec(ONE, options)["w"].shape == (3,)
    for size in (3, 3):
        options["n"] = size
        np.testing.assert_array_equal(net.apply({"w": ONE}, ONE, options), ONE)


def test_parameters_of_any_name():
    """A function's own `self`, `variables` and `key` go to the function, by position and by name."""

    def f(self: Any, variables: Any, key: Any = 0) -> Any:
        return (self + variables + key) * js.get_variable("w", [])

    net = js.transform(f)
    w = {"w": jnp.float32(2)}
    for inner in (net, js.transform(lambda **kwargs: net(**kwargs)), js.transform(jax.jit(f))):
        assert list(inner.spec(self=1.0, variables=2.0, key=3.0)) == ["w"]
        assert list(inner.init(KEY, self=1.0, variables=2.0, key=3.0)) == ["w"]
        assert inner.apply(w, self=1.0, variables=2.0, key=3.0) == 12
        assert jax.jit(inner.apply)(w, self=1.0, variables=2.0, key=3.0) == 12
        assert inner.apply_with_state(w, self=1.0, variables=2.0, key=3.0)[0] == 12
    assert net.apply(w, 1.0, 2.0) == 6


def test_wrong_arguments_of_the_function_are_type_errors():
    for run in (scale.spec, lambda: scale.init(KEY), lambda: scale.apply({"w": ONE}, ONE, y=2)):
        with pytest.raises(TypeError, match="argument"):
            run()


def test_donated_variables():
    step = jax.jit(lambda v, x: jax.tree.map(lambda w: w - scale.apply(v, x), v), donate_argnums=0)
    variables = scale.init(KEY, ONE)
    new = step(variables, ONE)
    assert variables["w"].is_deleted()
    np.testing.assert_array_equal(new["w"], 0)
    with pytest.raises((RuntimeError, ValueError), match=r"deleted|donated"):
        scale.apply(variables, ONE)
