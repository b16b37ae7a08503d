"""Equinox: its modules, for one example each, mapped over the batch; images have channels first."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from benchmarks.layered.models import EPSILON, MOMENTUM, Block, Gpt, ResNet, attend, label_loss, token_loss
from benchmarks.layered.training import Training, optimizer


def ways(model: Gpt | ResNet) -> dict[str, Training]:
    return {"equinox": gpt(model) if isinstance(model, Gpt) else resnet(model)}


def training(make: Callable[..., tuple[Any, Any]], loss: Callable[..., tuple[jax.Array, Any]]) -> Training:
    """Return the training of `make(key) -> (net, rest)` and `loss(net, rest, *batch) -> (loss, rest)`."""

    def init(key: jax.Array, *batch: Any) -> Any:
        net, rest = make(key)
        return net, rest, optimizer.init(eqx.filter(net, eqx.is_inexact_array))

    def step(batch: Any, state: Any) -> tuple[Any, jax.Array]:
        net, rest, moments = state
        (value, rest), slopes = eqx.filter_value_and_grad(loss, has_aux=True)(net, rest, *batch)
        changes, moments = optimizer.update(slopes, moments, eqx.filter(net, eqx.is_inexact_array))
        return (eqx.apply_updates(net, changes), rest, moments), value

    return Training(init, lambda: Jitted(step))


class Jitted:
    """A step that takes its state over, but not its batch."""

    def __init__(self, step: Callable[..., Any]) -> None:
        self.jitted: Any = eqx.filter_jit(lambda *args: step(*args), donate="all-except-first")

    def __call__(self, state: Any, *batch: Any) -> tuple[Any, jax.Array]:
        return self.jitted(batch, state)

    def lower(self, state: Any, *batch: Any) -> Any:
        return self.jitted.lower(batch, state).lowered


def each(layer: Any) -> Callable[[jax.Array], jax.Array]:
    """Return a layer of one vector over `[batch, time, ...]`."""
    return jax.vmap(jax.vmap(layer))


class GptBlock(eqx.Module):
    norm_1: eqx.nn.LayerNorm
    qkv: eqx.nn.Linear
    proj: eqx.nn.Linear
    norm_2: eqx.nn.LayerNorm
    up: eqx.nn.Linear
    down: eqx.nn.Linear
    heads: int = eqx.field(static=True)

    def __init__(self, width: int, heads: int, key: jax.Array) -> None:
        keys = jax.random.split(key, 4)
        self.norm_1 = eqx.nn.LayerNorm(width, EPSILON)
        self.qkv = eqx.nn.Linear(width, 3 * width, key=keys[0])
        self.proj = eqx.nn.Linear(width, width, key=keys[1])
        self.norm_2 = eqx.nn.LayerNorm(width, EPSILON)
        self.up = eqx.nn.Linear(width, 4 * width, key=keys[2])
        self.down = eqx.nn.Linear(4 * width, width, key=keys[3])
        self.heads = heads

    def __call__(self, x: jax.Array) -> jax.Array:
        x = x + each(self.proj)(attend(each(self.qkv)(each(self.norm_1)(x)), self.heads))
        return x + each(self.down)(jax.nn.gelu(each(self.up)(each(self.norm_2)(x))))


class GptModel(eqx.Module):
    tokens: eqx.nn.Embedding
    positions: eqx.nn.Embedding
    blocks: Any
    norm: eqx.nn.LayerNorm
    head: eqx.nn.Linear
    scanned: bool = eqx.field(static=True)

    def __init__(self, model: Gpt, key: jax.Array) -> None:
        keys = jax.random.split(key, 3 + model.depth)
        self.scanned = model.scanned
        self.tokens = eqx.nn.Embedding(model.vocabulary, model.width, key=keys[0])
        self.positions = eqx.nn.Embedding(model.context, model.width, key=keys[1])
        make = lambda key: GptBlock(model.width, model.heads, key)  # noqa: E731
        self.blocks = eqx.filter_vmap(make)(keys[3:]) if model.scanned else [make(key) for key in keys[3:]]
        self.norm = eqx.nn.LayerNorm(model.width, EPSILON)
        self.head = eqx.nn.Linear(model.width, model.vocabulary, key=keys[2])

    def __call__(self, tokens: jax.Array) -> jax.Array:
        x = each(self.tokens)(tokens) + jax.vmap(self.positions)(jnp.arange(tokens.shape[1]))
        if self.scanned:
            arrays, rest = eqx.partition(self.blocks, eqx.is_array)
            x = jax.lax.scan(lambda x, layer: (eqx.combine(layer, rest)(x), None), x, arrays)[0]
        else:
            for block in self.blocks:
                x = block(x)
        return each(self.head)(each(self.norm)(x))


def gpt(model: Gpt) -> Training:
    def loss(net: Any, rest: None, tokens: jax.Array) -> tuple[jax.Array, None]:
        return token_loss(net(tokens), tokens), None

    return training(lambda key: (GptModel(model, key), None), loss)


class Conv(eqx.Module):
    conv: eqx.nn.Conv2d
    norm: eqx.nn.BatchNorm

    def __init__(self, fan_in: int, channels: int, size: int, stride: int, key: jax.Array) -> None:
        self.conv = eqx.nn.Conv2d(fan_in, channels, size, stride, "SAME", use_bias=False, key=key)
        self.norm = eqx.nn.BatchNorm(channels, "batch", EPSILON, momentum=MOMENTUM, mode="batch")

    def __call__(self, x: jax.Array, state: eqx.nn.State) -> tuple[jax.Array, eqx.nn.State]:
        return self.norm(self.conv(x), state)


class ResNetBlock(eqx.Module):
    first: Conv
    second: Conv
    project: Conv | None

    def __init__(self, b: Block, key: jax.Array) -> None:
        keys = jax.random.split(key, 3)
        self.first = Conv(b.fan_in, b.channels, 3, b.stride, keys[0])
        self.second = Conv(b.channels, b.channels, 3, 1, keys[1])
        self.project = Conv(b.fan_in, b.channels, 1, b.stride, keys[2]) if b.project else None

    def __call__(self, x: jax.Array, state: eqx.nn.State) -> tuple[jax.Array, eqx.nn.State]:
        y, state = self.first(x, state)
        y, state = self.second(jax.nn.relu(y), state)
        if self.project is not None:
            x, state = self.project(x, state)
        return jax.nn.relu(x + y), state


class ResNetModel(eqx.Module):
    stem: Conv
    pool: eqx.nn.MaxPool2d
    blocks: list[ResNetBlock]
    head: eqx.nn.Linear

    def __init__(self, model: ResNet, key: jax.Array) -> None:
        blocks = model.blocks()
        keys = jax.random.split(key, 2 + len(blocks))
        self.stem = Conv(3, model.width, 7, 2, keys[0])
        self.pool = eqx.nn.MaxPool2d(3, 2, ((0, 1), (0, 1)))
        self.blocks = [ResNetBlock(b, key) for b, key in zip(blocks, keys[2:], strict=True)]
        self.head = eqx.nn.Linear(blocks[-1].channels, model.classes, key=keys[1])

    def __call__(self, image: jax.Array, state: eqx.nn.State) -> tuple[jax.Array, eqx.nn.State]:
        x, state = self.stem(jnp.moveaxis(image, -1, 0), state)
        x = self.pool(jax.nn.relu(x))
        for block in self.blocks:
            x, state = block(x, state)
        return self.head(jnp.mean(x, (1, 2))), state


def resnet(model: ResNet) -> Training:
    def loss(net: Any, state: Any, images: jax.Array, labels: jax.Array) -> tuple[jax.Array, Any]:
        mapped = jax.vmap(net, axis_name="batch", in_axes=(0, None), out_axes=(0, None))
        found, state = mapped(images, state)
        return label_loss(found, labels), state

    return training(lambda key: eqx.nn.make_with_state(ResNetModel)(model, key), loss)
