"""A language model of the Penn Treebank's kind: stacked LSTMs, unrolled or by dynamic_rnn."""

import tensorflow as tf


class SmallConfig(object):
    """How large, and how it is trained."""

    init_scale = 0.1
    learning_rate = 1.0
    max_grad_norm = 5
    num_layers = 2
    num_steps = 5
    hidden_size = 8
    keep_prob = 1.0
    batch_size = 3
    vocab_size = 11


class PTBModel(object):
    """The model, on inputs and targets of shape [batch_size, num_steps]."""

    def __init__(self, is_training, config, input_, targets, unrolled=False):
        self._is_training = is_training
        self.batch_size, self.num_steps = config.batch_size, config.num_steps
        size, vocab_size = config.hidden_size, config.vocab_size
        with tf.device("/cpu:0"):
            embedding = tf.get_variable("embedding", [vocab_size, size], dtype=tf.float32)
            inputs = tf.nn.embedding_lookup(embedding, input_)
        if is_training and config.keep_prob < 1:
            inputs = tf.nn.dropout(inputs, config.keep_prob)
        output, state = self._build_rnn(inputs, config, is_training, unrolled)
        softmax_w = tf.get_variable("softmax_w", [size, vocab_size], dtype=tf.float32)
        softmax_b = tf.get_variable("softmax_b", [vocab_size], dtype=tf.float32)
        logits = tf.nn.xw_plus_b(output, softmax_w, softmax_b)
        self.logits = tf.reshape(logits, [self.batch_size, self.num_steps, vocab_size])
        loss = tf.contrib.seq2seq.sequence_loss(
            self.logits,
            targets,
            tf.ones([self.batch_size, self.num_steps], dtype=tf.float32),
            average_across_timesteps=False,
            average_across_batch=True,
        )
        self.cost = tf.reduce_sum(loss)
        self.final_state = state

    def _cell(self, config, is_training):
        cell = tf.contrib.rnn.BasicLSTMCell(
            config.hidden_size, forget_bias=0.0, state_is_tuple=True, reuse=not is_training
        )
        if is_training and config.keep_prob < 1:
            cell = tf.contrib.rnn.DropoutWrapper(cell, output_keep_prob=config.keep_prob)
        return cell

    def _build_rnn(self, inputs, config, is_training, unrolled):
        cell = tf.contrib.rnn.MultiRNNCell(
            [self._cell(config, is_training) for _ in range(config.num_layers)], state_is_tuple=True
        )
        self.initial_state = cell.zero_state(config.batch_size, tf.float32)
        state = self.initial_state
        if not unrolled:
            outputs, state = tf.nn.dynamic_rnn(cell, inputs, initial_state=state, scope="RNN")
            return tf.reshape(outputs, [-1, config.hidden_size]), state
        outputs = []
        with tf.variable_scope("RNN"):
            for time_step in range(self.num_steps):
                if time_step > 0:
                    tf.get_variable_scope().reuse_variables()
                cell_output, state = cell(inputs[:, time_step, :], state)
                outputs.append(cell_output)
        return tf.reshape(tf.concat(outputs, 1), [-1, config.hidden_size]), state


def build(config, is_training, inputs, targets, unrolled=False):
    """The model under the scope and the initializer that its main function gives it."""
    initializer = tf.random_uniform_initializer(-config.init_scale, config.init_scale)
    with tf.name_scope("Train"):
        with tf.variable_scope("Model", reuse=None, initializer=initializer):
            return PTBModel(is_training, config, inputs, targets, unrolled)


def train(config, inputs, targets, lr):
    """One step of plain descent on clipped gradients."""
    m = build(config, True, inputs, targets)
    tvars = tf.trainable_variables()
    grads, norm = tf.clip_by_global_norm(tf.gradients(m.cost, tvars), config.max_grad_norm)
    optimizer = tf.train.GradientDescentOptimizer(lr)
    optimizer.apply_gradients(zip(grads, tvars), global_step=tf.train.get_or_create_global_step())
    return m.cost, norm
