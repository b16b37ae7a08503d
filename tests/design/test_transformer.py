"""A small transformer: layers as one scan, and one embedding table at the bottom and at the top."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxscope as js

VOCABULARY, WIDTH, HEADS, LAYERS = 9, 8, 2, 2


def norm(x, name):
    with js.variable_scope(name):
        scale = js.get_variable("scale", x.shape[-1:], initializer=js.initializers.ones)
    return scale * x * jax.lax.rsqrt(jnp.mean(x**2, -1, keepdims=True) + 1e-6)


def linear(x, units, name):
    with js.variable_scope(name):
        return x @ js.get_variable("kernel", [x.shape[-1], units])


def attention(x):
    q, k, v = jnp.split(linear(x, 3 * WIDTH, "qkv").reshape(*x.shape[:2], HEADS, -1), 3, -1)
    return linear(jax.nn.dot_product_attention(q, k, v, is_causal=True).reshape(x.shape), WIDTH, "out")


def block(x):
    x = x + attention(norm(x, "norm_1"))
    return x + linear(jax.nn.gelu(linear(norm(x, "norm_2"), 4 * WIDTH, "up")), WIDTH, "down")


def table():
    with js.variable_scope("embedding", reuse=js.AUTO_REUSE):
        return js.get_variable(
            "table", [VOCABULARY, WIDTH], initializer=js.initializers.random_normal(stddev=0.1)
        )


def scanned(x):
    return js.scan_layers(block, LAYERS)(x)


def unrolled(x):
    for i in range(LAYERS):
        with js.variable_scope(f"layer_{i}"):
            x = block(x)
    return x


def language_model(layers):
    @js.transform
    def logits(tokens):
        x = table()[tokens]
        with js.variable_scope("position"):
            x = x + js.get_variable("table", [tokens.shape[1], WIDTH])
        return norm(layers(x), "norm") @ table().T

    return logits


net = language_model(scanned)
apply = jax.jit(net.apply)
TEXT = (jnp.arange(9)[None] + jnp.arange(4)[:, None]) % 7  # each is the one before, and one more
TOKENS, NEXT = TEXT[:, :-1], TEXT[:, 1:]


@pytest.fixture(scope="module")
def variables():
    return net.init(jax.random.key(0), TOKENS)


def test_learns_to_count(variables):
    """A few steps teach it what comes next."""

    def loss(variables):
        logits = net.apply(variables, TOKENS)
        return optax.softmax_cross_entropy_with_integer_labels(logits, NEXT).mean()

    optimizer = optax.adam(2e-2)
    state = optimizer.init(variables)

    @jax.jit
    def step(variables, state):
        value, gradients = jax.value_and_grad(loss)(variables)
        updates, state = optimizer.update(gradients, state)
        return optax.apply_updates(variables, updates), state, value

    losses = []
    for _ in range(60):
        variables, state, value = step(variables, state)
        losses.append(value)
    assert losses[-1] < losses[0] / 10
    assert (apply(variables, TOKENS).argmax(-1) == NEXT).all()


def test_a_scan_is_the_loop(variables):
    """The same names, the same initial bits, the same logits: a checkpoint of one is one of the other."""
    loop = language_model(unrolled)
    specs = loop.spec(TOKENS)
    assert list(specs)[:2] == ["embedding/table", "position/table"]
    assert list(net.spec(TOKENS)) == list(specs)
    again = loop.init(jax.random.key(0), TOKENS)
    jax.tree.map(np.testing.assert_array_equal, variables, again)
    np.testing.assert_allclose(
        apply(variables, TOKENS), jax.jit(loop.apply)(variables, TOKENS), rtol=1e-4, atol=1e-5
    )


def test_stacked_or_not(variables):
    """Given as one array for all layers, it has the same gradients; the table's are of both its uses."""

    @jax.jit
    @jax.grad
    def gradients(variables):
        return jnp.sum(net.apply(variables, TOKENS) ** 2)

    stacked = variables.stack("layer_{}")
    assert stacked["layer_{}/qkv/kernel"].shape == (LAYERS, WIDTH, 3 * WIDTH)
    alone, together = gradients(variables), gradients(stacked)
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
    jax.tree.map(close, alone.stack("layer_{}"), together)
    assert [name for name in variables if name.startswith("embedding")] == ["embedding/table"]
    seen = jnp.unique(TOKENS)
    assert len(seen) < VOCABULARY
    assert (np.abs(alone["embedding/table"]).sum(1) > 0).all()  # the top asks also for what was not looked up
