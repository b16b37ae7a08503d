"""Moving averages of all weights, chosen by a collection, and kept as variables of the model."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxscope as js

AVERAGES = js.GraphKeys.MOVING_AVERAGE_VARIABLES
ENDING = "/ExponentialMovingAverage"


def averaged(getter, name, **kwargs):
    """Put the weights that are asked for below this getter in the collection, as they are made."""
    value = getter(name, **kwargs)
    if kwargs["trainable"]:
        js.add_to_collection(AVERAGES, value)
    return value


def model(x):
    with js.variable_scope("model", custom_getter=averaged):
        h = jnp.tanh(x @ js.get_variable("hidden", [x.shape[-1], 8]))
        js.get_variable("seen", [], "int32", trainable=False)
    with js.variable_scope("out"):
        return h @ js.get_variable("kernel", [8, 1])  # not averaged


def maintain(decay=0.9):
    """Make or update a shadow of each variable of the collection, by its full name."""
    listed = {id(value) for value in js.get_collection(AVERAGES)}
    for name, value in js.global_variables().items():
        if id(value) in listed:
            with js.variable_scope("", reuse=js.AUTO_REUSE):
                shadow = js.get_variable(
                    name + ENDING, value.shape, value.dtype, js.initializers.zeros, trainable=False
                )
            js.set_variable(full_name=name + ENDING, value=decay * shadow + (1 - decay) * value)


@js.transform
def training(x, y):
    loss = jnp.mean((model(x) - y) ** 2)
    maintain()
    return loss


net = js.transform(model)


def with_averages(variables):
    """Return the variables to evaluate with: each that has an average replaced by it."""
    shadows = {name.removesuffix(ENDING): value for name, value in variables.items() if name.endswith(ENDING)}
    return variables | shadows


def test_averages_follow_the_weights():
    """Each step moves the shadows; they lag behind, and the collection says whose there are."""
    x = jax.random.normal(jax.random.key(0), (32, 3))
    y = jnp.sum(x, -1, keepdims=True)
    specs = training.spec(x, y)
    assert list(specs) == ["model/hidden", "model/seen", "out/kernel", "model/hidden" + ENDING]
    assert [name for name in specs if AVERAGES in specs[name].collections] == ["model/hidden"]
    variables = specs.init(jax.random.key(1))
    optimizer = optax.sgd(0.1)
    memory = optimizer.init(variables.trainable)

    @jax.jit
    def step(variables, memory):
        params, state = variables.trainable, variables.non_trainable
        (loss, state), gradients = jax.value_and_grad(
            lambda params: training.apply_with_state(params | state, x, y), has_aux=True
        )(params)
        updates, memory = optimizer.update(gradients, memory)
        return optax.apply_updates(params, updates) | state, memory, loss

    losses, expected = [], np.zeros_like(variables["model/hidden"])
    for _ in range(40):
        expected = 0.9 * expected + 0.1 * np.asarray(variables["model/hidden"])
        variables, memory, loss = step(variables, memory)
        losses.append(loss)
    assert losses[-1] < losses[0] / 3
    np.testing.assert_allclose(variables["model/hidden" + ENDING], expected, rtol=1e-4, atol=1e-6)
    smooth = with_averages(variables)
    np.testing.assert_array_equal(smooth["model/hidden"], variables["model/hidden" + ENDING])
    np.testing.assert_array_equal(smooth["out/kernel"], variables["out/kernel"])
    assert not np.array_equal(net.apply(smooth, x), net.apply(variables, x))
