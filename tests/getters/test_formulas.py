"""Each getter gives what its formula says, of what is stored."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxscope as js
from tests.getters.small import KEY, around, noise, two_layers, weight

G = js.getters
SHAPES = st.sampled_from([(3, 2), (2, 5), (1, 1), (2, 3, 4), (2, 2, 3, 2)])
X = jnp.linspace(-1, 1, 6).reshape(2, 3)


def matrix(weight):
    return np.asarray(weight, np.float64).reshape(-1, weight.shape[-1])


@given(SHAPES, st.integers(1, 4), st.sampled_from([None, 1.0, 8.0]), st.integers(0, 99))
@settings(max_examples=8)
def test_lora(shape, rank, alpha, seed):
    """`w + alpha / rank * a @ b`, over the last axis of a kernel of any rank."""
    net = around(G.lora(rank, alpha), weight(shape=shape))
    v = noise(net.init(KEY), seed)
    a, b = np.asarray(v["m/w/lora_a"]), np.asarray(v["m/w/lora_b"])
    assert (a.shape, b.shape) == ((*shape[:-1], rank), (rank, shape[-1]))
    factor = 1 if alpha is None else alpha / rank
    np.testing.assert_allclose(net.apply(v), v["m/w"] + factor * a @ b, atol=1e-5)


@given(SHAPES, st.integers(0, 99))
@settings(max_examples=5)
def test_weight_norm(shape, seed):
    """Each output's weights have length `g`, and the direction of v."""
    net = around(G.weight_norm(), weight(shape=shape))
    v = noise(net.init(KEY), seed)
    w = matrix(net.apply(v))
    np.testing.assert_allclose(np.linalg.norm(w, axis=0), np.abs(v["m/w/g"]), atol=1e-5)
    along = np.sum(w * matrix(v["m/w"]), 0)
    np.testing.assert_allclose(along, v["m/w/g"] * np.linalg.norm(matrix(v["m/w"]), axis=0), atol=1e-4)


@given(SHAPES, st.sampled_from([-1, 0, (0, -1), 1]), st.integers(0, 99))
@settings(max_examples=8)
def test_int8(shape, axis, seed):
    """Every number is within half a scale of what it was, and there are no larger scales than needed."""
    w = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    net = around(G.int8(axis=axis), weight(shape=shape))
    stored = G.unfold(net, {"m/w": w})
    axes = sorted({at % len(shape) for at in np.atleast_1d(axis)})
    scales = np.asarray(stored["m/w/scale"])
    assert scales.shape == tuple(shape[at] for at in axes)
    others = tuple(at for at in range(len(shape)) if at not in axes)
    np.testing.assert_allclose(scales, np.abs(w).max(others) / 127, rtol=1e-6)
    half = np.expand_dims(scales, others) / 2
    assert np.all(np.abs(net.apply(stored) - w) <= half * (1 + 1e-5))
    assert stored["m/w/int8"].dtype == np.int8
    assert np.abs(stored["m/w/int8"]).max() == 127


@pytest.mark.parametrize("shape", [(3, 2), (1, 1), (2, 2, 3, 2)])
def test_spectral_norm(shape):
    """After some steps, from whatever `u`, the largest singular value of what the model gets is 1."""
    w = np.random.default_rng(3).normal(size=shape).astype("f")
    net = around(G.spectral_norm(training=True), weight(shape=shape))
    stored = {"m/w": w, "m/w/u": jnp.ones(shape[-1])}
    step = jax.jit(net.apply_with_state)
    for _ in range(40):
        y, state = step(stored)
        stored |= state
    assert np.linalg.svd(matrix(y), compute_uv=False)[0] == pytest.approx(1, abs=1e-2)
    assert np.linalg.norm(stored["m/w/u"]) == pytest.approx(1, abs=1e-5)


def test_one_step_of_the_iteration():
    """`u` becomes `W' W u` of length 1, `|W u|` of the new one divides the weight; `u` has no gradient."""
    w, u = np.random.default_rng(0).normal(size=(4, 3)), np.array([1.0, 2.0, -3.0])
    net = around(G.spectral_norm(training=True), weight())
    stored = js.Variables({"m/w": w.astype("f"), "m/w/u": u.astype("f")}, non_trainable=["m/w/u"])
    y, state = net.apply_with_state(stored)
    new = w.T @ w @ u
    new /= np.linalg.norm(new)
    np.testing.assert_allclose(state["m/w/u"], new, rtol=1e-5)
    np.testing.assert_allclose(y, w / np.linalg.norm(w @ new), rtol=1e-5)
    left = w @ new / np.linalg.norm(w @ new)

    def total(stored):
        return jnp.sum(jnp.sin(net.apply_with_state(stored)[0]))

    by_hand = jax.grad(lambda w: jnp.sum(jnp.sin(w / (left @ w @ new))))(jnp.asarray(w, jnp.float32))
    grads = jax.grad(total)(stored)
    np.testing.assert_allclose(grads["m/w"], by_hand, atol=1e-5)
    assert not np.any(grads["m/w/u"])


@given(st.floats(0, 1), st.integers(0, 99))
@settings(max_examples=5)
def test_ema(decay, seed):
    """The average takes a share of the way in training, and is what the model gets in evaluation."""
    numbers = np.random.default_rng(seed).normal(size=(2, 3)).astype("f")
    name = "m/w/ExponentialMovingAverage"
    stored = js.Variables({"m/w": numbers[0], name: numbers[1]}, non_trainable=[name])
    train, evaluate = (
        around(G.ema(decay, training=training), weight(shape=(3,))) for training in (True, False)
    )
    y, state = train.apply_with_state(stored)
    np.testing.assert_array_equal(y, numbers[0])
    np.testing.assert_allclose(state[name], decay * numbers[1] + (1 - decay) * numbers[0], atol=1e-6)
    np.testing.assert_array_equal(evaluate.apply(stored), numbers[1])


@pytest.mark.parametrize("compute", ["bfloat16", "float16", "float32"])
def test_cast_keeps_masters(compute):
    """Stored and differentiated in float32, whatever the layer asks for; computed in another dtype."""
    net = around(G.cast(compute), lambda: js.get_variable("w", [4, 3], dtype=compute))
    v = net.init(KEY)
    assert v["m/w"].dtype == jnp.float32
    assert net.apply(v).dtype == compute
    np.testing.assert_array_equal(net.apply(v), v["m/w"].astype(compute))
    factors = jnp.linspace(0.1, 1, 12).reshape(4, 3)
    grads = jax.grad(lambda v: jnp.sum(net.apply(v).astype(jnp.float32) * factors))(v)
    assert grads["m/w"].dtype == jnp.float32
    np.testing.assert_allclose(grads["m/w"], factors, rtol=1e-2)
    tiny = net.apply(v.replace({"m/w": v["m/w"] * (1 + 1e-5)}))  # a step that the small dtype does not see
    assert compute == "float32" or np.mean(tiny == net.apply(v)) > 0.9


def test_scale():
    """A number, an array, or a function of the request, which knows the shape."""
    stored = {"m/w": jnp.ones((4, 3))}
    for factor, wanted in (
        (0.5, 0.5),
        (np.arange(3.0), np.arange(3.0) * np.ones((4, 3))),
        (lambda request: request.shape[0] ** 0.5, 2.0),
    ):
        np.testing.assert_allclose(around(G.scale(factor), weight()).apply(stored), wanted * np.ones((4, 3)))


GRADIENTS = {
    "lora": (G.lora(2), {"m/a/w", "m/b/w"}),
    "lora, int8": (G.chain(G.lora(2), G.int8()), {"m/a/w/scale", "m/b/w/scale"}),
    "freeze": (G.freeze(), {"m/a/w", "m/a/b", "m/b/w"}),
    "freeze some": (G.freeze("m/a/"), {"m/a/w", "m/a/b"}),
    "lora, freeze": (G.chain(G.lora(2), G.freeze(".*")), {"m/a/w", "m/a/b", "m/b/w"}),
}


@pytest.mark.parametrize("case", GRADIENTS)
def test_what_is_frozen_has_no_gradient(case):
    """It is not trainable, and its gradient is 0 where somebody asks for it; that of the rest is not."""
    getter, frozen = GRADIENTS[case]
    net = around(getter, two_layers)
    v = noise(net.init(KEY, X))
    assert set(v.non_trainable) - {"m/a/w/int8", "m/b/w/int8"} == frozen
    floats = v.select(lambda name, value: value.dtype == jnp.float32)
    grads = jax.jit(jax.grad(lambda v: jnp.sum(net.apply({**v}, X) ** 2), allow_int=True))(dict(v))
    for name in floats:
        assert bool(np.any(grads[name])) == (name not in frozen), name


START = {
    "lora": (G.lora(2), 0),
    "weight_norm": (G.weight_norm(), 1e-6),
    "ema": (G.ema(0.9), 0),
    "int8": (G.int8(), 1e-2),
    "freeze": (G.freeze(), 0),
    "chain": (G.chain(G.ema(0.9), G.weight_norm(), G.lora(2)), 1e-6),
    "averages of lengths": (G.chain(G.weight_norm(), G.ema(0.9)), 1e-6),
}


@pytest.mark.parametrize("case", START)
def test_the_model_begins_as_without(case):
    """Initial values are drawn by the names of the bare model, so what the model gets is what it got."""
    getter, tolerance = START[case]
    net, bare = around(getter, two_layers), around(None, two_layers)
    folded = G.fold(net, net.init(KEY, X), X)
    for name, value in bare.init(KEY, X).items():
        np.testing.assert_allclose(folded[name], value, atol=tolerance)


def test_lengths_of_nothing():
    """Where all weights of an output, or of all, are 0, values and gradients are numbers."""
    for getter in (G.weight_norm(), G.spectral_norm(), G.int8()):
        for numbers in (np.zeros((3, 2)), np.array([[0.0, 1.0], [0.0, 2.0], [0.0, 3.0]])):
            start = js.initializers.constant(numbers)
            net = around(getter, weight(shape=(3, 2), initializer=start))
            v = net.init(KEY)
            assert np.all(np.isfinite(net.apply(v)))
            total = functools.partial(lambda net, v, t: jnp.sum(net.apply(v | t)), net, v)
            grads = jax.grad(total)(v.trainable)
            assert all(np.all(np.isfinite(grad)) for grad in grads.values())
