"""One small model in each library: a layer, batch normalization, dropout, a second layer."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import jaxscope as js

KEY = jax.random.key(7)


class Case(NamedTuple):
    """A model, alone and as a layer.

    Attributes:
        layer: Makes the adapter, with further arguments.
        own: The library's own values for a key and an input.
        alone: `(*values, x, key, train) -> (result, values afterwards)`, as the library computes it.
        law: How the library draws a matrix: `(key, shape) -> value`.
    """

    layer: Any
    own: Any
    alone: Any
    law: Any


def linen(nn: Any) -> Case:
    class Model(nn.Module):
        @nn.compact
        def __call__(self, x, train=False):
            x = nn.Dense(4, name="first")(x)
            x = nn.BatchNorm(use_running_average=not train)(x)
            x = nn.Dropout(0.5, deterministic=not train)(x)
            return nn.Dense(2)(nn.relu(x))

    model = Model()

    def alone(values, x, key, train):
        rngs = {"dropout": key} if train else {}
        y, state = model.apply(values, x, train, mutable=["batch_stats"], rngs=rngs)
        return y, ({**values, **state},)

    return Case(
        lambda name=None, **kwargs: js.interop.linen(model, name, **kwargs),
        lambda key, x: (model.init(key, x),),
        alone,
        nn.initializers.lecun_normal(),
    )


def haiku(hk: Any) -> Case:
    def model(x, train=False):
        x = hk.Linear(4, name="first")(x)
        x = hk.BatchNorm(create_scale=True, create_offset=True, decay_rate=0.9)(x, is_training=train)
        x = hk.dropout(hk.next_rng_key(), 0.5, x) if train else x
        return hk.nets.MLP([3, 2])(jax.nn.relu(x))

    there = hk.transform_with_state(model)

    def alone(params, state, x, key, train):
        y, state = there.apply(params, state, key, x, train)
        return y, (params, state)

    return Case(
        lambda name=None, **kwargs: js.interop.haiku(model, name, init={"train": True}, **kwargs),
        lambda key, x: there.init(key, x, train=True),
        alone,
        lambda key, shape: jax.random.truncated_normal(key, -2, 2, shape) / shape[0] ** 0.5,
    )


def nnx(nnx: Any) -> Case:
    class Model(nnx.Module):
        def __init__(self, rngs):
            self.first = nnx.Linear(3, 4, rngs=rngs)
            self.norm = nnx.BatchNorm(4, rngs=rngs)
            self.layers = nnx.List([nnx.Linear(4, 4, rngs=rngs), nnx.Linear(4, 2, rngs=rngs)])
            self.drop = nnx.Dropout(0.5)

        def __call__(self, x, train=False, key=None):
            x = self.norm(self.first(x), use_running_average=not train)
            x = self.drop(x, deterministic=not train, rngs=nnx.Rngs(dropout=key) if train else None)
            return self.layers[1](jax.nn.relu(self.layers[0](x)))

    def alone(state, x, key, train):
        graph, _ = nnx.split(Model(nnx.Rngs(0)))
        model = nnx.merge(graph, jax.tree.map(jnp.copy, state))
        return model(x, train, key), (nnx.state(model),)

    def layer(name=None, **kwargs):
        def call(model, x, train=False):
            return model(x, train, js.next_key() if train else None)

        return js.interop.nnx(Model, name, method=call, **kwargs)

    own = lambda key, x: (nnx.state(Model(nnx.Rngs(key))),)
    return Case(layer, own, alone, nnx.initializers.lecun_normal())


def equinox(eqx: Any) -> Case:
    class Model(eqx.Module):
        layers: list
        norm: Any
        drop: Any

        def __init__(self, key):
            keys = jax.random.split(key, 2)
            self.layers = [eqx.nn.Linear(3, 4, key=keys[0]), eqx.nn.Linear(4, 2, key=keys[1])]
            self.norm = eqx.nn.BatchNorm(4, "batch", mode="ema")
            self.drop = eqx.nn.Dropout(0.5)

        def __call__(self, x, state, key, train):
            x, state = self.norm(self.layers[0](x), state, inference=not train)
            x = self.drop(x, key=key, inference=not train)
            return self.layers[1](jax.nn.relu(x)), state

    def batched(model, x, train=False, *, state, key=None):
        keys = None if key is None else jax.random.split(key, len(x))

        def one(x, key):
            return model(x, state, key, train)

        axes = (0, None if keys is None else 0)
        return jax.vmap(one, in_axes=axes, out_axes=(0, None), axis_name="batch")(x, keys)

    def alone(model, state, x, key, train):
        y, state = batched(model, x, train, state=jax.tree.map(jnp.copy, state), key=key)
        return y, (model, state)

    make = eqx.nn.make_with_state(Model)
    return Case(
        lambda name=None, **kwargs: js.interop.equinox(make, name, method=batched, **kwargs),
        lambda key, x: make(key),
        alone,
        lambda key, shape: jax.random.uniform(key, shape, minval=-1, maxval=1) / shape[1] ** 0.5,
    )


MODELS = {"linen": (linen, "nn"), "haiku": (haiku, "hk"), "nnx": (nnx, "nnx"), "equinox": (equinox, "eqx")}
