"""What users write, which pyright and mypy must accept in their strict modes, with these types."""

from functools import partial
from typing import assert_type

import jax
import jax.numpy as jnp

import jaxscope as js


def dense(x: jax.Array, units: int, *, name: str = "dense") -> jax.Array:
    with js.variable_scope(name, reuse=js.AUTO_REUSE) as scope:
        assert_type(scope, js.VariableScope)
        kernel = js.get_variable("kernel", [x.shape[-1], units])
        bias = js.get_variable("bias", (units,), initializer=js.initializers.zeros, trainable=False)
        assert_type(kernel, jax.Array)
    return x @ kernel + bias


@js.transform
def net(x: jax.Array, *, training: bool = False) -> tuple[jax.Array, str]:
    return dense(x, 3), "training" if training else "reading"


key, x = jax.random.key(0), jnp.ones([2, 4])

# The four ways to run it.
specs = net.spec(x)
assert_type(specs, js.VariableSpecs)
assert_type(specs["dense/kernel"], js.VariableSpec)
variables = net.init(key, x, training=True)
assert_type(variables, js.Variables)
kernel: jax.Array = variables["dense/kernel"]
assert_type(net.apply(variables, x, training=False), tuple[jax.Array, str])
assert_type(net.apply_with_state(variables, x), tuple[tuple[jax.Array, str], js.Variables])

# Any mapping of full names serves.
assert_type(net.apply({"dense/kernel": x.T, "dense/bias": x[0]}, x), tuple[jax.Array, str])
assert_type(specs.init(key), js.Variables)
assert_type(variables | net.init(key, x), js.Variables)
assert_type(variables.trainable, js.Variables)


# A transformed function is an ordinary one inside another, and in a class.
@js.transform
def twice(x: jax.Array) -> jax.Array:
    assert_type(net(x, training=True), tuple[jax.Array, str])
    return net(x)[0]


# Blocks have the types of what they run.
@js.remat
def layer(x: jax.Array, *, units: int = 3) -> jax.Array:
    return dense(x, units)


@js.transform
def deep(x: jax.Array) -> jax.Array:
    assert_type(layer(x, units=4), jax.Array)
    assert_type(js.jit(layer)(x), jax.Array)
    assert_type(js.ensemble(layer, 2)(x), jax.Array)
    y, sums = js.scan_layers(lambda x, rate: (x * rate, x.sum()), 3, xs=jnp.ones(3), outputs=True)(x)
    return js.scan_layers(layer, 3, remat=True)(y + sums[0])


class Model:
    def __init__(self, units: int) -> None:
        self.units = units

    def forward(self, x: jax.Array) -> jax.Array:
        return dense(x, self.units)

    @js.transform
    def backward(self, x: jax.Array) -> jax.Array:
        return -self.forward(x)


model = Model(3)
assert_type(model.backward.init(key, x), js.Variables)
assert_type(model.backward.apply(variables, x), jax.Array)

method = js.transform(model.forward)
assert_type(method.apply(method.init(key, x), x), jax.Array)

two = js.transform(partial(dense, units=2))
assert_type(two.apply(two.init(key, x), x, name="other"), jax.Array)


# JAX's own transforms take it as they take any function.
def loss(variables: js.Variables, x: jax.Array) -> jax.Array:
    return twice.apply(variables, x).sum()


value, gradient = jax.value_and_grad(loss)(variables, x)
halves: js.Variables = jax.tree.map(lambda leaf: leaf / 2, variables)
