"""Flax nnx: mutable modules of `nnx.Param`; `split` gives the pytree of variables, `merge` the model."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from benchmarks.models import initial, mlp, resnet, transformer
from benchmarks.net import Net, by_eval_shape

PACKAGES = ("flax.nnx",)


def net_of(make: Callable[[nnx.Rngs], nnx.Module], keeps: Any = None) -> Net:
    """Return a net; its graph definition comes from the first init, concrete or abstract."""
    found: list[Any] = []

    def init(key: jax.Array, x: jax.Array) -> Any:
        graph, params, _ = nnx.split(make(nnx.Rngs(params=key)), (nnx.Param, nnx.BatchStat), ...)
        found.append(graph)
        return params

    def apply(variables: Any, x: jax.Array) -> Any:
        if not found:
            jax.eval_shape(init, jax.random.key(0), x)
        model = nnx.merge(found[0], variables)
        y = model(x)
        return (y, nnx.state(model, keeps)) if keeps else y

    return Net(init, apply, by_eval_shape(init))


class Layer(nnx.Module):
    def __init__(self, width: int, rngs: nnx.Rngs) -> None:
        self.kernel = nnx.Param(initial.glorot(rngs.params(), (width, width)))
        self.bias = nnx.Param(jnp.zeros(width))

    def __call__(self, x: jax.Array) -> jax.Array:
        return mlp.layer(x, self.kernel[...], self.bias[...])


class Mlp(nnx.Module):
    def __init__(self, model: mlp.Mlp, rngs: nnx.Rngs) -> None:
        self.layers = nnx.List([Layer(model.width, rngs) for _ in range(model.depth)])

    def __call__(self, x: jax.Array) -> jax.Array:
        for layer in self.layers:
            x = layer(x)
        return x


class Dense(nnx.Module):
    def __init__(self, fan_in: int, fan_out: int, rngs: nnx.Rngs) -> None:
        self.kernel = nnx.Param(initial.normal(rngs.params(), (fan_in, fan_out)))
        self.bias = nnx.Param(jnp.zeros(fan_out))

    def __call__(self, x: jax.Array) -> jax.Array:
        return transformer.dense(x, self.kernel[...], self.bias[...])


class Norm(nnx.Module):
    def __init__(self, width: int) -> None:
        self.scale = nnx.Param(jnp.ones(width))
        self.bias = nnx.Param(jnp.zeros(width))

    def __call__(self, x: jax.Array) -> jax.Array:
        return transformer.norm(x, self.scale[...], self.bias[...])


class Block(nnx.Module):
    def __init__(self, width: int, heads: int, rngs: nnx.Rngs) -> None:
        self.norm_1 = Norm(width)
        self.qkv = Dense(width, 3 * width, rngs)
        self.proj = Dense(width, width, rngs)
        self.norm_2 = Norm(width)
        self.up = Dense(width, 4 * width, rngs)
        self.down = Dense(4 * width, width, rngs)
        self.heads = heads

    def __call__(self, x: jax.Array) -> jax.Array:
        h = self.qkv(self.norm_1(x))
        x = x + self.proj(transformer.attend(h, self.heads))
        h = jax.nn.gelu(self.up(self.norm_2(x)))
        return x + self.down(h)


class Decoder(nnx.Module):
    def __init__(self, model: transformer.Decoder, rngs: nnx.Rngs) -> None:
        self.tokens = nnx.Param(initial.normal(rngs.params(), (model.vocabulary, model.width)))
        self.positions = nnx.Param(initial.normal(rngs.params(), (model.context, model.width)))
        self.blocks = nnx.List([Block(model.width, model.heads, rngs) for _ in range(model.depth)])
        self.norm = Norm(model.width)

    def __call__(self, tokens: jax.Array) -> jax.Array:
        table = self.tokens[...]
        x = transformer.embed(tokens, table, self.positions[...])
        for block in self.blocks:
            x = block(x)
        return self.norm(x) @ table.T


class Stack(nnx.Module):
    def __init__(self, model: transformer.Stack, rngs: nnx.Rngs) -> None:
        self.scanned = model.scanned
        if model.scanned:
            keys = rngs.params.fork(split=model.depth) if hasattr(rngs.params, "fork") else rngs
            self.blocks = nnx.vmap(lambda key: Block(model.width, model.heads, nnx.Rngs(params=key())))(keys)
        else:
            self.blocks = nnx.List([Block(model.width, model.heads, rngs) for _ in range(model.depth)])

    def __call__(self, x: jax.Array) -> jax.Array:
        if self.scanned:
            return nnx.scan(lambda x, block: block(x), in_axes=(nnx.Carry, 0), out_axes=nnx.Carry)(
                x, self.blocks
            )
        for block in self.blocks:
            x = block(x)
        return x


class Conv(nnx.Module):
    def __init__(self, size: int, fan_in: int, fan_out: int, stride: int, rngs: nnx.Rngs) -> None:
        self.kernel = nnx.Param(initial.he(rngs.params(), (size, size, fan_in, fan_out)))
        self.scale = nnx.Param(jnp.ones(fan_out))
        self.bias = nnx.Param(jnp.zeros(fan_out))
        self.mean = nnx.BatchStat(jnp.zeros(fan_out))
        self.variance = nnx.BatchStat(jnp.ones(fan_out))
        self.stride = stride

    def __call__(self, x: jax.Array) -> jax.Array:
        x = resnet.convolve(x, self.kernel[...], self.stride)
        x, self.mean[...], self.variance[...] = resnet.batch_norm(
            x, self.scale[...], self.bias[...], self.mean[...], self.variance[...]
        )
        return x


class Bottleneck(nnx.Module):
    def __init__(self, b: resnet.Bottleneck, rngs: nnx.Rngs) -> None:
        made = {name: Conv(size, i, o, stride, rngs) for name, size, i, o, stride in b.convolutions()}
        self.first, self.second, self.third = made["first"], made["second"], made["third"]
        self.project = made.get("project")

    def __call__(self, x: jax.Array) -> jax.Array:
        y = self.first(x)
        y = self.second(jax.nn.relu(y))
        y = self.third(jax.nn.relu(y))
        if self.project is not None:
            x = self.project(x)
        return jax.nn.relu(x + y)


class ResNet(nnx.Module):
    def __init__(self, model: resnet.ResNet, rngs: nnx.Rngs) -> None:
        blocks = model.blocks()
        self.stem = Conv(7, 3, model.width, 2, rngs)
        self.blocks = nnx.List([Bottleneck(b, rngs) for b in blocks])
        self.head = Dense(4 * blocks[-1].inner, model.classes, rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = resnet.pool(jax.nn.relu(self.stem(x)))
        for block in self.blocks:
            x = block(x)
        return self.head(jnp.mean(x, axis=(1, 2)))


BUILDERS: dict[type, Callable[[Any], Net]] = {
    mlp.Mlp: lambda model: net_of(lambda rngs: Mlp(model, rngs)),
    transformer.Decoder: lambda model: net_of(lambda rngs: Decoder(model, rngs)),
    transformer.Stack: lambda model: net_of(lambda rngs: Stack(model, rngs)),
    resnet.ResNet: lambda model: net_of(lambda rngs: ResNet(model, rngs), nnx.BatchStat),
}
