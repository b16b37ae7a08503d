"""Variables as objects: the lines that every article about them has, identity, names, state, idioms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

import jaxscope as js
import jaxscope.tf1 as tf

KEY = jax.random.key(0)


def seen(model, *args):
    """Return what a model returns in a pass that records, whatever that is."""
    found = []
    js.transform(lambda *args: found.append(model(*args))).spec(*args)
    return found[-1]


def test_the_lines_of_the_articles():
    """They run as they stand there, and give the names that are printed there."""

    def model():
        my_variable = tf.Variable(initial_value=3.0, name="my_variable")
        W = tf.get_variable("W", shape=[784, 256], initializer=tf.contrib.layers.xavier_initializer())
        b = tf.get_variable("b", [10], initializer=tf.constant_initializer(value=0, dtype=tf.float32))
        with tf.variable_scope("two"):
            found = tf.get_variable("v", [1])
            made = tf.Variable(1, name="v", expected_shape=[1])
            assert found is not made
        with tf.variable_scope("two", reuse=True):
            assert tf.get_variable("v", [1]) is found
        words = tf.Variable(tf.constant(1.0, shape=[30522, 1024]), name="word_embeddings_1", dtype=tf.float32)
        keys = tf.get_default_graph().collections
        assert ("__variable_store",) in keys
        assert "trainable_variables" in keys
        store = tf.get_default_graph().get_collection(("__variable_store",))[0]
        assert store._vars["two/v"] is found
        return [v.name for v in (my_variable, W, b, found, made, words)], words.get_shape().as_list()

    names, shape = seen(model)
    assert names == ["my_variable:0", "W:0", "b:0", "two/v:0", "two/v_1:0", "word_embeddings_1:0"]
    assert shape == [30522, 1024]


def test_my_layer_twice():
    """A layer that opens its scope with AUTO_REUSE shares its variables."""

    def my_layer(x):
        with tf.variable_scope("my_layer", reuse=tf.AUTO_REUSE):
            w = tf.get_variable("w", [3, 3])
            return tf.matmul(x, w), w

    def model(x):
        y, one = my_layer(tf.convert_to_tensor(x))
        _, other = my_layer(y)
        assert one is other
        assert one != tf.get_variable("another", [3, 3])
        return [v.op.name for v in tf.trainable_variables("my_")]

    assert seen(model, jnp.ones([2, 3])) == ["my_layer/w"]


@pytest.mark.filterwarnings("ignore:.*does nothing in jaxscope.tf1:UserWarning")
def test_towers():
    """CIFAR's towers on several devices share their variables, and have name scopes of their own."""

    def loss(images):
        w = tf.get_variable("w", [3, 1], initializer=tf.truncated_normal_initializer(stddev=5e-2, seed=1))
        error = tf.reduce_mean(tf.matmul(images, w))
        tf.add_to_collection("losses", error)
        return error

    def model(images):
        total = []
        with tf.variable_scope(tf.get_variable_scope()):
            for i in range(2):
                with tf.device(f"/gpu:{i}"), tf.name_scope("{}_{}".format("tower", i)) as scope:
                    total.append(loss(tf.convert_to_tensor(images[i])))
                    assert len(tf.get_collection("losses", scope)) == 1
                    tf.get_variable_scope().reuse_variables()
        return len(total), [v.name for v in tf.global_variables()]

    assert seen(model, jnp.ones([2, 4, 3])) == (2, ["w:0"])


def test_what_a_variable_is():
    """Names, shapes, operators, and its place as a tensor."""

    def model():
        with tf.variable_scope("a"):
            v = tf.get_variable("w", [2, 3], initializer=tf.ones_initializer())
        assert isinstance(v, tf.Variable)
        assert (v.name, v.op.name, v.op.type) == ("a/w:0", "a/w", "VariableV2")
        assert v.shape[1].value == 3
        assert v.get_shape().as_list() == [2, 3]
        assert v.dtype == tf.float32 == v.dtype.base_dtype
        assert v.trainable
        assert tf.is_tensor(v)
        assert "a/w:0" in repr(v)
        assert {v: 1}[v] == 1
        for made in (v + 1, 1 - v, np.ones(3) * v, v / 2.0, -v, v[0], v.value(), v.initialized_value()):
            assert isinstance(made, tf.Tensor)
        with pytest.raises(TypeError):
            list(v)
        with pytest.raises(NotImplementedError):
            v.eval()
        return tf.matmul(v, tf.reshape(v, [3, 2]))

    variables = js.transform(model).init(KEY)
    assert js.transform(model).apply(variables).tolist() == [[3, 3], [3, 3]]


def test_one_array_of_two_variables():
    """Two variables that have the same array as their value are two all the same."""

    def model():
        a, b = tf.get_variable("a", [2]), tf.get_variable("b", [2])
        return a is b, a.name + b.name, [v.name for v in tf.get_collection("variables")]

    x = jnp.ones(2)
    same, names, all_names = js.transform(model).apply({"a": x, "b": x})
    assert (same, names, all_names) == (False, "a:0b:0", ["a:0", "b:0"])


def test_state_in_the_order_of_the_program():
    """What is assigned is read from then on, inside of loops too, and comes out as state."""

    @js.transform
    def net(x):
        n = tf.get_variable("n", [], initializer=tf.zeros_initializer(), trainable=False)
        first = tf.identity(n)
        second = tf.assign_add(n, x)
        n.assign(n * 2)
        tf.assign_sub(n, 1)
        rows = tf.get_variable("rows", [3], initializer=tf.zeros_initializer(), trainable=False)
        tf.scatter_add(rows, [0, 2], [1.0, 2.0])
        return first, second, n, n.read_value()

    result, state = jax.jit(net.apply_with_state)(net.init(KEY, 3.0), jnp.float32(3))
    assert [float(one) for one in result] == [0, 3, 5, 5]
    assert (float(state["n"]), state["rows"].tolist()) == (5, [1, 0, 2])


def test_state_in_a_collection_of_the_program():
    """State that no collection of TF1's has is read as it was written, too; and steps know of it."""

    @js.transform
    def net():
        got = tf.get_variable("got", initializer=0.0, collections=["mine"], trainable=False)
        made = tf.Variable(1.0, collections=[], trainable=False, name="made")
        return got.assign(3.0), got.value(), made.assign_add(got), made.value()

    results, state = net.apply_with_state(net.init(KEY))
    assert [*map(float, results)] == [3, 3, 4, 4]
    assert (float(state["got"]), float(state["made"])) == (3, 4)

    @tf.train_step
    def step(x):
        share = tf.get_variable("share", initializer=2.0, collections=["mine"], trainable=False)
        loss = tf.reduce_sum(x * tf.get_variable("w", [2])) * share
        tf.train.GradientDescentOptimizer(0.5).minimize(loss)

    before = step.init(KEY, jnp.ones(2))
    _, after = step(before, jnp.ones(2))
    np.testing.assert_allclose(after["w"], before["w"] - 1)


def test_a_trainable_variable_is_assigned_to():
    """Its value holds for the pass, which is said once; a wrong shape is an error."""

    @js.transform
    def net():
        v = tf.get_variable("given_away", initializer=1.0)
        with pytest.raises(ValueError, match="is given a value"):
            v.assign([1.0, 2.0])
        return tf.assign(v, 5.0), v + 1

    with pytest.warns(UserWarning, match="which is trainable"):
        result = net.apply({"given_away": jnp.float32(1)})
    assert [float(one) for one in result] == [5, 6]
    assert float(net.apply({"given_away": jnp.float32(2)})[1]) == 6


def test_initial_values():
    """Initializers, tensors, functions of TF1's conventions, and draws that wait for their variable."""

    def no_info(shape, dtype=None):
        return tf.constant(2.0, dtype, shape)

    def with_info(shape, dtype=None, partition_info=None):
        assert partition_info is None
        return np.full(shape, 3.0)

    def drawn(shape, dtype=None):
        return tf.random_normal_initializer(stddev=2.0)(shape, dtype)

    @js.transform
    def net():
        tf.get_variable("a", [2], initializer=no_info)
        tf.get_variable("b", [2], initializer=with_info)
        tf.get_variable("c", initializer=tf.constant([4.0, 4.0]))
        tf.get_variable("d", initializer=lambda: tf.constant([5.0]))
        tf.get_variable("e", [2], initializer=tf.zeros_initializer)
        tf.get_variable("f", [400], initializer=drawn)
        xavier = tf.contrib.layers.xavier_initializer_conv2d()
        tf.Variable(xavier(shape=[20, 20]), name="g")
        half = tf.truncated_normal_initializer(stddev=1.0)([400])
        tf.Variable((half - half) + half * np.float32(0.5), name="h")
        tf.Variable(tf.zeros_initializer()([2]), name="i")
        tf.get_variable("j", initializer=[1, 2])
        tf.get_variable("k", [2, 2], initializer=tf.constant_initializer([[1, 2], [3, 4]]))
        tf.get_variable("l", [3], tf.float32, tf.variance_scaling_initializer(mode="fan_avg", seed=3))

    variables = net.init(KEY)
    for name, value in {"a": 2, "b": 3, "c": 4, "d": 5, "e": 0, "i": 0}.items():
        assert set(variables[name].tolist()) == {value}, name
    assert abs(float(variables["f"].std()) - 2) < 0.3
    assert 0.05 < float(variables["g"].std()) < 0.6
    assert abs(float(variables["h"].std()) - 0.44) < 0.06
    assert (str(variables["j"].dtype), variables["k"].tolist()) == ("int32", [[1, 2], [3, 4]])
    again = jax.jit(net.init)(KEY)
    assert all(np.array_equal(again[name], variables[name]) for name in variables)
    other = net.init(jax.random.key(1))
    assert not np.array_equal(other["g"], variables["g"])
    with pytest.raises(js.errors.KeyStreamError):
        js.transform(lambda: tf.random_normal_initializer()([3]) + 1).apply({})


def test_getters_see_variables():
    """A custom getter of TF1's idiom gets objects, and may return tensors or other variables."""
    told = []

    def half_precision(getter, name, shape=None, dtype=None, initializer=None, *args, **kwargs):
        trainable = kwargs.get("trainable", True)
        storage = tf.float32 if trainable else dtype
        variable = getter(name, shape, storage, initializer, *args, **kwargs)
        told.append((type(variable).__name__, variable.name, dtype.name))
        return tf.cast(variable, dtype) if dtype != storage else variable

    def model():
        with tf.variable_scope("m", custom_getter=half_precision, dtype=tf.float16):
            w = tf.get_variable("w", [2], initializer=tf.ones_initializer())
            dense = tf.layers.dense(tf.convert_to_tensor(jnp.ones([1, 2], jnp.float16)), 1)
            same = tf.get_variable("n", [], tf.float32)
        assert not isinstance(w, tf.Variable)
        assert isinstance(same, tf.Variable)
        assert [v.dtype for v in tf.trainable_variables()] == [tf.float32] * 4
        return w.dtype.name, dense.dtype.name, same.name

    assert seen(model) == ("float16", "float16", "m/n:0")
    assert told[0] == ("Variable", "m/w:0", "float16")


def test_getters_of_jaxscope():
    """`js.getters` around a model of TF1's idiom mean what they mean elsewhere."""

    def model(x):
        with tf.variable_scope("", custom_getter=js.getters.cast("bfloat16")):
            return tf.layers.dense(tf.convert_to_tensor(x), 2)

    net = js.transform(model)
    x = jnp.ones([1, 3], jnp.bfloat16)
    variables = net.init(KEY, x)
    assert {str(value.dtype) for value in variables.values()} == {"float32"}
    assert net.apply(variables, x).dtype == jnp.bfloat16


def test_scopes():
    """TF1's order of arguments, what scope objects have, jumps, and name scopes that stay."""

    def model():
        regularizer = tf.contrib.layers.l2_regularizer(0.5)
        start = tf.constant_initializer(2.0)
        with tf.variable_scope("a", None, None, start, regularizer) as a:
            assert (a.name, a.reuse, a.original_name_scope) == ("a", False, "a/")
            assert a.dtype == tf.float32
            tf.get_variable("w", [2])
            with tf.variable_scope("b", regularizer=tf.no_regularizer):
                tf.get_variable("w", [2])
        assert tf.get_variable_scope().name == ""
        with tf.variable_scope(a, reuse=True) as again:
            assert again.reuse is True
            assert tf.get_variable("w") is tf.global_variables("a/w")[0]
        with (
            tf.variable_scope(a, auxiliary_name_scope=False) as kept,
            tf.name_scope(kept.original_name_scope),
        ):
            pass
        with tf.variable_op_scope([1], None, "op") as one, tf.variable_scope(None, "op") as two:
            names = one.name, two.name
        with tf.variable_scope("c", reuse=1), pytest.raises(ValueError, match="does not exist"):
            tf.get_variable("w", [2])
        assert [v.name for v in a.trainable_variables()] == ["a/w:0", "a/b/w:0"]
        losses = tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)
        return names, len(losses), losses[0]

    names, count, total = seen(model)
    assert (names, count) == (("op", "op/op"), 1)
    assert isinstance(total, tf.Tensor)


def test_templates():
    """A template shares its variables, and knows them."""

    def model(x):
        def scale(x, by):
            return x * tf.get_variable("w", [], initializer=tf.constant_initializer(by))

        template = tf.make_template("scale", scale, by=3.0)
        y = template(tf.convert_to_tensor(x)) + template(tf.convert_to_tensor(x))
        return y, template.variable_scope.name, [v.name for v in template.trainable_variables]

    net = js.transform(model)
    y, scope, names = net.apply(net.init(KEY, 1.0), 1.0)
    assert (float(y), scope, names) == (6, "scale", ["scale/w:0"])


def test_collections():
    """Variables come out as the objects that they are, tensors as they were put in."""

    def model():
        w = tf.get_variable("w", [2], collections=["mine", tf.GraphKeys.GLOBAL_VARIABLES])
        n = tf.get_local_variable("n", [])
        tensor = tf.identity(w)
        tf.add_to_collections(["mine", "yours"], tensor)
        tf.add_to_collection("mine", w)
        tf.get_collection_ref("yours").append("text")
        assert tf.get_collection("mine")[0] is w
        assert tf.get_collection("mine")[1] is tensor
        assert tf.get_collection("mine")[2] is w
        assert tf.local_variables() == [n]
        with pytest.raises(NotImplementedError):
            tf.get_collection_ref("mine").clear()
        return tf.get_collection("yours")[1], "yours" in tf.get_default_graph().get_all_collection_keys()

    assert seen(model) == ("text", True)


def test_what_only_steers_the_graph():
    """Devices, partitioners of TF1's, resources are accepted; a PartitionSpec is kept."""

    def model():
        with tf.variable_scope(
            "a",
            caching_device="/cpu:0",
            partitioner=tf.fixed_size_partitioner(4),
            use_resource=True,
        ):
            tf.get_variable("w", [8], validate_shape=False, synchronization=None)
            tf.get_variable("s", [8], partitioner=PartitionSpec("x"))
        operations = [tf.global_variables_initializer(), tf.trainable_variables()[0].initializer]
        return [type(one) for one in operations]

    assert seen(model) == [tf.Operation, tf.Operation]
    specs = js.transform(model).spec()
    assert specs["a/s"].partition_spec() == PartitionSpec("x")


def test_in_loops_and_branches():
    """A variable that is made inside of a loop is the variable outside of it, too."""

    @js.transform
    def net(x):
        def step(carry, x):
            w = tf.get_variable("w", [], initializer=tf.constant_initializer(2.0))
            return jnp.asarray(w * carry + x), None

        last, _ = jax.lax.scan(step, jnp.float32(1), x)
        tf.get_variable_scope().reuse_variables()
        return last, tf.get_variable("w") * 1.0, tf.trainable_variables()[0].value()

    x = jnp.ones(3)
    assert [float(one) for one in net.apply(net.init(KEY, x), x)] == [15, 2, 2]
    gradient = jax.grad(lambda v: net.apply(v, x)[0])(net.init(KEY, x))
    assert float(gradient["w"]) == 12 + 4 + 1


def test_variables_that_begin_with_draws():
    """`tf.Variable(tf.random_normal(...))` draws from the key of `init` and its name, with no stream open."""

    @js.transform
    def net(x):
        w = tf.Variable(tf.random_normal([20, 30], stddev=0.5), name="w")
        b = tf.Variable(tf.truncated_normal([400]) / tf.sqrt(4.0), name="b")
        c = tf.get_variable("c", initializer=tf.random_uniform([300], -1.0, 1.0))
        zero = tf.random_normal([3])
        tf.Variable(zero - zero, name="zero")
        return tf.matmul(x, w), b, c

    x = jnp.ones([2, 20])
    variables = net.init(KEY, x)
    assert abs(float(variables["w"].std()) - 0.5) < 0.05
    assert abs(float(variables["b"].std()) - 0.44) < 0.06
    assert abs(float(variables["c"].std()) - 0.577) < 0.06
    assert variables["zero"].tolist() == [0, 0, 0]
    again = jax.jit(net.init)(KEY, x)
    assert all(np.array_equal(again[name], variables[name]) for name in variables)
    assert net.apply(variables, x)[0].shape == (2, 30)
    with pytest.raises(js.errors.KeyStreamError):
        js.transform(lambda: tf.random_normal([3]) + 1).apply({})


def test_known_initial_values_need_no_model():
    """What is computed of known numbers is computed where a variable begins with it: specs hold it."""

    def model():
        a = tf.Variable(tf.zeros([2]) + 1.5, name="a")
        b = tf.get_variable("b", initializer=tf.stack([tf.ones([2]), tf.zeros([2])]))
        c = tf.Variable(tf.constant_initializer(2.0)([2]), name="c")
        return a + b + c

    net = js.transform(tf.function(model))
    variables = net.spec().init(jax.random.key(0))
    assert {name: value.tolist() for name, value in variables.items()} == {
        "a": [1.5, 1.5],
        "b": [[1, 1], [0, 0]],
        "c": [2, 2],
    }
    again = jax.jit(net.init)(jax.random.key(1))
    assert all((variables[name] == again[name]).all() for name in variables)
