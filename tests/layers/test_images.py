"""Convolutions and pooling: sizes, padding and layouts, for any of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxscope as js
from jaxscope import layers
from tests.layers.configurations import KEY, example


def applied(layer, x, *args, **options):
    net = js.transform(lambda x: layer(x, *args, **options))
    return net.apply(net.init(KEY, x), x)


def windows(x, size, stride, padding, fill):
    """Return all windows of one axis of a vector, padded as TF1 says."""
    if padding == "same":
        results = -(-len(x) // stride)
        missing = max((results - 1) * stride + size - len(x), 0)
        x = np.pad(x, (missing // 2, missing - missing // 2), constant_values=fill)
    return [x[at : at + size] for at in range(0, len(x) - size + 1, stride)]


SIZES = st.tuples(st.integers(3, 7), st.integers(1, 3), st.integers(1, 3), st.sampled_from(["same", "valid"]))


@settings(max_examples=20, deadline=None)
@given(SIZES)
def test_windows(sizes):
    """Pooling sees the windows that TF1 cuts out; the padding is no part of a mean or a maximum."""
    length, size, stride, padding = sizes
    x = example((length,)) - 2
    for layer, fold in ((layers.max_pooling1d, np.nanmax), (layers.average_pooling1d, np.nanmean)):
        expected = [fold(window) for window in windows(x, size, stride, padding, np.nan)]
        found = js.transform(layer).apply({}, x[None, :, None], size, stride, padding)
        np.testing.assert_allclose(found[0, :, 0], expected, rtol=1e-5)


@settings(max_examples=10, deadline=None)
@given(SIZES)
def test_transposed(sizes):
    """A transposed convolution is the gradient of the convolution that takes its result to its input."""
    length, size, stride, padding = sizes
    options = {"strides": stride, "padding": padding, "use_bias": False}
    spread = js.transform(lambda y: layers.conv2d_transpose(y, 2, size, name="c", **options))
    y = example((1, length, length, 3))
    variables = spread.init(KEY, y)
    x = spread.apply(variables, y)
    conv = js.transform(lambda x: layers.conv2d(x, 3, size, name="c", **options))
    _, pull = jax.vjp(lambda x: conv.apply(variables, x), jnp.zeros(x.shape))
    np.testing.assert_allclose(pull(jnp.asarray(y))[0], x, rtol=1e-4, atol=1e-5)


def test_causal():
    """With causal padding nothing depends on what comes after it."""
    x = example((1, 8, 2))
    net = js.transform(lambda x: layers.conv1d(x, 3, 3, padding="causal", dilation_rate=2))
    variables = net.init(KEY, x)
    whole = net.apply(variables, x)
    assert whole.shape == (1, 8, 3)
    np.testing.assert_allclose(net.apply(variables, x[:, :5]), whole[:, :5], rtol=1e-5, atol=1e-6)


FIRST = {"data_format": "channels_first"}
LAYOUTS = {
    "conv2d": (layers.conv2d, (3, 2), {}),
    "conv2d_transpose": (layers.conv2d_transpose, (3, 2), {"strides": 2}),
    "depthwise_conv2d": (layers.depthwise_conv2d, (2,), {}),
    "separable_conv2d": (layers.separable_conv2d, (3, 2), {}),
    "max_pooling2d": (layers.max_pooling2d, (2, 2), {}),
    "average_pooling2d": (layers.average_pooling2d, (2, 2), {"padding": "same"}),
    "instance_norm": (layers.instance_norm, (), {}),
    "flatten": (layers.flatten, (), {}),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_channels_first(name):
    """Channels after the batch are the same layer, seen from the side."""
    layer, args, options = LAYOUTS[name]
    x = example((2, 5, 4, 3))
    last = applied(layer, x, *args, **options)
    first = applied(layer, np.moveaxis(x, -1, 1), *args, **options, **FIRST)
    np.testing.assert_allclose(first if name == "flatten" else np.moveaxis(first, 1, -1), last, 1e-4, 1e-5)


def test_integers_have_a_largest():
    """The largest of whole numbers is one of them, also beside the padding."""
    x = -np.arange(1, 6, dtype="int32").reshape(1, 5, 1)
    y = js.transform(layers.max_pooling1d).apply({}, x, 2, 2, "same")
    assert y.dtype == "int32"
    np.testing.assert_array_equal(y[0, :, 0], [-1, -3, -5])


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda x: layers.conv2d(x, 3, 3, padding="full"), "'valid', 'same'"),
        (lambda x: layers.conv2d(x, 3, 3, padding="causal"), "'valid', 'same'"),
        (lambda x: layers.conv2d(x, 3, 3, padding=None), "not None"),
        (lambda x: layers.conv2d(x, 3, (3, 3, 3)), "the size of a window must be"),
        (lambda x: layers.conv2d(x, 3, 3, strides=0), "strides must be"),
        (lambda x: layers.conv2d(x, 3, 3, dilation_rate=1.5), "dilation_rate must be"),
        (lambda x: layers.conv2d(x, 3, 3, strides=2, dilation_rate=2), "cannot both be above 1"),
        (lambda x: layers.conv2d(x, 3, 3, data_format="NHWC"), "'channels_last' or 'channels_first'"),
        (lambda x: layers.max_pooling2d(x, "2", 2), "the size of a window must be"),
    ],
)
def test_arguments_without_meaning(call, says):
    """An argument that has no meaning is a ValueError that says which have."""
    with pytest.raises(ValueError, match=says):
        js.transform(call).spec(example((1, 5, 5, 2)))


def test_messages():
    """Shapes that cannot work are told with the input, the scope, and what to write."""

    def net(x):
        with js.variable_scope("stem"):
            return layers.conv2d(x, 3, 3)

    line = net.__code__.co_firstlineno + 2
    with pytest.raises(js.errors.InvalidShapeError) as caught:
        js.transform(net).spec(example((5, 5, 2)))
    assert str(caught.value).splitlines() == [
        "conv2d takes an input of rank 4: [batch, height, width, channels]",
        f"  at       test_images.py:{line} in net",
        "  inputs   float32[5,5,2]",
        "  scope    stem/conv2d (reuse=False)",
        "  fix      reshape the input to [batch, height, width, channels]",
    ]
    with pytest.raises(js.errors.InvalidShapeError) as caught:
        js.transform(net).spec(example((1, 2, 5, 2)))
    assert str(caught.value).splitlines() == [
        "conv2d has windows of [3, 3], larger than the [2, 5] that they slide over",
        f"  at       test_images.py:{line} in net",
        "  inputs   float32[1,2,5,2]",
        "  scope    stem/conv2d (reuse=False)",
        '  fix      pass padding="same", smaller windows, or a larger input',
    ]
