"""Flax Linen: its modules, made in compact ones."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from benchmarks.layered.models import EPSILON, MOMENTUM, Block, Gpt, ResNet, attend, label_loss, token_loss
from benchmarks.layered.training import Training, functional
from benchmarks.models.initial import he, normal

Dense = partial(nn.Dense, kernel_init=normal)
LayerNorm = partial(nn.LayerNorm, epsilon=EPSILON)
Embed = partial(nn.Embed, embedding_init=normal)


def ways(model: Gpt | ResNet) -> dict[str, Training]:
    return {"linen": gpt(model) if isinstance(model, Gpt) else resnet(model)}


class GptBlock(nn.Module):
    heads: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        width = x.shape[-1]
        h = Dense(3 * width, name="qkv")(LayerNorm(name="norm_1")(x))
        x = x + Dense(width, name="proj")(attend(h, self.heads))
        h = jax.nn.gelu(Dense(4 * width, name="up")(LayerNorm(name="norm_2")(x)))
        return x + Dense(width, name="down")(h)


class Scanned(nn.Module):
    heads: int

    @nn.compact
    def __call__(self, x: jax.Array, nothing: None) -> tuple[jax.Array, None]:
        return GptBlock(self.heads, name="block")(x), None


class GptModel(nn.Module):
    model: Gpt

    @nn.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        model = self.model
        x = Embed(model.vocabulary, model.width, name="tokens")(tokens)
        x = x + Embed(model.context, model.width, name="positions")(jnp.arange(tokens.shape[1]))
        if model.scanned:
            axes, split = {"params": 0}, {"params": True}
            scan = nn.scan(Scanned, variable_axes=axes, split_rngs=split, length=model.depth)
            x = scan(model.heads, name="blocks")(x, None)[0]
        else:
            for i in range(model.depth):
                x = GptBlock(model.heads, name=f"block_{i}")(x)
        return Dense(model.vocabulary, name="head")(LayerNorm(name="norm")(x))


def gpt(model: Gpt) -> Training:
    net = GptModel(model)

    def init(key: jax.Array, tokens: Any) -> tuple[Any, None]:
        return net.init(key, tokens)["params"], None

    def loss(weights: Any, rest: None, tokens: jax.Array) -> tuple[jax.Array, None]:
        return token_loss(net.apply({"params": weights}, tokens), tokens), None

    return functional(init, loss)


class Conv(nn.Module):
    channels: int
    size: int
    stride: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        size, stride = (self.size, self.size), (self.stride, self.stride)
        x = nn.Conv(self.channels, size, stride, "SAME", use_bias=False, kernel_init=he)(x)
        return nn.BatchNorm(use_running_average=False, momentum=MOMENTUM, epsilon=EPSILON)(x)


class ResNetBlock(nn.Module):
    b: Block

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        b = self.b
        y = jax.nn.relu(Conv(b.channels, 3, b.stride, name="first")(x))
        y = Conv(b.channels, 3, 1, name="second")(y)
        if b.project:
            x = Conv(b.channels, 1, b.stride, name="project")(x)
        return jax.nn.relu(x + y)


class ResNetModel(nn.Module):
    model: ResNet

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        x = jax.nn.relu(Conv(self.model.width, 7, 2, name="stem")(images))
        x = nn.max_pool(x, (3, 3), (2, 2), "SAME")
        for b in self.model.blocks():
            x = ResNetBlock(b, name=b.name)(x)
        return Dense(self.model.classes, name="head")(jnp.mean(x, (1, 2)))


def resnet(model: ResNet) -> Training:
    net = ResNetModel(model)

    def init(key: jax.Array, images: Any, labels: Any) -> tuple[Any, Any]:
        variables = net.init(key, images)
        return variables["params"], variables["batch_stats"]

    def loss(weights: Any, averages: Any, images: jax.Array, labels: jax.Array) -> tuple[jax.Array, Any]:
        variables = {"params": weights, "batch_stats": averages}
        found, new = net.apply(variables, images, mutable=["batch_stats"])
        return label_loss(found, labels), new["batch_stats"]

    return functional(init, loss)
