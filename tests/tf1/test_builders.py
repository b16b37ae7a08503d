"""Functions that build whole graphs, as programs of TensorFlow 1 have them: what they make beside a model."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxscope as js
from jaxscope.tf1.base.errors import GraphLifeError, MissingNameError, NotFoundError, UnimplementedError

tf = js.tf1


class Regression:
    """A model as a class that keeps what it made, with all that a session would need."""

    def __init__(self, units):
        self.x = tf.placeholder(tf.float32, [None, 3], name="x")
        self.y = tf.layers.dense(self.x, units)
        self.init = tf.group(tf.global_variables_initializer(), tf.local_variables_initializer())
        self.saver = tf.train.Saver(tf.global_variables(), max_to_keep=2)


def test_made_and_not_used():
    def build(x):
        with tf.placeholders(x=x):
            return Regression(2).y

    net = js.transform(tf.function(build))
    assert list(net.spec(np.ones([4, 3], "float32"))) == ["dense/kernel", "dense/bias"]


def test_use_is_the_error():
    with tf.placeholders(x=np.ones([1, 3], "float32")), pytest.raises(GraphLifeError, match="checkpoint"):
        js.transform(lambda: Regression(2).saver.save("session", "path")).init(jax.random.key(0))


@pytest.mark.parametrize("make", [tf.train.Saver, tf.Session])
def test_outside_of_builders(make):
    with pytest.raises(GraphLifeError):
        make()


def test_sessions_never():
    with tf.placeholders(), pytest.raises(GraphLifeError, match=r"net\.apply"):
        tf.Session()


def model_fn(features, labels, mode):
    logits = tf.layers.dense(features["x"], 2)
    if mode == tf.estimator.ModeKeys.PREDICT:
        return tf.estimator.EstimatorSpec(mode=mode, predictions={"classes": tf.argmax(logits, 1)})
    loss = tf.losses.sparse_softmax_cross_entropy(labels, logits)
    train = tf.train.GradientDescentOptimizer(0.1).minimize(loss, tf.train.get_global_step())
    return tf.estimator.EstimatorSpec(mode, loss=loss, train_op=train, training_hooks=[object()])


def test_model_functions():
    features, labels = {"x": jnp.eye(3)}, jnp.array([0, 1, 1])
    step = tf.train_step(lambda features, labels: model_fn(features, labels, "train"))
    variables = step.init(jax.random.key(0), features, labels)
    first, variables = jax.jit(step)(variables, features, labels)
    second, _ = jax.jit(step)(variables, features, labels)
    assert (first.mode, first.train_op) == ("train", None)
    assert second.loss < first.loss
    net = js.transform(tf.function(model_fn))
    assert net.apply(variables, features, None, "infer").predictions["classes"].shape == (3,)


def test_model_functions_for_tpus():
    def metrics(loss, scale):
        return {"loss": scale * loss}

    spec = tf.contrib.tpu.TPUEstimatorSpec(mode="eval", loss=1.5, eval_metrics=(metrics, [3.0, 2.0]))
    assert spec.as_estimator_spec().eval_metric_ops == {"loss": 6.0}
    named = spec._replace(eval_metrics=(metrics, {"loss": 1.0, "scale": 1.0}))
    assert named.as_estimator_spec().loss == 1.5


def test_files(tmp_path):
    folder = str(tmp_path / "deep" / "folder")
    tf.gfile.MakeDirs(folder)
    tf.gfile.MakeDirs(folder)
    with tf.gfile.GFile(f"{folder}/config.json", "w") as file:
        file.write("grün")
    with tf.io.gfile.GFile(f"{folder}/config.json", "rb") as file:
        assert file.read() == "grün".encode()
    with tf.gfile.Open(f"{folder}/config.json") as file:
        assert file.read() == "grün"
    tf.gfile.Copy(f"{folder}/config.json", f"{folder}/b.json")
    with pytest.raises(FileExistsError):
        tf.gfile.Copy(f"{folder}/config.json", f"{folder}/b.json")
    with pytest.raises(FileExistsError):
        tf.gfile.Rename(f"{folder}/config.json", f"{folder}/b.json")
    tf.gfile.Rename(f"{folder}/config.json", f"{folder}/b.json", overwrite=True)
    assert tf.gfile.ListDirectory(folder) == ["b.json"]
    assert tf.gfile.IsDirectory(folder)
    assert tf.gfile.Glob(f"{folder}/*.json") == tf.gfile.Glob([f"{folder}/b*", f"{folder}/c*"])
    assert tf.gfile.Stat(f"{folder}/b.json").st_size == 5
    assert [found for _, _, found in tf.gfile.Walk(folder)] == [["b.json"]]
    tf.gfile.Remove(f"{folder}/b.json")
    tf.gfile.DeleteRecursively(folder)
    assert not tf.gfile.Exists(folder)
    for ask in (lambda: tf.gfile.ListDirectory(folder), lambda: tf.gfile.Open(folder)):
        with pytest.raises(NotFoundError):
            ask()


@pytest.mark.parametrize("ask", [lambda: tf.python_io.TFRecordWriter("f"), lambda: tf.train.Example()])
def test_records_are_data(ask):
    with pytest.raises(GraphLifeError, match="arrays"):
        ask()


def test_python_is_inner_modules():
    with tf.as_tensorflow():
        from tensorflow.python.ops import math_ops
    assert math_ops.less is tf.less
    with pytest.raises(MissingNameError):
        _ = tf.pythons


def test_compat_v1_is_all_of_it():
    with tf.as_tensorflow():
        import tensorflow.compat.v1 as tf1
        from tensorflow.compat.v1 import estimator
    assert tf1 is tf
    assert tf.compat.v1.train.Optimizer is tf.train.Optimizer
    assert estimator.ModeKeys is tf.estimator.ModeKeys


def test_namespaces_of_the_graphs_life_can_be_imported():
    with tf.as_tensorflow():
        from tensorflow.contrib import cluster_resolver
    with pytest.raises(GraphLifeError, match="Mesh"):
        cluster_resolver.TPUClusterResolver()


def test_branches_change_what_is_trained():
    def build(x, which):
        w = tf.get_variable("w", [], initializer=tf.ones_initializer())
        u = tf.get_variable("u", [], initializer=tf.ones_initializer())
        n = tf.get_variable("n", [], tf.int32, tf.zeros_initializer(), trainable=False)

        def one():
            n.assign_add(1)
            with tf.control_dependencies([w.assign(w + x)]):
                return tf.identity(w * 10.0)

        def other():
            u.assign(u - x)
            n.assign_add(5)
            return u * 1.0

        return tf.cond(which, one, other), w + 0.0, u + 0.0

    step = jax.jit(tf.train_step(build))
    variables = {"w": jnp.float32(1), "u": jnp.float32(1), "n": jnp.int32(0)}
    results, new = step(variables, jnp.float32(2), jnp.bool_(True))
    assert [float(one) for one in results] == [30, 3, 1]
    assert {name: float(one) for name, one in new.items()} == {"w": 3, "u": 1, "n": 1}
    results, new = step(variables, jnp.float32(2), jnp.bool_(False))
    assert [float(one) for one in results] == [-1, 1, -1]
    assert {name: float(one) for name, one in new.items()} == {"w": 1, "u": -1, "n": 5}


def test_loops_refuse_to():
    def build(x):
        w = tf.get_variable("w", [], initializer=tf.ones_initializer())

        def body(i):
            with tf.control_dependencies([w.assign(w + x)]):
                return i + 1

        return tf.while_loop(lambda i: i < 3, body, [tf.constant(0)])

    with pytest.raises(UnimplementedError, match="trainable variable"):
        tf.train_step(build).init(jax.random.key(0), jnp.float32(2))


def test_slim_has_the_layers_of_contrib():
    slim = tf.contrib.slim
    assert slim.xavier_initializer_conv2d is tf.contrib.layers.xavier_initializer_conv2d
    assert slim.initializers.xavier_initializer is tf.contrib.layers.xavier_initializer
    assert slim.layers.conv2d is tf.contrib.layers.conv2d
    with pytest.raises(MissingNameError):
        _ = slim.initializers.no_such
