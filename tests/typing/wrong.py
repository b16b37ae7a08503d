"""Mistakes that pyright and mypy must report in the editor, on the marked lines and no others."""

import jax
import jax.numpy as jnp

import jaxscope as js


@js.transform
def net(x: jax.Array, *, training: bool = False) -> jax.Array:
    w = js.get_variable("w", [x.shape[-1], 2])
    return x @ w if training else x


class Model:
    def forward(self, x: jax.Array) -> jax.Array:
        return net(x)

    @js.transform
    def backward(self, x: jax.Array) -> jax.Array:
        return -net(x)


key, x = jax.random.key(0), jnp.ones([2, 4])
variables = net.init(key, x)

net.apply(variables, "text")  # error
net.apply(variables)  # error
net.apply(variables, x, trianing=True)  # error
net.apply(variables, x, training="yes")  # error
net.apply_with_state(variables, x, x)  # error
net.init(key)  # error
net("text")  # error
net.apply(3, x)  # error
number: int = net.apply(variables, x)  # error

method = js.transform(Model().forward)
method.apply(variables, Model(), x)  # error
Model().backward.apply(variables, "text")  # error
Model().backward.init(key)  # error

js.get_variable(3)  # error
js.variable_scope("a", reuse="always")  # error
variables["w"] = x  # error
