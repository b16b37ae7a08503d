"""Comparing: two functions are the same, or an error lists all that differs."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxscope as js
from jaxscope import testing

X = np.linspace(-1.0, 1.0, 6, dtype=np.float32).reshape(2, 3)


def net(
    *,
    kernel: str = "kernel",
    units: int = 2,
    dtype: Any = "float32",
    activation: Callable[[Any], Any] = jnp.tanh,
    trainable: bool = True,
    steps: int = 1,
    returns: Callable[[Any], Any] = lambda y: y,
) -> js.Transformed[..., Any]:
    def f(x: Any) -> Any:
        w = js.get_variable(kernel, [3, units], dtype)
        b = js.get_variable("bias", [units], dtype, js.initializers.zeros, trainable=trainable)
        n = js.get_variable("count", [], "int32", trainable=False)
        js.set_variable("count", n + steps)
        return returns(activation(jnp.asarray(x) @ w.astype("float32") + b.astype("float32")))

    return js.transform(f)


def test_the_same():
    """What is written another way, but computes the same, is the same, with gradients that are not zero."""
    found = testing.same(net(), net(activation=lambda x: 1 - 2 / (jnp.exp(2 * x) + 1)), X)
    assert found.variables == ("kernel", "bias", "count")
    assert 0 <= found.results < 1e-5
    assert set(found.gradients) == {"kernel", "bias"}


def test_other_names():
    """Names may differ, by a table or a function."""
    for rename in ({"kernel": "w"}, lambda name: name.replace("kernel", "w")):
        assert testing.same(net(), net(kernel="w"), X, rename=rename).variables == ("w", "bias", "count")
    with pytest.raises(js.errors.VariablesMismatchError, match="nothing: to be renamed"):
        testing.same(net(), net(), X, rename={"nothing": "w"})


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (net(kernel="w"), ["kernel: float32[3,2] in the first alone", "w: float32[3,2] in the second alone"]),
        (net(units=4), ["kernel: float32[3,2] in the first, float32[3,4]", "bias: float32[2] in the first"]),
        (net(dtype="float16"), ["kernel: float32[3,2] in the first, float16[3,2] in the second"]),
        (net(trainable=False), ["bias: float32[2] in the first, float32[2], not trainable in the second"]),
        (net(activation=jnp.sin), ["result: float32[2,2], of", "gradient of kernel", "gradient of bias"]),
        (net(steps=2), ["state count: int32[]"]),
        (net(returns=lambda y: (y, y)), ["result[1]: in the second alone"]),
        (net(returns=lambda y: y.astype("float16")), ["result: float32[2,2] in the first, float16[2,2]"]),
        (net(returns=lambda y: y[0]), ["result: float32[2,2] in the first, float32[2] in the second"]),
        (net(returns=jax.lax.stop_gradient), ["gradient of kernel: float32[3,2], of which"]),
    ],
)  # fmt: skip
def test_one_error_lists_all_that_differs(other: Any, told: list[str]):
    with pytest.raises(js.errors.VariablesMismatchError) as found:
        testing.same(net(), other, X)
    assert found.value.code == "not_the_same"
    for line in told:
        assert line in str(found.value)


def test_given_variables_and_tolerances():
    """A checkpoint's values may be given; how far apart is enough is for the user to say."""
    almost = net(activation=lambda x: jnp.tanh(x) * 1.001)
    given = net().init(jax.random.key(1), X)
    with pytest.raises(js.errors.VariablesMismatchError):
        testing.same(net(), almost, X, variables=given)
    assert 1e-4 < testing.same(net(), almost, X, variables=given, rtol=1e-2, atol=1e-2).results < 1e-2


def test_nan_equals_nan():
    """Both may overflow, in the same places."""
    bad = net(activation=lambda x: jnp.where(x > 0, jnp.nan, x))
    assert testing.same(bad, bad, X).results == 0
    with pytest.raises(js.errors.VariablesMismatchError):
        testing.same(net(activation=lambda x: x), bad, X)
