"""What code bases ask for beside their layers: graphs that they open, gradients' classes, analyzers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxscope as js

tf = js.tf1

X = np.random.default_rng(0).normal(size=(2, 3)).astype("float32")


def test_sizes_that_are_truth_values():
    """A size may be True, which is one, as in TensorFlow's Dimension."""
    spec = js.transform(tf.function(lambda: tf.get_variable("noise", shape=[1, True, 2]))).spec()
    assert spec["noise"].shape == (1, 1, 2)


def test_slices_of_a_table():
    """No gradient is an IndexedSlices; one that a program makes is a tensor, rows of one place added."""

    def build(ids):
        table = tf.get_variable("table", [4, 2])
        (slope,) = tf.gradients(tf.reduce_sum(tf.gather(table, ids)), [table])
        assert not isinstance(slope, tf.IndexedSlices)
        return tf.convert_to_tensor(slope)

    step = tf.train_step(build)
    slope, _ = step(step.init(jax.random.key(0), np.array([1, 1])), np.array([1, 1]))
    assert slope.tolist() == [[0, 0], [2, 2], [0, 0], [0, 0]]
    made = tf.IndexedSlices(X, [2, 2], [3, 3])
    np.testing.assert_allclose(jnp.asarray(tf.multiply(made, 2.0))[2], 2 * X.sum(0), rtol=1e-6)
    assert (made.dtype, made.indices.shape.as_list()) == (tf.float32, [2])
    with pytest.raises(ValueError, match="dense_shape"):
        tf.convert_to_tensor(tf.IndexedSlices(X, [0, 1]))


def test_matrices_by_what_is_known_of_them():
    """Operators of linalg are dense matrices here, with products and determinants."""
    square = np.random.default_rng(1).normal(size=(2, 3, 3)).astype("float32")
    for operator, dense in (
        (tf.linalg.LinearOperatorLowerTriangular(square), np.tril(square)),
        (tf.contrib.linalg.LinearOperatorTriL(square), np.tril(square)),
        (tf.linalg.LinearOperatorFullMatrix(square), square),
        (tf.linalg.LinearOperatorDiag(X), np.stack([np.diag(row) for row in X])),
    ):
        np.testing.assert_array_equal(jnp.asarray(operator.to_dense()), dense)
        np.testing.assert_allclose(jnp.asarray(operator.matmul(square)), dense @ square, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(jnp.asarray(operator.determinant()), np.linalg.det(dense), rtol=1e-4)
        size = np.log(np.abs(np.linalg.det(dense)))
        np.testing.assert_allclose(jnp.asarray(operator.log_abs_determinant()), size, rtol=1e-4)
        np.testing.assert_array_equal(
            jnp.asarray(operator.diag_part()), np.diagonal(dense, axis1=-2, axis2=-1)
        )
        assert (operator.shape.as_list(), operator.dtype) == ([2, 3, 3], tf.float32)


def test_sizes_of_a_model(capsys):
    """slim's analyzer counts numbers and bytes, and prints them when it is asked to."""

    def net(x):
        tf.layers.dense(x, 4)
        return tf.contrib.slim.model_analyzer.analyze_vars(tf.trainable_variables(), print_info=True)

    assert js.transform(tf.function(net)).apply(
        {"dense/kernel": jnp.ones([3, 4]), "dense/bias": jnp.ones(4)}, X
    ) == (
        16,
        64,
    )
    assert "dense/kernel:0 (float32 3x4) [12, bytes: 48]" in capsys.readouterr().out


def test_share_of_what_is_right():
    """contrib.metrics.accuracy is a mean, by weights, and no metric with a state."""
    right = tf.contrib.metrics.accuracy
    assert float(jnp.asarray(right([1, 2, 3, 4], [1, 0, 3, 4]))) == 0.75
    assert float(jnp.asarray(right([1, 2], [1, 0], weights=[1, 3]))) == 0.25
    with pytest.raises(ValueError, match="whole numbers"):
        right([1.0], [1.0])
    with pytest.raises(ValueError, match="differ"):
        right([1, 2], [1])


def test_graphs_that_a_program_opens():
    """A graph opened, or reset, before anything is built is the pass; a second one is refused."""

    def build(x):
        tf.reset_default_graph()
        with tf.Graph().as_default() as graph:
            y = tf.layers.dense(x, 2)
            assert graph.get_collection("variables")[0].name == "dense/kernel:0"
        return y

    assert list(js.transform(tf.function(build)).spec(X)) == ["dense/kernel", "dense/bias"]

    def twice(x, again):
        return build(x), again(x)

    with pytest.raises(NotImplementedError, match=r"tf.reset_default_graph\(\) begins a second graph"):
        js.transform(tf.function(lambda x: twice(x, build))).spec(X)
    with pytest.raises(NotImplementedError, match="begins a second graph"):
        js.transform(tf.function(lambda x: twice(x, lambda _: tf.Graph().as_default().__enter__()))).spec(X)
    assert tf.reset_default_graph() is None


def test_gradients_that_nobody_asks_for():
    """A gradient may be registered for a type of operations; what would ask for it is refused."""
    with tf.as_tensorflow():
        from tensorflow.python.framework import ops

    @ops.RegisterGradient("MaxPoolGrad")
    def slope(op, grad):
        return grad

    assert slope(None, 1) == 1
    with (
        pytest.raises(NotImplementedError, match="gradient_override_map"),
        tf.get_default_graph().gradient_override_map({"Relu": "MaxPoolGrad"}),
    ):
        pass
    assert tf.AggregationMethod.EXPERIMENTAL_TREE == 1


def test_what_tensorboard_would_show():
    """The projector's messages take what a program fills in, and do nothing."""
    with tf.as_tensorflow():
        from tensorflow.contrib.tensorboard.plugins import projector
    config = projector.ProjectorConfig()
    embedding = config.embeddings.add()
    embedding.tensor_name = "embedding"
    embedding.sprite.single_image_dim.extend([28, 28])
    with pytest.warns(UserWarning, match="tensorboard"):
        projector.visualize_embeddings(None, config)


def test_strings_of_two_kinds():
    """compat makes strings and bytes of each other."""
    assert (tf.compat.as_text(b"\xc3\xa9"), tf.compat.as_str("a"), tf.compat.as_bytes("\u00e9")) == (
        "\u00e9",
        "a",
        b"\xc3\xa9",
    )
    assert (tf.compat.as_str_any(b"a"), tf.compat.as_str_any(3)) == ("a", "3")
    with pytest.raises(TypeError):
        tf.compat.as_text(3)
    assert tf.test.is_gpu_available() == (jax.default_backend() == "gpu")


def test_collections_of_one_variable():
    """The collections of a layer's variables are for all, or by their names."""
    with tf.as_tensorflow():
        from tensorflow.contrib.layers.python.layers import utils
    assert utils.get_variable_collections({"scale": ["a"]}, "scale") == ["a"]
    assert utils.get_variable_collections({"scale": ["a"]}, "bias") is None
    assert utils.get_variable_collections(["a"], "bias") == ["a"]


def test_moving_averages_by_their_inner_name():
    """assign_moving_average corrects for the zeros it began with, by variables of TensorFlow's names."""
    with tf.as_tensorflow():
        from tensorflow.python.training import moving_averages

    def net(x):
        with tf.variable_scope("bn"):
            mean = tf.get_variable("mean", [3], initializer=tf.zeros_initializer(), trainable=False)
            return moving_averages.assign_moving_average(mean, x, 0.9)

    made = js.transform(tf.function(net))
    assert list(made.spec(X[0])) == ["bn/mean", "bn/bn/mean/biased", "bn/bn/mean/local_step"]
    v = made.init(jax.random.key(0), X[0])
    first, state = made.apply_with_state(v, X[0])
    np.testing.assert_allclose(first, X[0], rtol=1e-5)
    second, _ = made.apply_with_state({**v, **state}, X[1])
    np.testing.assert_allclose(second, (0.09 * X[0] + 0.1 * X[1]) / 0.19, rtol=1e-5)
