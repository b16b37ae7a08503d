"""Objects of other libraries that stand for arrays are arrays where a pass ends."""

from typing import Any

import jax
import jax.numpy as jnp
import pytest

import jaxscope as js
from jaxscope._core.base import returned


class Box:
    def __init__(self, value: Any) -> None:
        self.value = value


class Labelled(Box):
    pass


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(returned, "_KINDS", {})
    js.register_returned(Box, lambda box: box.value)


@js.transform
def net(x: Any) -> Any:
    w = js.get_variable("w", [])
    n = js.get_variable("n", [], trainable=False)
    js.set_variable("n", n + 1)
    return {"b": Box(w * x), "a": [Labelled(x), None, "text"], "c": x}


V = {"w": jnp.float32(2), "n": jnp.float32(0)}
X = jnp.float32(3)


def test_everywhere():
    """Eager and jitted, under grad and vmap, in subclasses, inside of pytrees, with state beside them."""
    result, state = net.apply_with_state(V, X)
    assert (result["a"], result["b"], result["c"], state["n"]) == ([3, None, "text"], 6, 3, 1)
    assert jax.jit(lambda x: net.apply_with_state(V, x)[0]["a"][0])(X) == 3
    assert jax.grad(lambda x: net.apply_with_state(V, x)[0]["b"])(X) == 2
    mapped = jax.vmap(lambda x: net.apply_with_state(V, x)[0]["b"])(jnp.ones(2))
    assert mapped.tolist() == [2, 2]
    assert list(net.spec(X)) == ["w", "n"]


def test_others_stay_what_they_are():
    """What holds none of these is handed on as it is: the same object, dicts in their order."""
    for result in ({"b": 1, "a": object()}, (number for number in range(3))):
        assert js.transform(lambda result=result: result).apply({}) is result


def test_bad_arguments():
    for kind, convert in ((1, abs), (Box, 1)):
        with pytest.raises(TypeError, match="a class and a function"):
            js.register_returned(kind, convert)  # type: ignore[arg-type]
