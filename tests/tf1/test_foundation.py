"""Tensors, dtypes, known numbers, the border to JAX, names: what all operations stand on."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jaxscope as js
import jaxscope.tf1 as tf
from jaxscope.tf1.base.operation import compute, static_ints


def test_import_is_lazy():
    """`import jaxscope` knows nothing of it; `js.tf1` brings it."""
    code = "import sys, jaxscope as js; assert 'jaxscope.tf1' not in sys.modules; js.tf1.reduce_sum"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", ["float32", "bfloat16", "bool", "int32", "uint8", "complex64", "float16"])
def test_dtypes(name):
    """A dtype is equal to its name, to NumPy's and to JAX's, hashes alike, and serves both as a dtype."""
    dtype = getattr(tf, name)
    number = jnp.dtype(name)
    assert dtype == name == dtype
    assert dtype in {number.type, number, dtype}
    assert dtype == number
    assert dtype == number.type
    assert dtype != tf.float64
    assert np.dtype(dtype) == number
    assert jnp.zeros(2, dtype).dtype == number
    assert jnp.zeros(2).astype(dtype).dtype == number
    assert tf.as_dtype(number) is dtype


def test_dtype_of_a_variable():
    """A dtype of TensorFlow's serves `js.get_variable`."""
    net = js.transform(lambda: js.get_variable("w", [2], dtype=tf.float32))
    assert net.init(jax.random.key(0))["w"].dtype == jnp.float32


def reshaped(x):
    """Reshape by numbers that are computed from a shape in all ways."""
    rows, columns = tf.shape(x)[0], tf.shape(x)[1]
    x = tf.reshape(x, tf.concat([tf.shape(x)[:1], [columns * 1]], 0))
    x = tf.reshape(x, [rows // 2, 2, -1])
    x = tf.reshape(x, tf.stack([rows, columns]))
    return tf.reshape(x, [tf.reduce_sum(tf.shape(x)) - columns, x.shape[1]]) / tf.cast(columns, tf.float32)


def test_shapes_leave_nothing_in_the_program():
    """What is computed of shapes is computed while tracing: the program is the one written by hand."""

    def by_hand(x):
        x = jnp.reshape(jnp.reshape(jnp.reshape(x, (4, 3)), (2, 2, -1)), (4, 3))
        return jnp.reshape(x, (4, 3)) / np.float32(3)

    x = jnp.ones((4, 3))
    assert str(jax.make_jaxpr(tf.function(reshaped))(x)) == str(jax.make_jaxpr(by_hand)(x))


def test_floats_on_the_way_to_a_shape():
    """A number is known also where floats lead to it, in every trace."""

    def half(x):
        return tf.reshape(x, [tf.cast(tf.cast(tf.shape(x)[0], tf.float32) * 0.5, tf.int32), -1])

    run = tf.function(half)
    assert jax.jit(run)(jnp.ones((4, 3))).shape == (2, 6)
    assert jax.vmap(run)(jnp.ones((5, 4, 3))).shape == (5, 2, 6)
    assert jax.lax.scan(lambda c, x: (c, run(x)), 0, jnp.ones((5, 4, 3)))[1].shape == (5, 2, 6)


def test_traced_numbers_decide_no_shape():
    """A shape of traced numbers is an error that names the argument and the line."""
    with pytest.raises(TypeError, match="shape must be known while tracing") as error:
        jax.jit(tf.function(lambda x, n: tf.reshape(x, [n, 2])))(jnp.ones(4), 2)
    error = jax.tree.leaves(error.value)[0]
    assert "test_foundation" in error.facts["at"]


#: Functions that NumPy computes for few whole numbers, by how many arrays they take.
FOLDED = {
    1: {
        "abs": tf.abs,
        "argmax": tf.argmax,
        "argmin": lambda x: tf.argmin(x, 0, output_type=tf.int32),
        "broadcast_to": lambda x: tf.broadcast_to(x, [2, 3]),
        "cast": lambda x: tf.cast(x, tf.int32),
        "count_nonzero": tf.count_nonzero,
        "cumprod": lambda x: tf.cumprod(x, exclusive=True),
        "cumsum": lambda x: tf.cumsum(x, reverse=True),
        "expand_dims": lambda x: tf.expand_dims(x, -1),
        "fill": lambda x: tf.fill([2, 2], x[0]),
        "gather": lambda x: tf.gather(x, [2, 0]),
        "negative": tf.negative,
        "pad": lambda x: tf.pad(x, [[1, 2]]),
        "pow": lambda x: x**3,
        "reduce_max": lambda x: tf.reduce_max(x, keepdims=True),
        "reduce_min": tf.reduce_min,
        "reduce_prod": tf.reduce_prod,
        "reduce_sum": tf.reduce_sum,
        "repeat": lambda x: tf.repeat(x, [1, 0, 2]),
        "reverse": lambda x: tf.reverse(x, [0]),
        "roll": lambda x: tf.roll(x, 1, 0),
        "sign": tf.sign,
        "slice": lambda x: tf.slice(x, [1], [-1]),
        "split": lambda x: tf.split(x, [1, 2])[1],
        "square": tf.square,
        "tile": lambda x: tf.tile(x, [2]),
        "transpose": lambda x: tf.transpose(tf.reshape(x, [1, 3])),
        "unstack": lambda x: tf.unstack(x)[1],
    },
    2: {
        "add": tf.add,
        "bitwise_and": tf.bitwise.bitwise_and,
        "bitwise_xor": tf.bitwise.bitwise_xor,
        "concat": lambda x, y: tf.concat([x, y], 0),
        "equal": tf.equal,
        "floordiv": tf.floordiv,
        "floormod": tf.floormod,
        "greater_equal": tf.greater_equal,
        "less": tf.less,
        "maximum": tf.maximum,
        "minimum": tf.minimum,
        "multiply": tf.multiply,
        "squared_difference": tf.squared_difference,
        "stack": lambda x, y: tf.stack([x, y], 1),
        "subtract": tf.subtract,
        "where": lambda x, y: tf.where(tf.less(x, y), x, y),
    },
}


@given(st.sampled_from([(n, name) for n, all_of in FOLDED.items() for name in all_of]), st.data())
def test_folding(which, data):
    """What is folded is what JAX would compute, dtype and wrapping around included."""
    count, name = which
    dtype = data.draw(st.sampled_from(["int32", "int8", "uint8", "uint32"]))
    limits = np.iinfo(dtype)
    whole = st.integers(int(limits.min), int(limits.max))
    arrays = [np.array(data.draw(st.lists(whole, min_size=3, max_size=3)), dtype) for _ in range(count)]
    if name.startswith("floor"):
        arrays[1][arrays[1] == 0] = 1
    op = FOLDED[count][name]
    folded = op(*map(tf.constant, arrays))
    assert isinstance(folded._held, np.ndarray)
    computed = op(*(tf.convert_to_tensor(jnp.asarray(array)) for array in arrays))
    assert not isinstance(computed._held, np.ndarray)
    assert folded.dtype is computed.dtype
    np.testing.assert_array_equal(folded._held, computed._held)


def test_large_results_are_not_folded():
    """Few numbers that become many are in the program as operations, not as a constant."""
    one = tf.constant([7])
    for many in (
        lambda: tf.tile(one, [1000]),
        lambda: tf.broadcast_to(one, [1000]),
        lambda: tf.fill([1000], one[0]),
        lambda: tf.zeros([1000], tf.int32),
        lambda: tf.pad(one, [[500, 500]]),
        lambda: tf.repeat(one, 1000),
        lambda: tf.reshape(tf.range(200), [-1, 1]) + tf.range(200),
    ):
        assert not isinstance(many()._held, np.ndarray)


def test_tensors_are_pytrees():
    """A tensor goes through JAX's transforms, and comes out as one."""
    x = tf.convert_to_tensor(jnp.arange(6.0).reshape(2, 3))
    assert jax.jit(lambda t: t + 1)(x).shape == [2, 3]
    assert jax.vmap(lambda t: t * 2)(x).shape == [2, 3]
    assert isinstance(jax.grad(lambda t: tf.reduce_sum(t * t)._held)(x), tf.Tensor)
    assert jnp.sum(x) == 15


@pytest.mark.parametrize("other", [np.ones((2, 3)), np.float64(1), 1, [[1.0]], np.ones(3, np.int32)])
def test_either_side(other):
    """What is no tensor takes the tensor's dtype, on either side of an operator."""
    x = tf.convert_to_tensor(jnp.ones((2, 3)))
    for y in (x - other, other - x):
        assert y.dtype is tf.float32
        assert not jnp.any(jnp.asarray(y))


def test_draws_are_not_repeated():
    """What draws is not computed again to know its numbers."""
    drawn = []

    def draw():
        drawn.append(1)
        return jnp.zeros((), jnp.int32)

    def model(x):
        number = compute("Draw", draw, known=False)
        with pytest.raises(tf.errors.OpError):
            static_ints(number, "n")
        return x

    jax.make_jaxpr(tf.function(model))(1.0)
    assert drawn == [1]


def test_variables_by_protocol():
    """Whatever has `__tf_tensor__` is converted wherever a tensor may be."""

    class Weight:
        dtype = tf.float32

        def __tf_tensor__(self):
            return tf.constant([1.0, 2.0])

    x = tf.convert_to_tensor(jnp.ones(2))
    for y in (x + Weight(), tf.add(Weight(), x), tf.concat([Weight()], 0)):
        assert y.shape == [2]
    assert tf.stack([Weight(), [3.0, 4.0]]).shape == [2, 2]


def test_border():
    """Arrays come in as tensors, tensors go out as arrays; all else stays."""

    def model(x, training, options=None):
        assert isinstance(x["a"], tf.Tensor)
        assert training is True
        return x["a"] * 2, "text", None

    y, text, none = tf.function(model)({"a": np.ones(2, np.float32)}, True)
    assert isinstance(y, jax.Array)
    assert (text, none) == ("text", None)


def test_placeholders():
    """Placeholders get their values by name or in order; dtype and shape are checked."""
    with tf.placeholders(np.ones((2, 3)), y=[1, 2]):
        x, y = tf.placeholder(tf.float32, [None, 3]), tf.placeholder(tf.int32, name="y")
    assert x.dtype is tf.float32
    assert y.shape == [2]
    with pytest.raises(ValueError, match="has shape"), tf.placeholders(np.ones(3)):
        tf.placeholder(tf.float32, [2])
    with pytest.raises(ValueError, match="nobody made"), tf.placeholders(z=1):
        pass
    with pytest.raises(NotImplementedError, match=r"tf\.placeholder belongs"):
        tf.placeholder(tf.float32)


def test_as_tensorflow():
    """Source that imports tensorflow, or what is inside of it, gets these names, until it is undone."""
    source = """
import tensorflow as tf
import tensorflow.contrib.layers
from tensorflow.python.framework import ops
from tensorflow.python.ops import array_ops
result = array_ops.reshape(ops.convert_to_tensor([1., 2.]), [2, 1])
"""
    space = {}
    with tf.as_tensorflow():
        exec(source, space)
        with pytest.raises(ValueError, match="imported already"):
            tf.as_tensorflow()
    assert space["result"].shape == [2, 1]
    assert space["tf"] is tf
    assert not [name for name in sys.modules if name.partition(".")[0] == "tensorflow"]
    tf.as_tensorflow().undo()


def test_names():
    """A name of the graph's life names JAX's way; others say whether TensorFlow 1 had them."""
    assert not isinstance(1, tf.Session)
    for use in (lambda: tf.Session(), lambda: tf.train.Saver(), lambda: tf.data.Dataset.from_tensors([1])):
        with pytest.raises(NotImplementedError) as error:
            use()
        assert error.value.fix
    assert not hasattr(tf, "no_such_thing")
    with pytest.raises(AttributeError, match="in TensorFlow 1 neither"):
        _ = tf.nn.no_such_thing
    with pytest.raises(AttributeError, match=r"TensorFlow 1 has tf\.quantize_v2"):
        _ = tf.quantize_v2


def test_names_below_a_space_without_list():
    """Of some of TensorFlow 1's namespaces nothing is here, and nobody says that it had none."""
    with pytest.raises(AttributeError, match=r"has nothing of tf\.contrib\.gan"):
        _ = tf.contrib.gan.gan_model
    with pytest.raises(AttributeError, match=r"TensorFlow 1 has tf\.ragged\.constant"):
        _ = tf.ragged.constant
    with pytest.raises(AttributeError, match="in TensorFlow 1 neither"):
        _ = tf.contrib.no_such_thing


def test_switches():
    """What programs for `tensorflow.compat.v1` begin with holds here; the other way is an error."""
    from jaxscope.tf1.compat import v1

    for name in ("v2_behavior", "eager_execution", "v2_tensorshape", "tensor_equality", "control_flow_v2"):
        assert getattr(v1, f"disable_{name}")() is None
    v1.enable_resource_variables()
    assert v1.resource_variables_enabled()
    assert not v1.executing_eagerly()
    for name in ("v2_behavior", "eager_execution", "v2_tensorshape", "tensor_equality"):
        with pytest.raises(NotImplementedError):
            getattr(v1, f"enable_{name}")()


def test_observing_warns_once():
    """What only observes does nothing, and says so once."""
    from jaxscope.tf1.ops import observing

    observing._warned.clear()
    with pytest.warns(UserWarning, match=r"tf\.summary does nothing"):
        tf.summary.scalar("loss", 1.0)
    tf.summary.histogram("x", [1.0])


def test_either_name_of_an_argument():
    """An older name of an argument serves; with the new one beside it, it is an error."""
    x = tf.convert_to_tensor(jnp.ones((2, 3)))
    assert tf.reduce_sum(x, reduction_indices=[1], keep_dims=True).shape == [2, 1]
    with pytest.raises(ValueError, match="older name"):
        tf.reduce_sum(x, 1, reduction_indices=1)


def test_code_may_ask_for_the_version():
    """Published code compares it, to choose among names."""
    assert tf.__version__ == tf.VERSION == "1.15.0"
