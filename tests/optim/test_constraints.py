"""Constraints hold after each update, and change nothing else."""

import copy
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxscope as js
from jaxscope import optim

EPSILON = 1e-7


# --- the ready-made ones ---


def arrays(shape):
    return st.integers(0, 2**16).map(
        lambda seed: (np.random.default_rng(seed).normal(size=shape) * 2).astype(np.float32)
    )


@settings(max_examples=25)
@given(arrays((4, 3)), st.sampled_from([0, 1, -1, (0, 1), None, [1]]))
def test_formulas_are_those_of_keras(value, axis):
    """`tf.keras.constraints`, but that max_norm leaves alone what is short."""
    axes = tuple(axis) if isinstance(axis, list) else axis
    norm = np.sqrt(np.sum(value**2, axis=axes, keepdims=True))
    keras = value * (np.clip(norm, 0, 1.5) / (EPSILON + norm))
    found = optim.max_norm(1.5, axis)(jnp.asarray(value))
    np.testing.assert_allclose(found, keras, rtol=1e-5, atol=1e-7)
    short = np.broadcast_to(norm <= 1.5, value.shape)
    np.testing.assert_array_equal(np.asarray(found)[short], value[short])
    np.testing.assert_allclose(optim.unit_norm(axis)(jnp.asarray(value)), value / (EPSILON + norm), rtol=1e-5)
    np.testing.assert_array_equal(optim.non_neg()(jnp.asarray(value)), value * (value >= 0))
    np.testing.assert_array_equal(optim.clip(-0.5, 1.0)(jnp.asarray(value)), np.clip(value, -0.5, 1.0))


@settings(max_examples=25)
@given(arrays((4, 3)), st.sampled_from([0, 1, None]))
def test_are_projections(value, axis):
    """Applied twice, they give what they give once."""
    for constraint in (optim.max_norm(1.5, axis), optim.non_neg(), optim.clip(-0.5, 1.0)):
        once = constraint(jnp.asarray(value))
        np.testing.assert_allclose(constraint(once), once, rtol=1e-6)
    once = optim.unit_norm(axis)(jnp.asarray(value))
    np.testing.assert_allclose(optim.unit_norm(axis)(once), once, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "complex64"])
def test_in_any_dtype(dtype):
    """The dtype stays, sums do not overflow, and a zero vector stays one."""
    value = jnp.asarray([[300.0, 0.0]] * 4, dtype)
    assert optim.unit_norm()(value).dtype == dtype
    np.testing.assert_allclose(np.abs(optim.unit_norm()(value)), [[0.5, 0]] * 4, rtol=1e-2)
    np.testing.assert_allclose(np.abs(optim.max_norm(6.0)(value)), [[3.0, 0]] * 4, rtol=1e-2)
    if dtype != "complex64":
        assert optim.non_neg()(-value).dtype == optim.clip(-1, 1)(value).dtype == dtype
        assert optim.clip(-1, 1)(value).max() == 1


def test_are_values():
    """Equal where they do the same; they can be hashed, copied and pickled."""
    assert optim.max_norm(2.0, [0, 1]) == optim.max_norm(2, (0, 1)) != optim.max_norm(2.0)
    for one in (
        optim.max_norm(3.0, [0, 1]),
        optim.unit_norm(axis=None),
        optim.non_neg(),
        optim.clip(0.0, 1.0),
    ):
        assert pickle.loads(pickle.dumps(one)) == copy.deepcopy(one) == one
        assert len({one, copy.copy(one)}) == 1
    assert repr(optim.clip(0.0, 1.0)) == "clip(min_value=0.0, max_value=1.0)"


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: optim.max_norm(0.0),
        lambda: optim.max_norm(float("nan")),
        lambda: optim.clip(1.0, 1.0),
        lambda: optim.clip(float("nan"), 1.0),
    ],
)
def test_that_allow_nothing_are_refused(wrong):
    with pytest.raises(ValueError):
        wrong()


# --- the transformation ---


def block(x):
    return jnp.tanh(js.layers.dense(x, 4, kernel_constraint=optim.max_norm(0.5)))


@js.transform
def net(x):
    x = js.scan_layers(block, 3)(js.layers.dense(x, 4, bias_constraint=optim.non_neg()))
    with js.variable_scope("", constraint=optim.clip(-0.1, 0.1)):
        return js.layers.dense(x, 2, name="out")


X = jnp.ones([2, 4])
SPECS = net.spec(X)
VARIABLES = SPECS.init(jax.random.key(0))


def allowed(variables):
    """Tell whether all constraints hold, to rounding."""
    for name, value in variables.items():
        if name.startswith("layer_") and name.endswith("kernel"):
            assert np.all(np.linalg.norm(value, axis=0) <= 0.5 + 1e-6), name
        if name == "dense/bias":
            assert np.all(value >= 0)
        if name.startswith("out/"):
            assert np.all(np.abs(value) <= 0.1 + 1e-7)


@pytest.mark.usefixtures("optax_dtypes")
@pytest.mark.parametrize("stacked", [False, True])
@pytest.mark.parametrize("kind", [lambda v: v, lambda v: v.nested()], ids=["flat", "nested"])
def test_hold_after_each_update(stacked, kind):
    """Whether layers are stacked or not, in Variables and dicts, under jit."""
    variables = kind(VARIABLES.stack("layer_{}") if stacked else VARIABLES)
    optimizer = optax.chain(optax.adam(0.5), optim.constrain(SPECS))
    state = optimizer.init(variables)

    @jax.jit
    def step(variables, state, seed):
        keys = iter(jax.random.split(jax.random.key(seed), 20))
        gradients = jax.tree.map(lambda v: jax.random.normal(next(keys), v.shape), variables)
        updates, state = optimizer.update(gradients, state, variables)
        return optax.apply_updates(variables, updates), state

    for seed in range(3):
        variables, state = step(variables, state, seed)
        flat = js.Variables.from_nested(variables)
        allowed(flat.unstack() if stacked else flat)


@pytest.mark.usefixtures("optax_dtypes")
def test_are_what_project_gives():
    """After any update the values are those of the projection, to the rounding of one addition."""
    optimizer = optax.chain(optax.sgd(1.0), optim.constrain(SPECS))
    gradients = jax.tree.map(lambda v: jnp.cos(jnp.arange(v.size) * 7.0).reshape(v.shape), VARIABLES)
    updates, _ = optimizer.update(gradients, optimizer.init(VARIABLES), VARIABLES)
    new = optax.apply_updates(VARIABLES, updates)
    free = jax.tree.map(lambda v, g: v - g, VARIABLES, gradients)
    exact = optim.project(SPECS, free)
    for name, value in new.items():
        np.testing.assert_allclose(value, exact[name], atol=2e-7, rtol=0)
        untouched = np.asarray(exact[name] == free[name])
        np.testing.assert_array_equal(
            np.asarray(updates[name])[untouched], -np.asarray(gradients[name])[untouched]
        )
    allowed(exact)


@pytest.mark.usefixtures("optax_dtypes")
def test_in_part():
    """Of multi_transform, where the others are masked; and of a part of the variables."""
    labels = optim.match(VARIABLES, {"out/": "out", ...: "rest"})
    out = optax.chain(optax.sgd(1.0), optim.constrain(SPECS))
    optimizer = optax.multi_transform({"out": out, "rest": optax.set_to_zero()}, labels)
    ones = jax.tree.map(jnp.ones_like, VARIABLES)
    updates, _ = optimizer.update(ones, optimizer.init(VARIABLES), VARIABLES)
    new = optax.apply_updates(VARIABLES, updates)
    np.testing.assert_allclose(new["out/kernel"], -0.1, rtol=1e-5)
    np.testing.assert_array_equal(new["dense/kernel"], VARIABLES["dense/kernel"])
    part = VARIABLES.select("out/")
    allowed(optim.project(SPECS, part))
    updates, _ = out.update(part, out.init(part), part)
    allowed(optax.apply_updates(part, updates))


def test_of_narrow_values_and_wide_updates():
    """The new value is the projected one, rounded once."""
    net = js.transform(lambda: js.get_variable("w", [3], "bfloat16", constraint=optim.clip(-1.0, 1.0)))
    value = {"w": jnp.asarray([0.3, -5.0, 0.001], "bfloat16")}
    change = {"w": jnp.asarray([9.0, 0.0, 0.25], "float32")}
    part = optim.constrain(net.spec())
    updates, _ = part.update(change, part.init(value), value)
    with jax.numpy_dtype_promotion("standard"):
        new = optax.apply_updates(value, updates)["w"]
    assert new.dtype == jnp.bfloat16
    np.testing.assert_array_equal(new, np.asarray([1.0, -1.0, 0.251], new.dtype))


def test_without_constraints_nothing_changes():
    net = js.transform(lambda x: js.layers.dense(x, 2))
    variables = net.init(jax.random.key(0), X)
    part = optim.constrain(net.spec(X))
    updates, _ = part.update(variables, part.init(variables), variables)
    assert all(updates[name] is variables[name] for name in variables)


def test_errors():
    optimizer = optax.chain(optax.sgd(1.0), optim.constrain(SPECS))
    state = optimizer.init(VARIABLES)
    with pytest.raises(js.errors.OptimizerError) as caught:
        optimizer.update(VARIABLES, state)
    assert caught.value.code == "no_params"
    with pytest.raises(js.errors.VariableNotFoundError, match="none of the variables that have constraints"):
        optimizer.init(VARIABLES.rename(lambda name: f"model/{name}"))
    with pytest.raises(js.errors.VariablesMismatchError, match="VariableSpecs"):
        optim.constrain(net)


def test_a_constraint_that_fails_names_the_variable():
    def made(constraint):
        return js.transform(lambda: js.get_variable("w", [3], constraint=constraint)).spec()

    with pytest.raises(ValueError) as caught:
        optim.project(made(optim.max_norm(1.0, axis=3)), {"w": jnp.ones(3)})
    assert "in the constraint of variable 'w', made at" in "".join(caught.value.__notes__)
    with pytest.raises(js.errors.VariablesMismatchError, match="another shape"):
        optim.project(made(lambda value: value[:2]), {"w": jnp.ones(3)})


def test_without_optax(monkeypatch):
    """What needs optax says how to install it, and the rest works."""
    monkeypatch.setitem(__import__("sys").modules, "optax", None)
    with pytest.raises(ImportError, match=r"js.optim.constrain needs optax: pip install 'jaxscope\[optim\]'"):
        optim.constrain(SPECS)
    assert optim.match(VARIABLES, {".*/kernel": 1, ...: 0})["out/kernel"] == 1
    allowed(optim.project(SPECS, VARIABLES))
