"""What published models were written with, beside the common: cells, old decoders, inner functions."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxscope as js

tf = js.tf1


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def normal(x, gamma, beta):
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-12) * gamma + beta


def drawn(net, *args):
    """Return values for all variables of a network, none of them one or zero."""
    draw = np.random.default_rng(3)
    return {name: draw.normal(size=one.shape).astype("float32") for name, one in net.spec(*args).items()}


X = np.random.default_rng(0).normal(size=(2, 3)).astype("float32")
STATE = tuple(np.random.default_rng(1).normal(size=(2, 2, 4)).astype("float32"))


def stepped(cell):
    return js.transform(tf.function(lambda x, c, h: cell()(x, tf.nn.rnn_cell.LSTMStateTuple(c, h))))


def test_lstm_of_normalized_gates():
    net = stepped(lambda: tf.contrib.rnn.LayerNormBasicLSTMCell(4, norm_gain=0.5))
    v = drawn(net, X, *STATE)
    assert list(v) == ["layer_norm_basic_lstm_cell/kernel"] + [
        f"layer_norm_basic_lstm_cell/{gate}/{name}"
        for gate in ("input", "transform", "forget", "output", "state")
        for name in ("gamma", "beta")
    ]
    output, state = net.apply(v, X, *STATE)
    at = {name.removeprefix("layer_norm_basic_lstm_cell/"): one for name, one in v.items()}
    gates = np.split(np.concatenate([X, STATE[1]], 1) @ at["kernel"], 4, 1)
    i, j, f, o = (
        normal(x, at[f"{name}/gamma"], at[f"{name}/beta"])
        for x, name in zip(gates, ("input", "transform", "forget", "output"), strict=True)
    )
    c = STATE[0] * sigmoid(f + 1) + sigmoid(i) * np.tanh(j)
    c = normal(c, at["state/gamma"], at["state/beta"])
    np.testing.assert_allclose(state.c, c, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(output, np.tanh(c) * sigmoid(o), rtol=1e-4, atol=1e-5)
    begun = net.init(jax.random.key(0), X, *STATE)
    np.testing.assert_array_equal(begun["layer_norm_basic_lstm_cell/input/gamma"], np.full(4, 0.5))


def test_lstm_without_norms_keeps_a_bias_and_drops():
    @js.transform
    def net(key):
        cell = tf.contrib.rnn.LayerNormBasicLSTMCell(4, layer_norm=False, dropout_keep_prob=1e-6)
        with js.random_keys(key):
            return cell(X, tf.nn.rnn_cell.LSTMStateTuple(*STATE))

    v = drawn(net, jax.random.key(0))
    assert list(v) == ["layer_norm_basic_lstm_cell/kernel", "layer_norm_basic_lstm_cell/bias"]
    _, state = net.apply(v, jax.random.key(0))
    kernel, bias = v.values()
    f = np.split(np.concatenate([X, STATE[1]], 1) @ kernel + bias, 4, 1)[2]
    np.testing.assert_allclose(state.c, STATE[0] * sigmoid(f + 1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("size", "biases"), [(None, False), (4, True)])
def test_cell_that_was_found(size, biases):
    net = stepped(lambda: tf.contrib.rnn.NASCell(4, num_proj=size, use_biases=biases))
    v = drawn(net, X, *STATE)
    at = {name.removeprefix("nas_cell/"): one for name, one in v.items()}
    assert list(at) == [
        "recurrent_kernel",
        "kernel",
        *["bias"] * biases,
        *["projection_weights"] * bool(size),
    ]
    output, state = net.apply(v, X, *STATE)
    m = np.split(STATE[1] @ at["recurrent_kernel"] + at.get("bias", 0), 8, 1)
    i = np.split(X @ at["kernel"], 8, 1)
    relu = lambda x: np.maximum(x, 0)
    one = np.tanh(sigmoid(i[0] + m[0]) * relu(i[1] + m[1]))
    two = np.tanh(sigmoid(i[2] + m[2]) + relu(i[3] * m[3]))
    three = np.tanh(np.tanh(i[4] + m[4]) * sigmoid(i[5] + m[5]))
    four = sigmoid(np.tanh(i[6] + m[6]) + sigmoid(i[7] + m[7]))
    c = np.tanh(one + STATE[0]) * two
    h = np.tanh(c * np.tanh(three + four)) @ at.get("projection_weights", np.eye(4))
    np.testing.assert_allclose(state.c, c, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(output, h, rtol=1e-4, atol=1e-5)


STEPS = [np.random.default_rng(at).normal(size=(2, 3)).astype("float32") for at in range(3)]


def test_decoder_over_steps():
    def net(xs):
        cell = tf.nn.rnn_cell.GRUCell(3)
        return tf.contrib.legacy_seq2seq.rnn_decoder(xs, cell.zero_state(2, tf.float32), cell, scope="lm")

    def looped(xs):
        cell = tf.nn.rnn_cell.GRUCell(3)
        zero = cell.zero_state(2, tf.float32)
        return tf.contrib.legacy_seq2seq.rnn_decoder(xs, zero, cell, lambda y, step: y * float(step))

    one = js.transform(tf.function(net))
    v = drawn(one, STEPS)
    assert [name.split("/")[:2] for name in v] == [["lm", "gru_cell"]] * 4
    outputs, last = one.apply(v, STEPS)
    unrolled, _ = js.transform(
        tf.function(lambda xs: tf.nn.static_rnn(tf.nn.rnn_cell.GRUCell(3), xs, dtype=tf.float32, scope="lm"))
    ).apply(v, STEPS)
    np.testing.assert_allclose(outputs, unrolled, rtol=1e-5)
    np.testing.assert_allclose(last, outputs[-1], rtol=1e-6)
    fed = {name.replace("lm", "rnn_decoder"): value for name, value in v.items()}
    outputs, _ = js.transform(tf.function(looped)).apply(fed, STEPS)
    first = STEPS[0]
    by_hand, _ = one.apply(v, [first, outputs[0], outputs[1] * 2])
    np.testing.assert_allclose(outputs, by_hand, rtol=1e-5)


def test_pairs_of_encoders_and_decoders():
    old = tf.contrib.legacy_seq2seq

    def names(net, *args):
        return list(js.transform(tf.function(net)).spec(*args))

    ids = [np.zeros(2, "int32")] * 2
    cell = tf.nn.rnn_cell.BasicRNNCell
    assert names(lambda a, b: old.basic_rnn_seq2seq(a, b, cell(3)), STEPS, STEPS) == [
        f"basic_rnn_seq2seq/{part}/basic_rnn_cell/{name}"
        for part in ("rnn", "rnn_decoder")
        for name in ("kernel", "bias")
    ]
    assert names(lambda a, b: old.tied_rnn_seq2seq(a, b, cell(3)), STEPS, STEPS) == [
        f"combined_tied_rnn_seq2seq/tied_rnn_seq2seq/basic_rnn_cell/{name}" for name in ("kernel", "bias")
    ]

    def looked_up(a, b):
        return old.embedding_rnn_seq2seq(a, b, cell(3), 5, 6, 4, feed_previous=True)[0]

    made = js.transform(tf.function(looked_up))
    variables = made.init(jax.random.key(0), ids, ids)
    assert [one.shape for one in made.apply(variables, ids, ids)] == [(2, 6), (2, 6)]
    assert "embedding_rnn_seq2seq/embedding_rnn_decoder/embedding" in variables


@pytest.mark.parametrize("mean", [True, False])
def test_losses_of_steps(mean):
    scores = [np.random.default_rng(at).normal(size=(2, 4)).astype("float32") for at in range(3)]
    ids = [np.array([at, 3], "int32") for at in range(3)]
    weights = [np.array([1, at], "float32") for at in range(3)]
    losses = tf.contrib.legacy_seq2seq.sequence_loss_by_example(scores, ids, weights, mean)
    each = [
        w * -np.log(np.exp(s)[[0, 1], i] / np.exp(s).sum(1))
        for s, i, w in zip(scores, ids, weights, strict=True)
    ]
    wanted = sum(each) / (sum(weights) if mean else 1)
    np.testing.assert_allclose(jnp.asarray(losses), wanted, rtol=1e-5)
    total = tf.contrib.legacy_seq2seq.sequence_loss(scores, ids, weights, mean, average_across_batch=False)
    np.testing.assert_allclose(jnp.asarray(total), wanted.sum(), rtol=1e-5)
    with pytest.raises(ValueError, match="same length"):
        tf.contrib.legacy_seq2seq.sequence_loss(scores, ids, weights[1:])


def test_moving_averages_in_the_trainable_collection():
    def net(x):
        slim = tf.contrib.slim
        settings = {"variables_collections": [tf.GraphKeys.TRAINABLE_VARIABLES], "is_training": False}
        with slim.arg_scope([slim.conv2d], normalizer_fn=slim.batch_norm, normalizer_params=settings):
            return slim.conv2d(x, 2, 1)

    spec = js.transform(tf.function(net)).spec(np.ones([1, 2, 2, 3], "float32"))
    assert not spec["Conv/BatchNorm/moving_mean"].trainable
    assert spec["Conv/BatchNorm/beta"].trainable


def test_functions_of_the_inside():
    with tf.as_tensorflow():
        from tensorflow.python.framework import function

    @function.Defun(tf.float32, tf.float32, python_grad_func=lambda op, dy: (dy * op.inputs[1], None))
    def odd(x, y):
        """Add."""
        return x + y

    @function.Defun(grad_func=lambda x, dy: dy * x)
    def other(x):
        return x * 1.0

    plain = function.Defun()(lambda x: x * 3.0)
    assert odd.__doc__ == "Add."
    grads = jax.grad(lambda x, y: jnp.asarray(odd(x, y)), (0, 1))(2.0, 5.0)
    assert [float(one) for one in grads] == [5, 0]
    assert float(jax.grad(lambda x: jnp.asarray(other(x)))(7.0)) == 7
    assert float(jax.grad(lambda x: jnp.asarray(plain(x)))(7.0)) == 3


def test_python_in_the_names_of_others(monkeypatch, tmp_path):
    package = tmp_path / "others" / "python"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").write_text("HERE = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with tf.as_tensorflow():
        import others.python
    assert isinstance(others.python, types.ModuleType)
    assert others.python.HERE == 1


MEMORY = np.random.default_rng(5).normal(size=(2, 4, 6)).astype("float32")
LENGTHS = np.array([4, 2], "int32")


def decoder(mechanism, **settings):
    def net(memory, lengths, xs):
        with tf.variable_scope("decoder") as scope:
            attend = getattr(tf.contrib.seq2seq, mechanism)(5, memory, lengths, **settings)
            cell = tf.contrib.seq2seq.AttentionWrapper(
                tf.nn.rnn_cell.GRUCell(5), attend, 3, alignment_history=True, name="attention"
            )
            begin = cell.zero_state(2, tf.float32).clone(cell_state=tf.ones([2, 5]))
            helper = tf.contrib.seq2seq.TrainingHelper(xs, [3, 3])
            outputs, last, _ = tf.contrib.seq2seq.dynamic_decode(
                tf.contrib.seq2seq.BasicDecoder(cell, helper, begin), scope=scope
            )
        return outputs.rnn_output, last.alignment_history.stack(), last.time

    return js.transform(tf.function(net))


@pytest.mark.parametrize(
    ("mechanism", "settings", "own"),
    [
        ("LuongAttention", {}, []),
        ("LuongAttention", {"scale": True}, ["attention_g"]),
        ("BahdanauAttention", {}, ["query_layer/kernel", "attention_v"]),
        (
            "BahdanauAttention",
            {"normalize": True},
            ["query_layer/kernel", "attention_v", "attention_g", "attention_b"],
        ),
    ],
)
def test_attention(mechanism, settings, own):
    net, xs = decoder(mechanism, **settings), np.stack(STEPS, 1)
    v = drawn(net, MEMORY, LENGTHS, xs)
    scope = {"LuongAttention": "luong_attention", "BahdanauAttention": "bahdanau_attention"}[mechanism]
    assert [name for name in v if "gru_cell" not in name] == [
        "decoder/memory_layer/kernel",
        *(f"decoder/attention/{scope}/{name}" for name in own),
        "decoder/attention/attention_layer/kernel",
    ]
    outputs, shares, time = net.apply(v, MEMORY, LENGTHS, xs)
    assert (shares.shape, int(time)) == ((3, 2, 4), 3)
    np.testing.assert_array_equal(shares[:, 1, 2:], 0)

    of = {name.rpartition(f"{scope}/")[2]: value for name, value in v.items() if scope in name}
    values = MEMORY * (np.arange(4) < LENGTHS[:, None])[..., None]
    keys = values @ v["decoder/memory_layer/kernel"]
    gru = {name.rpartition("gru_cell/")[2]: value for name, value in v.items() if "gru_cell" in name}
    state, attention = np.ones([2, 5]), np.zeros([2, 3])
    for at in range(3):
        x = np.concatenate([xs[:, at], attention], 1)
        both = sigmoid(np.concatenate([x, state], 1) @ gru["gates/kernel"] + gru["gates/bias"])
        r, u = both[:, :5], both[:, 5:]
        new = np.concatenate([x, r * state], 1) @ gru["candidate/kernel"] + gru["candidate/bias"]
        state = u * state + (1 - u) * np.tanh(new)
        if mechanism == "LuongAttention":
            scores = np.einsum("bd,btd->bt", state, keys) * of.get("attention_g", 1)
        else:
            weights = of["attention_v"]
            if own[2:]:
                weights = of["attention_g"] * weights / np.sqrt(np.sum(weights**2))
            query = (state @ of["query_layer/kernel"])[:, None]
            scores = np.tanh(keys + query + of.get("attention_b", 0)) @ weights
        scores = np.where(np.arange(4) < LENGTHS[:, None], scores, -np.inf)
        share = np.exp(scores - scores.max(1, keepdims=True))
        share /= share.sum(1, keepdims=True)
        context = np.einsum("bt,btd->bd", share, values)
        attention = np.concatenate([state, context], 1) @ v["decoder/attention/attention_layer/kernel"]
        np.testing.assert_allclose(shares[at], share, rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(outputs[:, at], attention, rtol=1e-3, atol=1e-4)


def test_attention_of_two():
    def net(memory, x):
        luong = tf.contrib.seq2seq.LuongAttention(5, memory)
        cell = tf.contrib.seq2seq.AttentionWrapper(
            tf.nn.rnn_cell.GRUCell(5), [luong, luong], output_attention=False
        )
        output, state = cell(x, cell.zero_state(2, tf.float32))
        assert cell.state_size.attention == 12
        assert cell.output_size == 5
        return output, state.attention, state.alignments

    made = js.transform(tf.function(net))
    v = drawn(made, MEMORY, X)
    output, attention, shares = made.apply(v, MEMORY, X)
    assert output.shape == (2, 5)
    np.testing.assert_allclose(attention[:, :6], attention[:, 6:])
    np.testing.assert_allclose(attention[:, :6], np.einsum("bt,btd->bd", shares[1], MEMORY), rtol=1e-4)


def test_classes_of_the_programs_own_are_tensors():
    class Scaled:
        dtype = tf.float32

        def __init__(self, x):
            self.x = x

    def convert(value, dtype=None, name=None, as_ref=False):
        return tf.multiply(value.x, 2.0)

    tf.register_tensor_conversion_function(Scaled, convert)
    total = tf.constant(1.0) + tf.convert_to_tensor(Scaled(tf.constant(3.0))) + tf.reduce_sum(Scaled(1.0))
    assert float(jnp.asarray(total)) == 9
    assert tf.contrib.framework.is_tensor(Scaled(1.0))
    with pytest.raises(TypeError):
        tf.register_tensor_conversion_function("Scaled", convert)


def test_inner_modules_lead_to_their_own():
    with tf.as_tensorflow():
        from tensorflow.contrib.layers.python.layers import layers
        from tensorflow.python.layers import convolutional, core
        from tensorflow.python.ops import array_ops, nn_ops, rnn_cell_impl
        from tensorflow.python.ops.losses import losses
        from tensorflow.python.training import moving_averages
        from tensorflow.python.util import nest
    assert nest.flatten is tf.nest.flatten
    assert core.flatten is tf.layers.flatten
    assert core.dropout is tf.layers.dropout
    assert convolutional.conv2d is tf.layers.conv2d
    assert layers.dropout is tf.contrib.layers.dropout
    assert nn_ops.dropout is tf.nn.dropout
    assert array_ops.reshape is tf.reshape
    assert rnn_cell_impl.GRUCell is tf.nn.rnn_cell.GRUCell
    assert losses.log_loss is tf.losses.log_loss
    assert moving_averages.ExponentialMovingAverage is tf.train.ExponentialMovingAverage


def test_averages_of_moments_in_a_branch():
    """Averages of tensors that a branch makes, as old batch normalization did, have TensorFlow's names."""

    def net(x, training):
        with tf.name_scope("tower"), tf.variable_scope("bn"):
            mean, variance = tf.nn.moments(x, [0], name="moments")
            ema = tf.train.ExponentialMovingAverage(decay=0.9)
            updated = tf.cond(training, lambda: ema.apply([mean, variance]), lambda: tf.no_op())

            def of_batch():
                with tf.control_dependencies([updated]):
                    return tf.identity(mean), tf.identity(variance)

            return tf.cond(training, of_batch, lambda: (ema.average(mean), ema.average(variance)))

    made = js.transform(tf.function(net))
    names = [f"bn/tower/bn/moments/{part}/ExponentialMovingAverage" for part in ("Squeeze", "Squeeze_1")]
    assert list(made.spec(X, jnp.array(True))) == names
    v, step = made.init(jax.random.key(0), X, jnp.array(True)), jax.jit(made.apply_with_state)
    (mean, _), state = step(v, X, jnp.array(True))
    np.testing.assert_allclose(mean, X.mean(0), rtol=1e-5)
    np.testing.assert_allclose(state[names[0]], 0.1 * X.mean(0), rtol=1e-5)
    (mean, variance), after = step({**v, **state}, X, jnp.array(False))
    np.testing.assert_allclose(mean, 0.1 * X.mean(0), rtol=1e-5)
    np.testing.assert_allclose(variance, 0.1 * X.var(0), rtol=1e-4)
    np.testing.assert_array_equal(after[names[1]], state[names[1]])


@pytest.mark.parametrize("lengths", [None, np.array([3, 2], "int32")])
def test_attention_in_a_loop_over_inputs(lengths):
    """dynamic_rnn of an AttentionWrapper keeps the shares at all times, as dynamic_decode does."""

    def net(memory, xs):
        with tf.variable_scope("decoder"):
            attend = tf.contrib.seq2seq.BahdanauAttention(5, memory)
            cell = tf.contrib.seq2seq.AttentionWrapper(
                tf.nn.rnn_cell.GRUCell(5), attend, 3, alignment_history=True, name="attention"
            )
            outputs, last = tf.nn.dynamic_rnn(cell, xs, lengths, dtype=tf.float32)
        shares = tf.transpose(last.alignment_history.stack(), [0, 1, 2])
        return outputs, shares, last.alignments, last.time

    made, xs = js.transform(tf.function(net)), np.stack(STEPS, 1)
    v = drawn(made, MEMORY, xs)
    outputs, shares, at_last, time = made.apply(v, MEMORY, xs)
    assert (outputs.shape, shares.shape, int(time)) == ((2, 3, 3), (3, 2, 4), 3)
    np.testing.assert_allclose(shares.sum(-1)[:2], np.ones([2, 2]), rtol=1e-5)
    np.testing.assert_allclose(shares[2, 0], at_last[0], rtol=1e-5)


def test_helper_that_knows_when_it_ends():
    """A helper of the program's own ends a loop where known numbers say so, as in TensorFlow."""

    class Fed(tf.contrib.seq2seq.Helper):
        def __init__(self, targets):
            self.targets = targets
            self.lengths = tf.tile([tf.shape(targets)[1]], [tf.shape(targets)[0]])

        def initialize(self, name=None):
            return tf.tile([False], [tf.shape(self.targets)[0]]), tf.zeros_like(self.targets[:, 0])

        def sample(self, time, outputs, state, name=None):
            return tf.tile([0], [tf.shape(self.targets)[0]])

        def next_inputs(self, time, outputs, state, sample_ids, name=None):
            return time + 1 >= self.lengths, self.targets[:, time], state

    def net(targets, most=9):
        cell = tf.nn.rnn_cell.GRUCell(3)
        decoder = tf.contrib.seq2seq.BasicDecoder(cell, Fed(targets), cell.zero_state(2, tf.float32))
        outputs, _, lengths = tf.contrib.seq2seq.dynamic_decode(decoder, maximum_iterations=most)
        return outputs.rnn_output, lengths

    made, xs = js.transform(tf.function(net)), np.stack(STEPS, 1)
    v = made.init(jax.random.key(0), xs)
    outputs, lengths = jax.jit(made.apply)(v, xs)
    assert (outputs.shape, lengths.tolist()) == ((2, 3, 3), [3, 3])
    assert made.apply(v, xs, most=None)[0].shape == (2, 3, 3)
    assert made.apply(v, xs, most=2)[0].shape == (2, 2, 3)
