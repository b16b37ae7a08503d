"""Norms by scope."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jaxscope as js

NAMES = st.lists(st.sampled_from(["a", "b", "layer_{}", "layer_1"]), min_size=1, max_size=4).map("/".join)
VALUES = st.lists(st.integers(-5, 5), max_size=4).map(lambda values: np.asarray(values, np.float32))


@given(st.dictionaries(NAMES, VALUES, max_size=6), st.integers(0, 5))
def test_are_the_norms_of_what_is_in_each_scope(values, depth):
    """Each variable counts to one scope: the first parts of its own, as many as asked for."""
    expected = {}
    for name, value in values.items():
        scope = "/".join(name.split("/")[:-1][:depth])
        expected.setdefault(scope, []).append(value)
    found = js.optim.norms(js.Variables(values), depth)
    assert found.keys() == expected.keys()
    for scope, norm in found.items():
        np.testing.assert_allclose(norm, np.linalg.norm(np.concatenate(expected[scope])), rtol=1e-6)


def test_in_any_dtype():
    """Narrow ones do not overflow, and what has no numbers counts nothing."""
    tree = {
        "a/half": jnp.full(100, 300.0, jnp.float16),
        "a/count": jnp.int8(100),
        "a/flag": jnp.asarray(True),
        "a/python": 3,
        "b/complex": jnp.asarray([3 + 4j]),
        "b/key": jax.random.key(0),
        "b/masked": optax.MaskedNode(),
        "b/none": None,
        "b/zero": np.zeros(3, jax.dtypes.float0),
    }
    found = js.optim.norms(tree)
    np.testing.assert_allclose(found["a"], np.sqrt(100 * 300.0**2 + 100**2 + 1 + 9), rtol=1e-6)
    assert found["b"] == 5
    assert found["a"].dtype == jnp.float32
    with jax.enable_x64(True):
        assert js.optim.norms({"w": jnp.ones(2, "float64"), "v": jnp.ones(2)})[""].dtype == jnp.float64


def test_under_jit():
    tree = js.Variables({"a/b/c/w": jnp.full(4, 2.0), "a/b/d/w": jnp.full(9, 1.0), "b": jnp.ones(1)})
    found = jax.jit(js.optim.norms)(tree)
    assert {scope: float(norm) for scope, norm in found.items()} == {"a/b": 5.0, "": 1.0}
    np.testing.assert_allclose(js.optim.norms(tree, 0)[""], np.sqrt(26), rtol=1e-6)
    with pytest.raises(ValueError, match="depth"):
        js.optim.norms(tree, -1)


def test_of_what_has_no_values():
    specs = js.transform(lambda: js.get_variable("w", [2])).spec()
    for tree in (specs, specs.shape_dtypes()):
        with pytest.raises(js.errors.VariablesMismatchError, match="'w' has no value"):
            js.optim.norms(tree)
    assert jax.eval_shape(js.optim.norms, specs.shape_dtypes())[""].shape == ()
