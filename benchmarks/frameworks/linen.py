"""Flax linen: compact modules that ask for each array with `self.param` and `self.variable`."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from benchmarks.models import initial, mlp, resnet, transformer
from benchmarks.net import Net, by_eval_shape

PACKAGES = ("flax.linen",)


def net_of(module: nn.Module) -> Net:
    def init(key: jax.Array, x: jax.Array) -> Any:
        return module.init(key, x)["params"]

    def apply(params: Any, x: jax.Array) -> Any:
        return module.apply({"params": params}, x)

    return Net(init, apply, by_eval_shape(init))


class Layer(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        width = x.shape[-1]
        kernel = self.param("kernel", initial.glorot, (width, width))
        bias = self.param("bias", initial.zeros, (width,))
        return mlp.layer(x, kernel, bias)


class Mlp(nn.Module):
    depth: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for i in range(self.depth):
            x = Layer(name=f"layer_{i}")(x)
        return x


class Dense(nn.Module):
    units: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        kernel = self.param("kernel", initial.normal, (x.shape[-1], self.units))
        bias = self.param("bias", initial.zeros, (self.units,))
        return transformer.dense(x, kernel, bias)


class Norm(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        scale = self.param("scale", initial.ones, (x.shape[-1],))
        bias = self.param("bias", initial.zeros, (x.shape[-1],))
        return transformer.norm(x, scale, bias)


class Block(nn.Module):
    heads: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        width = x.shape[-1]
        h = Dense(3 * width, name="qkv")(Norm(name="norm_1")(x))
        x = x + Dense(width, name="proj")(transformer.attend(h, self.heads))
        h = jax.nn.gelu(Dense(4 * width, name="up")(Norm(name="norm_2")(x)))
        return x + Dense(width, name="down")(h)


class Step(nn.Module):
    """A block with the signature of a scan's body."""

    heads: int

    @nn.compact
    def __call__(self, x: jax.Array, _: None) -> tuple[jax.Array, None]:
        return Block(self.heads, name="block")(x), None


class Decoder(nn.Module):
    model: transformer.Decoder

    @nn.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        model = self.model
        table = self.param("tokens", initial.normal, (model.vocabulary, model.width))
        positions = self.param("positions", initial.normal, (model.context, model.width))
        x = transformer.embed(tokens, table, positions)
        for i in range(model.depth):
            x = Block(model.heads, name=f"block_{i}")(x)
        return Norm(name="norm")(x) @ table.T


class Stack(nn.Module):
    model: transformer.Stack

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        model = self.model
        if model.scanned:
            axes, split = {"params": 0}, {"params": True}
            scan = nn.scan(Step, variable_axes=axes, split_rngs=split, length=model.depth)
            return scan(model.heads, name="blocks")(x, None)[0]
        for i in range(model.depth):
            x = Block(model.heads, name=f"block_{i}")(x)
        return x


class Conv(nn.Module):
    size: int
    channels: int
    stride: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (self.size, self.size, x.shape[-1], self.channels)
        x = resnet.convolve(x, self.param("kernel", initial.he, shape), self.stride)
        scale = self.param("scale", initial.ones, (self.channels,))
        bias = self.param("bias", initial.zeros, (self.channels,))
        mean = self.variable("batch_stats", "mean", jnp.zeros, (self.channels,))
        variance = self.variable("batch_stats", "variance", jnp.ones, (self.channels,))
        x, mean.value, variance.value = resnet.batch_norm(x, scale, bias, mean.value, variance.value)
        return x


class Bottleneck(nn.Module):
    shape: resnet.Bottleneck

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        b = self.shape
        y = jax.nn.relu(Conv(1, b.inner, 1, name="first")(x))
        y = jax.nn.relu(Conv(3, b.inner, b.stride, name="second")(y))
        y = Conv(1, 4 * b.inner, 1, name="third")(y)
        if b.project:
            x = Conv(1, 4 * b.inner, b.stride, name="project")(x)
        return jax.nn.relu(x + y)


class ResNet(nn.Module):
    model: resnet.ResNet

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = resnet.pool(jax.nn.relu(Conv(7, self.model.width, 2, name="stem")(x)))
        for b in self.model.blocks():
            x = Bottleneck(b, name=b.name)(x)
        return Dense(self.model.classes, name="head")(jnp.mean(x, axis=(1, 2)))


def resnet_net(model: resnet.ResNet) -> Net:
    module = ResNet(model)

    def apply(variables: Any, x: jax.Array) -> Any:
        return module.apply(variables, x, mutable=["batch_stats"])

    return Net(module.init, apply, by_eval_shape(module.init))


BUILDERS: dict[type, Callable[[Any], Net]] = {
    mlp.Mlp: lambda model: net_of(Mlp(model.depth)),
    transformer.Decoder: lambda model: net_of(Decoder(model)),
    transformer.Stack: lambda model: net_of(Stack(model)),
    resnet.ResNet: resnet_net,
}
