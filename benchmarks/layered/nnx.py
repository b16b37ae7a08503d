"""Flax NNX: its modules, in `nnx.jit` with an `nnx.Optimizer`, and in `jax.jit` over the split state."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from benchmarks.layered.models import EPSILON, MOMENTUM, Block, Gpt, ResNet, attend, label_loss, token_loss
from benchmarks.layered.training import Training, jitted, optimizer
from benchmarks.models.initial import he, normal

Linear = partial(nnx.Linear, kernel_init=normal)
LayerNorm = partial(nnx.LayerNorm, epsilon=EPSILON)
Embed = partial(nnx.Embed, embedding_init=normal)


def ways(model: Gpt | ResNet) -> dict[str, Training]:
    if isinstance(model, Gpt):
        return trainings(
            lambda rngs: GptModel(model, rngs), lambda net, tokens: token_loss(net(tokens), tokens)
        )
    make = lambda rngs: ResNetModel(model, rngs)  # noqa: E731
    return trainings(make, lambda net, images, labels: label_loss(net(images), labels))


def trainings(make: Callable[[nnx.Rngs], nnx.Module], loss: Callable[..., jax.Array]) -> dict[str, Training]:
    def init(key: jax.Array, *batch: Any) -> Any:
        net = make(nnx.Rngs(params=key))
        return net, nnx.Optimizer(net, optimizer, wrt=nnx.Param)

    def step(net: Any, optimizing: Any, *batch: Any) -> jax.Array:
        value, slopes = nnx.value_and_grad(loss)(net, *batch)
        optimizing.update(net, slopes)
        return value

    graphs: list[Any] = []

    def split_init(key: jax.Array, *batch: Any) -> Any:
        graph, state = nnx.split(init(key, *batch))
        graphs[:] = [graph]
        return state

    def split_step(state: Any, *batch: Any) -> tuple[Any, jax.Array]:
        pair = nnx.merge(graphs[0], state)
        value = step(*pair, *batch)
        return nnx.state(pair), value

    return {
        "nnx": Training(init, lambda: Mutating(step)),
        "nnx, split": Training(split_init, lambda: jitted(split_step), split_step),
    }


class Mutating:
    """A step that changes the objects which it is given."""

    def __init__(self, step: Callable[..., jax.Array]) -> None:
        self.jitted: Any = nnx.jit(lambda *args: step(*args), donate_argnums=(0, 1))

    def __call__(self, state: Any, *batch: Any) -> tuple[Any, jax.Array]:
        return state, self.jitted(*state, *batch)

    def lower(self, state: Any, *batch: Any) -> Any:
        return self.jitted.lower(*state, *batch).lowered


class GptBlock(nnx.Module):
    def __init__(self, width: int, heads: int, rngs: nnx.Rngs) -> None:
        self.norm_1 = LayerNorm(width, rngs=rngs)
        self.qkv = Linear(width, 3 * width, rngs=rngs)
        self.proj = Linear(width, width, rngs=rngs)
        self.norm_2 = LayerNorm(width, rngs=rngs)
        self.up = Linear(width, 4 * width, rngs=rngs)
        self.down = Linear(4 * width, width, rngs=rngs)
        self.heads = heads

    def __call__(self, x: jax.Array) -> jax.Array:
        x = x + self.proj(attend(self.qkv(self.norm_1(x)), self.heads))
        return x + self.down(jax.nn.gelu(self.up(self.norm_2(x))))


class GptModel(nnx.Module):
    def __init__(self, model: Gpt, rngs: nnx.Rngs) -> None:
        width, heads = model.width, model.heads
        self.scanned = model.scanned
        self.tokens = Embed(model.vocabulary, width, rngs=rngs)
        self.positions = Embed(model.context, width, rngs=rngs)
        if model.scanned:
            make = nnx.vmap(lambda key: GptBlock(width, heads, nnx.Rngs(params=key)))
            self.blocks = make(jax.random.split(rngs.params(), model.depth))
        else:
            self.blocks = nnx.List([GptBlock(width, heads, rngs) for _ in range(model.depth)])
        self.norm = LayerNorm(width, rngs=rngs)
        self.head = Linear(width, model.vocabulary, rngs=rngs)

    def __call__(self, tokens: jax.Array) -> jax.Array:
        x = self.tokens(tokens) + self.positions(jnp.arange(tokens.shape[1]))
        if self.scanned:
            scan = nnx.scan(lambda x, block: block(x), in_axes=(nnx.Carry, 0), out_axes=nnx.Carry)
            x = scan(x, self.blocks)
        else:
            for block in self.blocks:
                x = block(x)
        return self.head(self.norm(x))


class Conv(nnx.Module):
    def __init__(self, fan_in: int, channels: int, size: int, stride: int, rngs: nnx.Rngs) -> None:
        self.conv = nnx.Conv(
            fan_in, channels, (size, size), (stride, stride), use_bias=False, kernel_init=he, rngs=rngs
        )
        self.norm = nnx.BatchNorm(channels, momentum=MOMENTUM, epsilon=EPSILON, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.norm(self.conv(x), use_running_average=False)


class ResNetBlock(nnx.Module):
    def __init__(self, b: Block, rngs: nnx.Rngs) -> None:
        self.first = Conv(b.fan_in, b.channels, 3, b.stride, rngs)
        self.second = Conv(b.channels, b.channels, 3, 1, rngs)
        self.project = Conv(b.fan_in, b.channels, 1, b.stride, rngs) if b.project else None

    def __call__(self, x: jax.Array) -> jax.Array:
        y = self.second(jax.nn.relu(self.first(x)))
        if self.project is not None:
            x = self.project(x)
        return jax.nn.relu(x + y)


class ResNetModel(nnx.Module):
    def __init__(self, model: ResNet, rngs: nnx.Rngs) -> None:
        blocks = model.blocks()
        self.stem = Conv(3, model.width, 7, 2, rngs)
        self.blocks = nnx.List([ResNetBlock(b, rngs) for b in blocks])
        self.head = Linear(blocks[-1].channels, model.classes, rngs=rngs)

    def __call__(self, images: jax.Array) -> jax.Array:
        x = nnx.max_pool(jax.nn.relu(self.stem(images)), (3, 3), (2, 2), "SAME")
        for block in self.blocks:
            x = block(x)
        return self.head(jnp.mean(x, (1, 2)))
