"""TF1's Adam: its formula, with the state of optax's, and the slots of both."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxscope as js

pytestmark = pytest.mark.usefixtures("optax_dtypes")
W = js.Variables({"a/w": jnp.asarray([1.0, -2.0, 3.0]), "b": jnp.asarray(0.5)})
GRADIENTS = [
    js.Variables({"a/w": jnp.asarray([1e-7, 0.3, -2.0]) * (k + 1), "b": jnp.asarray(-0.1)}) for k in range(4)
]


def test_formula():
    """After four steps, small gradients among them, the values are those of TF1's formula in float64."""
    optimizer = js.optim.tf1_adam(lambda count: 0.1 / (1 + count), beta1=0.8, beta2=0.99, epsilon=1e-3)
    values, state = W, optimizer.init(W)
    w, m, v = (np.asarray(W["a/w"], np.float64), np.zeros(3), np.zeros(3))
    for step, gradient in enumerate(GRADIENTS, 1):
        updates, state = optimizer.update(gradient, state, values)
        values = optax.apply_updates(values, updates)
        g = np.asarray(gradient["a/w"], np.float64)
        m, v = 0.8 * m + 0.2 * g, 0.99 * v + 0.01 * g * g
        w = w - 0.1 / step * np.sqrt(1 - 0.99**step) / (1 - 0.8**step) * m / (np.sqrt(v) + 1e-3)
    np.testing.assert_allclose(values["a/w"], w, rtol=1e-5)


def test_state_and_slots_are_those_of_optax():
    """A state of one serves the other, and TF1's slots lead to both."""
    ours, theirs = js.optim.tf1_adam(0.1), optax.adam(0.1)
    state = ours.update(GRADIENTS[0], ours.init(W), W)[1]
    other = theirs.update(GRADIENTS[0], theirs.init(W), W)[1]
    slots, known = js.optim.tf1_slots(state, W), js.optim.tf1_slots(other, W)
    assert list(slots) == list(known)
    for name, value in slots.items():
        np.testing.assert_allclose(value, known[name], rtol=1e-6)
    back = js.optim.from_tf1_slots(ours.init(W), W, {**W, **slots})
    assert back[0].count == 1
    np.testing.assert_array_equal(back[0].mu["a/w"], state[0].mu["a/w"])


def test_it_is_another_one_than_optax_has():
    """Where gradients are small, by the root of `1 - beta2`: the reason why it is here."""
    small = js.Variables({"a/w": jnp.full(3, 1e-7), "b": jnp.asarray(1e-7)})
    steps = [tx.update(small, tx.init(W), W)[0]["b"] for tx in (js.optim.tf1_adam(1.0), optax.adam(1.0))]
    assert abs(steps[0] / steps[1]) < 0.3
