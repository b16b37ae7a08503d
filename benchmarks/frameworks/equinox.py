"""Equinox: modules whose fields are the arrays; the model itself is the pytree of variables."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from benchmarks.models import initial, mlp, resnet, transformer
from benchmarks.net import Net, by_eval_shape

PACKAGES = ("equinox",)


def net_of(make: Callable[[jax.Array], eqx.Module]) -> Net:
    def init(key: jax.Array, x: jax.Array) -> Any:
        return make(key)

    def apply(model: Any, x: jax.Array) -> Any:
        return model(x)

    return Net(init, apply, by_eval_shape(init))


class Layer(eqx.Module):
    kernel: jax.Array
    bias: jax.Array

    def __init__(self, width: int, key: jax.Array) -> None:
        self.kernel = initial.glorot(key, (width, width))
        self.bias = jnp.zeros(width)

    def __call__(self, x: jax.Array) -> jax.Array:
        return mlp.layer(x, self.kernel, self.bias)


class Mlp(eqx.Module):
    layers: tuple[Layer, ...]

    def __init__(self, model: mlp.Mlp, key: jax.Array) -> None:
        self.layers = tuple(Layer(model.width, key) for key in jax.random.split(key, model.depth))

    def __call__(self, x: jax.Array) -> jax.Array:
        for layer in self.layers:
            x = layer(x)
        return x


class Dense(eqx.Module):
    kernel: jax.Array
    bias: jax.Array

    def __init__(self, fan_in: int, fan_out: int, key: jax.Array) -> None:
        self.kernel = initial.normal(key, (fan_in, fan_out))
        self.bias = jnp.zeros(fan_out)

    def __call__(self, x: jax.Array) -> jax.Array:
        return transformer.dense(x, self.kernel, self.bias)


class Norm(eqx.Module):
    scale: jax.Array
    bias: jax.Array

    def __init__(self, width: int) -> None:
        self.scale = jnp.ones(width)
        self.bias = jnp.zeros(width)

    def __call__(self, x: jax.Array) -> jax.Array:
        return transformer.norm(x, self.scale, self.bias)


class Block(eqx.Module):
    norm_1: Norm
    qkv: Dense
    proj: Dense
    norm_2: Norm
    up: Dense
    down: Dense
    heads: int = eqx.field(static=True)

    def __init__(self, width: int, heads: int, key: jax.Array) -> None:
        keys = jax.random.split(key, 4)
        self.norm_1 = Norm(width)
        self.qkv = Dense(width, 3 * width, keys[0])
        self.proj = Dense(width, width, keys[1])
        self.norm_2 = Norm(width)
        self.up = Dense(width, 4 * width, keys[2])
        self.down = Dense(4 * width, width, keys[3])
        self.heads = heads

    def __call__(self, x: jax.Array) -> jax.Array:
        h = self.qkv(self.norm_1(x))
        x = x + self.proj(transformer.attend(h, self.heads))
        h = jax.nn.gelu(self.up(self.norm_2(x)))
        return x + self.down(h)


class Decoder(eqx.Module):
    tokens: jax.Array
    positions: jax.Array
    blocks: tuple[Block, ...]
    norm: Norm

    def __init__(self, model: transformer.Decoder, key: jax.Array) -> None:
        keys = jax.random.split(key, model.depth + 2)
        self.tokens = initial.normal(keys[0], (model.vocabulary, model.width))
        self.positions = initial.normal(keys[1], (model.context, model.width))
        self.blocks = tuple(Block(model.width, model.heads, key) for key in keys[2:])
        self.norm = Norm(model.width)

    def __call__(self, tokens: jax.Array) -> jax.Array:
        x = transformer.embed(tokens, self.tokens, self.positions)
        for block in self.blocks:
            x = block(x)
        return self.norm(x) @ self.tokens.T


class Stack(eqx.Module):
    blocks: Any
    scanned: bool = eqx.field(static=True)

    def __init__(self, model: transformer.Stack, key: jax.Array) -> None:
        keys = jax.random.split(key, model.depth)
        self.scanned = model.scanned
        if model.scanned:
            self.blocks = eqx.filter_vmap(lambda key: Block(model.width, model.heads, key))(keys)
        else:
            self.blocks = tuple(Block(model.width, model.heads, key) for key in keys)

    def __call__(self, x: jax.Array) -> jax.Array:
        if self.scanned:
            return jax.lax.scan(lambda x, block: (block(x), None), x, self.blocks)[0]
        for block in self.blocks:
            x = block(x)
        return x


class Conv(eqx.Module):
    kernel: jax.Array
    scale: jax.Array
    bias: jax.Array
    statistics: eqx.nn.StateIndex
    stride: int = eqx.field(static=True)

    def __init__(self, size: int, fan_in: int, fan_out: int, stride: int, key: jax.Array) -> None:
        self.kernel = initial.he(key, (size, size, fan_in, fan_out))
        self.scale, self.bias = jnp.ones(fan_out), jnp.zeros(fan_out)
        self.statistics = eqx.nn.StateIndex((jnp.zeros(fan_out), jnp.ones(fan_out)))
        self.stride = stride

    def __call__(self, x: jax.Array, state: eqx.nn.State) -> tuple[jax.Array, eqx.nn.State]:
        x = resnet.convolve(x, self.kernel, self.stride)
        x, mean, variance = resnet.batch_norm(x, self.scale, self.bias, *state.get(self.statistics))
        return x, state.set(self.statistics, (mean, variance))


class Bottleneck(eqx.Module):
    first: Conv
    second: Conv
    third: Conv
    project: Conv | None

    def __init__(self, b: resnet.Bottleneck, key: jax.Array) -> None:
        keys = jax.random.split(key, 4)
        made = {
            name: Conv(size, i, o, stride, key)
            for (name, size, i, o, stride), key in zip(b.convolutions(), keys, strict=False)
        }
        self.first, self.second, self.third = made["first"], made["second"], made["third"]
        self.project = made.get("project")

    def __call__(self, x: jax.Array, state: eqx.nn.State) -> tuple[jax.Array, eqx.nn.State]:
        y, state = self.first(x, state)
        y, state = self.second(jax.nn.relu(y), state)
        y, state = self.third(jax.nn.relu(y), state)
        if self.project is not None:
            x, state = self.project(x, state)
        return jax.nn.relu(x + y), state


class ResNet(eqx.Module):
    stem: Conv
    blocks: tuple[Bottleneck, ...]
    head: Dense

    def __init__(self, model: resnet.ResNet, key: jax.Array) -> None:
        blocks = model.blocks()
        keys = jax.random.split(key, 2 + len(blocks))
        self.stem = Conv(7, 3, model.width, 2, keys[0])
        self.blocks = tuple(Bottleneck(b, key) for b, key in zip(blocks, keys[2:], strict=True))
        self.head = Dense(4 * blocks[-1].inner, model.classes, keys[1])

    def __call__(self, x: jax.Array, state: eqx.nn.State) -> tuple[jax.Array, eqx.nn.State]:
        x, state = self.stem(x, state)
        x = resnet.pool(jax.nn.relu(x))
        for block in self.blocks:
            x, state = block(x, state)
        return self.head(jnp.mean(x, axis=(1, 2))), state


def resnet_net(model: resnet.ResNet) -> Net:
    def init(key: jax.Array, x: jax.Array) -> Any:
        return eqx.nn.make_with_state(ResNet)(model, key)

    def apply(variables: Any, x: jax.Array) -> Any:
        made, state = variables
        return made(x, state)

    return Net(init, apply, by_eval_shape(init))


BUILDERS: dict[type, Callable[[Any], Net]] = {
    mlp.Mlp: lambda model: net_of(lambda key: Mlp(model, key)),
    transformer.Decoder: lambda model: net_of(lambda key: Decoder(model, key)),
    transformer.Stack: lambda model: net_of(lambda key: Stack(model, key)),
    resnet.ResNet: resnet_net,
}
