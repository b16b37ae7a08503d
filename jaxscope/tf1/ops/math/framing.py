"""`tf.signal`, once `tf.contrib.signal`: sound in frames, and its spectra."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.errors import TensorTypeError, TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute, static_axis, static_int
from jaxscope.tf1.base.tensor import Tensor, wrap
from jaxscope.tf1.ops.arrays.matrices import matrix_of
from jaxscope.tf1.ops.random.drawing import real_dtype

__all__ = [
    "frame",
    "hamming_window",
    "hann_window",
    "inverse_stft",
    "inverse_stft_window_fn",
    "linear_to_mel_weight_matrix",
    "overlap_and_add",
    "stft",
]


def _names(name: str) -> tuple[str, str]:
    return f"signal.{name}", f"contrib.signal.{name}"


def _length(value: Any, argument: str) -> int:
    length = static_int(value, argument)
    if length < 1:
        raise TensorValueError(f"{argument} must be positive, not {length}")
    return length


def _raised_cosine(length: Any, periodic: Any, dtype: Any, a: float, b: float) -> Tensor:
    size, target = _length(length, "window_length"), real_dtype(dtype, "a window")
    if size == 1:
        return wrap(jnp.ones([1], target.dtype), "window")
    n = size + bool(periodic) * (1 - size % 2) - 1
    steps = 2 * np.pi * np.arange(size) / n
    return wrap(jnp.asarray(a - b * np.cos(steps), target.dtype), "window")


@export(*_names("hann_window"))
def hann_window(
    window_length: Any, periodic: Any = True, dtype: Any = "float32", name: str | None = None
) -> Tensor:
    """Return a Hann window.

    Args:
        window_length: How long it is, known while tracing.
        periodic: Whether one of an even length is one step of a periodic one.
        dtype: The dtype, of real numbers.
        name: Without meaning here.

    Example:
        >>> jnp.asarray(hann_window(4)).tolist()
        [0.0, 0.5, 1.0, 0.5]
    """
    return _raised_cosine(window_length, periodic, dtype, 0.5, 0.5)


@export(*_names("hamming_window"))
def hamming_window(
    window_length: Any, periodic: Any = True, dtype: Any = "float32", name: str | None = None
) -> Tensor:
    """Return a Hamming window.

    Args:
        window_length: How long it is, known while tracing.
        periodic: Whether one of an even length is one step of a periodic one.
        dtype: The dtype, of real numbers.
        name: Without meaning here.
    """
    return _raised_cosine(window_length, periodic, dtype, 0.54, 0.46)


@export(*_names("frame"))
def frame(
    signal: Any,
    frame_length: Any,
    frame_step: Any,
    pad_end: bool = False,
    pad_value: Any = 0,
    axis: Any = -1,
    name: str | None = None,
) -> Tensor:
    """Return an axis cut in frames, which may overlap: two axes stand in its place, frames and numbers.

    Args:
        signal: A tensor.
        frame_length: How many numbers a frame has, known while tracing.
        frame_step: How far it is from one frame to the next.
        pad_end: Whether frames that reach beyond the end are there, too, filled with `pad_value`.
        pad_value: What they are filled with.
        axis: The axis.
        name: A name for the result.

    Raises:
        TensorValueError: If a length is not positive, or there is no such axis (`tensor_value`).
    """
    tensor = matrix_of(signal, "frame", 1)
    at = static_axis(axis, tensor._held.ndim)
    length, step = _length(frame_length, "frame_length"), _length(frame_step, "frame_step")
    size = tensor._held.shape[at]
    count = -(-size // step) if pad_end else max(0, 1 + (size - length) // step)
    missing = max(0, length + step * (count - 1) - size) if pad_end else 0
    places = np.arange(count)[:, None] * step + np.arange(length)

    def cut(x: Any) -> Any:
        widths = [(0, missing if one == at else 0) for one in range(x.ndim)]
        return jnp.take(jnp.pad(x, widths, constant_values=pad_value), places, axis=at)

    return compute("frame", cut, tensor, name=name)


@export(*_names("overlap_and_add"))
def overlap_and_add(signal: Any, frame_step: Any, name: str | None = None) -> Tensor:
    """Return frames put one behind the other at a distance; where they overlap, they are added.

    Args:
        signal: Frames, `[..., frames, numbers]`.
        frame_step: How far it is from one frame to the next, known while tracing.
        name: A name for the result.

    Raises:
        TensorValueError: If the rank is less than 2 (`tensor_value`).
    """
    tensor, step = matrix_of(signal, "overlap_and_add"), _length(frame_step, "frame_step")
    frames, length = tensor._held.shape[-2:]
    places = np.arange(frames)[:, None] * step + np.arange(length)
    total = (frames - 1) * step + length

    def added(x: Any) -> Any:
        return jnp.zeros((*x.shape[:-2], total), x.dtype).at[..., places].add(x)

    return compute("overlap_and_add", added, tensor, name=name)


def _of_fourier(fft_length: Any, length: int) -> int:
    return 1 << (length - 1).bit_length() if fft_length is None else _length(fft_length, "fft_length")


def _window(window_fn: Callable[..., Any] | None, length: int, dtype: Any) -> list[Tensor]:
    return [] if window_fn is None else [convert_to_tensor(window_fn(length, dtype=dtype))]


@export(*_names("stft"))
def stft(
    signals: Any,
    frame_length: Any,
    frame_step: Any,
    fft_length: Any = None,
    window_fn: Callable[..., Any] | None = hann_window,
    pad_end: bool = False,
    name: str | None = None,
) -> Tensor:
    """Return the spectra of frames of sound, `[..., frames, fft_length // 2 + 1]`.

    Args:
        signals: Real numbers, `[..., samples]`.
        frame_length: How many samples a frame has, known while tracing.
        frame_step: How far it is from one frame to the next.
        fft_length: The size of the Fourier transform; the power of two that a frame fits in if None.
        window_fn: A function of `frame_length` and `dtype` that returns a window, or None for none.
        pad_end: Whether frames that reach beyond the end are there, too.
        name: A name for the result.

    Raises:
        TensorTypeError: If these are no real numbers (`tensor_type`).
        TensorValueError: If a length is not positive (`tensor_value`).
    """
    frames = frame(signals, frame_length, frame_step, pad_end)
    if not frames.dtype.is_floating:
        raise TensorTypeError(f"stft takes real numbers, not {frames.dtype.name}")
    length = static_int(frame_length, "frame_length")
    size = _of_fourier(fft_length, length)

    def spectra(x: Any, *window: Any) -> Any:
        return jnp.fft.rfft(x * window[0] if window else x, n=size)

    return compute("stft", spectra, frames, *_window(window_fn, length, frames.dtype), name=name)


@export(*_names("inverse_stft"))
def inverse_stft(
    stfts: Any,
    frame_length: Any,
    frame_step: Any,
    fft_length: Any = None,
    window_fn: Callable[..., Any] | None = hann_window,
    name: str | None = None,
) -> Tensor:
    """Return the sound that spectra of frames belong to, `[..., samples]`.

    Args:
        stfts: Complex numbers, `[..., frames, fft_length // 2 + 1]`.
        frame_length: How many samples a frame has, known while tracing.
        frame_step: How far it is from one frame to the next.
        fft_length: The size of the Fourier transform; the power of two that a frame fits in if None.
        window_fn: A function of `frame_length` and `dtype` that returns a window: `inverse_stft_window_fn`
            makes the one by which the sound comes back.
        name: A name for the result.

    Raises:
        TensorTypeError: If these are no complex numbers (`tensor_type`).
        TensorValueError: If the rank is less than 2, or a length is not positive (`tensor_value`).
    """
    tensor, length = matrix_of(stfts, "inverse_stft"), _length(frame_length, "frame_length")
    if not tensor.dtype.is_complex:
        raise TensorTypeError(f"inverse_stft takes complex numbers, not {tensor.dtype.name}")
    size = _of_fourier(fft_length, length)

    def frames(x: Any, *window: Any) -> Any:
        real = jnp.fft.irfft(x, n=size)[..., :length]
        real = jnp.pad(real, [(0, 0)] * (real.ndim - 1) + [(0, length - real.shape[-1])])
        return real * window[0] if window else real

    found = compute("irfft", frames, tensor, *_window(window_fn, length, tensor.dtype.real_dtype))
    return overlap_and_add(found, frame_step, name)


@export(*_names("inverse_stft_window_fn"))
def inverse_stft_window_fn(
    frame_step: Any, forward_window_fn: Callable[..., Any] = hann_window, name: str | None = None
) -> Callable[..., Tensor]:
    """Return the `window_fn` by which `inverse_stft` gives back what `stft` was given.

    Args:
        frame_step: How far it is from one frame to the next, known while tracing.
        forward_window_fn: The `window_fn` of `stft`.
        name: Without meaning here.
    """
    step = _length(frame_step, "frame_step")

    def window_fn(frame_length: Any, dtype: Any = "float32") -> Tensor:
        length = _length(frame_length, "frame_length")

        def even(window: Any) -> Any:
            overlaps = -(-length // step)
            squares = jnp.pad(jnp.square(window), (0, overlaps * step - length)).reshape(overlaps, step)
            return window / jnp.tile(jnp.sum(squares, 0), overlaps)[:length]

        return compute("inverse_window", even, convert_to_tensor(forward_window_fn(length, dtype=dtype)))

    return window_fn


def _mel(hertz: Any) -> Any:
    return 1127.0 * np.log1p(np.asarray(hertz, np.float64) / 700.0)


@export(*_names("linear_to_mel_weight_matrix"))
def linear_to_mel_weight_matrix(
    num_mel_bins: Any = 20,
    num_spectrogram_bins: Any = 129,
    sample_rate: Any = 8000,
    lower_edge_hertz: Any = 125.0,
    upper_edge_hertz: Any = 3800.0,
    dtype: Any = "float32",
    name: str | None = None,
) -> Tensor:
    """Return the matrix by which spectra become those of the mel scale, `[spectrogram bins, mel bins]`.

    Args:
        num_mel_bins: How many bands there are.
        num_spectrogram_bins: How many numbers a spectrum has.
        sample_rate: Samples in a second.
        lower_edge_hertz: Where the lowest band begins, in hertz.
        upper_edge_hertz: Where the highest one ends, in hertz.
        dtype: The dtype, of real numbers.
        name: Without meaning here.

    Raises:
        TensorValueError: If a count is not positive, or the edges are in another order (`tensor_value`).
    """
    bands = _length(num_mel_bins, "num_mel_bins")
    bins = _length(num_spectrogram_bins, "num_spectrogram_bins")
    if not 0 <= lower_edge_hertz < upper_edge_hertz <= sample_rate / 2:
        raise TensorValueError(
            f"edges from {lower_edge_hertz} to {upper_edge_hertz} are not within half of {sample_rate} hertz"
        )
    mels = _mel(np.linspace(0.0, sample_rate / 2, bins)[1:])[:, None]
    edges = np.linspace(_mel(lower_edge_hertz), _mel(upper_edge_hertz), bands + 2)
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (mels - low) / (middle - low), (high - mels) / (high - middle)
    weights = np.pad(np.maximum(0, np.minimum(rising, falling)), [(1, 0), (0, 0)])
    return wrap(jnp.asarray(weights, real_dtype(dtype, "a matrix").dtype), "weights")
