"""What TensorFlow 1 does at the edges: derivatives that have a choice, shapes that broadcast, odd kinds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxscope as js
import jaxscope.tf1 as tf


def gradient(function, *arrays):
    """Return the gradients of the sum of what a function of tensors returns."""

    def total(*given):
        return jnp.asarray(tf.reduce_sum(function(*map(tf.convert_to_tensor, given))))

    return jax.grad(total, argnums=tuple(range(len(arrays))))(*map(jnp.asarray, arrays))


def close(found, wanted):
    np.testing.assert_allclose(np.asarray(found), wanted, rtol=1e-6, atol=1e-6)


def test_cross_entropy_where_logits_are_zeros():
    """A last layer that begins with zeros has the gradient `sigmoid(0) - labels`."""
    (grad,) = gradient(
        lambda x: tf.nn.sigmoid_cross_entropy_with_logits(labels=[0.0, 1.0, 0.25], logits=x), np.zeros(3, "f")
    )
    close(grad, [0.5, -0.5, 0.25])


@pytest.mark.parametrize("loss", [tf.losses.absolute_difference, tf.losses.huber_loss])
def test_no_error_no_gradient(loss):
    """Where a prediction is right, it stays."""
    grad, _ = gradient(lambda x, y: loss(x, y), np.float32([1, 2]), np.float32([1, 4]))
    assert grad[0] == 0
    assert grad[1] != 0


def test_regularizer_of_zeros():
    """Weights that are zero stay so."""
    for made in (js.regularizers.l1(0.5), tf.contrib.layers.l1_regularizer(0.5)):
        grad = jax.grad(lambda w, made=made: jnp.asarray(made(w)))(jnp.array([0.0, 2.0, -1.0]))
        close(grad, [0, 0.5, -0.5])


def test_total_variation_of_equal_neighbors():
    """Neighbors that are equal are not moved."""
    (grad,) = gradient(tf.image.total_variation, np.ones((2, 2, 1), "f"))
    close(grad, np.zeros((2, 2, 1)))


def test_black_channels():
    """The saturation has no gradient by a channel that is black."""
    (grad,) = gradient(lambda x: tf.image.rgb_to_hsv(x)[..., 1], np.float32([[[0, 0.5, 1], [0.1, 0.5, 1]]]))
    close(grad[0, 0], [0, 0, 0])
    close(grad[0, 1], [-1, 0, 0.1])


def test_stitched_over():
    """What another part was put over has a gradient nevertheless, as in TensorFlow."""
    first, second = gradient(
        lambda a, b: tf.square(tf.dynamic_stitch([[0, 1], [1]], [a, b])), np.float32([1, 2]), np.float32([3])
    )
    close(first, [2, 6])
    close(second, [6])


@pytest.mark.parametrize("loop", ["map_fn", "foldl", "scan"])
def test_no_gradient_by_back_prop(loop):
    """Where `back_prop` is false, nothing is learned through a loop."""
    functions = {
        "map_fn": lambda x, **rest: tf.map_fn(lambda t: t * 2, x, **rest),
        "foldl": lambda x, **rest: tf.foldl(lambda a, t: a * t, x, **rest),
        "scan": lambda x, **rest: tf.scan(lambda a, t: a * t, x, **rest),
    }
    (some,) = gradient(functions[loop], np.float32([2, 3]))
    (none,) = gradient(lambda x: functions[loop](x, back_prop=False), np.float32([2, 3]))
    assert jnp.all(some != 0)
    close(none, [0, 0])


def test_no_gradient_through_a_while_loop():
    """A loop of unknown length has no derivative here: `back_prop=False` says that none is needed."""

    def grown(x):
        return x + tf.while_loop(lambda v: v < 10, lambda v: v * 2, [x], back_prop=False)

    (grad,) = gradient(grown, np.float32(1))
    assert grad == 1


def test_truth_values_are_numbers():
    """Python's True is 1 where a number is asked for; a tensor of truth values is not."""
    assert tf.constant(True, tf.float32).dtype == tf.float32
    close((tf.constant([1, 2]) + True)._held, [2, 3])
    close(tf.constant([[1.0, 2.0]])[0, True]._held, 2)
    assert tf.expand_dims([1.0], True).shape == [1, 1]
    assert tf.stack([[1.0], [2.0]], True).shape == [1, 2]
    with pytest.raises(TypeError):
        tf.reduce_sum([[1.0]], True)
    one_hot = tf.one_hot([0, 2], 3, on_value=True, off_value=False, dtype=tf.int32)
    close(one_hot._held, [[1, 0, 0], [0, 0, 1]])
    with pytest.raises(TypeError):
        tf.constant([1, 2]) + tf.constant(True)


def test_shapes_that_fit_by_their_number_of_elements():
    """`searchsorted` takes rows in any shape, the losses of logits labels for all of them."""
    close(tf.searchsorted([1.0, 3.0, 5.0], [[2.0, 6.0]])._held, [[1, 3]])
    loss = tf.nn.softmax_cross_entropy_with_logits_v2
    assert loss(labels=[1.0, 0.0], logits=[[1.0, 2.0], [3.0, 4.0]]).shape == [2]
    with pytest.raises(ValueError):
        loss(labels=[[1.0, 0.0], [0.0, 1.0]], logits=[[1.0, 2.0]])
    with pytest.raises(ValueError):
        tf.searchsorted([[1.0], [2.0]], [[1.0]])


def test_of_nothing():
    """No numbers between two, one tensor alone to join, a limit below zero."""
    assert tf.linspace(0.0, 1.0, 0).shape == [0]
    assert tf.concat([tf.constant(2.0)], 0).shape == []
    close(tf.clip_by_norm([3.0, 4.0], -1.0)._held, [0, 0])


def test_moments_of_whole_numbers():
    """They are cut, as means of whole numbers are."""
    mean, variance = tf.nn.moments(tf.constant([[1, 2], [4, 4]]), [0])
    assert mean._held.tolist() == [2, 3]
    assert variance._held.tolist() == [2, 1]


def test_trace_keeps_the_dtype():
    assert tf.trace(tf.constant([[1, 2], [3, 4]], tf.int8)).dtype == tf.int8


@pytest.mark.parametrize(
    ("error", "call"),
    [
        # kinds are looked at before sizes
        (TypeError, lambda x, w: tf.nn.conv2d(x, tf.cast(w, tf.float16), [0, 1, 1, 1], "SAME")),
        (TypeError, lambda x, w: tf.nn.conv2d(x, w, [0, 1, 1, 1])),
        (TypeError, lambda x, w: tf.nn.depthwise_conv2d(x, tf.cast(w, tf.float16), [1, 0, 1, 1], "SAME")),
        (
            TypeError,
            lambda x, w: tf.nn.conv2d_transpose(x, tf.cast(w, tf.float16), [1, 2, 2, 1], [0, 1, 1, 1]),
        ),
        (TypeError, lambda x, w: x[9, [0, 1]]),
        # but sizes of what is put together before kinds
        (ValueError, lambda x, w: tf.tensordot(x, tf.constant([True]), -1)),
        (ValueError, lambda x, w: tf.stack([x, tf.constant(True)], 9)),
        (ValueError, lambda x, w: tf.nn.bias_add(x, tf.constant([1]))),
        (ValueError, lambda x, w: tf.concat([x, x[0]], 0)),
        (ValueError, lambda x, w: tf.math.reduce_std(tf.constant([1]), 3)),
        # arguments of other kinds
        (TypeError, lambda x, w: tf.nn.max_pool(x, 2, padding="SAME")),
        (TypeError, lambda x, w: tf.reshape(x, tf.constant([-1], tf.int16))),
        (TypeError, lambda x, w: tf.shape(x, out_type=tf.bool)),
        (TypeError, lambda x, w: tf.shape_n([x, tf.constant([1])])),
        (TypeError, lambda x, w: tf.argmax(x, [0])),
        (TypeError, lambda x, w: tf.clip_by_norm(x, tf.constant(1, tf.int32))),
        (TypeError, lambda x, w: tf.nn.avg_pool(x, 2, 1, [[0, 0], [1, 1], [1, 1], [0, 0]])),
        (TypeError, lambda x, w: tf.nn.conv3d(*[tf.ones([1] * 5, tf.int32)] * 2, [1] * 5, "SAME")),
        (TypeError, lambda x, w: tf.sort(tf.complex(x, x))),
        (TypeError, lambda x, w: tf.Assert(1, ["not a truth value"])),
        (TypeError, lambda x, w: tf.reciprocal(tf.constant([1], tf.uint8))),
        (ValueError, lambda x, w: tf.Assert([True], ["not one"])),
        (ValueError, lambda x, w: tf.eye([2])),
        (ValueError, lambda x, w: tf.sort(x, [0])),
        (ValueError, lambda x, w: tf.boolean_mask(x, [True], axis=-1)),
        (ValueError, lambda x, w: tf.matrix_band_part(x, 1, [1])),
        (ValueError, lambda x, w: tf.strided_slice(x, [0], [1], [-1], shrink_axis_mask=1)),
        (ValueError, lambda x, w: tf.gather(x[0, 0], 9)),
        (ValueError, lambda x, w: tf.TensorArray(tf.float32, 1).split(x[0, 0, 0, 0], [1])),
    ],
)
def test_errors(error, call):
    """They are of the kind that TensorFlow raises."""
    with pytest.raises(error) as raised:
        call(tf.ones([1, 2, 2, 1]), tf.ones([1, 1, 1, 1]))
    assert isinstance(raised.value, js.errors.JaxscopeError) or "argument" in str(raised.value)


@pytest.mark.parametrize("dtype", [tf.uint8, tf.int16, tf.int32])
def test_whole_images_in_a_program(dtype):
    """Images of whole numbers are changed within a compiled program as outside of one."""

    def brighter(image, delta):
        return jnp.asarray(tf.image.adjust_gamma(tf.image.adjust_brightness(image, delta), 0.5))

    image = jnp.asarray(np.arange(12).reshape(2, 2, 3) * 20, dtype.dtype)
    delta = jnp.float32(0.1)
    found = jax.jit(brighter)(image, delta)
    assert found.dtype == image.dtype
    np.testing.assert_allclose(found, brighter(image, delta), rtol=1e-6)
