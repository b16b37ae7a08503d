"""A siamese net: one tower, a plain function, sees both sides; each of its weights is one leaf."""

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


@js.transform
def distance(a, b):
    def tower(x):
        with js.variable_scope("tower", reuse=js.AUTO_REUSE):
            return dense(jax.nn.relu(dense(x, 16, "hidden")), 4, "embed")

    return jnp.sum((tower(a) - tower(b)) ** 2, -1)


def pairs(key, count=512):
    """Return pairs of points, and whether both are of one kind: on one side of a plane."""
    a, b = jax.random.normal(key, (2, count, 8))
    return a, b, (a[:, 0] > 0) == (b[:, 0] > 0)


def loss(variables, a, b, same):
    d = distance.apply(variables, a, b)
    return jnp.where(same, d, jax.nn.relu(1 - d)).mean()


def test_learns_what_is_alike():
    """Trained on pairs, it puts one kind together; for both sides there is one set of weights."""
    a, b, same = pairs(jax.random.key(0))
    variables = distance.init(jax.random.key(1), a, b)
    assert list(variables) == [
        "tower/embed/bias",
        "tower/embed/kernel",
        "tower/hidden/bias",
        "tower/hidden/kernel",
    ]
    optimizer = optax.adam(1e-2)
    state = optimizer.init(variables)

    @jax.jit
    def step(variables, state):
        gradients = jax.grad(loss)(variables, a, b, same)
        updates, state = optimizer.update(gradients, state)
        return optax.apply_updates(variables, updates), state

    first = loss(variables, a, b, same)
    for _ in range(60):
        variables, state = step(variables, state)
    assert loss(variables, a, b, same) < first / 3
    *unseen, same = pairs(jax.random.key(2))
    d = distance.apply(variables, *unseen)
    assert d[same].mean() < d[~same].mean() / 2
    np.testing.assert_array_equal(distance.apply(variables, a, a), 0)


def test_its_gradient_is_the_sum_of_both_sides():
    """A shared weight is one leaf, to which both towers add."""
    a, b, _ = pairs(jax.random.key(0), 2)
    variables = distance.init(jax.random.key(1), a, b)

    def apart(left, right):
        def tower(v, x):
            h = jax.nn.relu(x @ v["tower/hidden/kernel"] + v["tower/hidden/bias"])
            return h @ v["tower/embed/kernel"] + v["tower/embed/bias"]

        return jnp.sum((tower(left, a) - tower(right, b)) ** 2)

    sides = jax.jit(jax.grad(apart, argnums=(0, 1)))(variables, variables)
    both = jax.jit(jax.grad(lambda v: distance.apply(v, a, b).sum()))(variables)
    jax.tree.map(lambda g, x, y: np.testing.assert_allclose(g, x + y, rtol=1e-4, atol=1e-5), both, *sides)
