"""What is drawn: decided by key, scope and seed; laws by their moments."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxscope as js
import jaxscope.tf1 as tf


def drawn(model, key=0):
    """Return what a model draws under a key."""

    def net(key):
        with js.random_keys(key):
            return tf.function(model)()

    return jax.jit(js.transform(net).apply)({}, jax.random.key(key))


LAWS = {
    "uniform": (lambda n: tf.random_uniform([n], -1.0, 3.0), 1.0, 4 / np.sqrt(12)),
    "whole": (lambda n: tf.random_uniform([n], 2, 5, tf.int32), 3.0, np.sqrt(2 / 3)),
    "normal": (lambda n: tf.random_normal([n], 2.0, 0.5), 2.0, 0.5),
    "truncated": (lambda n: tf.truncated_normal([n], 1.0, 2.0), 1.0, 2 * 0.8796),
    "gamma": (lambda n: tf.random_gamma([n], 4.0, 2.0), 2.0, 1.0),
    "poisson": (lambda n: tf.random_poisson(9.0, [n]), 9.0, 3.0),
    "classes": (lambda n: tf.multinomial(tf.log([[0.25, 0.75]]), n), 0.75, np.sqrt(3) / 4),
    "stateless": (lambda n: tf.random.stateless_normal([n], [1, 2], 2.0, 0.5), 2.0, 0.5),
}


@pytest.mark.parametrize("law", LAWS)
def test_moments(law):
    """The mean and the deviation of many numbers are those of the law."""
    draw, mean, deviation = LAWS[law]
    numbers = np.asarray(drawn(lambda: draw(4000)), np.float64)
    assert abs(numbers.mean() - mean) < 5 * deviation / np.sqrt(4000)
    assert abs(numbers.std() - deviation) < 0.1 * deviation


def test_keys_and_seeds():
    """The key and the seed decide; scopes and calls have keys of their own, so elsewhere shifts nothing."""

    def model(seed=None, more=False):
        with js.variable_scope("a"):
            if more:
                tf.random_normal([2])
        with js.variable_scope("b"):
            return tf.random_normal([2], seed=seed), tf.random_normal([2], seed=seed)

    one, two = drawn(model)
    assert not np.array_equal(one, two)
    np.testing.assert_array_equal(one, drawn(model)[0])
    np.testing.assert_array_equal(one, drawn(lambda: model(more=True))[0])
    assert not np.array_equal(one, drawn(model, key=1)[0])
    seeded = drawn(lambda: model(seed=7))[0]
    assert not np.array_equal(one, seeded)
    np.testing.assert_array_equal(seeded, drawn(lambda: model(seed=7))[0])
    assert not np.array_equal(seeded, drawn(lambda: model(seed=8))[0])


def test_by_hand():
    """A draw is that of JAX with the stream's key."""
    ours = drawn(lambda: tf.random_uniform([3]))
    by_hand = drawn(lambda: jax.random.uniform(js.next_key(), [3]))
    np.testing.assert_array_equal(ours, by_hand)


def test_shuffles_and_crops():
    """A shuffle keeps the rows, a crop is a part of the image."""
    x = jnp.arange(24.0).reshape(6, 4)
    rows = np.asarray(drawn(lambda: tf.random_shuffle(x)))
    assert sorted(rows[:, 0].tolist()) == x[:, 0].tolist()
    part = np.asarray(drawn(lambda: tf.random_crop(x, [2, 3])))
    first = part[0, 0]
    np.testing.assert_array_equal(part, [[first, first + 1, first + 2], [first + 4, first + 5, first + 6]])


def test_refused():
    """Without a stream nothing is drawn; arguments that cannot be are errors."""
    with pytest.raises(js.errors.KeyStreamError):
        js.transform(lambda: tf.random_normal([2])).apply({})
    for wrong in (
        lambda: tf.random_uniform([2], dtype=tf.int32),
        lambda: tf.random_uniform([2], 3, 3, tf.int32),
        lambda: tf.random_normal([2], dtype=tf.int32),
        lambda: tf.random_crop(tf.zeros([2, 2]), [3, 2]),
        lambda: tf.multinomial([0.5, 0.5], 3),
        lambda: tf.random.stateless_normal([2], [1, 2, 3]),
    ):
        with pytest.raises((ValueError, TypeError)):
            drawn(wrong)
