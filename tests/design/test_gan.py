"""A GAN: two scopes in one function, whose losses and updates take their variables by name."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxscope as js


def dense(x, units, name):
    with js.variable_scope(name):
        kernel = js.get_variable("kernel", [x.shape[-1], units])
        bias = js.get_variable("bias", [units], initializer=js.initializers.zeros)
    return x @ kernel + bias


def generator(z):
    with js.variable_scope("generator"):
        return dense(jax.nn.relu(dense(z, 16, "hidden")), 2, "out")


def critic(x):
    with js.variable_scope("critic", reuse=js.AUTO_REUSE):  # sees what is true and what is made
        return dense(jax.nn.relu(dense(x, 16, "hidden")), 1, "out")[:, 0]


@js.transform
def losses(z, real):
    """Return the losses of both, each with a penalty on its own weights."""
    made = critic(generator(z))
    true = critic(real)
    decay = {
        name: 1e-3 * sum(jnp.sum(w**2) for w in js.trainable_variables(f"{name}/").values())
        for name in ("generator", "critic")
    }
    return (
        jax.nn.softplus(-made).mean() + decay["generator"],
        (jax.nn.softplus(made) + jax.nn.softplus(-true)).mean() + decay["critic"],
    )


sample = js.transform(generator)


def test_one_step_of_each():
    """Each player's step changes the variables of its scope, and lowers its own loss."""
    z, real = jax.random.normal(jax.random.key(0), (2, 64, 2))
    variables = losses.init(jax.random.key(1), z, real)
    assert {name.partition("/")[0] for name in variables} == {"critic", "generator"}
    for who, name in enumerate(("generator/", "critic/")):
        mine, others = variables.partition(name)
        loss = lambda mine: losses.apply(mine | others, z, real)[who]
        play = jax.jit(jax.value_and_grad(loss))
        before, gradients = play(mine)
        assert list(gradients) == [one for one in variables if one.startswith(name)]
        assert play(jax.tree.map(lambda w, g: w - 0.05 * g, mine, gradients))[0] < before


def test_a_penalty_is_of_one_scope():
    """The weight decay of one player has no gradient for the other's weights."""
    z, real = jnp.zeros((1, 2)), jnp.zeros((1, 2))  # so that the critic's kernels have no other gradient
    variables = losses.init(jax.random.key(1), z, real)
    gradients = jax.jit(jax.grad(lambda v: losses.apply(v, z, real)[0]))(variables)
    np.testing.assert_array_equal(gradients["critic/hidden/kernel"], 0)
    np.testing.assert_allclose(
        gradients["generator/hidden/kernel"], 2e-3 * variables["generator/hidden/kernel"], rtol=1e-5
    )


def test_they_learn_from_each_other():
    """Trained in turns, what is made comes to lie where the true points are; the generator runs alone."""
    center = jnp.array([3.0, -2.0])
    key = jax.random.key(0)
    z = jax.random.normal(key, (128, 2))
    variables = losses.init(key, z, z)
    optimizers = {"critic/": optax.adam(2e-2, b1=0.5), "generator/": optax.adam(1e-2, b1=0.5)}
    memory = {name: optimizers[name].init(variables.select(name)) for name in optimizers}

    @jax.jit
    def step(variables, memory, key):
        z, noise = jax.random.normal(key, (2, 128, 2))
        memory = dict(memory)
        for who, name in ((1, "critic/"), (0, "generator/")):
            mine, others = variables.partition(name)
            gradients = jax.grad(lambda mine: losses.apply(mine | others, z, center + 0.5 * noise)[who])(mine)
            updates, memory[name] = optimizers[name].update(gradients, memory[name])
            variables = optax.apply_updates(mine, updates) | others
        return variables, memory

    def away(variables):
        return jnp.linalg.norm(sample.apply(variables, z).mean(0) - center)

    before = away(variables)
    for step_key in jax.random.split(key, 150):
        variables, memory = step(variables, memory, step_key)
    assert away(variables) < before / 3
    assert list(sample.spec(z)) == [name for name in losses.spec(z, z) if name.startswith("generator/")]
