"""What all layers share, and the small ones: dense, embedding, dropout, normalization of single examples."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxscope as js
from jaxscope import layers
from jaxscope.layers.arrays import promote
from tests.layers.configurations import CONFIGURATIONS, KEY, example

X = example((3, 4))


def test_import_is_lazy_in_what_it_needs():
    """The names of the wing are sorted, and all there."""
    assert layers.__all__ == sorted(layers.__all__)
    assert layers.contrib.__all__ == sorted(layers.contrib.__all__)


def rounding(getter, name, **kwargs):
    return getter(name, **{**kwargs, "dtype": "float32"}).astype("bfloat16")


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_getters_that_give_another_dtype(name):
    """Weights stored in float32 and given in bfloat16 by a getter work: the result has the input's dtype."""
    block, shape = CONFIGURATIONS[name]

    def net(x):
        with js.variable_scope("", custom_getter=rounding):
            return block(x)

    net, x = js.transform(net), example(shape, "bfloat16")
    assert {str(spec.dtype) for spec in net.spec(x).values()} <= {"float32"}
    variables = {n: example(spec.shape) ** 2 for n, spec in net.spec(x).items()}
    assert jax.eval_shape(net.apply, variables, x).dtype == "bfloat16"


def test_dtype_of_the_variables():
    """`dtype` says what is stored; what is computed has the dtype of input and variables together."""
    net = js.transform(lambda x: layers.dense(x, 2, dtype="bfloat16"))
    assert {str(spec.dtype) for spec in net.spec(X).values()} == {"bfloat16"}
    assert net.apply(net.init(KEY, X), X).dtype == "float32"
    net = js.transform(lambda x: layers.dense(x, 2, dtype="float32"))
    assert net.apply(net.init(KEY, X.astype(int)), X.astype(int)).dtype == "float32"


@given(st.lists(st.sampled_from(["float16", "bfloat16", "float32"]), min_size=1, max_size=3))
def test_promote(dtypes):
    """Arrays are brought to the dtype of JAX's standard promotion, though promotion is strict here."""
    with jax.numpy_dtype_promotion("standard"):
        expected = functools.reduce(jnp.promote_types, dtypes)
    found = promote(*(jnp.zeros(1, dtype) for dtype in dtypes), None)
    assert found[-1] is None
    assert {str(array.dtype) for array in found[:-1]} == {str(expected)}


def test_integers_have_no_weights():
    """A layer whose variables would be whole numbers says what to write."""

    def net(x):
        return layers.dense(x, 2)

    with pytest.raises(js.errors.InvalidDtypeError) as caught:
        js.transform(net).spec(X.astype(int))
    assert str(caught.value).splitlines() == [
        "dense works in its input's dtype, which cannot be int32",
        f"  at       test_layers.py:{net.__code__.co_firstlineno + 1} in net",
        "  scope    dense (reuse=False)",
        '  fix      convert the input: x.astype("float32"), or pass dtype="float32"',
    ]


def test_two_losses():
    """A layer's regularizer stands beside the scope's: two losses, whose sum the spec knows."""

    def two(x):
        with js.variable_scope("", regularizer=js.regularizers.l2(0.5)):
            return layers.dense(x, 4, use_bias=False, kernel_regularizer=js.regularizers.l1(0.25))

    def net(x, wrap):
        y = wrap(two)(x)
        return y, js.get_collection(js.GraphKeys.REGULARIZATION_LOSSES)

    for wrap in (lambda f: f, js.jit, js.remat, jax.jit):
        one = js.transform(functools.partial(net, wrap=wrap))
        variables = one.init(KEY, X)
        kernel = variables["dense/kernel"]
        expected = [0.25 * jnp.sum(kernel**2), 0.25 * jnp.sum(jnp.abs(kernel))]
        np.testing.assert_allclose(one.apply(variables, X)[1], expected, rtol=1e-6)
        spec = one.spec(X)["dense/kernel"]
        np.testing.assert_allclose(spec.regularizer(kernel), sum(expected), rtol=1e-6)
    deep = js.transform(functools.partial(net, wrap=lambda f: js.scan_layers(f, 3)))
    variables = deep.init(KEY, X)
    losses = deep.apply(variables, X)[1]
    kernels = [variables[f"layer_{index}/dense/kernel"] for index in range(3)]
    expected = [loss for w in kernels for loss in (0.25 * jnp.sum(w**2), 0.25 * jnp.sum(jnp.abs(w)))]
    np.testing.assert_allclose(losses, expected, rtol=1e-6)


def test_activity_loss_that_is_none():
    """A loss on a result may be None, which adds none."""

    @js.transform
    def net(x):
        layers.dense(x, 2, activity_regularizer=js.no_regularizer)
        return js.get_collection(js.GraphKeys.REGULARIZATION_LOSSES)

    assert net.apply(net.init(KEY, X), X) == []


def test_tied_embedding():
    """The table of an embedding serves as output, by name or as an object: one variable, one gradient."""
    ids = jnp.array([[1, 2, 0]])

    @js.transform
    def by_name(ids):
        h = layers.embedding(ids, 5, 4, name="words")
        return layers.embedding(h, 5, 4, name="words", reuse=True, attend=True)

    @js.transform
    def by_object(ids):
        words = layers.Embedding(5, 4, name="words")
        return words(words(ids), attend=True)

    variables = by_name.init(KEY, ids)
    assert [*variables] == ["words/embeddings"]
    table = variables["words/embeddings"]
    np.testing.assert_allclose(by_name.apply(variables, ids), table[ids] @ table.T, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(by_object.apply(variables, ids), by_name.apply(variables, ids))


def test_ids_that_are_not_in_the_table():
    """An id below 0 or past the end gives NaN, and no other word."""
    net = js.transform(lambda ids: layers.embedding(ids, 5, 2))
    ids = np.array([0, 4, 5, -1])
    rows = net.apply(net.init(KEY, ids), ids)
    np.testing.assert_array_equal(np.isnan(rows).all(-1), [False, False, True, True])


def test_rows_of_several_axes():
    """A row may have several axes; then it has no logits."""
    net = js.transform(lambda ids: layers.embedding(ids, 5, [2, 3]))
    assert net.apply(net.init(KEY, np.array([1])), np.array([1])).shape == (1, 2, 3)
    with pytest.raises(js.errors.InvalidShapeError, match="has rows of"):
        js.transform(lambda x: layers.embedding(x, 5, [2, 3], attend=True)).spec(X)


def test_ids_are_whole_numbers():
    """Ids of a floating dtype are an error that tells of attend."""
    with pytest.raises(js.errors.InvalidDtypeError, match="attend=True"):
        js.transform(lambda ids: layers.embedding(ids, 5, 2)).spec(X)


def test_dropout():
    """Dropout takes its key from the open stream, another in each scope, and none in inference."""

    @js.transform
    def net(x, key):
        with js.random_keys(key):
            return layers.dropout(x, training=True), layers.dropout(x, training=True), layers.dropout(x)

    x = np.ones((50, 50), "float32")
    first, second, third = net.apply({}, x, KEY)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(third, x)
    assert js.transform(layers.dropout).apply({}, x).shape == x.shape
    with pytest.raises(js.errors.KeyStreamError):
        js.transform(layers.dropout).apply({}, x, training=True)


def test_dropout_rate():
    """A rate may be traced; one that is out of range is an error where it is known."""

    @js.transform
    def net(x, rate, key):
        with js.random_keys(key):
            return layers.dropout(x, rate, training=True)

    x = np.ones(4096, "float32")
    y = jax.jit(net.apply)({}, x, 0.25, KEY)
    assert abs(float((y == 0).mean()) - 0.25) < 0.05
    for rate in (-0.1, 1.0):
        with pytest.raises(ValueError, match="rate must be"):
            js.transform(layers.dropout).apply({}, x, rate)
    with pytest.raises(js.errors.InvalidShapeError, match="noise_shape"):
        js.transform(lambda x: layers.dropout(x, noise_shape=[3], training=True)).apply({}, x)


NORMS = {
    "layer_norm": (lambda x: layers.layer_norm(x, begin_norm_axis=1), (1, 2, 3)),
    "transformer": (lambda x: layers.layer_norm(x, begin_norm_axis=-1), (3,)),
    "instance_norm": (lambda x: layers.instance_norm(x), (1, 2)),
    "one_group": (lambda x: layers.group_norm(x, 1), (1, 2, 3)),
}


@settings(max_examples=10, deadline=None)
@given(st.floats(0.5, 20), st.floats(-20, 20))
@pytest.mark.parametrize("name", NORMS)
def test_normalized(name, scale, shift):
    """Whatever the input's scale and mean, the result has mean 0 and variance 1 over the axes."""
    norm, axes = NORMS[name]
    net = js.transform(norm)
    x = jnp.asarray(example((2, 4, 3, 4)) * np.float32(scale) + np.float32(shift))
    y = net.apply(net.init(KEY, x), x)
    np.testing.assert_allclose(y.mean(axes), 0, atol=1e-3)
    np.testing.assert_allclose(y.var(axes), 1, rtol=1e-2)


def test_layer_norm_asks_over_which_axes():
    """TF1's axes mix the steps of a sequence, which nobody notices: where there are several, a warning."""
    net = js.transform(layers.layer_norm)
    x = jnp.asarray(example((2, 4, 3)))
    with pytest.warns(UserWarning, match="axes 1 to 2, as in TF1; pass begin_norm_axis=-1") as warned:
        variables = net.init(KEY, x)
    assert {warning.filename for warning in warned} == {__file__}
    with pytest.warns(UserWarning, match="axes 1 to 2"):
        y = net.apply(variables, x)
    np.testing.assert_array_equal(y, net.apply(variables, x, begin_norm_axis=1))
    net.init(KEY, x[0])  # one axis alone: nothing to ask
    js.transform(layers.contrib.layer_norm).init(KEY, x)  # TF1's own name


@pytest.mark.parametrize(
    "call",
    [
        lambda x: layers.dense(x[0], 2),
        lambda x: layers.flatten(x[0, 0]),
        lambda x: layers.batch_normalization(x, axis=2),
        lambda x: layers.batch_normalization(x, axis=[0, -2]),
        lambda x: layers.batch_normalization(x, axis=[]),
        lambda x: layers.layer_norm(x, begin_norm_axis=2),
        lambda x: layers.layer_norm(x, begin_params_axis=-3),
        lambda x: layers.rms_norm(x, axis=2),
        lambda x: layers.instance_norm(x),
        lambda x: layers.group_norm(x, 3),
        lambda x: layers.group_norm(x, 2, reduction_axes=[-1]),
        lambda x: layers.group_norm(x, 2, reduction_axes=[5]),
    ],
)
def test_shapes_that_cannot_work(call):
    """A shape that cannot work is our error: with the input's shape, the scope, and what to write."""
    with pytest.raises(js.errors.InvalidShapeError) as caught:
        js.transform(call).spec(jnp.asarray(X))
    assert caught.value.facts["inputs"].startswith("float32[")
    assert caught.value.facts["scope"]
    assert caught.value.fix
