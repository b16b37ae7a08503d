"""GPT-2: the model and its sampler, as one wrote them for TensorFlow 1."""

import numpy as np
import tensorflow as tf
from tensorflow.contrib.training import HParams


def default_hparams():
    return HParams(n_vocab=0, n_ctx=1024, n_embd=768, n_head=12, n_layer=12)


def sizes(x):
    """What is known of a shape as numbers, and what is not as tensors."""
    known, dynamic = x.shape.as_list(), tf.shape(x)
    return [dynamic[i] if size is None else size for i, size in enumerate(known)]


def softmax(x, axis=-1):
    e = tf.exp(x - tf.reduce_max(x, axis=axis, keepdims=True))
    return e / tf.reduce_sum(e, axis=axis, keepdims=True)


def gelu(x):
    return 0.5 * x * (1 + tf.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * tf.pow(x, 3))))


def norm(x, scope, axis=-1, epsilon=1e-5):
    with tf.variable_scope(scope):
        width = x.shape[-1].value
        g = tf.get_variable("g", [width], initializer=tf.constant_initializer(1))
        b = tf.get_variable("b", [width], initializer=tf.constant_initializer(0))
        mean = tf.reduce_mean(x, axis=axis, keepdims=True)
        variance = tf.reduce_mean(tf.square(x - mean), axis=axis, keepdims=True)
        return (x - mean) * tf.rsqrt(variance + epsilon) * g + b


def linear(x, scope, nf, stddev=0.02):
    with tf.variable_scope(scope):
        *start, nx = sizes(x)
        w = tf.get_variable("w", [1, nx, nf], initializer=tf.random_normal_initializer(stddev=stddev))
        b = tf.get_variable("b", [nf], initializer=tf.constant_initializer(0))
        y = tf.matmul(tf.reshape(x, [-1, nx]), tf.reshape(w, [-1, nf])) + b
        return tf.reshape(y, start + [nf])


def attention_mask(nd, ns, dtype):
    """Ones in the lower triangle, counted from the lower right corner."""
    i, j = tf.range(nd)[:, None], tf.range(ns)
    return tf.cast(i >= j - ns + nd, dtype)


def to_heads(x, n):
    *start, m = sizes(x)
    return tf.transpose(tf.reshape(x, start + [n, m // n]), [0, 2, 1, 3])


def from_heads(x):
    x = tf.transpose(x, [0, 2, 1, 3])
    *start, n, m = sizes(x)
    return tf.reshape(x, start + [n * m])


def attend(q, k, v):
    w = tf.matmul(q, k, transpose_b=True)
    w = w * tf.rsqrt(tf.cast(v.shape[-1].value, w.dtype))
    _, _, nd, ns = sizes(w)
    mask = tf.reshape(attention_mask(nd, ns, dtype=w.dtype), [1, 1, nd, ns])
    w = softmax(w * mask - tf.cast(1e10, w.dtype) * (1 - mask))
    return tf.matmul(w, v)


def attention(x, scope, past, hparams):
    assert x.shape.ndims == 3
    width = x.shape[-1].value
    assert width % hparams.n_head == 0
    with tf.variable_scope(scope):
        c = linear(x, "c_attn", width * 3)
        q, k, v = [to_heads(part, hparams.n_head) for part in tf.split(c, 3, axis=2)]
        present = tf.stack([k, v], axis=1)
        if past is not None:
            pk, pv = tf.unstack(past, axis=1)
            k = tf.concat([pk, k], axis=-2)
            v = tf.concat([pv, v], axis=-2)
        return linear(from_heads(attend(q, k, v)), "c_proj", width), present


def mlp(x, scope):
    with tf.variable_scope(scope):
        width = x.shape[-1].value
        return linear(gelu(linear(x, "c_fc", 4 * width)), "c_proj", width)


def block(x, scope, past, hparams):
    with tf.variable_scope(scope):
        a, present = attention(norm(x, "ln_1"), "attn", past, hparams)
        x = x + a
        return x + mlp(norm(x, "ln_2"), "mlp"), present


def past_shape(hparams, batch_size=None, sequence=None):
    head = hparams.n_embd // hparams.n_head
    return [batch_size, hparams.n_layer, 2, hparams.n_head, sequence, head]


def positions(tokens, past_length):
    batch, steps = tf.shape(tokens)[0], tf.shape(tokens)[1]
    return tf.tile(tf.expand_dims(past_length + tf.range(steps), 0), tf.stack([batch, 1]))


def model(hparams, X, past=None, scope="model", reuse=False):
    with tf.variable_scope(scope, reuse=reuse):
        batch, sequence = sizes(X)
        wpe = tf.get_variable(
            "wpe", [hparams.n_ctx, hparams.n_embd], initializer=tf.random_normal_initializer(stddev=0.01)
        )
        wte = tf.get_variable(
            "wte", [hparams.n_vocab, hparams.n_embd], initializer=tf.random_normal_initializer(stddev=0.02)
        )
        past_length = 0 if past is None else tf.shape(past)[-2]
        h = tf.gather(wte, X) + tf.gather(wpe, positions(X, past_length))
        presents = []
        pasts = [None] * hparams.n_layer if past is None else tf.unstack(past, axis=1)
        for layer, one in enumerate(pasts):
            h, present = block(h, "h%d" % layer, one, hparams)
            presents.append(present)
        h = norm(h, "ln_f")
        logits = tf.matmul(tf.reshape(h, [batch * sequence, hparams.n_embd]), wte, transpose_b=True)
        return {
            "present": tf.stack(presents, axis=1),
            "logits": tf.reshape(logits, [batch, sequence, hparams.n_vocab]),
        }


def loss(hparams, X):
    logits = model(hparams, X)["logits"]
    return tf.reduce_mean(
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels=X[:, 1:], logits=logits[:, :-1])
    )


def likeliest(logits, k):
    """Leave only the k largest logits as they are."""
    if k == 0:
        return logits
    values, _ = tf.nn.top_k(logits, k=k)
    return tf.where(logits < values[:, -1, tf.newaxis], tf.ones_like(logits) * -1e10, logits)


def sample(hparams, length, context, temperature=1.0, top_k=0):
    def step(tokens, past=None):
        out = model(hparams, tokens, past=past, reuse=tf.AUTO_REUSE)
        logits, presents = out["logits"][:, :, : hparams.n_vocab], out["present"]
        presents.set_shape(past_shape(hparams, batch_size=context.shape[0].value))
        return logits, presents

    with tf.name_scope("sample_sequence"):
        _, past = step(context[:, :-1])

        def body(past, prev, output):
            logits, presents = step(prev[:, tf.newaxis], past=past)
            logits = likeliest(logits[:, -1, :] / tf.to_float(temperature), top_k)
            samples = tf.multinomial(logits, num_samples=1, output_dtype=tf.int32)
            past = tf.concat([past, presents], axis=-2)
            return past, tf.squeeze(samples, axis=[1]), tf.concat([output, samples], axis=1)

        batch = context.shape[0].value
        _, _, tokens = tf.while_loop(
            cond=lambda *_: True,
            body=body,
            maximum_iterations=length,
            loop_vars=[past, context[:, -1], context],
            shape_invariants=[
                tf.TensorShape(past_shape(hparams, batch_size=batch)),
                tf.TensorShape([batch]),
                tf.TensorShape([batch, None]),
            ],
            back_prop=False,
        )
        return tokens
