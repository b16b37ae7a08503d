"""Hand-written JAX over a nested dict, by three formulas of the norms' variance.

`barrier` takes two passes over an input that XLA is told to compute once. `square first` takes one pass, with
the squares written before the sum. `two passes` is what one writes without knowing what it costs: XLA on CPU
computes the residual stream again in each norm.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.frameworks import handwritten as raw
from benchmarks.frameworks.handwritten import dense_init, norm_init
from benchmarks.layered.models import EPSILON, MOMENTUM, Block, Gpt, ResNet, attend, label_loss, token_loss
from benchmarks.layered.training import Training, functional
from benchmarks.models.initial import he, normal

Tree = dict[str, Any]
FORMULAS = {
    "handwritten": "barrier",
    "handwritten, square first": "square first",
    "handwritten, two passes": "two passes",
}


def ways(model: Gpt | ResNet) -> dict[str, Training]:
    make = gpt if isinstance(model, Gpt) else resnet
    return {name: make(model, formula) for name, formula in FORMULAS.items()}


def once(x: jax.Array, formula: str) -> jax.Array:
    return jax.lax.optimization_barrier(x) if formula == "barrier" else x


def mean_of(x: jax.Array, axes: tuple[int, ...]) -> jax.Array:
    return jnp.mean(x, axes, keepdims=True)


def moments(x: jax.Array, axes: tuple[int, ...], formula: str) -> tuple[jax.Array, jax.Array]:
    """Return mean and variance over some axes, which stay with size 1."""
    if formula == "square first":
        squares = jnp.square(x)
        mean = mean_of(x, axes)
        return mean, jnp.maximum(0, mean_of(squares, axes) - jnp.square(mean))
    mean = mean_of(x, axes)
    return mean, mean_of(jnp.square(x - mean), axes)


def dense(p: Tree, x: jax.Array) -> jax.Array:
    return x @ p["kernel"] + p["bias"]


def layer_norm(p: Tree, x: jax.Array, formula: str) -> jax.Array:
    if formula == "barrier":
        x = once(x, formula)
        x = x - mean_of(x, (-1,))
        variance = mean_of(jnp.square(x), (-1,))
    else:
        mean, variance = moments(x, (-1,), formula)
        x = x - mean
    return x * jax.lax.rsqrt(variance + EPSILON) * p["scale"] + p["bias"]


def look_up(table: jax.Array, ids: jax.Array) -> jax.Array:
    return table.at[ids].get(mode="fill", fill_value=jnp.nan, wrap_negative_indices=False)


def gpt(model: Gpt, formula: str) -> Training:
    width = model.width

    def init(key: jax.Array, tokens: Any) -> tuple[Tree, None]:
        keys = jax.random.split(key, 3 + model.depth)
        made = {
            "tokens": normal(keys[0], (model.vocabulary, width)),
            "positions": normal(keys[1], (model.context, width)),
            "norm": norm_init(width),
            "head": dense_init(keys[2], width, model.vocabulary),
        }
        if model.scanned:
            return {**made, "blocks": jax.vmap(lambda key: raw.block_init(key, width))(keys[3:])}, None
        return {**made, "blocks": [raw.block_init(key, width) for key in keys[3:]]}, None

    def block(p: Tree, x: jax.Array) -> jax.Array:
        h = dense(p["qkv"], layer_norm(p["norm_1"], x, formula))
        x = x + dense(p["proj"], attend(h, model.heads))
        h = jax.nn.gelu(dense(p["up"], layer_norm(p["norm_2"], x, formula)))
        return x + dense(p["down"], h)

    def loss(weights: Tree, rest: None, tokens: jax.Array) -> tuple[jax.Array, None]:
        x = look_up(weights["tokens"], tokens) + look_up(weights["positions"], jnp.arange(tokens.shape[1]))
        if model.scanned:
            x = jax.lax.scan(lambda x, p: (block(p, x), None), x, weights["blocks"])[0]
        else:
            for p in weights["blocks"]:
                x = block(p, x)
        return token_loss(dense(weights["head"], layer_norm(weights["norm"], x, formula)), tokens), None

    return functional(init, loss)


def batch_norm(p: Tree, s: Tree, x: jax.Array, formula: str) -> tuple[jax.Array, Tree]:
    mean, variance = moments(once(x, formula), (0, 1, 2), formula)
    y = (x - mean) * (jax.lax.rsqrt(variance + EPSILON) * p["scale"]) + p["bias"]
    new = {"mean": mean.reshape(-1), "variance": variance.reshape(-1)}
    return y, {name: old - (old - new[name]) * (1 - MOMENTUM) for name, old in s.items()}


def conv(p: Tree, s: Tree, x: jax.Array, stride: int, formula: str) -> tuple[jax.Array, Tree]:
    x = jax.lax.conv_general_dilated(
        x, p["kernel"], (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return batch_norm(p, s, x, formula)


def conv_init(keys: Iterator[jax.Array], size: int, fan_in: int, fan_out: int) -> tuple[Tree, Tree]:
    kernel = he(next(keys), (size, size, fan_in, fan_out))
    state = {"mean": jnp.zeros(fan_out), "variance": jnp.ones(fan_out)}
    return {"kernel": kernel, **norm_init(fan_out)}, state


def block_init(keys: Iterator[jax.Array], b: Block) -> tuple[Tree, Tree]:
    made = {
        "first": conv_init(keys, 3, b.fan_in, b.channels),
        "second": conv_init(keys, 3, b.channels, b.channels),
    }
    if b.project:
        made["project"] = conv_init(keys, 1, b.fan_in, b.channels)
    return {name: pair[0] for name, pair in made.items()}, {name: pair[1] for name, pair in made.items()}


def resnet(model: ResNet, formula: str) -> Training:
    normed = partial(conv, formula=formula)

    def init(key: jax.Array, images: Any, labels: Any) -> tuple[Tree, Tree]:
        blocks = model.blocks()
        keys = iter(jax.random.split(key, 2 + 3 * len(blocks)))
        weights: Tree = {}
        state: Tree = {}
        weights["stem"], state["stem"] = conv_init(keys, 7, 3, model.width)
        for b in blocks:
            weights[b.name], state[b.name] = block_init(keys, b)
        weights["head"] = dense_init(next(keys), blocks[-1].channels, model.classes)
        return weights, state

    def loss(weights: Tree, state: Tree, images: jax.Array, labels: jax.Array) -> tuple[jax.Array, Tree]:
        new: Tree = {}
        x, new["stem"] = normed(weights["stem"], state["stem"], images, 2)
        x = jax.nn.relu(x)
        x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 3, 3, 1), (1, 2, 2, 1), "SAME")
        for b in model.blocks():
            p, s, n = weights[b.name], state[b.name], {}
            y, n["first"] = normed(p["first"], s["first"], x, b.stride)
            y, n["second"] = normed(p["second"], s["second"], jax.nn.relu(y), 1)
            if b.project:
                x, n["project"] = normed(p["project"], s["project"], x, b.stride)
            x, new[b.name] = jax.nn.relu(x + y), n
        return label_loss(dense(weights["head"], jnp.mean(x, (1, 2))), labels), new

    return functional(init, loss)
