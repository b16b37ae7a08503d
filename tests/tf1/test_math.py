"""Math, reductions and arrays by property: against NumPy, with gradients as TensorFlow has them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import jaxscope.tf1 as tf

few = settings(max_examples=15, deadline=None)
FLOATS = st.floats(-3, 3, width=32, allow_subnormal=False)  # which XLA takes for zero


def floats(shape):
    """Return a strategy of float32 arrays."""
    return hnp.arrays(np.float32, shape, elements=FLOATS)


SHAPES = hnp.array_shapes(min_dims=1, max_dims=3, max_side=3)
ARRAYS = SHAPES.flatmap(floats)


def value(tensor):
    """Return the numbers of a tensor."""
    return np.asarray(jnp.asarray(tensor))


def traced(array):
    """Return a tensor that holds JAX's array, as those of data do."""
    return tf.convert_to_tensor(jnp.asarray(array))


UNARY = {
    "abs": np.abs,
    "exp": np.exp,
    "expm1": np.expm1,
    "sin": np.sin,
    "cos": np.cos,
    "tanh": np.tanh,
    "sinh": np.sinh,
    "asinh": np.arcsinh,
    "atan": np.arctan,
    "square": np.square,
    "floor": np.floor,
    "ceil": np.ceil,
    "rint": np.rint,
    "round": np.round,
    "sign": np.sign,
    "negative": np.negative,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "log_sigmoid": lambda x: -np.log1p(np.exp(-x)),
    "is_nan": np.isnan,
}


@few
@given(st.sampled_from(sorted(UNARY)), ARRAYS)
def test_elementwise(name, x):
    """Functions of single numbers are NumPy's, in the dtype of the tensor."""
    found = getattr(tf, name)(traced(x))
    wanted = UNARY[name](x)
    np.testing.assert_allclose(value(found), wanted, rtol=1e-4, atol=1e-5)
    assert found.dtype.name == wanted.dtype.name


BINARY = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "squared_difference": lambda x, y: (x - y) ** 2,
    "less": np.less,
    "less_equal": np.less_equal,
    "greater": np.greater,
    "equal": np.equal,
    "not_equal": np.not_equal,
    "atan2": np.arctan2,
    "div_no_nan": lambda x, y: np.where(y == 0, 0, x / np.where(y == 0, 1, y)),
}


@few
@given(st.sampled_from(sorted(BINARY)), st.data())
def test_binary(name, data):
    """Functions of two numbers broadcast as NumPy's do."""
    shapes = data.draw(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3))
    x, y = (data.draw(floats(shape)) for shape in shapes.input_shapes)
    found = getattr(tf, name)(traced(x), traced(y))
    assert found.shape == list(shapes.result_shape)
    np.testing.assert_allclose(value(found), BINARY[name](x, y), rtol=1e-4, atol=1e-5)


REDUCTIONS = {
    "reduce_sum": np.sum,
    "reduce_mean": np.mean,
    "reduce_max": np.max,
    "reduce_min": np.min,
    "reduce_prod": np.prod,
    "reduce_logsumexp": lambda x, axis, keepdims: np.log(np.sum(np.exp(x), axis=axis, keepdims=keepdims)),
    "count_nonzero": lambda x, axis, keepdims: np.sum(x != 0, axis=axis, keepdims=keepdims),
    "norm": lambda x, axis, keepdims: np.sqrt(np.sum(x * x, axis=axis, keepdims=keepdims)),
}


@few
@given(st.sampled_from(sorted(REDUCTIONS)), ARRAYS, st.booleans(), st.data())
def test_reductions(name, x, keep, data):
    """Reductions over any axes, counted from either end, by either name of their arguments."""
    axis = data.draw(st.none() | st.integers(-x.ndim, x.ndim - 1))
    new = getattr(tf, name)(traced(x), axis=axis, keepdims=keep)
    wanted = REDUCTIONS[name](x, axis=axis, keepdims=keep)
    np.testing.assert_allclose(value(new), wanted, rtol=1e-4, atol=1e-5)
    if name != "norm":
        old = getattr(tf, name)(traced(x), reduction_indices=axis, keep_dims=keep)
        np.testing.assert_array_equal(value(new), value(old))


@few
@given(ARRAYS, st.booleans(), st.booleans(), st.data())
def test_running(x, exclusive, reverse, data):
    """Running sums and products, from either end, with or without the element itself."""
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    for ours, numpys, start in ((tf.cumsum, np.cumsum, 0), (tf.cumprod, np.cumprod, 1)):
        wanted = np.flip(x, axis) if reverse else x
        if exclusive:
            first = np.full_like(np.take(wanted, [0], axis), start)
            wanted = np.concatenate([first, np.delete(wanted, -1, axis)], axis)
        wanted = numpys(wanted, axis)
        found = ours(traced(x), axis, exclusive, reverse)
        np.testing.assert_allclose(
            value(found), np.flip(wanted, axis) if reverse else wanted, rtol=1e-4, atol=1e-5
        )


INDICES = st.one_of(
    st.just(...),
    st.none(),
    st.integers(-3, 2),
    st.builds(slice, *(st.none() | st.integers(-4, 4) for _ in range(2))),
    st.builds(slice, st.none(), st.none(), st.sampled_from([-2, -1, 1, 2])),
)


@few
@given(floats((3, 3, 3)), st.lists(INDICES, max_size=4))
def test_indexing(x, index):
    """What is an index in TensorFlow means what it means in NumPy; `strided_slice` says the same by bits."""
    index = tuple(index)
    try:
        wanted = x[index]
    except IndexError:
        with pytest.raises(ValueError, match=r"indices|more than one"):
            traced(x)[index]
        return
    np.testing.assert_array_equal(value(traced(x)[index]), wanted)
    np.testing.assert_array_equal(value(traced(x)[list(index)]), wanted)
    parts = [part if isinstance(part, slice) else slice(0, 0, 1) for part in index]
    bits = lambda test: sum(1 << i for i, part in enumerate(index) if test(part))
    begin = [part if isinstance(part, int) else parts[i].start or 0 for i, part in enumerate(index)]
    found = tf.strided_slice(
        traced(x),
        np.asarray(begin, np.int32),
        np.asarray([part.stop or 0 for part in parts], np.int32),
        np.asarray([part.step or 1 for part in parts], np.int32),
        begin_mask=bits(lambda part: isinstance(part, slice) and part.start is None),
        end_mask=bits(lambda part: isinstance(part, slice) and part.stop is None),
        ellipsis_mask=bits(lambda part: part is ...),
        new_axis_mask=bits(lambda part: part is None),
        shrink_axis_mask=bits(lambda part: isinstance(part, int)),
    )
    np.testing.assert_array_equal(value(found), wanted)


@few
@given(floats((3, 4)), hnp.arrays(np.int32, SHAPES, elements=st.integers(0, 2)), st.sampled_from([0, -1]))
def test_gather(x, indices, axis):
    """Places of any shape take the place of the axis; traced ones and known ones alike."""
    wanted = np.take(x, indices, axis)
    np.testing.assert_array_equal(value(tf.gather(traced(x), indices, axis=axis)), wanted)
    run = jax.jit(tf.function(lambda x, i: tf.gather(x, i, axis=axis)))
    np.testing.assert_array_equal(run(x, indices), wanted)


@few
@given(floats((4, 2)), hnp.arrays(np.int32, 4, elements=st.integers(0, 2)))
def test_segments(x, ids):
    """Segments in any order, and in order; what has no part has its own value."""
    functions = {"sum": np.sum, "mean": np.mean, "max": np.max, "min": np.min, "prod": np.prod}
    empty = {"sum": 0, "mean": 0, "max": np.finfo(np.float32).min, "min": np.finfo(np.float32).max, "prod": 1}
    for kind, function in functions.items():
        parts = [x[ids == i] for i in range(4)]
        wanted = [function(part, 0) if len(part) else np.full(2, empty[kind]) for part in parts]
        found = getattr(tf, f"unsorted_segment_{kind}")(traced(x), ids, 4)
        np.testing.assert_allclose(value(found), wanted, rtol=1e-5, atol=1e-6)
        order = np.sort(ids)
        parts = [x[order == i] for i in range(order[-1] + 1)]
        wanted = [function(part, 0) if len(part) else np.zeros(2) for part in parts]
        if kind != "prod" or all(len(part) for part in parts):
            found = getattr(tf, f"segment_{kind}")(traced(x), order)
            np.testing.assert_allclose(value(found), wanted, rtol=1e-5, atol=1e-6)


@few
@given(floats((3, 4)), st.sampled_from(["CONSTANT", "REFLECT", "SYMMETRIC"]), st.data())
def test_pads(x, mode, data):
    """Pads of all modes are NumPy's."""
    amounts = [[data.draw(st.integers(0, 2)) for _ in range(2)] for _ in range(2)]
    np.testing.assert_array_equal(value(tf.pad(traced(x), amounts, mode)), np.pad(x, amounts, mode.lower()))


@pytest.mark.parametrize("block", [[2, 2], [3, 1]])
def test_blocks_and_back(block):
    """What is moved to the batch comes back, without the pads."""
    x = np.arange(2 * 5 * 4 * 3, dtype=np.float32).reshape(2, 5, 4, 3)
    paddings, crops = tf.required_space_to_batch_paddings([5, 4], block)
    moved = tf.space_to_batch_nd(traced(x), block, paddings)
    np.testing.assert_array_equal(value(tf.batch_to_space_nd(moved, block, crops)), x)
    wide = tf.depth_to_space(tf.space_to_depth(traced(x[:, :4]), 2), 2)
    np.testing.assert_array_equal(value(wide), x[:, :4])
    moved = tf.transpose(
        tf.space_to_depth(tf.transpose(traced(x[:, :4]), [0, 3, 1, 2]), 2, data_format="NCHW"), [0, 2, 3, 1]
    )
    np.testing.assert_array_equal(value(moved), value(tf.space_to_depth(traced(x[:, :4]), 2)))


def slope(function, *args):
    """Return the gradients of the sum of a function of tensors."""
    total = tf.function(lambda *given: tf.reduce_sum(function(*given)))
    return [np.asarray(one).tolist() for one in jax.grad(total, argnums=tuple(range(len(args))))(*args)]


ONE, TWO = jnp.asarray([1.0, 2.0]), jnp.asarray([1.0, 3.0])
TIES = {
    "maximum": (tf.maximum, (ONE, TWO), [[1, 0], [0, 1]]),
    "minimum": (tf.minimum, (ONE, TWO), [[1, 1], [0, 0]]),
    "reduce_max": (tf.reduce_max, (jnp.asarray([2.0, 2.0, 1.0]),), [[0.5, 0.5, 0]]),
    "abs": (tf.abs, (jnp.asarray([0.0, -2.0]),), [[0, -1]]),
    "clip": (lambda x: tf.clip_by_value(x, 0.0, 1.0), (jnp.asarray([0.0, 1.0, 2.0]),), [[1, 1, 0]]),
    "sqrt": (tf.sqrt, (jnp.asarray([0.0, 4.0]),), [[np.inf, 0.25]]),
    "div_no_nan": (tf.div_no_nan, (ONE, jnp.asarray([0.0, 2.0])), [[0, 0.5], [0, -0.5]]),
    "segment_max": (
        lambda x: tf.segment_max(x, [0, 0, 1]),
        (jnp.asarray([2.0, 2.0, 1.0]),),
        [[0.5, 0.5, 1]],
    ),
    "clip_by_norm": (lambda x: tf.clip_by_norm(x, 1.0), (jnp.zeros(2),), [[1, 1]]),
    "norm_at_limit": (lambda x: tf.clip_by_norm(x, 2.0), (jnp.asarray([2.0, 0.0]),), [[0, 1]]),
    "global_norm_at_limit": (
        lambda x: tf.clip_by_global_norm([x], 2.0)[0][0],
        (jnp.asarray([2.0, 0.0]),),
        [[0, 1]],
    ),
    "average_norm_at_limit": (
        lambda x: tf.clip_by_average_norm(x, 0.5),
        (jnp.asarray([1.0, 0.0]),),
        [[0, 1]],
    ),
    "embedding_at_limit": (
        lambda x: tf.nn.embedding_lookup(x, [0], max_norm=2.0),
        (jnp.asarray([[2.0, 0.0]]),),
        [[[0, 1]]],
    ),
    "power": (tf.pow, (jnp.asarray([-2.0]), jnp.asarray([2.0])), [[-4], [0]]),
    "round": (tf.round, (ONE,), [[0, 0]]),
}


@pytest.mark.parametrize("name", TIES)
def test_gradients_at_ties(name):
    """Where a derivative is not unique, or is infinite, it is TensorFlow's."""
    function, args, wanted = TIES[name]
    assert slope(function, *args) == wanted


def programs_of(ours, by_hand, *args):
    """Return the two programs."""
    return str(jax.make_jaxpr(tf.function(ours))(*args)), str(jax.make_jaxpr(by_hand)(*args))


X, IDS = jnp.ones((2, 3)), jnp.asarray([1, 0])
SAME = {
    "pow": (lambda x: tf.pow(x, 3), lambda x: x**3, (X,)),
    "gather": (tf.gather, lambda x, i: x[i], (X, IDS)),
    "softmax": (
        lambda x: tf.exp(x - tf.reduce_max(x, -1, keepdims=True)),
        lambda x: jnp.exp(x - jnp.max(x, -1, keepdims=True)),
        (X,),
    ),
    "one_hot": (lambda i: tf.one_hot(i, 3), lambda i: jax.nn.one_hot(i, 3), (IDS,)),
    "split": (lambda x: tf.split(x, 3, axis=1), lambda x: jnp.split(x, 3, 1), (X,)),
    "where": (lambda x: tf.where(x > 0.0, x, -x), lambda x: jnp.where(x > np.float32(0), x, -x), (X,)),
    "mean": (lambda x: tf.reduce_mean(tf.square(x)), lambda x: jnp.mean(jnp.square(x)), (X,)),
    "matmul": (lambda x: tf.matmul(x, x, transpose_b=True), lambda x: x @ jnp.swapaxes(x, -1, -2), (X,)),
    "mask": (
        lambda x: x * tf.cast(tf.range(2)[:, None] >= tf.range(3), tf.float32),
        lambda x: x * np.tri(2, 3, dtype=np.float32),
        (X,),
    ),
}


@pytest.mark.parametrize("name", SAME)
def test_program_is_the_one_by_hand(name):
    """A model compiles to what one writes by hand, operation for operation."""
    function, plain, args = SAME[name]
    ours, by_hand = programs_of(function, plain, *args)
    assert ours == by_hand


def test_shapes_known_by_values():
    """What chooses by values gives shapes where the values are known, and says so where not."""
    x = traced([3.0, 0.0, 3.0, 5.0])
    assert value(tf.boolean_mask(x, x > 1.0)).tolist() == [3, 3, 5]
    assert value(tf.where(x > 1.0)).tolist() == [[0], [2], [3]]
    y, index = tf.unique(x)
    assert (value(y).tolist(), value(index).tolist()) == ([3, 0, 5], [0, 1, 0, 2])
    assert value(tf.sequence_mask([1, 3])).tolist() == [[True, False, False], [True, True, True]]
    for call in (
        lambda x: tf.boolean_mask(x, x > 1.0),
        lambda x: tf.unique(x).y,
        lambda x: tf.where(x > 0.0),
    ):
        with pytest.raises(TypeError, match="known while tracing"):
            jax.jit(tf.function(call))(jnp.ones(3))


def test_both_sides_of_operators():
    """Operators are those of TensorFlow on either side of a tensor, bits of whole numbers too."""
    x, i, t = traced([2.0, -3.0]), tf.constant([5, 6]), tf.constant([True, False])
    found = [2**x, x**2, x > 1, x <= 0, abs(x), i & 3, 1 | i, i ^ i, ~i, ~t, t & True, True ^ t]
    wanted = [
        [4, 0.125],
        [4, 9],
        [1, 0],
        [0, 1],
        [2, 3],
        [1, 2],
        [5, 7],
        [0, 0],
        [-6, -7],
        [0, 1],
        [1, 0],
        [0, 1],
    ]
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(value(one), other)
    for wrong in (lambda: ~x, lambda: x & x, lambda: t < ~t, lambda: t | 1.0):
        with pytest.raises(TypeError):
            wrong()
