"""Kinds of call: which functions surely run none of the user's in a trace of JAX's."""

import functools
import reprlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax
from jax.lax import scan

import jaxscope as js
from jaxscope._core.base.calls import Arguments
from jaxscope._core.transform.call_kind import Kind


def dense(x: Any) -> Any:
    with js.variable_scope("dense", initializer=js.initializers.zeros):
        return jax.nn.relu(jnp.einsum("a,ab->b", x, js.get_variable("w", [2, 2]))) + np.float32(1)


jitted = jax.jit(dense)
mapped = jax.vmap(dense)
normal = jax.nn.initializers.normal(0.1)
inner = js.transform(dense)
block = js.jit(dense)
rnn = js.layers.rnn


def by_helper(x: Any) -> Any:
    return dense(x)


def by_jitted_helper(x: Any) -> Any:
    return jitted(x)


class Model:
    def __init__(self, layer: Any) -> None:
        self.layer = layer

    def __call__(self, x: Any) -> Any:
        return self.layer(x)


@dataclass(frozen=True)
class Sizes:
    """Python wraps the `__repr__` that it writes."""

    width: int = 2


sizes = Sizes()


CALM: list[Callable[..., Any]] = [
    dense,
    by_helper,
    inner,
    Model(dense),
    functools.partial(by_helper),
    lambda x: jax.vmap(dense)(x[None])[0],
    lambda x: jax.grad(lambda x: dense(x).sum())(x),
    lambda x: lax.conv_general_dilated(x, x, (1,), "SAME") + lax.stop_gradient(x),
    lambda x: js.get_variable("w", [2], initializer=normal) * x,
    lambda x: functools.reduce(lambda x, _: dense(x), range(3), x),
    lambda x: inner(x) + jax.random.normal(js.next_key(), (2,)),
    lambda x: jax.tree.map(jnp.tanh, {"a": x}),
    lambda x: dense(x) * sizes.width,
    lambda x: js.layers.dense(x, 3, activation=jax.nn.relu),
    reprlib.recursive_repr()(dense),
]
TRACING: list[Callable[..., Any]] = [
    jitted,
    mapped,
    block,
    by_jitted_helper,
    Model(jitted),
    functools.partial(jitted),
    reprlib.recursive_repr()(jitted),
    lambda x: jax.jit(dense)(x),
    lambda x: lax.scan(lambda c, _: (dense(c), None), x, None, length=2)[0],
    lambda x: scan(lambda c, _: (dense(c), None), x, None, length=2)[0],
    lambda x: jax.checkpoint(dense)(x),
    lambda x: jax.lax.cond(True, dense, dense, x),
    lambda x: getattr(jax, "jit")(dense)(x),  # noqa: B009
    lambda x: js.scan_layers(dense, 2)(x),
    lambda x: block(x),
    lambda x: optax.l2_loss(dense(x)),
    lambda x: jnp.vectorize(dense)(x),
    lambda x: js.layers.bidirectional_rnn(js.layers.basic_rnn, js.layers.basic_rnn, x, 3),
    lambda x: rnn(js.layers.basic_rnn, x),
    lambda x: js.tf1.while_loop(lambda x: x < 3, dense, [x]),
]


@pytest.mark.parametrize("function", CALM)
def test_calm(function: Any):
    """Plain functions, whatever of JAX, NumPy and Python they use."""
    assert Kind(function, Arguments((), (jnp.ones(2),), {})).calm


@pytest.mark.parametrize("function", TRACING)
def test_not_calm(function: Any):
    """Those in which JAX, a block, or a library that is not known may trace a function."""
    assert not Kind(function, Arguments((), (jnp.ones(2),), {})).calm


def test_an_argument_may_trace():
    """A jitted function among the arguments, or in an object there."""
    net = lambda x, f: f(x)
    for f, calm in ((dense, True), (jitted, False), (Model(jitted), False), (Model(dense), True)):
        assert Kind(net, Arguments((), (jnp.ones(2), f), {})).calm == calm


def test_a_kind_is_the_shape_and_all_that_is_no_array():
    """The values of arrays do not count."""
    net = lambda *args, **kwargs: None

    def exact(*args: Any, **kwargs: Any) -> Any:
        return Kind(net, Arguments((), args, kwargs)).exact

    assert exact(jnp.ones(2), a=1) == exact(jnp.zeros(2), a=1) == exact(np.ones(2, np.float32), a=1)
    others = [
        exact(jnp.ones(3), a=1),
        exact(jnp.ones(2), a=1.0),
        exact(jnp.ones(2, int), a=1),
        exact(1.0, a=1),
    ]
    assert exact(jnp.ones(2), a=1) not in others
    assert exact(jax.ShapeDtypeStruct((2,), "float32")) == exact(jnp.ones(2))


def test_names_of_tf1():
    """They are a library's, in namespaces too, and say that they run the user's functions in loops."""
    tf = js.tf1
    nn = tf.nn

    def by_face(x: Any) -> Any:
        return nn.relu(tf.convert_to_tensor(x))

    found = Kind(by_face, Arguments((), (jnp.ones(2),), {}))
    assert found.known
    assert not found.calm
