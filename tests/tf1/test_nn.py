"""`tf.nn`, `tf.losses`, `tf.image`: programs as one writes them by hand, and what holds in general."""

from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

import jaxscope as js
import jaxscope.tf1 as tf


def numbers(*shape, seed=0):
    """Return an array of normal numbers."""
    return jax.random.normal(jax.random.key(seed), shape)


def run(model, *args):
    """Return what a model of TensorFlow 1's computes, with keys to draw by."""

    def with_keys(*args):
        with js.random_keys(jax.random.key(1)):
            return model(*args)

    return js.transform(tf.function(with_keys)).apply({}, *args)


X, W = numbers(2, 6, 5, 3), numbers(3, 3, 3, 4, seed=1)
AXES = ("NHWC", "HWIO", "NHWC")
BY_HAND = {
    "conv2d": (
        lambda x, w: tf.nn.conv2d(x, w, [1, 2, 2, 1], "SAME"),
        lambda x, w: lax.conv_general_dilated(x, w, (2, 2), "SAME", dimension_numbers=AXES),
    ),
    "max_pool": (
        lambda x, w: tf.nn.max_pool(x, [1, 2, 2, 1], [1, 2, 2, 1], "VALID"),
        lambda x, w: lax.reduce_window(x, np.float32(-np.inf), lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID"),
    ),
    "relu of a softmax": (
        lambda x, w: tf.nn.relu(tf.nn.softmax(x)),
        lambda x, w: jax.nn.relu(jax.nn.softmax(x)),
    ),
    "bias_add": (lambda x, w: tf.nn.bias_add(x, w[0, 0, :, 0]), lambda x, w: x + w[0, 0, :, 0]),
    "l2_normalize": (
        lambda x, w: tf.nn.l2_normalize(x, -1),
        lambda x, w: x * lax.rsqrt(jnp.maximum(jnp.sum(jnp.square(x), -1, keepdims=True), 1e-12)),
    ),
    "embedding_lookup": (
        lambda x, w: tf.nn.embedding_lookup(x, tf.cast(w[0, 0, 0], tf.int32)),
        lambda x, w: x[w[0, 0, 0].astype(jnp.int32)],
    ),
    "mean_squared_error": (
        lambda x, w: tf.losses.mean_squared_error(x[..., 0], x[..., 1]),
        lambda x, w: jnp.sum(jnp.square(x[..., 1] - x[..., 0])) / 60,
    ),
    "flip": (lambda x, w: tf.image.flip_left_right(x), lambda x, w: jnp.flip(x, 2)),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_program_is_the_one_written_by_hand(name):
    """A function is the operations that one would write, and no others."""
    ours, by_hand = BY_HAND[name]

    made, wanted = (
        Counter((equation.primitive.name, str(equation.outvars[0].aval)) for equation in program.eqns)
        for program in (jax.make_jaxpr(function)(X, W) for function in (tf.function(ours), by_hand))
    )
    assert made == wanted
    np.testing.assert_allclose(tf.function(ours)(X, W), by_hand(X, W), rtol=1e-6)


@settings(max_examples=12)
@given(
    size=st.tuples(st.integers(5, 7), st.integers(5, 7)),
    window=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.sampled_from([1, 2, (2, 1), (1, 3)]),
    padding=st.sampled_from(["SAME", "VALID", "explicit"]),
    last=st.booleans(),
    dilated=st.booleans(),
    groups=st.sampled_from([1, 2]),
)
def test_transposed_convolution_is_the_gradient(size, window, stride, padding, last, dilated, groups):
    """`conv2d_transpose` is the transpose of `conv2d`, for all paddings, formats and groups."""
    strides, dilations = (1, 2) if dilated else (stride, 1)
    strides = list(strides) if isinstance(strides, tuple) else strides
    if padding == "explicit":
        inner = [[1, 0], [0, 2]]
        padding = [[0, 0], *inner, [0, 0]] if last else [[0, 0], [0, 0], *inner]
    how = {"data_format": "NHWC" if last else "NCHW", "dilations": dilations}
    shape = (2, *size, 2) if last else (2, 2, *size)
    kernel = numbers(*window, 2 // groups, 4)

    def forward(x):
        return jnp.asarray(tf.nn.conv2d(x, kernel, strides, padding, **how))

    images = numbers(*shape)
    out, back = jax.vjp(forward, images)
    result = tf.nn.conv2d_transpose(out, kernel, shape, strides, padding, **how)
    np.testing.assert_allclose(jnp.asarray(result), back(out)[0], rtol=1e-4, atol=1e-4)
    slopes = tf.nn.conv2d_backprop_filter(images, kernel.shape, out, strides, padding, **how)
    np.testing.assert_allclose(jnp.vdot(jnp.asarray(slopes), kernel), jnp.vdot(out, out), rtol=1e-3)


@settings(max_examples=12)
@given(
    kind=st.sampled_from(["max_pool", "avg_pool"]),
    size=st.integers(3, 7),
    window=st.integers(1, 3),
    stride=st.integers(1, 3),
    padding=st.sampled_from(["SAME", "VALID"]),
)
def test_pooling(kind, size, window, stride, padding):
    """Pooling joins what is in a window and in the image; it is the same in both formats."""
    x = np.asarray(numbers(1, size, size + 1, 2))
    pool = getattr(tf.nn, kind)
    found = np.asarray(jnp.asarray(pool(x, window, stride, padding)))
    turned = pool(x.transpose(0, 3, 1, 2), [1, 1, window, window], [stride], padding, "NCHW")
    np.testing.assert_allclose(np.asarray(jnp.asarray(turned)).transpose(0, 2, 3, 1), found, rtol=1e-6)
    starts = []
    for length in (size, size + 1):
        count = -(-length // stride) if padding == "SAME" else (length - window) // stride + 1
        before = max((count - 1) * stride + window - length, 0) // 2 if padding == "SAME" else 0
        starts.append([at * stride - before for at in range(count)])
    assert found.shape == (1, *map(len, starts), 2)
    join = np.max if kind == "max_pool" else np.mean
    for i, top in enumerate(starts[0]):
        for j, left in enumerate(starts[1]):
            part = x[0, max(top, 0) : top + window, max(left, 0) : left + window]
            np.testing.assert_allclose(found[0, i, j], join(part, (0, 1)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("strategy", ["mod", "div"])
@pytest.mark.parametrize("parts", [2, 3])
def test_embedding_in_parts(strategy, parts):
    """A table in parts gives the rows of the whole one."""
    table, ids = numbers(7, 2), np.array([[0, 6, 3], [5, 1, 2]])
    pieces = [table[at::parts] for at in range(parts)] if strategy == "mod" else jnp.array_split(table, parts)
    traced = jax.jit(lambda ids, pieces: tf.nn.embedding_lookup(pieces, ids, strategy))
    np.testing.assert_array_equal(jnp.asarray(traced(ids, list(pieces))), table[ids])


def test_losses_are_collected_by_scope():
    """Losses are in the collection under their scopes, unless it is None."""

    def model(x):
        with js.name_scope("critic"):
            first = tf.losses.mean_squared_error(x, 2 * x)
        second = tf.losses.absolute_difference(x, 2 * x, scope="mine")
        tf.losses.hinge_loss(x, x, loss_collection=None)
        tf.losses.huber_loss(x, x, loss_collection="others")
        js.get_variable("w", [2], initializer=js.initializers.zeros, regularizer=lambda w: jnp.sum(w + 1))
        assert tf.losses.get_losses() == [first, second]
        assert tf.losses.get_losses("critic") == [first]
        assert tf.losses.get_losses("mine") == [second]
        assert len(tf.losses.get_losses(loss_collection="others")) == 1
        return tf.losses.get_total_loss(), tf.losses.get_total_loss(add_regularization_losses=False)

    net = js.transform(tf.function(model))
    whole, bare = net.apply({"w": jnp.zeros(2)}, jnp.full(3, 2.0))
    assert (float(whole), float(bare)) == (4 + 2 + 2, 4 + 2)


def test_losses_of_different_shapes_have_no_sum():
    """As `tf.add_n`, of which TensorFlow makes it: one loss for each example is not one number."""

    def model(x):
        tf.losses.mean_squared_error(x, 2 * x)
        tf.losses.mean_squared_error(x, 2 * x, reduction=tf.losses.Reduction.NONE)
        return tf.losses.get_total_loss()

    with pytest.raises(ValueError, match="different shapes"):
        js.transform(tf.function(model)).apply({}, jnp.ones(3))


@pytest.mark.parametrize("reduction", tf.losses.Reduction.all())
@pytest.mark.parametrize("weights", [1.0, 0.5, 0.0, [[0.0], [2.0]], [[0.0] * 3] * 2])
def test_reductions(reduction, weights):
    """Weighted losses are joined as their names say; weights known while tracing, and others, alike."""
    losses, given = (
        np.arange(1, 7, dtype=np.float32).reshape(2, 3),
        np.broadcast_to(np.float32(weights), (2, 3)),
    )
    total = (losses * given).sum()
    counts = {
        "weighted_sum": 1,
        "weighted_mean": given.sum(),
        "weighted_sum_over_batch_size": 6,
        "weighted_sum_by_nonzero_weights": (given != 0).sum(),
    }
    wanted = losses * given if reduction == "none" else total / (counts[reduction] or 1)

    def loss(weights):
        return jnp.asarray(tf.losses.compute_weighted_loss(losses, weights, reduction=reduction))

    for found in (loss(weights), jax.jit(loss)(jnp.asarray(weights))):
        np.testing.assert_allclose(found, wanted, rtol=1e-6)
    slopes = jax.grad(lambda weights: jnp.sum(loss(weights)))(jnp.asarray(weights))
    assert np.all(np.isfinite(slopes))


def test_gradient_of_labels_that_are_no_probabilities():
    """The gradient by logits is `softmax - labels`, in both directions of differentiation."""
    labels, logits = jnp.array([[1.0, 2.0, -0.5]]), numbers(1, 3)

    def loss(logits):
        return jnp.asarray(tf.nn.softmax_cross_entropy_with_logits_v2(labels=labels, logits=logits))[0]

    for slopes in (jax.grad(loss)(logits), jax.jacfwd(loss)(logits)):
        np.testing.assert_allclose(slopes, jax.nn.softmax(logits) - labels, rtol=1e-5)


def test_dropout():
    """A share stays, as much larger; another seed or shape of noise gives another mask."""

    def model(x):
        kept = tf.nn.dropout(x, 0.8)
        rows = tf.nn.dropout(x, rate=0.5, noise_shape=[None, 1], seed=3)
        return kept, rows, tf.nn.dropout(x, rate=x[0, 0] * 0.25), tf.nn.dropout(x, tf.constant(1.0))

    x = jnp.ones([50, 40])
    kept, rows, traced, same = run(model, x)
    assert set(np.unique(kept)) == {0, np.float32(1.25)}
    assert 0.75 < np.mean(np.asarray(kept) > 0) < 0.85
    assert np.all((rows == 0).all(1) | (rows == 2).all(1))
    assert 0.7 < np.mean(np.asarray(traced) > 0) < 0.8
    np.testing.assert_array_equal(same, x)


@pytest.mark.parametrize("method", range(4))
@pytest.mark.parametrize("align", [False, True])
def test_resizing(method, align):
    """A resized image of one color has it; straight lines stay so inside, where interpolation is linear."""
    for size in ([5, 3], [2, 9]):
        flat = jnp.asarray(tf.image.resize_images(jnp.full([1, 3, 4, 2], 7.0), size, method, align))
        np.testing.assert_allclose(flat, np.full([1, *size, 2], 7.0), rtol=1e-5)
    if method == tf.image.ResizeMethod.BILINEAR:
        line = np.arange(4.0, dtype=np.float32).reshape(1, 1, 4, 1)
        found = jnp.asarray(tf.image.resize_images(line, [1, 7], method, align))[0, 0, :, 0]
        where = np.arange(7) * (3 / 6 if align else 4 / 7)
        np.testing.assert_allclose(found, np.minimum(where, 3), rtol=1e-5)


def test_colors_and_back():
    """Colors come back from other spaces, black and gray among them."""
    colors = jnp.concatenate([jax.random.uniform(jax.random.key(0), (1, 20, 3)), jnp.zeros([1, 1, 3])], 1)
    for there, back in [
        ("rgb_to_hsv", "hsv_to_rgb"),
        ("rgb_to_yiq", "yiq_to_rgb"),
        ("rgb_to_yuv", "yuv_to_rgb"),
    ]:
        found = getattr(tf.image, back)(getattr(tf.image, there)(colors))
        np.testing.assert_allclose(jnp.asarray(found), colors, atol=1e-4)  # TensorFlow's matrices are rounded
    np.testing.assert_allclose(jnp.asarray(tf.image.adjust_hue(colors, 1.0)), colors, atol=1e-5)
    slopes = jax.grad(lambda x: jnp.asarray(tf.image.rgb_to_hsv(x)).sum())(colors)
    assert np.all(np.isfinite(slopes))


def test_drawn_changes_of_images():
    """Drawn changes stay in their bounds, and differ from image to image."""

    def model(x):
        return (
            tf.image.random_flip_left_right(x),
            tf.image.random_brightness(x, 0.5),
            tf.image.random_contrast(x, 0.5, 1.5),
            tf.image.random_hue(x, 0.1),
            tf.image.random_saturation(x, 0.5, 1.5),
        )

    x = jax.random.uniform(jax.random.key(2), (16, 2, 2, 3))
    flipped, bright, contrast, hue, saturated = run(model, x)
    turned = [bool((one == other).all()) for one, other in zip(flipped, x, strict=True)]
    assert 0 < sum(turned) < 16
    assert np.ptp(np.asarray(bright - x)) < 1e-6
    assert abs(float(bright[0, 0, 0, 0] - x[0, 0, 0, 0])) <= 0.5
    np.testing.assert_allclose(contrast.mean((1, 2)), x.mean((1, 2)), rtol=1e-5)
    for changed in (hue, saturated):
        np.testing.assert_allclose(changed.max(-1), x.max(-1), rtol=1e-5)


def test_sampled_softmax_of_all_classes():
    """Where all classes are drawn, with equal counts, it is the softmax; classes are drawn once."""
    weights, x, labels = numbers(9, 4), numbers(3, 4, seed=1), jnp.array([[1], [0], [8]])

    def model(weights, x):
        drawn = tf.nn.log_uniform_candidate_sampler(labels, 1, 5, True, 9)
        every = jnp.arange(9), jnp.ones([3, 1]), jnp.ones(9)
        loss = tf.nn.sampled_softmax_loss(weights, jnp.zeros(9), labels, x, 9, 9, sampled_values=every)
        nce = tf.nn.nce_loss(weights, jnp.zeros(9), labels, x, 5, 9)
        return loss, drawn.sampled_candidates, drawn.true_expected_count, nce

    loss, drawn, counts, nce = run(model, weights, x)
    logs = jax.nn.log_softmax(x @ weights.T)
    np.testing.assert_allclose(loss, -logs[jnp.arange(3), labels[:, 0]], rtol=1e-5)
    assert len(set(drawn.tolist())) == 5
    assert counts[1, 0] > counts[0, 0] > counts[2, 0] > 0
    assert np.all(np.asarray(nce) > 0)


def test_patches_and_places():
    """The largest of a window's patch is what max pooling finds, at the place that it tells."""
    x = numbers(2, 5, 4, 1)
    window, strides = [1, 3, 2, 1], [1, 2, 1, 1]
    patches = jnp.asarray(tf.extract_image_patches(x, window, strides, [1, 1, 1, 1], "VALID"))
    values, places = (jnp.asarray(one) for one in tf.nn.max_pool_with_argmax(x, window, strides, "VALID"))
    np.testing.assert_array_equal(patches.max(-1, keepdims=True), values)
    np.testing.assert_array_equal(
        x.reshape(2, -1)[jnp.arange(2)[:, None], places.reshape(2, -1)], values.reshape(2, -1)
    )
    flat = jnp.zeros([3, 2, 1])
    dilated = tf.nn.dilation2d(x, flat, strides, [1, 1, 1, 1], "VALID")
    np.testing.assert_array_equal(jnp.asarray(dilated), values)
    eroded = tf.nn.erosion2d(-x, flat, strides, [1, 1, 1, 1], "VALID")
    np.testing.assert_array_equal(jnp.asarray(eroded), -values)


WRONG = {
    "window": (ValueError, lambda: tf.nn.conv2d(X, numbers(7, 7, 3, 1), 1, "VALID")),
    "padding": (ValueError, lambda: tf.nn.conv2d(X, W, 1, "same")),
    "no padding": (TypeError, lambda: tf.nn.max_pool(X, 2, 2)),
    "strides": (ValueError, lambda: tf.nn.conv2d(X, W, [1, 2, 2], "SAME")),
    "stride of channels": (ValueError, lambda: tf.nn.conv2d(X, W, [1, 1, 1, 2], "SAME")),
    "list asked for": (TypeError, lambda: tf.nn.depthwise_conv2d(X, W, 1, "SAME")),
    "channels": (ValueError, lambda: tf.nn.conv2d(X, numbers(3, 3, 2, 1), 1, "SAME")),
    "format": (ValueError, lambda: tf.nn.avg_pool(X, 2, 2, "SAME", "NHCW")),
    "size of the result": (
        ValueError,
        lambda: tf.nn.conv2d_transpose(X, numbers(2, 2, 1, 3), [2, 9, 9, 1], 1),
    ),
    "by name": (ValueError, lambda: tf.nn.softmax_cross_entropy_with_logits(X, X)),
    "both rates": (ValueError, lambda: tf.nn.dropout(X, 0.5, rate=0.5)),
    "label": (
        ValueError,
        lambda: tf.nn.sparse_softmax_cross_entropy_with_logits(labels=[3], logits=jnp.ones([1, 3])),
    ),
    "id": (ValueError, lambda: tf.nn.embedding_lookup(X, [-1])),
    "weights": (ValueError, lambda: tf.losses.mean_squared_error(X, X, jnp.ones(3))),
    "reduction": (ValueError, lambda: tf.losses.mean_squared_error(X, X, reduction="mean")),
    "crop": (ValueError, lambda: tf.image.crop_to_bounding_box(X, 5, 0, 2, 2)),
    "method": (ValueError, lambda: tf.image.resize_images(X, [2, 2], 7)),
    "whole numbers": (TypeError, lambda: tf.nn.softmax(tf.constant([1, 2]))),
}


@pytest.mark.parametrize("name", WRONG)
def test_refusals(name):
    """What TensorFlow refuses is refused, with the user's line."""
    kind, call = WRONG[name]
    with pytest.raises(kind) as caught:
        call()
    assert "test_nn.py" in str(caught.value)
