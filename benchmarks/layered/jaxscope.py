"""jaxscope: plain functions of `js.layers`."""

from typing import Any

import jax
import jax.numpy as jnp
import jaxscope as js

from benchmarks.layered.models import EPSILON, MOMENTUM, Gpt, ResNet, attend, label_loss, token_loss
from benchmarks.layered.training import Training, functional

normal = js.initializers.random_normal(stddev=0.02)
he = js.initializers.variance_scaling(scale=2.0, mode="fan_in", distribution="truncated_normal")


def ways(model: Gpt | ResNet) -> dict[str, Training]:
    return {"jaxscope": gpt(model) if isinstance(model, Gpt) else resnet(model)}


def layer_norm(x: jax.Array, name: str) -> jax.Array:
    return js.layers.layer_norm(x, begin_norm_axis=-1, epsilon=EPSILON, name=name)


def gpt(model: Gpt) -> Training:
    dense, embedding, width = js.layers.dense, js.layers.embedding, model.width

    def block(x: jax.Array) -> jax.Array:
        h = dense(layer_norm(x, "norm_1"), 3 * width, name="qkv")
        x = x + dense(attend(h, model.heads), width, name="proj")
        h = dense(layer_norm(x, "norm_2"), 4 * width, jax.nn.gelu, name="up")
        return x + dense(h, width, name="down")

    @js.transform
    def logits(tokens: jax.Array) -> jax.Array:
        with js.variable_scope("gpt", initializer=normal):
            x = embedding(tokens, model.vocabulary, width, name="tokens")
            x = x + embedding(jnp.arange(tokens.shape[1]), model.context, width, name="positions")
            if model.scanned:
                x = js.scan_layers(block, model.depth)(x)
            else:
                for i in range(model.depth):
                    with js.variable_scope(f"layer_{i}"):
                        x = block(x)
            return dense(layer_norm(x, "norm"), model.vocabulary, name="head")

    def init(key: jax.Array, tokens: Any) -> tuple[js.Variables, None]:
        variables = logits.init(key, tokens)
        return variables.stack("gpt/layer_{}") if model.scanned else variables, None

    def loss(weights: js.Variables, rest: None, tokens: jax.Array) -> tuple[jax.Array, None]:
        return token_loss(logits.apply(weights, tokens), tokens), None

    return functional(init, loss)


def conv(x: jax.Array, channels: int, size: int, stride: int, name: str) -> jax.Array:
    with js.variable_scope(name):
        x = js.layers.conv2d(x, channels, size, stride, "same", use_bias=False, kernel_initializer=he)
        return js.layers.batch_normalization(
            x, momentum=MOMENTUM, epsilon=EPSILON, training=True, fused=False
        )


def resnet(model: ResNet) -> Training:
    @js.transform
    def logits(images: jax.Array) -> jax.Array:
        x = jax.nn.relu(conv(images, model.width, 7, 2, "stem"))
        x = js.layers.max_pooling2d(x, 3, 2, "same")
        for b in model.blocks():
            with js.variable_scope(b.name):
                y = jax.nn.relu(conv(x, b.channels, 3, b.stride, "first"))
                y = conv(y, b.channels, 3, 1, "second")
                if b.project:
                    x = conv(x, b.channels, 1, b.stride, "project")
                x = jax.nn.relu(x + y)
        return js.layers.dense(jnp.mean(x, (1, 2)), model.classes, kernel_initializer=normal, name="head")

    def init(key: jax.Array, images: Any, labels: Any) -> tuple[js.Variables, js.Variables]:
        variables = logits.init(key, images)
        return variables.trainable, variables.non_trainable

    def loss(
        weights: js.Variables, averages: js.Variables, images: jax.Array, labels: jax.Array
    ) -> tuple[jax.Array, js.Variables]:
        found, averages = logits.apply_with_state(averages | weights, images)
        return label_loss(found, labels), averages

    return functional(init, loss)
