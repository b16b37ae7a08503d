"""Layers as TF1's programs write them: classes, arg_scope, end points, cells of one's own, loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxscope as js
import jaxscope.tf1 as tf

KEY = jax.random.key(0)
slim = tf.contrib.slim


def test_a_layer_of_ones_own():
    """Its weights are made by the first call of a pass, and shared by later ones and by later passes."""

    class Scale(tf.layers.Layer):
        def __init__(self, start, **kwargs):
            super().__init__(**kwargs)
            self.start = start

        def build(self, input_shape):
            self.scale = self.add_weight(
                "scale", [input_shape[-1].value], initializer=tf.constant_initializer(self.start)
            )
            super().build(input_shape)

        def call(self, inputs, times=1):
            return inputs * self.scale * times

    layer, other = Scale(2.0), Scale(3.0, name="scale")

    @js.transform
    def net(x):
        y = layer(layer(x)) + other(x, times=2.0)
        return y, layer.scale.name, [v.name for v in other.weights], layer.name, layer.built

    x = jnp.ones([1, 2])
    for _ in range(2):
        y, name, others, own, built = net.apply(net.init(KEY, x), x)
        assert (y.tolist(), name, others, own, built) == (
            [[10, 10]],
            "scale/scale:0",
            ["scale_1/scale:0"],
            "scale",
            True,
        )


def test_classes():
    """Classes have their weights as attributes, and take what TF1's take."""

    @js.transform
    def net(x):
        dense = tf.layers.Dense(units=4, activation=tf.tanh, name="d")
        x = dense(x)
        norm = tf.layers.BatchNormalization(momentum=0.9)
        y = norm(x, training=True)
        y = tf.layers.Dropout(0.5).apply(y, training=False)
        assert [v.name for v in dense.trainable_weights] == ["d/kernel:0", "d/bias:0"]
        assert (dense.kernel.name, dense.units) == ("d/kernel:0", 4)
        assert norm.moving_mean.op.name == "batch_normalization/moving_mean"
        assert len(tf.get_collection(tf.GraphKeys.UPDATE_OPS)) == 2
        assert [v.name for v in norm.non_trainable_weights] == [
            "batch_normalization/moving_mean:0",
            "batch_normalization/moving_variance:0",
        ]
        return y

    x = jnp.arange(6.0).reshape(2, 3)
    _, state = net.apply_with_state(net.init(KEY, x), x)
    assert len(state) == 2


def test_a_network_of_slim():
    """arg_scope gives defaults, end points have the names of scopes, losses are those of weights."""

    def small_arg_scope(weight_decay=0.1):
        with (
            slim.arg_scope(
                [slim.conv2d, slim.fully_connected],
                weights_regularizer=slim.l2_regularizer(weight_decay),
                normalizer_fn=slim.batch_norm,
                normalizer_params={"is_training": False, "decay": 0.9},
            ),
            slim.arg_scope([slim.conv2d], activation_fn=tf.tanh, stride=2) as scope,
        ):
            return scope

    def small(images, num_classes=3, scope="small"):
        with tf.variable_scope(scope, "small", [images]) as inside:
            collection = inside.original_name_scope + "_end_points"
            with slim.arg_scope(
                [slim.conv2d, slim.fully_connected, slim.max_pool2d], outputs_collections=collection
            ):
                x = slim.conv2d(images, 4, [3, 3], scope="conv1")
                x = slim.repeat(x, 2, slim.conv2d, 4, [3, 3], stride=1, scope="conv2")
                x = slim.max_pool2d(x, [2, 2], scope="pool")
                x = slim.fully_connected(
                    slim.flatten(x), num_classes, activation_fn=None, normalizer_fn=None, scope="logits"
                )
        points = slim.utils.convert_collection_to_dict(collection)
        points["predictions"] = slim.softmax(x)
        return x, points

    def model(images):
        with slim.arg_scope(small_arg_scope()):
            logits, points = small(images)
        assert not slim.current_arg_scope()
        losses = tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)
        weights = slim.get_variables_by_name("weights")
        restored = slim.get_variables_to_restore(exclude=["small/logits"])
        return logits, sorted(points), len(losses), [v.name for v in weights], len(restored)

    net = js.transform(tf.function(model))
    images = jnp.ones([2, 8, 8, 3])
    logits, points, losses, weights, restored = net.apply(net.init(KEY, images), images)
    assert logits.shape == (2, 3)
    assert points == [
        "predictions",
        "small/conv1",
        "small/conv2/conv2_1",
        "small/conv2/conv2_2",
        "small/logits",
        "small/pool",
    ]
    assert weights == [
        f"small/{layer}/weights:0" for layer in ("conv1", "conv2/conv2_1", "conv2/conv2_2", "logits")
    ]
    assert (losses, restored) == (4, 3 * 4)


def test_arg_scope():
    """Inner defaults come before outer ones, what is given before all; all else is an error."""

    @tf.contrib.framework.add_arg_scope
    def layer(x, units=1, name="none"):
        return x, units, name

    scope_of = tf.contrib.framework.arg_scope
    with scope_of([layer], units=2, name="outer") as outer:
        with scope_of([layer], units=3):
            assert layer(0) == (0, 3, "outer")
            assert layer(0, units=4) == (0, 4, "outer")
        assert layer(0) == (0, 2, "outer")
    assert layer(0) == (0, 1, "none")
    with scope_of(outer):
        assert layer(0) == (0, 2, "outer")
    with pytest.raises(ValueError, match="takes no defaults"), scope_of([len], units=2):
        pass
    with pytest.raises(ValueError, match="takes no arguments"), scope_of(outer, units=2):
        pass
    with pytest.raises(TypeError), scope_of(layer, units=2):
        pass
    assert tf.contrib.framework.arg_scoped_arguments(layer) == ["units", "name"]


class Own(tf.nn.rnn_cell.RNNCell):
    """h = x w + h."""

    def __init__(self, units):
        super().__init__()
        self._units = units

    @property
    def state_size(self):
        return self._units

    @property
    def output_size(self):
        return self._units

    def call(self, inputs, state):
        w = tf.get_variable("w", [inputs.shape[-1].value, self._units], initializer=tf.ones_initializer())
        new = tf.matmul(inputs, w) + state
        return new, new


class Older(Own):
    """The same, as it was written before cells were layers."""

    def __call__(self, inputs, state, scope=None):
        with tf.variable_scope(scope or type(self).__name__):
            return self.call(inputs, state)


@pytest.mark.parametrize(("cell", "name"), [(Own, "rnn/own/w"), (Older, "rnn/Older/w")])
def test_cells_of_ones_own(cell, name):
    """They run in one loop, with lengths, and are parts of others; gradients go through them."""

    @js.transform
    def net(x, lengths):
        outputs, last = tf.nn.dynamic_rnn(cell(2), x, lengths, dtype=tf.float32)
        return outputs, last

    x, lengths = jnp.ones([2, 4, 3]), jnp.array([4, 2])
    variables = net.init(KEY, x, lengths)
    assert list(variables) == [name]
    outputs, last = net.apply(variables, x, lengths)
    assert outputs[:, :, 0].tolist() == [[3, 6, 9, 12], [3, 6, 0, 0]]
    assert last.tolist() == [[12, 12], [6, 6]]
    gradient = jax.grad(lambda v: net.apply(v, x, lengths)[1].sum())(variables)
    assert gradient[name].tolist() == [[6, 6]] * 3


def test_a_language_model():
    """PTB's way: cells with dropout in a stack, unrolled by hand in a scope that is reused, and a loop."""

    def model(ids, by_hand):
        def one():
            cell = tf.contrib.rnn.BasicLSTMCell(
                4, forget_bias=0.0, state_is_tuple=True, reuse=tf.get_variable_scope().reuse
            )
            return tf.contrib.rnn.DropoutWrapper(cell, output_keep_prob=1.0)

        with tf.variable_scope("Model", initializer=tf.random_uniform_initializer(-0.1, 0.1)):
            cell = tf.contrib.rnn.MultiRNNCell([one() for _ in range(2)], state_is_tuple=True)
            state = cell.zero_state(ids.shape[0].value, tf.float32)
            table = tf.get_variable("embedding", [10, 4], dtype=tf.float32)
            inputs = tf.nn.embedding_lookup(table, ids)
            if not by_hand:
                with tf.variable_scope("RNN"):
                    outputs, state = tf.nn.static_rnn(
                        cell, tf.unstack(inputs, axis=1), initial_state=state, scope="x"
                    )
                return outputs[-1], state
            with tf.variable_scope("RNN"), tf.variable_scope("x"):
                for step in range(ids.shape[1].value):
                    if step > 0:
                        tf.get_variable_scope().reuse_variables()
                    output, state = cell(inputs[:, step, :], state)
            return output, state

    ids = jnp.array([[1, 2, 3]])
    nets = [js.transform(tf.function(lambda ids, by_hand=by_hand: model(ids, by_hand))) for by_hand in (0, 1)]
    variables = nets[0].init(KEY, ids)
    assert list(variables) == list(nets[1].spec(ids).init(KEY))
    assert "Model/RNN/x/multi_rnn_cell/cell_1/basic_lstm_cell/kernel" in variables
    one, other = (net.apply(variables, ids) for net in nets)
    assert isinstance(one[1][0], tf.nn.rnn_cell.LSTMStateTuple)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_dropout_in_a_loop():
    """Each time has a mask of its own, from the stream of keys; without one it is an error."""

    def model(x, key=None):
        cell = tf.nn.rnn_cell.DropoutWrapper(Own(8), input_keep_prob=0.5)
        with js.random_keys(key):
            return tf.nn.dynamic_rnn(cell, x, dtype=tf.float32)[0]

    net = js.transform(model)
    x = jnp.ones([4, 6, 3])
    variables = net.init(KEY, x, KEY)
    steps = np.diff(np.asarray(net.apply(variables, x, KEY))[:, :, 0], axis=1)
    assert len(np.unique(steps)) > 2
    with pytest.raises(js.errors.KeyStreamError):
        net.apply(variables, x)


def test_names_of_derived_classes():
    """A class of the program's own names its scope, whatever it is derived from."""

    class MyDense(tf.layers.Dense):
        """A layer."""

    class MyCell(tf.nn.rnn_cell.GRUCell):
        """A cell."""

    def model(x):
        return MyCell(2)(MyDense(3)(x), tf.zeros([1, 2]))[0]

    names = js.transform(tf.function(model)).spec(jnp.ones([1, 4]))
    assert {name.partition("/")[0] for name in names} == {"my_dense", "my_cell"}


def test_bidirectional():
    """The backward cell begins at each sequence's end; stacked and static ones agree with it."""

    @js.transform
    def net(x, lengths):
        outputs, states = tf.nn.bidirectional_dynamic_rnn(Own(1), Own(1), x, lengths, dtype=tf.float32)
        static = tf.nn.static_bidirectional_rnn(
            Own(1), Own(1), tf.unstack(x, axis=1), dtype=tf.float32, sequence_length=lengths, scope="static"
        )
        return outputs, states, tf.stack(static[0], 1)

    x, lengths = jnp.ones([2, 3, 1]), jnp.array([3, 2])
    (forward, back), states, static = net.apply(net.init(KEY, x, lengths), x, lengths)
    assert forward[..., 0].tolist() == [[1, 2, 3], [1, 2, 0]]
    assert back[..., 0].tolist() == [[3, 2, 1], [2, 1, 0]]
    assert [state.tolist() for state in states] == [[[3], [2]]] * 2
    np.testing.assert_array_equal(static, jnp.concatenate([forward, back], -1))


def test_refusals():
    """What TF1 refuses is refused."""

    def spec(model, *args):
        return js.transform(tf.function(model)).spec(*args)

    x = jnp.ones([2, 3, 4])
    with pytest.raises(ValueError, match="must give a dtype"):
        spec(lambda x: tf.nn.dynamic_rnn(Own(2), x), x)
    with pytest.raises(TypeError, match="RNNCell"):
        spec(lambda x: tf.nn.dynamic_rnn(len, x, dtype=tf.float32), x)
    with pytest.raises(ValueError, match="at least one cell"):
        tf.nn.rnn_cell.MultiRNNCell([])
    with pytest.raises(ValueError, match="integer"):
        tf.contrib.layers.l2_regularizer(1)
    with pytest.raises(NotImplementedError):
        tf.nn.rnn_cell.DropoutWrapper(Own(2), variational_recurrent=True)
    with pytest.raises(NotImplementedError, match="batch_weights"):
        spec(lambda x: slim.batch_norm(x, batch_weights=x), x)
    with pytest.raises(ValueError, match="axes"):
        spec(lambda x: tf.contrib.layers.conv1d(x[0], 2, 3), x)


def test_decoders():
    """Taught, a decoder is a loop over its inputs; greedy, it ends where it says so."""
    seq2seq = tf.contrib.seq2seq

    def model(ids, lengths, start, taught):
        table = tf.get_variable("table", [5, 3])
        cell = tf.nn.rnn_cell.GRUCell(4)
        state = cell.zero_state(2, tf.float32)
        layer = tf.layers.Dense(5, use_bias=False, name="projection")
        if taught:
            helper = seq2seq.TrainingHelper(tf.nn.embedding_lookup(table, ids), lengths)
        else:
            helper = seq2seq.GreedyEmbeddingHelper(table, start, 0)
        decoder = seq2seq.BasicDecoder(cell, helper, state, output_layer=layer)
        limit = None if taught else 6
        outputs, _, found = seq2seq.dynamic_decode(decoder, impute_finished=True, maximum_iterations=limit)
        loss = seq2seq.sequence_loss(
            outputs.rnn_output, outputs.sample_id, tf.ones_like(outputs.rnn_output[..., 0])
        )
        return outputs.rnn_output, outputs.sample_id, found, loss

    ids, lengths, start = jnp.array([[1, 2, 3], [4, 1, 2]]), jnp.array([3, 2]), jnp.array([1, 4])
    taught, greedy = (
        js.transform(tf.function(lambda *args, how=how: model(*args, how))) for how in (True, False)
    )
    variables = taught.init(KEY, ids, lengths, start)
    assert sorted(name for name in variables if "kernel" in name) == [
        "decoder/gru_cell/candidate/kernel",
        "decoder/gru_cell/gates/kernel",
        "decoder/projection/kernel",
    ]
    logits, _, found, loss = jax.jit(taught.apply)(variables, ids, lengths, start)
    assert found.tolist() == [3, 2]

    @js.transform
    def plainly(ids):
        x = js.get_variable("table", [5, 3])[ids]
        y = js.layers.rnn(js.layers.GRUCell(4), x, lengths, dtype="float32", name="decoder")[0]
        with js.variable_scope("decoder", reuse=js.AUTO_REUSE):
            return js.layers.dense(y, 5, use_bias=False, name="projection")

    np.testing.assert_allclose(logits, plainly.apply(variables, ids), rtol=1e-5, atol=1e-6)
    assert float(loss) > 0
    _, chosen, found, _ = jax.jit(greedy.apply)(variables, ids, lengths, start)
    for row, length in zip(chosen.tolist(), found.tolist(), strict=True):
        assert length == (row.index(0) + 1 if 0 in row else 6)
    assert tf.function(lambda x: seq2seq.tile_batch(x, 2))(ids).tolist() == ids.repeat(2, 0).tolist()
