"""BERT's encoder, its pooler and its head for masked words."""

import copy
import math

import numpy as np
import tensorflow as tf


class BertConfig(object):
    """How large a model is."""

    def __init__(
        self,
        vocab_size,
        hidden_size=768,
        num_hidden_layers=12,
        num_attention_heads=12,
        intermediate_size=3072,
        hidden_act="gelu",
        hidden_dropout_prob=0.1,
        attention_probs_dropout_prob=0.1,
        max_position_embeddings=512,
        type_vocab_size=16,
        initializer_range=0.02,
    ):
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.num_hidden_layers = num_hidden_layers
        self.num_attention_heads = num_attention_heads
        self.intermediate_size = intermediate_size
        self.hidden_act = hidden_act
        self.hidden_dropout_prob = hidden_dropout_prob
        self.attention_probs_dropout_prob = attention_probs_dropout_prob
        self.max_position_embeddings = max_position_embeddings
        self.type_vocab_size = type_vocab_size
        self.initializer_range = initializer_range


def gelu(x):
    return x * 0.5 * (1.0 + tf.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * tf.pow(x, 3))))


def activation(name):
    if not isinstance(name, str):
        return name
    return {"linear": None, "relu": tf.nn.relu, "gelu": gelu, "tanh": tf.tanh}[name.lower()]


def create_initializer(stddev=0.02):
    return tf.truncated_normal_initializer(stddev=stddev)


def shape_list(tensor, expected_rank=None, name=None):
    if name is None:
        name = tensor.name
    if expected_rank is not None and tensor.shape.ndims != expected_rank:
        raise ValueError("rank of %s in scope %s" % (name, tf.get_variable_scope().name))
    shape = tensor.shape.as_list()
    unknown = [i for i, size in enumerate(shape) if size is None]
    if not unknown:
        return shape
    dynamic = tf.shape(tensor)
    for i in unknown:
        shape[i] = dynamic[i]
    return shape


def dropout(x, prob):
    if prob is None or prob == 0.0:
        return x
    return tf.nn.dropout(x, 1.0 - prob)


def layer_norm(x, name=None):
    return tf.contrib.layers.layer_norm(inputs=x, begin_norm_axis=-1, begin_params_axis=-1, scope=name)


def embedding_lookup(ids, vocab_size, size, initializer_range, name, use_one_hot=False):
    if ids.shape.ndims == 2:
        ids = tf.expand_dims(ids, axis=[-1])
    table = tf.get_variable(
        name=name, shape=[vocab_size, size], initializer=create_initializer(initializer_range)
    )
    flat = tf.reshape(ids, [-1])
    if use_one_hot:
        output = tf.matmul(tf.one_hot(flat, depth=vocab_size), table)
    else:
        output = tf.gather(table, flat)
    shape = shape_list(ids)
    return tf.reshape(output, shape[0:-1] + [shape[-1] * size]), table


def embedding_postprocessor(x, token_type_ids, config):
    batch, length, width = shape_list(x, expected_rank=3)
    table = tf.get_variable(
        "token_type_embeddings",
        [config.type_vocab_size, width],
        initializer=create_initializer(config.initializer_range),
    )
    one_hot = tf.one_hot(tf.reshape(token_type_ids, [-1]), depth=config.type_vocab_size)
    x += tf.reshape(tf.matmul(one_hot, table), [batch, length, width])
    fits = tf.assert_less_equal(length, config.max_position_embeddings)
    with tf.control_dependencies([fits]):
        full = tf.get_variable(
            "position_embeddings",
            [config.max_position_embeddings, width],
            initializer=create_initializer(config.initializer_range),
        )
        positions = tf.slice(full, [0, 0], [length, -1])
        ones = [1 for _ in range(len(x.shape.as_list()) - 2)]
        x += tf.reshape(positions, ones + [length, width])
    return dropout(layer_norm(x), config.hidden_dropout_prob)


def attention_mask(from_tensor, to_mask):
    batch, from_length = shape_list(from_tensor)[:2]
    to_length = shape_list(to_mask, expected_rank=2)[1]
    to_mask = tf.cast(tf.reshape(to_mask, [batch, 1, to_length]), tf.float32)
    return tf.ones(shape=[batch, from_length, 1], dtype=tf.float32) * to_mask


def attention_layer(x, mask, config, batch, length):
    heads = config.num_attention_heads
    head = int(config.hidden_size / heads)

    def part(name):
        y = tf.layers.dense(
            x, heads * head, name=name, kernel_initializer=create_initializer(config.initializer_range)
        )
        return tf.transpose(tf.reshape(y, [batch, length, heads, head]), [0, 2, 1, 3])

    query, key, value = part("query"), part("key"), part("value")
    scores = tf.matmul(query, key, transpose_b=True)
    scores = tf.multiply(scores, 1.0 / math.sqrt(float(head)))
    if mask is not None:
        scores += (1.0 - tf.cast(tf.expand_dims(mask, axis=[1]), tf.float32)) * -10000.0
    probs = dropout(tf.nn.softmax(scores), config.attention_probs_dropout_prob)
    context = tf.transpose(tf.matmul(probs, value), [0, 2, 1, 3])
    return tf.reshape(context, [batch * length, heads * head])


def transformer(x, mask, config):
    if config.hidden_size % config.num_attention_heads != 0:
        raise ValueError("hidden size %d, heads %d" % (config.hidden_size, config.num_attention_heads))
    batch, length, width = shape_list(x, expected_rank=3)
    initializer = create_initializer(config.initializer_range)
    previous, layers = tf.reshape(x, [-1, width]), []
    for i in range(config.num_hidden_layers):
        with tf.variable_scope("layer_%d" % i):
            layer_input = previous
            with tf.variable_scope("attention"):
                with tf.variable_scope("self"):
                    attended = attention_layer(layer_input, mask, config, batch, length)
                with tf.variable_scope("output"):
                    attended = tf.layers.dense(attended, width, kernel_initializer=initializer)
                    attended = layer_norm(dropout(attended, config.hidden_dropout_prob) + layer_input)
            with tf.variable_scope("intermediate"):
                inner = tf.layers.dense(
                    attended,
                    config.intermediate_size,
                    activation=activation(config.hidden_act),
                    kernel_initializer=initializer,
                )
            with tf.variable_scope("output"):
                output = tf.layers.dense(inner, width, kernel_initializer=initializer)
                previous = layer_norm(dropout(output, config.hidden_dropout_prob) + attended)
            layers.append(previous)
    return [tf.reshape(layer, [batch, length, width]) for layer in layers]


class BertModel(object):
    """The encoder, built when it is made."""

    def __init__(
        self,
        config,
        is_training,
        input_ids,
        input_mask=None,
        token_type_ids=None,
        use_one_hot_embeddings=False,
        scope=None,
    ):
        config = copy.deepcopy(config)
        if not is_training:
            config.hidden_dropout_prob = 0.0
            config.attention_probs_dropout_prob = 0.0
        batch, length = shape_list(input_ids, expected_rank=2)
        if input_mask is None:
            input_mask = tf.ones(shape=[batch, length], dtype=tf.int32)
        if token_type_ids is None:
            token_type_ids = tf.zeros(shape=[batch, length], dtype=tf.int32)
        with tf.variable_scope(scope, default_name="bert"):
            with tf.variable_scope("embeddings"):
                x, self.embedding_table = embedding_lookup(
                    input_ids,
                    config.vocab_size,
                    config.hidden_size,
                    config.initializer_range,
                    "word_embeddings",
                    use_one_hot_embeddings,
                )
                self.embedding_output = embedding_postprocessor(x, token_type_ids, config)
            with tf.variable_scope("encoder"):
                mask = attention_mask(input_ids, input_mask)
                self.all_encoder_layers = transformer(self.embedding_output, mask, config)
            self.sequence_output = self.all_encoder_layers[-1]
            with tf.variable_scope("pooler"):
                first = tf.squeeze(self.sequence_output[:, 0:1, :], axis=1)
                self.pooled_output = tf.layers.dense(
                    first,
                    config.hidden_size,
                    activation=tf.tanh,
                    kernel_initializer=create_initializer(config.initializer_range),
                )


def gather_indexes(sequence, positions):
    batch, length, width = shape_list(sequence, expected_rank=3)
    offsets = tf.reshape(tf.range(0, batch, dtype=tf.int32) * length, [-1, 1])
    flat = tf.reshape(positions + offsets, [-1])
    return tf.gather(tf.reshape(sequence, [batch * length, width]), flat)


def masked_lm_output(config, sequence, table, positions, label_ids, label_weights):
    x = gather_indexes(sequence, positions)
    with tf.variable_scope("cls/predictions"):
        with tf.variable_scope("transform"):
            x = tf.layers.dense(
                x,
                units=config.hidden_size,
                activation=activation(config.hidden_act),
                kernel_initializer=create_initializer(config.initializer_range),
            )
            x = layer_norm(x)
        bias = tf.get_variable("output_bias", shape=[config.vocab_size], initializer=tf.zeros_initializer())
        logits = tf.nn.bias_add(tf.matmul(x, table, transpose_b=True), bias)
        log_probs = tf.nn.log_softmax(logits, axis=-1)
        one_hot = tf.one_hot(tf.reshape(label_ids, [-1]), depth=config.vocab_size, dtype=tf.float32)
        weights = tf.reshape(label_weights, [-1])
        each = -tf.reduce_sum(log_probs * one_hot, axis=[-1])
        return tf.reduce_sum(weights * each) / (tf.reduce_sum(weights) + 1e-5), log_probs


def pretraining_loss(config, is_training, features):
    model = BertModel(
        config, is_training, features["input_ids"], features["input_mask"], features["segment_ids"]
    )
    loss, log_probs = masked_lm_output(
        config,
        model.sequence_output,
        model.embedding_table,
        features["masked_lm_positions"],
        features["masked_lm_ids"],
        features["masked_lm_weights"],
    )
    return {"loss": loss, "log_probs": log_probs, "pooled": model.pooled_output}
