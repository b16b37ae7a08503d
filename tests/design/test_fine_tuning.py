"""Fine-tuning: a body that was trained before, a new head, and optimizers that take parts of the tree."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxscope as js


def body(x):
    with js.variable_scope("body"):
        for i in range(2):
            with js.variable_scope(f"layer_{i}"):
                x = jnp.tanh(x @ js.get_variable("kernel", [x.shape[-1], 8]))
    return x


def head(x, name, units):
    with js.variable_scope(name):
        return x @ js.get_variable("kernel", [x.shape[-1], units])


old = js.transform(lambda x: head(body(x), "old_head", 1))
new = js.transform(lambda x: head(body(x), "new_head", 2))
X = jax.random.normal(jax.random.key(0), (64, 3))


def train(net, variables, optimizer, y, steps=40):
    """Return the variables after some steps, and the first and last loss."""
    memory = optimizer.init(variables)

    @jax.jit
    def step(variables, memory):
        loss, gradients = jax.value_and_grad(lambda v: jnp.mean((net.apply(v, X) - y) ** 2))(variables)
        updates, memory = optimizer.update(gradients, memory, variables)
        return optax.apply_updates(variables, updates), memory, loss

    losses = []
    for _ in range(steps):
        variables, memory, loss = step(variables, memory)
        losses.append(loss)
    return variables, losses[0], losses[-1]


def pretrained():
    """Return what is in the file: a trained body, and a head for another purpose."""
    return train(old, old.init(jax.random.key(1), X), optax.adam(1e-2), jnp.sin(X[:, :1]))[0]


def test_a_checkpoint_of_another_model():
    """Names that both have are taken, those of the old head left; the new head is drawn by its name."""
    checkpoint = pretrained()
    specs = new.spec(X)
    fresh = specs.init(jax.random.key(2))
    variables = fresh | checkpoint.select("body/")
    assert list(variables) == list(fresh)
    specs.bind(variables)  # strict: all that is asked for, and no more
    np.testing.assert_array_equal(variables["body/layer_0/kernel"], checkpoint["body/layer_0/kernel"])
    np.testing.assert_array_equal(
        variables["new_head/kernel"], specs.select("new_head/").init(jax.random.key(2))["new_head/kernel"]
    )


def test_the_head_alone():
    """`partition` gives the optimizer a part; the rest is closed over, and stays to the bit."""
    variables = new.init(jax.random.key(2), X) | pretrained().select("body/")
    mine, rest = variables.partition("new_head/")
    y = X[:, :2] ** 2
    memory = (optimizer := optax.adam(3e-2)).init(mine)

    def loss(mine):
        return jnp.mean((new.apply(mine | rest, X) - y) ** 2)

    first = loss(mine)
    for _ in range(20):
        updates, memory = optimizer.update(jax.jit(jax.grad(loss))(mine), memory)
        mine = optax.apply_updates(mine, updates)
    assert list(mine) == ["new_head/kernel"]
    assert loss(mine) < 0.8 * first
    assert list(mine | rest) == list(variables)
    assert (mine | rest)["body/layer_0/kernel"] is variables["body/layer_0/kernel"]


def test_slower_below():
    """Labels by name let one optimizer treat parts unlike: no step, a small one, a large one."""
    variables = new.init(jax.random.key(2), X) | pretrained().select("body/")
    rates = {"frozen": optax.set_to_zero(), "slow": optax.sgd(0.01), "fast": optax.sgd(0.3)}

    def label(name):
        return "fast" if name.startswith("new_head/") else "frozen" if "layer_0" in name else "slow"

    labels = js.Variables({name: label(name) for name in variables})
    after, first, last = train(new, variables, optax.multi_transform(rates, labels), X[:, :2])
    moved = {name: float(jnp.abs(after[name] - variables[name]).max()) for name in variables}
    assert moved["body/layer_0/kernel"] == 0
    assert 0 < moved["body/layer_1/kernel"] < moved["new_head/kernel"]
    assert last < first / 2
