"""A small GPT of `js.layers`, and tables of rules that lay it out; the model says nothing of devices."""

import jax
import numpy as np
import optax
from jax.sharding import PartitionSpec as P

import jaxscope as js

VOCABULARY, WIDTH, TIME, HEADS, DEPTH, BATCH = 64, 32, 16, 4, 2, 16

TENSOR = {
    r".*/(query|key|value|up)/kernel": P(None, "model"),
    r".*/(query|key|value|up)/bias": P("model"),
    r".*/(output|down)/kernel": P("model"),
    "words/": P("model"),
    ...: P(),
}


def sharded(mesh, rules):
    """Return rules that also split along `data` what they leave."""
    return {
        pattern: js.sharding.fsdp(mesh, "data", partition, smallest=64)
        for pattern, partition in rules.items()
    }


#: Name -> sizes of data and model, rules, how the batch is split.
WAYS = {
    "data parallel": ((8, 1), lambda mesh: {...: P()}, P("data")),
    "fsdp": ((8, 1), lambda mesh: sharded(mesh, {...: P()}), P("data")),
    "tensor parallel": ((2, 4), lambda mesh: TENSOR, P()),
    "data and tensor parallel": ((2, 4), lambda mesh: TENSOR, P("data")),
    "fsdp and tensor parallel": ((2, 4), lambda mesh: sharded(mesh, TENSOR), P("data")),
}


def block(x):
    layers = js.layers
    with js.variable_scope("attention"):
        y = layers.layer_norm(x, name="norm", begin_norm_axis=-1)
        x = x + layers.multi_head_attention(y, HEADS, causal=True, name="heads")
    with js.variable_scope("mlp"):
        y = layers.layer_norm(x, name="norm", begin_norm_axis=-1)
        y = layers.dense(y, 4 * WIDTH, activation=jax.nn.gelu, name="up")
        return x + layers.dense(y, WIDTH, name="down")


@js.transform
def gpt(tokens, *, scanned=False):
    x = js.layers.embedding(tokens, VOCABULARY, WIDTH, name="words")
    x = x + js.get_variable("positions", [TIME, WIDTH], initializer=js.initializers.random_normal(0.0, 0.02))
    if scanned:
        x = js.scan_layers(block, DEPTH)(x)
    else:
        for number in range(DEPTH):
            with js.variable_scope(f"layer_{number}"):
                x = block(x)
    x = js.layers.layer_norm(x, name="norm", begin_norm_axis=-1)
    return js.layers.embedding(x, VOCABULARY, WIDTH, name="words", reuse=True, attend=True)


def loss(variables, tokens, *, scanned=False):
    """Return the mean loss of predicting each next token, in nats."""
    logits = gpt.apply(variables, tokens, scanned=scanned)
    return optax.softmax_cross_entropy_with_integer_labels(logits[:, :-1], tokens[:, 1:]).mean()


TOKENS = np.random.default_rng(0).integers(0, VOCABULARY, (BATCH, TIME)).astype(np.int32)
SPECS = gpt.spec(TOKENS)
