"""The models of `programs/` of which nothing is recorded, once more in plain `jax.numpy`."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxscope as js


def weight(name: str, *shape: int) -> jax.Array:
    return js.get_variable(name, list(shape))


def dense(x: jax.Array, units: int, scope: str = "dense") -> jax.Array:
    with js.variable_scope(scope):
        return x @ weight("kernel", x.shape[-1], units) + weight("bias", units)


def gelu(x: jax.Array) -> jax.Array:
    return jax.nn.gelu(x, approximate=True)


# --- BERT ---


def layer_norm(x: jax.Array) -> jax.Array:
    with js.variable_scope("LayerNorm"):
        beta, gamma = weight("beta", x.shape[-1]), weight("gamma", x.shape[-1])
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) / jnp.sqrt(variance + 1e-12) * gamma + beta


def bert_layer(x: jax.Array, seen: jax.Array, config: Any) -> jax.Array:
    batch, length, width = x.shape
    heads = config.num_attention_heads
    with js.variable_scope("attention"):
        with js.variable_scope("self"):
            q, k, v = (
                dense(x, width, name).reshape(batch, length, heads, -1) for name in ("query", "key", "value")
            )
            scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) / np.sqrt(width // heads)
            weights = jax.nn.softmax(jnp.where(seen[:, None, None], scores, scores - 10000))
            found = jnp.einsum("bhqk,bkhd->bqhd", weights, v).reshape(x.shape)
        with js.variable_scope("output"):
            x = layer_norm(dense(found, width) + x)
    with js.variable_scope("intermediate"):
        inner = gelu(dense(x, config.intermediate_size))
    with js.variable_scope("output"):
        return layer_norm(dense(inner, width) + x)


def bert(config: Any, features: dict[str, jax.Array]) -> dict[str, jax.Array]:
    ids, width = features["input_ids"], config.hidden_size
    with js.variable_scope("bert"):
        with js.variable_scope("embeddings"):
            table = weight("word_embeddings", config.vocab_size, width)
            kinds = weight("token_type_embeddings", config.type_vocab_size, width)
            places = weight("position_embeddings", config.max_position_embeddings, width)
            x = table[ids] + kinds[features["segment_ids"]] + places[: ids.shape[1]]
            x = layer_norm(x)
        with js.variable_scope("encoder"):
            for i in range(config.num_hidden_layers):
                with js.variable_scope(f"layer_{i}"):
                    x = bert_layer(x, features["input_mask"] == 1, config)
        with js.variable_scope("pooler"):
            pooled = jnp.tanh(dense(x[:, 0], width))
    masked = jnp.take_along_axis(x, features["masked_lm_positions"][..., None], 1).reshape(-1, width)
    with js.variable_scope("cls"), js.variable_scope("predictions"):
        with js.variable_scope("transform"):
            masked = layer_norm(gelu(dense(masked, width)))
        log_probs = jax.nn.log_softmax(masked @ table.T + weight("output_bias", config.vocab_size))
    labels, weights = features["masked_lm_ids"].reshape(-1, 1), features["masked_lm_weights"].reshape(-1)
    each = -jnp.take_along_axis(log_probs, labels, 1)[:, 0]
    loss = (weights * each).sum() / (weights.sum() + 1e-5)
    return {"loss": loss, "log_probs": log_probs, "pooled": pooled}


# --- DCGAN ---


def batch_norm(x: jax.Array, scope: str, training: bool) -> jax.Array:
    with js.variable_scope(scope):
        beta, gamma = weight("beta", x.shape[-1]), weight("gamma", x.shape[-1])
        size, ones = [x.shape[-1]], js.initializers.ones
        mean = js.get_variable("moving_mean", size, trainable=False)
        variance = js.get_variable("moving_variance", size, trainable=False, initializer=ones)
        if training:
            many = x.size // x.shape[-1]
            now, spread = x.mean((0, 1, 2)), x.var((0, 1, 2))
            kept = 0.9 * mean + 0.1 * now, 0.9 * variance + 0.1 * spread * many / (many - 1)
            for name, value in zip(("moving_mean", "moving_variance"), kept, strict=True):
                js.set_variable(name, jax.lax.stop_gradient(value))  # as an assignment does
            mean, variance = now, spread
    return (x - mean) / jnp.sqrt(variance + 1e-5) * gamma + beta


def convolve(x: jax.Array, kernel: jax.Array, strides: Any, padding: Any, **more: Any) -> jax.Array:
    letters = ("NHWC", "HWIO", "NHWC") if x.ndim == 4 else ("NWC", "WIO", "NWC")
    return jax.lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=letters, **more)


def down(x: jax.Array, filters: int, scope: str) -> jax.Array:
    with js.variable_scope(scope):
        kernel = weight("w", 5, 5, x.shape[-1], filters)
        return convolve(x, kernel, (2, 2), "SAME") + weight("biases", filters)


def up(x: jax.Array, filters: int, scope: str) -> jax.Array:
    with js.variable_scope(scope):
        kernel = weight("w", 5, 5, filters, x.shape[-1])[::-1, ::-1].swapaxes(2, 3)
        y = convolve(x, kernel, (1, 1), [(3, 2), (3, 2)], lhs_dilation=(2, 2))
        return y + weight("biases", filters)


def linear(x: jax.Array, units: int, scope: str) -> jax.Array:
    with js.variable_scope(scope):
        return x @ weight("Matrix", x.shape[-1], units) + weight("bias", units)


def discriminator(x: jax.Array) -> jax.Array:
    with js.variable_scope("discriminator", reuse=js.AUTO_REUSE):
        x = jax.nn.leaky_relu(down(x, 4, "d_h0_conv"), 0.2)
        x = jax.nn.leaky_relu(batch_norm(down(x, 8, "d_h1_conv"), "d_bn1", training=True), 0.2)
        x = jax.nn.leaky_relu(batch_norm(down(x, 16, "d_h2_conv"), "d_bn2", training=True), 0.2)
        return linear(x.reshape(len(x), -1), 1, "d_h3_lin")


def generator(z: jax.Array, training: bool) -> jax.Array:
    with js.variable_scope("generator", reuse=js.AUTO_REUSE):
        x = linear(z, 4 * 4 * 8, "g_h0_lin").reshape(-1, 4, 4, 8)
        x = jax.nn.relu(batch_norm(x, "g_bn0", training))
        x = jax.nn.relu(batch_norm(up(x, 4, "g_h1"), "g_bn1", training))
        return jnp.tanh(up(x, 3, "g_h2"))


def dcgan(images: jax.Array, z: jax.Array) -> dict[str, jax.Array]:
    made = generator(z, training=True)
    real = discriminator(images)
    sampled = generator(z, training=False)
    fake = discriminator(made)
    d_loss = jax.nn.softplus(-real).mean() + jax.nn.softplus(fake).mean()
    return {"d_loss": d_loss, "g_loss": jax.nn.softplus(-fake).mean(), "made": made, "sampled": sampled}


# --- A language model of LSTMs ---


def lstm(x: jax.Array, c: jax.Array, h: jax.Array) -> tuple[jax.Array, jax.Array]:
    size = c.shape[-1]
    with js.variable_scope("basic_lstm_cell"):
        gates = jnp.concatenate([x, h], 1) @ weight("kernel", x.shape[-1] + size, 4 * size)
        i, j, f, o = jnp.split(gates + weight("bias", 4 * size), 4, 1)
    c = c * jax.nn.sigmoid(f) + jax.nn.sigmoid(i) * jnp.tanh(j)
    return c, jnp.tanh(c) * jax.nn.sigmoid(o)


def ptb(config: Any, inputs: jax.Array, targets: jax.Array) -> tuple[jax.Array, jax.Array, Any]:
    size = config.hidden_size
    with js.variable_scope("Model"):
        x = weight("embedding", config.vocab_size, size)[inputs]
        states = [(jnp.zeros([len(x), size]),) * 2] * config.num_layers
        outputs = []
        with js.variable_scope("RNN", reuse=js.AUTO_REUSE), js.variable_scope("multi_rnn_cell"):
            for time in range(x.shape[1]):
                h = x[:, time]
                for layer in range(config.num_layers):
                    with js.variable_scope(f"cell_{layer}"):
                        states[layer] = lstm(h, *states[layer])
                    h = states[layer][1]
                outputs.append(h)
        logits = jnp.stack(outputs, 1) @ weight("softmax_w", size, config.vocab_size)
        logits += weight("softmax_b", config.vocab_size)
    each = -jnp.take_along_axis(jax.nn.log_softmax(logits), targets[..., None], -1)[..., 0]
    return each.mean(0).sum(), logits, tuple(states)


# --- WaveNet ---


def quantized(audio: jax.Array, levels: int) -> jax.Array:
    mu = levels - 1
    squeezed = jnp.sign(audio) * jnp.log1p(mu * jnp.minimum(jnp.abs(audio), 1)) / jnp.log1p(mu)
    return ((squeezed + 1) / 2 * mu + 0.5).astype(jnp.int32)


def wavenet(audio: jax.Array, l2: float) -> jax.Array:
    """2 taps; dilations 1, 2, 4; 16 levels; 4 residual, 5 inner and 6 skipped channels."""
    levels = quantized(audio, 16)
    x, penalty, skipped, field = jax.nn.one_hot(levels[:, :-1], 16), 0.0, 0.0, 9

    def taps(x: jax.Array, name: str, width: int, out: int, dilation: int = 1) -> jax.Array:
        nonlocal penalty
        kernel = weight(name, width, x.shape[-1], out)
        penalty += jnp.square(kernel).sum() / 2
        return convolve(x, kernel, (1,), "VALID", rhs_dilation=(dilation,))

    with js.variable_scope("wavenet"):
        with js.variable_scope("causal_layer"):
            x = taps(x, "filter", 2, 4)
        with js.variable_scope("dilated_stack"):
            for i, dilation in enumerate((1, 2, 4)):
                with js.variable_scope(f"layer{i}"):
                    left = jnp.tanh(taps(x, "filter", 2, 5, dilation) + weight("filter_bias", 5))
                    right = jax.nn.sigmoid(taps(x, "gate", 2, 5, dilation) + weight("gate_bias", 5))
                    late = (left * right)[:, -(levels.shape[1] - field) :]
                    skipped = skipped + taps(late, "skip", 1, 6) + weight("slip_bias", 6)
                    dense = taps(left * right, "dense", 1, 4) + weight("dense_bias", 4)
                    x = x[:, dilation:] + dense
        with js.variable_scope("postprocessing"):
            x = taps(jax.nn.relu(skipped), "postprocess1", 1, 6) + weight("postprocess1_bias", 6)
            x = taps(jax.nn.relu(x), "postprocess2", 1, 16) + weight("postprocess2_bias", 16)
    chances = jnp.take_along_axis(jax.nn.log_softmax(x), levels[:, field:, None], -1)
    return -chances.mean() + l2 * penalty
