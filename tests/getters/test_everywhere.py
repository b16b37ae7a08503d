"""Getters around every kind of block and transform mean what they mean around a loop."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxscope as js
from tests.getters.small import KEY, L2, around, noise
from tests.layers.at_once import at_once

G = js.getters
X = jnp.linspace(-1, 1, 8).reshape(2, 4)
DEPTH = 2


def layer(x):
    w = js.get_variable("w", [4, 4], dtype=x.dtype, regularizer=L2)
    return jnp.tanh(x @ w + js.get_variable("b", [4], dtype=x.dtype))


def loop_of(block, x):
    for at in range(DEPTH):
        with js.variable_scope(f"layer_{at}"):
            x = block(x)
    return x


def members_of(block, x):
    rows = []
    for at in range(DEPTH):
        with js.variable_scope(f"layer_{at}"):
            rows.append(block(x))
    return jnp.stack(rows)


LOOP, MEMBERS = functools.partial(loop_of, layer), functools.partial(members_of, layer)


def sliced(x):
    """Return what rows give one by one, as a scan computes them."""
    return jax.lax.map(layer, x)


REFERENCES = {"loop": LOOP, "members": MEMBERS}
#: By name: the model, and the one that it stands for.
MODELS = {
    "scan_layers": (js.scan_layers(layer, DEPTH), "loop"),
    "scan_layers, remat": (js.scan_layers(layer, DEPTH, remat=True), "loop"),
    "js.jit": (functools.partial(loop_of, js.jit(layer)), "loop"),
    "js.remat": (functools.partial(loop_of, js.remat(layer)), "loop"),
    "js.remat in scan_layers": (js.scan_layers(js.remat(layer), DEPTH), "loop"),
    "ensemble": (js.ensemble(layer, DEPTH, "layer_{}"), "members"),
    "jax.jit": (functools.partial(loop_of, jax.jit(layer)), "loop"),
    "jax.checkpoint": (functools.partial(loop_of, jax.checkpoint(layer)), "loop"),
    "jax.vmap": (functools.partial(loop_of, jax.vmap(layer)), "loop"),
    "lax.map": (functools.partial(loop_of, sliced), "loop"),
    "lax.cond": (functools.partial(loop_of, lambda x: jax.lax.cond(x[0, 0] < 9, layer, jnp.sin, x)), "loop"),
}
#: JAX loses or repeats what is written inside of these; js.remat is there for it.
NO_STATE = ("jax.checkpoint", "jax.vmap")
#: In these a getter's step is taken inside of the body.
INSIDE = ("lax.map",)

GETTERS = {
    "lora": G.lora(2),
    "weight_norm": G.weight_norm(),
    "spectral_norm": G.spectral_norm(training=True),
    "ema": G.ema(0.9, training=True),
    "int8": G.chain(G.lora(1), G.int8()),
    "scale": G.scale(0.5),
    "freeze": G.freeze(".*w"),
    "cast": G.chain(G.cast("float16"), G.weight_norm()),
}


def net_of(getter, model):
    def run(x):
        y = model(x.astype(jnp.float16) if "cast" in str(getter) else x)
        return y, sum(js.get_collection(js.GraphKeys.REGULARIZATION_LOSSES))

    return around(getter, run)


def everything(net):
    """Return the work that shows result, losses, state and gradients of a net."""

    def work(variables, x):
        def total(trained):
            (y, loss), state = net.apply_with_state(trained | variables.non_trainable, x)
            return jnp.sum(jnp.sin(y.astype(jnp.float32))) + loss, (y, loss, state)

        grads, seen = jax.grad(total, has_aux=True)(variables.trainable)
        return *seen, grads

    return work


@pytest.mark.parametrize("name", GETTERS)
def test_as_the_loop(name):
    """Names, specs, results, losses, state and gradients, in one program of all kinds of blocks."""
    getter = GETTERS[name]
    stateful = name in ("spectral_norm", "ema")
    models = {kind: pair for kind, pair in MODELS.items() if not (stateful and kind in (*NO_STATE, *INSIDE))}
    references = {kind: net_of(getter, model) for kind, model in REFERENCES.items()}
    specs = {kind: net.spec(X) for kind, net in references.items()}
    nets = {kind: net_of(getter, model) for kind, (model, _) in models.items()}
    for kind, (_, reference) in models.items():
        assert list(nets[kind].spec(X).items()) == list(specs[reference].items()), kind
    variables = noise(specs["loop"].init(KEY))
    found = at_once({kind: (everything(net), (variables, X)) for kind, net in {**references, **nets}.items()})
    loose = 2e-2 if name == "cast" else 1e-4
    for kind, (_, reference) in models.items():
        if isinstance(found[kind], Exception):
            raise found[kind]
        pairs = zip(jax.tree.leaves(found[kind]), jax.tree.leaves(found[reference]), strict=True)
        for pair in pairs:
            one, other = (np.asarray(value, np.float32) for value in pair)
            np.testing.assert_allclose(one, other, atol=loose, err_msg=kind)


@pytest.mark.parametrize("kind", NO_STATE)
def test_where_jax_loses_what_is_written(kind):
    """It is an error there, not a lost step."""
    net = net_of(G.ema(0.9, training=True), MODELS[kind][0])
    with pytest.raises(js.errors.StateError):
        net.apply_with_state(net.init(KEY, X), X)


def test_a_getter_inside_of_a_block():
    """It makes the variables of each layer, as one around it does."""

    def block(x):
        with js.variable_scope("", custom_getter=G.lora(2)):
            return layer(x)

    inside = js.transform(js.scan_layers(block, DEPTH))
    outside = around(G.lora(2), js.scan_layers(layer, DEPTH), "")
    assert list(inside.spec(X).items()) == list(outside.spec(X).items())
    v = noise(inside.init(KEY, X))
    np.testing.assert_allclose(inside.apply(v, X), outside.apply(v, X), atol=1e-6)


def test_many_adapters_at_once():
    """Adapters of one frozen base are mapped: each gives what it gives alone."""
    net = around(G.lora(2), LOOP)
    v = net.init(KEY, X)
    sets = [noise(v, seed).trainable for seed in range(3)]
    stacked = jax.tree.map(lambda *values: jnp.stack(values), *sets)
    together = jax.vmap(lambda trained: net.apply(trained | v.non_trainable, X))(stacked)
    for one, row in zip(sets, together, strict=True):
        np.testing.assert_allclose(net.apply(one | v.non_trainable, X), row, atol=1e-6)


def test_a_loop_in_a_step():
    """In the body of a scan a step is taken in each round, since there the weight is asked for in each."""

    def rounds(x):
        return jax.lax.scan(lambda x, _: (layer(x), None), x, None, length=3)[0]

    net = around(G.ema(0.5, training=True), rounds)
    v = net.init(KEY, X)
    name = "m/w/ExponentialMovingAverage"
    v = v.replace({name: jnp.zeros([4, 4])})
    _, state = net.apply_with_state(v, X)
    np.testing.assert_allclose(state[name], v["m/w"] * (1 - 0.5**3), rtol=1e-6)


def test_eager_calls_are_staged_once(caplog):
    """An eager call with inner traces is one program, compiled once: getters keep nothing that changes."""
    net = around(G.chain(G.ema(0.9), G.lora(2, where=r".*w")), lambda x: jax.jit(layer)(x))
    v = net.init(KEY, X)
    y = net.apply(v, X)
    with jax.log_compiles():
        again = net.apply(v, X)
        assert not caplog.records
        np.testing.assert_array_equal(again, y)
        net.apply(v, X[:1])
        assert caplog.records
