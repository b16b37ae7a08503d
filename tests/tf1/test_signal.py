"""`tf.signal`: frames, windows and spectra of sound are NumPy's and scipy's, and the sound comes back."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

import jaxscope as js

tf = js.tf1

X = np.random.default_rng(0).normal(size=(2, 50)).astype("float32")


@settings(max_examples=20, deadline=None)  # each compiles programs of its own
@given(st.integers(1, 12), st.integers(1, 12), st.booleans())
def test_frames_and_back(length, step, pad):
    """A frame is a slice; frames that are put together again, and counted, give what they were cut of."""
    frames = np.asarray(jnp.asarray(tf.signal.frame(X, length, step, pad_end=pad)))
    padded = np.pad(X, [(0, 0), (0, length)])
    for at in range(frames.shape[1]):
        np.testing.assert_array_equal(frames[:, at], padded[:, at * step : at * step + length])
    assert frames.shape[1] == (-(-50 // step) if pad else 1 + (50 - length) // step)
    whole = np.asarray(jnp.asarray(tf.signal.overlap_and_add(frames, step)))
    counts = np.asarray(jnp.asarray(tf.signal.overlap_and_add(np.ones_like(frames), step)))
    size = min(50, whole.shape[1])
    np.testing.assert_allclose(whole[:, :size], (counts[:, :size] * padded[:, :size]), rtol=1e-4, atol=1e-5)
    along = tf.signal.frame(X.T, length, step, pad_end=pad, axis=0)
    np.testing.assert_array_equal(jnp.asarray(along), np.moveaxis(frames, 0, 2))


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("length", [1, 4, 7])
def test_windows(length, periodic):
    """Windows are scipy's; an odd length is the same whether it is periodic or not, as in TensorFlow."""
    even = periodic and length % 2 == 0
    for name in ("hann", "hamming"):
        made = getattr(tf.signal, f"{name}_window")(length, periodic)
        np.testing.assert_allclose(
            jnp.asarray(made), signal.get_window(name, length, fftbins=even), rtol=1e-5, atol=1e-6
        )


def test_spectra_and_back():
    """Spectra are those of windowed frames, and by the inverse window the sound comes back."""
    sound = tf.contrib.signal

    def spectra(x, **settings):
        return jnp.asarray(sound.stft(x, 8, 2, **settings))

    frames = np.stack([X[:, at : at + 8] for at in range(0, 43, 2)], 1)
    window = signal.get_window("hann", 8)
    np.testing.assert_allclose(spectra(X), np.fft.rfft(frames * window), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(spectra(X, window_fn=None), np.fft.rfft(frames), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(
        spectra(X, fft_length=32), np.fft.rfft(frames * window, 32), rtol=1e-3, atol=1e-5
    )
    for size in (None, 16):
        back = sound.inverse_stft(
            spectra(X, fft_length=size), 8, 2, size, window_fn=sound.inverse_stft_window_fn(2)
        )
        np.testing.assert_allclose(jnp.asarray(back)[:, 8:42], X[:, 8:42], rtol=1e-3, atol=1e-5)
    slope = jax.jit(jax.grad(lambda x: jnp.sum(jnp.abs(spectra(x, window_fn=None)) ** 2)))(X)
    assert slope.shape == X.shape


def test_mel_scale():
    """A band is a triangle over the spectrum, from one edge to the next but one."""
    weights = np.asarray(jnp.asarray(tf.signal.linear_to_mel_weight_matrix(5, 33, 16000, 0.0, 8000.0)))
    assert (weights.shape, weights.dtype) == ((33, 5), "float32")
    assert (weights[0] == 0).all()
    mels = 1127 * np.log1p(np.linspace(0, 8000, 33) / 700)
    edges = np.linspace(0, 1127 * np.log1p(8000 / 700), 7)
    for band in range(5):
        wanted = np.interp(mels, edges[band : band + 3], [0, 1, 0], left=0, right=0)
        np.testing.assert_allclose(weights[:, band], wanted, atol=1e-4)


def test_what_is_refused():
    """Lengths are positive, spectra complex, sound real, edges in their order."""
    for wrong in (
        lambda: tf.signal.frame(X, 0, 1),
        lambda: tf.signal.overlap_and_add(X[0], 1),
        lambda: tf.signal.linear_to_mel_weight_matrix(lower_edge_hertz=5000.0),
    ):
        with pytest.raises(ValueError, match=r"must be positive|rank 2|edges"):
            wrong()
    for wrong in (lambda: tf.signal.inverse_stft(X, 8, 2), lambda: tf.signal.stft([1, 2, 3], 2, 1)):
        with pytest.raises(TypeError):
            wrong()
