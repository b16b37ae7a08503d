"""Haiku: its modules, made where they are called."""

from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp

from benchmarks.layered.models import EPSILON, MOMENTUM, Block, Gpt, ResNet, attend, label_loss, token_loss
from benchmarks.layered.training import Training, functional

normal = hk.initializers.RandomNormal(0.02)
he = hk.initializers.VarianceScaling(2.0, "fan_in", "truncated_normal")


def ways(model: Gpt | ResNet) -> dict[str, Training]:
    return {"haiku": gpt(model) if isinstance(model, Gpt) else resnet(model)}


def dense(x: jax.Array, units: int, name: str) -> jax.Array:
    return hk.Linear(units, w_init=normal, name=name)(x)


def layer_norm(x: jax.Array, name: str) -> jax.Array:
    return hk.LayerNorm(-1, create_scale=True, create_offset=True, eps=EPSILON, name=name)(x)


class GptBlock(hk.Module):
    def __init__(self, heads: int, name: str = "block") -> None:
        super().__init__(name=name)
        self.heads = heads

    def __call__(self, x: jax.Array) -> jax.Array:
        width = x.shape[-1]
        h = dense(layer_norm(x, "norm_1"), 3 * width, "qkv")
        x = x + dense(attend(h, self.heads), width, "proj")
        h = jax.nn.gelu(dense(layer_norm(x, "norm_2"), 4 * width, "up"))
        return x + dense(h, width, "down")


def gpt(model: Gpt) -> Training:
    def logits(tokens: jax.Array) -> jax.Array:
        x = hk.Embed(model.vocabulary, model.width, w_init=normal, name="tokens")(tokens)
        positions = hk.Embed(model.context, model.width, w_init=normal, name="positions")
        x = x + positions(jnp.arange(tokens.shape[1]))
        if model.scanned:
            x = hk.experimental.layer_stack(model.depth)(lambda x: GptBlock(model.heads)(x))(x)
        else:
            for i in range(model.depth):
                x = GptBlock(model.heads, f"block_{i}")(x)
        return dense(layer_norm(x, "norm"), model.vocabulary, "head")

    net = hk.without_apply_rng(hk.transform(logits))

    def init(key: jax.Array, tokens: Any) -> tuple[Any, None]:
        return net.init(key, tokens), None

    def loss(weights: Any, rest: None, tokens: jax.Array) -> tuple[jax.Array, None]:
        return token_loss(net.apply(weights, tokens), tokens), None

    return functional(init, loss)


class Conv(hk.Module):
    def __init__(self, channels: int, size: int, stride: int, name: str) -> None:
        super().__init__(name=name)
        self.conv = hk.Conv2D(channels, size, stride, with_bias=False, w_init=he)
        self.norm = hk.BatchNorm(create_scale=True, create_offset=True, decay_rate=MOMENTUM, eps=EPSILON)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.norm(self.conv(x), is_training=True)


class ResNetBlock(hk.Module):
    def __init__(self, b: Block) -> None:
        super().__init__(name=b.name)
        self.b = b

    def __call__(self, x: jax.Array) -> jax.Array:
        b = self.b
        y = jax.nn.relu(Conv(b.channels, 3, b.stride, "first")(x))
        y = Conv(b.channels, 3, 1, "second")(y)
        if b.project:
            x = Conv(b.channels, 1, b.stride, "project")(x)
        return jax.nn.relu(x + y)


def resnet(model: ResNet) -> Training:
    def logits(images: jax.Array) -> jax.Array:
        x = jax.nn.relu(Conv(model.width, 7, 2, "stem")(images))
        x = hk.max_pool(x, (1, 3, 3, 1), (1, 2, 2, 1), "SAME")
        for b in model.blocks():
            x = ResNetBlock(b)(x)
        return dense(jnp.mean(x, (1, 2)), model.classes, "head")

    net = hk.without_apply_rng(hk.transform_with_state(logits))

    def init(key: jax.Array, images: Any, labels: Any) -> tuple[Any, Any]:
        return net.init(key, images)

    def loss(weights: Any, state: Any, images: jax.Array, labels: jax.Array) -> tuple[jax.Array, Any]:
        found, state = net.apply(weights, state, images)
        return label_loss(found, labels), state

    return functional(init, loss)
