"""An MLP with dropout and batch normalization by hand: noise by scope, moving averages as state."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxscope as js

WEIGHTS = ("kernel", "gamma", "beta")


def batch_norm(x, training, momentum=0.9):
    with js.variable_scope("norm"):
        gamma = js.get_variable("gamma", x.shape[-1:], initializer=js.initializers.ones)
        beta = js.get_variable("beta", x.shape[-1:], initializer=js.initializers.zeros)
        mean = js.get_variable("mean", x.shape[-1:], initializer=js.initializers.zeros, trainable=False)
        variance = js.get_variable(
            "variance", x.shape[-1:], initializer=js.initializers.ones, trainable=False
        )
        if training:
            now = x.mean(0), x.var(0)
            js.set_variable("mean", momentum * mean + (1 - momentum) * now[0])
            js.set_variable("variance", momentum * variance + (1 - momentum) * now[1])
            mean, variance = now
    return gamma * (x - mean) * jax.lax.rsqrt(variance + 1e-3) + beta


def dropout(x, training, keep=0.8):
    if not training:
        return x
    return jnp.where(jax.random.bernoulli(js.next_key(), keep, x.shape), x / keep, jnp.zeros_like(x))


@js.transform
def classifier(x, key=None, training=False):
    with js.random_keys(key):
        for i, units in enumerate((16, 16)):
            with js.variable_scope(f"layer_{i}"):
                x = x @ js.get_variable("kernel", [x.shape[-1], units])
                x = dropout(jax.nn.relu(batch_norm(x, training)), training)
    with js.variable_scope("out"):
        return x @ js.get_variable("kernel", [x.shape[-1], 2])


@pytest.fixture(scope="module")
def data():
    x = jax.random.normal(jax.random.key(0), (128, 4)) * 3 + 5
    return x, (x[:, 0] * 1 > x[:, 1]).astype(jnp.int32)


def loss(params, state, x, y, key):
    logits, state = classifier.apply_with_state(params | state, x, key, training=True)
    return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean(), state


def test_trains_and_evaluates(data):
    """The loss falls; moving averages come out as state, and evaluation takes them, without noise."""
    x, y = data
    variables = classifier.init(jax.random.key(1), x)
    params, state = variables.trainable, variables.non_trainable
    assert {name.rpartition("/")[2] for name in params} == set(WEIGHTS)
    assert list(state) == [f"layer_{i}/norm/{name}" for i in range(2) for name in ("mean", "variance")]
    optimizer = optax.adam(1e-2)
    memory = optimizer.init(params)

    @jax.jit
    def step(params, state, memory, key):
        (value, state), gradients = jax.value_and_grad(loss, has_aux=True)(params, state, x, y, key)
        updates, memory = optimizer.update(gradients, memory)
        return optax.apply_updates(params, updates), state, memory, value

    losses = []
    for key in jax.random.split(jax.random.key(2), 60):
        params, state, memory, value = step(params, state, memory, key)
        losses.append(value)
    assert losses[-1] < losses[0] / 2
    logits = classifier.apply(params | state, x)
    assert (logits.argmax(-1) == y).mean() > 0.9
    np.testing.assert_array_equal(logits, classifier.apply(params | state, x))
    # Of the first layer, the averages are those of its own inputs.
    np.testing.assert_allclose(
        state["layer_0/norm/mean"], (x @ params["layer_0/kernel"]).mean(0), rtol=0.3, atol=0.5
    )


def test_noise_has_the_names_of_scopes(data):
    """Each layer drops by a key of its own, and the same key drops the same."""
    x, _ = data
    variables = classifier.init(jax.random.key(1), x)
    one, two, three = (
        classifier.apply_with_state(variables, x, jax.random.key(seed), training=True)[0]
        for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, three)


def test_without_state_a_write_is_an_error(data):
    """`apply` would lose the moving averages, and says so."""
    x, _ = data
    variables = classifier.init(jax.random.key(1), x)
    with pytest.raises(js.errors.StateError, match="layer_0/norm/mean"):
        classifier.apply(variables, x, jax.random.key(0), training=True)
