"""A convolutional network for small images, trained in towers, with averages of its variables."""

import re

import tensorflow as tf

FLAGS = tf.app.flags.FLAGS
tf.app.flags.DEFINE_integer("cifar_classes", 10, "How many classes there are.")
tf.app.flags.DEFINE_integer("cifar_towers", 2, "How many towers to train in.")

WIDTHS = {"conv1": 64, "conv2": 64, "local3": 384, "local4": 192}
TOWER_NAME = "tower"
MOVING_AVERAGE_DECAY = 0.9999


def _activation_summary(x):
    name = re.sub("%s_[0-9]*/" % TOWER_NAME, "", x.op.name)
    tf.summary.histogram(name + "/activations", x)
    tf.summary.scalar(name + "/sparsity", tf.nn.zero_fraction(x))


def _variable_on_cpu(name, shape, initializer):
    with tf.device("/cpu:0"):
        return tf.get_variable(name, shape, initializer=initializer, dtype=tf.float32)


def _variable_with_weight_decay(name, shape, stddev, wd):
    var = _variable_on_cpu(name, shape, tf.truncated_normal_initializer(stddev=stddev, dtype=tf.float32))
    if wd is not None:
        tf.add_to_collection("losses", tf.multiply(tf.nn.l2_loss(var), wd, name="weight_loss"))
    return var


def _conv(x, name, filters, bias):
    with tf.variable_scope(name) as scope:
        channels = x.get_shape()[3].value
        kernel = _variable_with_weight_decay("weights", [5, 5, channels, filters], stddev=5e-2, wd=None)
        conv = tf.nn.conv2d(x, kernel, [1, 1, 1, 1], padding="SAME")
        biases = _variable_on_cpu("biases", [filters], tf.constant_initializer(bias))
        out = tf.nn.relu(tf.nn.bias_add(conv, biases), name=scope.name)
        _activation_summary(out)
    return out


def _local(x, name, units):
    with tf.variable_scope(name) as scope:
        dim = x.get_shape()[1].value
        weights = _variable_with_weight_decay("weights", shape=[dim, units], stddev=0.04, wd=0.004)
        biases = _variable_on_cpu("biases", [units], tf.constant_initializer(0.1))
        out = tf.nn.relu(tf.matmul(x, weights) + biases, name=scope.name)
        _activation_summary(out)
    return out


def inference(images, widths=WIDTHS):
    pool = {"ksize": [1, 3, 3, 1], "strides": [1, 2, 2, 1], "padding": "SAME"}
    conv1 = _conv(images, "conv1", widths["conv1"], 0.0)
    norm1 = tf.nn.lrn(tf.nn.max_pool(conv1, name="pool1", **pool), 4, bias=1.0, alpha=0.001 / 9.0, beta=0.75)
    conv2 = _conv(norm1, "conv2", widths["conv2"], 0.1)
    norm2 = tf.nn.lrn(conv2, 4, bias=1.0, alpha=0.001 / 9.0, beta=0.75, name="norm2")
    pool2 = tf.nn.max_pool(norm2, name="pool2", **pool)
    flat = tf.reshape(pool2, [images.get_shape().as_list()[0], -1])
    local4 = _local(_local(flat, "local3", widths["local3"]), "local4", widths["local4"])
    with tf.variable_scope("softmax_linear") as scope:
        shape = [local4.get_shape()[1].value, FLAGS.cifar_classes]
        weights = _variable_with_weight_decay("weights", shape, stddev=1 / 192.0, wd=None)
        biases = _variable_on_cpu("biases", [FLAGS.cifar_classes], tf.constant_initializer(0.0))
        return tf.add(tf.matmul(local4, weights), biases, name=scope.name)


def loss(logits, labels):
    labels = tf.cast(labels, tf.int64)
    each = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits, name="each")
    tf.add_to_collection("losses", tf.reduce_mean(each, name="cross_entropy"))
    return tf.add_n(tf.get_collection("losses"), name="total_loss")


def tower_loss(scope, images, labels, widths):
    logits = inference(images, widths)
    loss(logits, labels)
    losses = tf.get_collection("losses", scope)
    return logits, losses, tf.add_n(losses, name="total_loss")


def average_gradients(tower_grads):
    """The mean over towers of each variable's gradient."""
    average = []
    for pairs in zip(*tower_grads):
        grads = [tf.expand_dims(g, 0) for g, _ in pairs]
        average.append((tf.reduce_mean(tf.concat(axis=0, values=grads), 0), pairs[0][1]))
    return average


def train(images, labels, widths=WIDTHS):
    """One step; images and labels have one row for each tower."""
    global_step = tf.get_variable("global_step", [], initializer=tf.constant_initializer(0), trainable=False)
    lr = tf.train.exponential_decay(0.1, global_step, 100000, 0.1, staircase=True)
    opt = tf.train.GradientDescentOptimizer(lr)
    tower_grads, tower_logits = [], []
    with tf.variable_scope(tf.get_variable_scope()):
        for i in range(FLAGS.cifar_towers):
            with tf.device("/gpu:%d" % i), tf.name_scope("%s_%d" % (TOWER_NAME, i)) as scope:
                logits, _, total = tower_loss(scope, images[i], labels[i], widths)
                tf.get_variable_scope().reuse_variables()
                tower_grads.append(opt.compute_gradients(total))
                tower_logits.append(logits)
    grads = average_gradients(tower_grads)
    apply_gradient_op = opt.apply_gradients(grads, global_step=global_step)
    averages = tf.train.ExponentialMovingAverage(MOVING_AVERAGE_DECAY, global_step)
    averages_op = averages.apply(tf.trainable_variables())
    with tf.control_dependencies([apply_gradient_op, averages_op]):
        train_op = tf.no_op(name="train")
    return {
        "train_op": train_op,
        "logits": tower_logits,
        "losses": tf.get_collection("losses"),
        "losses_names": [x.op.name for x in tf.get_collection("losses")],
        "total": total,
        "gradients": {v.op.name: g for g, v in grads},
        "tower_gradients": [{v.op.name: g for g, v in pairs} for pairs in tower_grads],
        "restore": {k: v.op.name for k, v in averages.variables_to_restore().items()},
        "lr": lr,
    }
