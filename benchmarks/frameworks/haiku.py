"""Haiku: modules that ask for each array with `hk.get_parameter` and `hk.get_state`."""

from collections.abc import Callable
from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp

from benchmarks.models import initial, mlp, resnet, transformer
from benchmarks.net import Net, by_eval_shape

PACKAGES = ("haiku",)


def net_of(fun: Callable[[jax.Array], jax.Array]) -> Net:
    transformed = hk.without_apply_rng(hk.transform(fun))
    return Net(transformed.init, transformed.apply, by_eval_shape(transformed.init))


class Layer(hk.Module):
    def __call__(self, x: jax.Array) -> jax.Array:
        width = x.shape[-1]
        kernel = hk.get_parameter("kernel", (width, width), init=from_jax(initial.glorot))
        bias = hk.get_parameter("bias", (width,), init=jnp.zeros)
        return mlp.layer(x, kernel, bias)


class Dense(hk.Module):
    def __init__(self, units: int, name: str) -> None:
        super().__init__(name=name)
        self.units = units

    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (x.shape[-1], self.units)
        kernel = hk.get_parameter("kernel", shape, init=from_jax(initial.normal))
        bias = hk.get_parameter("bias", (self.units,), init=jnp.zeros)
        return transformer.dense(x, kernel, bias)


class Norm(hk.Module):
    def __call__(self, x: jax.Array) -> jax.Array:
        scale = hk.get_parameter("scale", (x.shape[-1],), init=jnp.ones)
        bias = hk.get_parameter("bias", (x.shape[-1],), init=jnp.zeros)
        return transformer.norm(x, scale, bias)


class Block(hk.Module):
    def __init__(self, heads: int, name: str = "block") -> None:
        super().__init__(name=name)
        self.heads = heads

    def __call__(self, x: jax.Array) -> jax.Array:
        width = x.shape[-1]
        h = Dense(3 * width, "qkv")(Norm("norm_1")(x))
        x = x + Dense(width, "proj")(transformer.attend(h, self.heads))
        h = jax.nn.gelu(Dense(4 * width, "up")(Norm("norm_2")(x)))
        return x + Dense(width, "down")(h)


class Conv(hk.Module):
    def __init__(self, size: int, channels: int, stride: int, name: str) -> None:
        super().__init__(name=name)
        self.size, self.channels, self.stride = size, channels, stride

    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (self.size, self.size, x.shape[-1], self.channels)
        x = resnet.convolve(x, hk.get_parameter("kernel", shape, init=from_jax(initial.he)), self.stride)
        scale = hk.get_parameter("scale", (self.channels,), init=jnp.ones)
        bias = hk.get_parameter("bias", (self.channels,), init=jnp.zeros)
        mean = hk.get_state("mean", (self.channels,), init=jnp.zeros)
        variance = hk.get_state("variance", (self.channels,), init=jnp.ones)
        x, mean, variance = resnet.batch_norm(x, scale, bias, mean, variance)
        hk.set_state("mean", mean)
        hk.set_state("variance", variance)
        return x


class Bottleneck(hk.Module):
    def __init__(self, shape: resnet.Bottleneck) -> None:
        super().__init__(name=shape.name)
        self.shape = shape

    def __call__(self, x: jax.Array) -> jax.Array:
        b = self.shape
        y = jax.nn.relu(Conv(1, b.inner, 1, "first")(x))
        y = jax.nn.relu(Conv(3, b.inner, b.stride, "second")(y))
        y = Conv(1, 4 * b.inner, 1, "third")(y)
        if b.project:
            x = Conv(1, 4 * b.inner, b.stride, "project")(x)
        return jax.nn.relu(x + y)


def from_jax(init: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """Return an initializer that takes its key from Haiku."""
    return lambda shape, dtype: init(hk.next_rng_key(), shape, dtype)


def mlp_function(model: mlp.Mlp) -> Callable[[jax.Array], jax.Array]:
    def fun(x: jax.Array) -> jax.Array:
        for i in range(model.depth):
            x = Layer(f"layer_{i}")(x)
        return x

    return fun


def mlp_net(model: mlp.Mlp) -> Net:
    return net_of(mlp_function(model))


def decoder_net(model: transformer.Decoder) -> Net:
    def fun(tokens: jax.Array) -> jax.Array:
        init = from_jax(initial.normal)
        table = hk.get_parameter("tokens", (model.vocabulary, model.width), init=init)
        positions = hk.get_parameter("positions", (model.context, model.width), init=init)
        x = transformer.embed(tokens, table, positions)
        for i in range(model.depth):
            x = Block(model.heads, f"block_{i}")(x)
        return Norm("norm")(x) @ table.T

    return net_of(fun)


def stack_net(model: transformer.Stack) -> Net:
    def fun(x: jax.Array) -> jax.Array:
        if model.scanned:
            return hk.experimental.layer_stack(model.depth)(lambda x: Block(model.heads)(x))(x)
        for i in range(model.depth):
            x = Block(model.heads, f"block_{i}")(x)
        return x

    return net_of(fun)


def resnet_net(model: resnet.ResNet) -> Net:
    def fun(x: jax.Array) -> jax.Array:
        x = resnet.pool(jax.nn.relu(Conv(7, model.width, 2, "stem")(x)))
        for b in model.blocks():
            x = Bottleneck(b)(x)
        return Dense(model.classes, "head")(jnp.mean(x, axis=(1, 2)))

    transformed = hk.without_apply_rng(hk.transform_with_state(fun))

    def apply(variables: Any, x: jax.Array) -> Any:
        return transformed.apply(*variables, x)

    return Net(transformed.init, apply, by_eval_shape(transformed.init))


BUILDERS: dict[type, Callable[[Any], Net]] = {
    mlp.Mlp: mlp_net,
    transformer.Decoder: decoder_net,
    transformer.Stack: stack_net,
    resnet.ResNet: resnet_net,
}
