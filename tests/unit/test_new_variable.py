"""js.Variable: a new variable at each call, from a value or from an initializer."""

from typing import Any

import jax
import numpy as np
import pytest

import jaxscope as js
from jaxscope.errors import (
    InitializerError,
)
from tests.unit.modes import error_of

KEY = jax.random.key(0)


@pytest.mark.parametrize(
    "initializer",
    [js.initializers.glorot_uniform(), js.initializers.glorot_uniform, jax.nn.initializers.normal(0.02)],
)
def test_a_new_variable_is_drawn_as_one_that_is_asked_for(initializer: Any):
    """By key and name: `js.Variable(initializer, shape=)` starts as `get_variable` of its name does."""

    @js.transform
    def new() -> None:
        with js.name_scope("a"):
            js.Variable(initializer, shape=[3, 2], name="w")
            js.Variable(initializer, shape=[3, 2], name="w")

    @js.transform
    def asked() -> None:
        with js.variable_scope("a"):
            js.get_variable("w", [3, 2], initializer=initializer)
            js.get_variable("w_1", [3, 2], initializer=initializer)

    one, two = new.init(KEY), asked.init(KEY)
    assert list(one) == list(two) == ["a/w", "a/w_1"]
    jax.tree.map(np.testing.assert_array_equal, one.as_dict(), two.as_dict())
    assert not np.array_equal(one["a/w"], one["a/w_1"])


def test_a_new_variable_has_the_dtype_it_asks_for():
    """float32 if none is asked for, whatever the scope's is, which js.Variable ignores."""

    def net() -> None:
        with js.variable_scope("a", dtype="bfloat16", initializer=js.initializers.ones):
            js.Variable(js.initializers.zeros, shape=[2], name="w")
            js.Variable(js.initializers.zeros, shape=[2], name="v", dtype="int32")

    specs = js.transform(net).spec()
    assert [str(spec.dtype) for spec in specs.values()] == ["float32", "int32"]
    assert js.transform(net).init(KEY)["a/w"].tolist() == [0, 0]


def test_a_shape_wants_an_initializer():
    """A constant has a shape of its own; an initializer has none."""
    error = error_of(lambda: js.Variable(1.0, shape=[2], name="w"))
    assert isinstance(error, InitializerError)
    assert error.code == "constant_with_shape"
    assert error_of(lambda: js.Variable(js.initializers.zeros, name="w")).code == "init_needs_full_shape"
