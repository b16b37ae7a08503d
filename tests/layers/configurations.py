"""One small configuration of each layer, which returns what it takes, so that it can be stacked."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxscope import layers

KEY = jax.random.key(0)


class Configuration(NamedTuple):
    """A layer, the shape of its input, and whether it computes in the dtype of its input."""

    block: Callable[[Any], Any]
    shape: tuple[int, ...]


ROWS, LINES, IMAGES, VOLUMES = (3, 4), (2, 5, 4), (2, 5, 4, 4), (1, 3, 3, 3, 2)


def _embedding(x: Any) -> Any:
    ids = jnp.arange(x.shape[-1])[None, :] % 3
    rows = layers.embedding(ids, 3, 4, name="words", dtype=x.dtype)
    return layers.embedding(x + rows.mean(1), 3, 4, name="words", reuse=True, attend=True) @ jnp.ones(
        (3, 4), x.dtype
    )


def _rnn(step: Callable[..., Any], sizes: tuple[int, ...]) -> Callable[[Any], Any]:
    def block(x: Any) -> Any:
        zeros = tuple(jnp.zeros((x.shape[0], size), x.dtype) for size in sizes)
        state = layers.LSTMStateTuple(*zeros) if len(zeros) > 1 else zeros[0]
        lengths = jnp.arange(x.shape[0]) + 2
        return layers.rnn(lambda x, state: step(x, state, 4), x, lengths, initial_state=state)[0]

    return block


def _multi_rnn(x: Any) -> Any:
    zeros = jnp.zeros((x.shape[0], 4), x.dtype)

    def cell(x: Any, state: Any) -> Any:
        return layers.gru(x, state, 4)

    return layers.rnn(lambda x, s: layers.multi_rnn(x, s, [cell, cell]), x, initial_state=(zeros, zeros))[0]


CONFIGURATIONS = {
    "dense": Configuration(lambda x: layers.dense(x, 4, jnp.tanh), ROWS),
    "conv1d": Configuration(lambda x: layers.conv1d(x, 4, 3, padding="causal"), LINES),
    "conv2d": Configuration(lambda x: layers.conv2d(x, 4, 3, padding="same"), IMAGES),
    "conv3d": Configuration(lambda x: layers.conv3d(x, 2, 2, padding="same"), VOLUMES),
    "conv2d_transpose": Configuration(lambda x: layers.conv2d_transpose(x, 4, 3, padding="same"), IMAGES),
    "conv3d_transpose": Configuration(lambda x: layers.conv3d_transpose(x, 2, 3, padding="same"), VOLUMES),
    "depthwise_conv2d": Configuration(lambda x: layers.depthwise_conv2d(x, 3, padding="same"), IMAGES),
    "separable_conv1d": Configuration(lambda x: layers.separable_conv1d(x, 4, 3, padding="same"), LINES),
    "separable_conv2d": Configuration(lambda x: layers.separable_conv2d(x, 4, 3, padding="same"), IMAGES),
    "max_pooling1d": Configuration(lambda x: layers.max_pooling1d(x, 2, 1, "same"), LINES),
    "max_pooling2d": Configuration(lambda x: layers.max_pooling2d(x, 2, 1, "same"), IMAGES),
    "max_pooling3d": Configuration(lambda x: layers.max_pooling3d(x, 2, 1, "same"), VOLUMES),
    "average_pooling1d": Configuration(lambda x: layers.average_pooling1d(x, 2, 1, "same"), LINES),
    "average_pooling2d": Configuration(lambda x: layers.average_pooling2d(x, 2, 1, "same"), IMAGES),
    "average_pooling3d": Configuration(lambda x: layers.average_pooling3d(x, 2, 1, "same"), VOLUMES),
    "embedding": Configuration(_embedding, ROWS),
    "batch_normalization": Configuration(layers.batch_normalization, IMAGES),
    "layer_norm": Configuration(partial(layers.layer_norm, begin_norm_axis=1), LINES),
    "group_norm": Configuration(lambda x: layers.group_norm(x, 2), IMAGES),
    "rms_norm": Configuration(layers.rms_norm, ROWS),
    "instance_norm": Configuration(layers.instance_norm, IMAGES),
    "dropout": Configuration(layers.dropout, ROWS),
    "flatten": Configuration(layers.flatten, ROWS),
    "multi_head_attention": Configuration(
        lambda x: layers.multi_head_attention(x, 2, kv_heads=1, causal=True, rotary=1e4), LINES
    ),
    "basic_rnn": Configuration(_rnn(layers.basic_rnn, (4,)), LINES),
    "basic_lstm": Configuration(_rnn(layers.basic_lstm, (4, 4)), LINES),
    "lstm": Configuration(_rnn(layers.lstm, (4, 4)), LINES),
    "gru": Configuration(_rnn(layers.gru, (4,)), LINES),
    "multi_rnn": Configuration(_multi_rnn, LINES),
}


def example(shape: tuple[int, ...], dtype: Any = jnp.float32) -> Any:
    """Return numbers between -1 and 1."""
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(jnp.dtype(dtype))
