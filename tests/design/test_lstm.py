"""An LSTM cell inside `lax.scan`, as it is, with the last state kept from batch to batch."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxscope as js

UNITS = 12


def cell(carry, x):
    """One step: x of shape (batch, features); asks for its weights in whatever scope it is called."""
    h, c = carry
    with js.variable_scope("lstm"):
        kernel = js.get_variable("kernel", [x.shape[-1] + UNITS, 4 * UNITS])
        bias = js.get_variable("bias", [4 * UNITS], initializer=js.initializers.zeros)
    i, j, f, o = jnp.split(jnp.concatenate([x, h], -1) @ kernel + bias, 4, -1)
    c = jax.nn.sigmoid(f + 1) * c + jax.nn.sigmoid(i) * jnp.tanh(j)
    h = jax.nn.sigmoid(o) * jnp.tanh(c)
    return (h, c), h


@js.transform
def net(xs):
    """Predict from xs of shape (time, batch, 1); goes on where the last call ended."""
    shape = [xs.shape[1], UNITS]
    kept = [js.get_variable(name, shape, initializer=js.initializers.zeros, trainable=False) for name in "hc"]
    (h, c), hs = jax.lax.scan(cell, tuple(kept), xs)
    js.set_variable("h", h)
    js.set_variable("c", c)
    with js.variable_scope("out"):
        return hs @ js.get_variable("kernel", [UNITS, 1])


def waves(steps):
    """Return two waves of unlike phases, of shape (steps, 2, 1)."""
    return jnp.sin(0.5 * jnp.arange(steps)[:, None, None] + jnp.array([0.0, 1.0])[None, :, None])


def test_learns_a_wave():
    """The cell is traced once, in the scan, and its weights are two leaves; the loss falls."""
    xs = waves(41)
    variables = net.init(jax.random.key(0), xs[:-1])
    assert list(variables.trainable) == ["lstm/bias", "lstm/kernel", "out/kernel"]
    params, state = variables.trainable, variables.non_trainable

    def loss(params):
        y, _ = net.apply_with_state(params | state, xs[:-1])
        return jnp.mean((y - xs[1:]) ** 2)

    optimizer = optax.adam(2e-2)
    memory = optimizer.init(params)

    @jax.jit
    def step(params, memory):
        value, gradients = jax.value_and_grad(loss)(params)
        updates, memory = optimizer.update(gradients, memory)
        return optax.apply_updates(params, updates), memory, value

    losses = []
    for _ in range(60):
        params, memory, value = step(params, memory)
        losses.append(value)
    assert losses[-1] < losses[0] / 10


def test_goes_on_where_it_ended():
    """Two calls on two halves, with the state between, are one call on all of it."""
    xs = waves(12)
    variables = net.init(jax.random.key(0), xs)
    run = jax.jit(net.apply_with_state)
    whole, last = run(variables, xs)
    first, state = run(variables, xs[:6])
    second, end = run(variables | state, xs[6:])
    np.testing.assert_allclose(jnp.concatenate([first, second]), whole, rtol=1e-4, atol=1e-6)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), end, last)


def test_a_scan_is_the_loop():
    """A Python loop over the same cell has the same variables, if it shares them, and the same values."""

    @js.transform
    def loop(xs):
        carry = tuple(jnp.zeros([xs.shape[1], UNITS]) for _ in range(2))
        hs = []
        with js.variable_scope("", reuse=js.AUTO_REUSE):
            for x in xs:
                carry, h = cell(carry, x)
                hs.append(h)
        with js.variable_scope("out"):
            return jnp.stack(hs) @ js.get_variable("kernel", [UNITS, 1])

    xs = waves(4)
    variables = net.init(jax.random.key(0), xs)
    assert list(loop.spec(xs)) == ["lstm/kernel", "lstm/bias", "out/kernel"]
    np.testing.assert_allclose(
        jax.jit(loop.apply)(variables, xs),
        jax.jit(net.apply_with_state)(variables, xs)[0],
        rtol=1e-4,
        atol=1e-6,
    )
