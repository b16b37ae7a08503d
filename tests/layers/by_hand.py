"""What layers compute, written out in numpy, in float64, one window or step after the other."""

import itertools
import math
from typing import Any

import numpy as np


def pads(size: int, window: int, stride: int, dilation: int, padding: str) -> tuple[int, int]:
    """Return how much TF1 pads an axis, before and after."""
    span = (window - 1) * dilation + 1
    if padding == "causal":
        return span - 1, 0
    if padding == "valid":
        return 0, 0
    missing = max((math.ceil(size / stride) - 1) * stride + span - size, 0)
    return missing // 2, missing - missing // 2


def windows(x: np.ndarray, size: Any, strides: Any, dilation: Any, padding: str, fill: float) -> Any:
    """Return the windows of `[batch, *inner, channels]`, by place, and how many places there are."""
    inner = x.shape[1:-1]
    around = [pads(*axis, padding) for axis in zip(inner, size, strides, dilation, strict=True)]
    x = np.pad(x, [(0, 0), *around, (0, 0)], constant_values=fill)
    places = [
        max((axis - (window - 1) * gap - 1) // step + 1, 0)
        for axis, window, step, gap in zip(x.shape[1:-1], size, strides, dilation, strict=True)
    ]
    found = {}
    for place in itertools.product(*map(range, places)):
        cut = [
            slice(at * step, at * step + (window - 1) * gap + 1, gap)
            for at, step, window, gap in zip(place, strides, size, dilation, strict=True)
        ]
        found[place] = x[(slice(None), *cut)]
    return found, places


def convolution(x, kernel, strides, dilation, padding):
    """Return a convolution of `[batch, *inner, in]` with `[*size, in, out]`."""
    size = kernel.shape[:-2]
    found, places = windows(x, size, strides, dilation, padding, 0)
    y = np.zeros((len(x), *places, kernel.shape[-1]))
    for place, window in found.items():
        y[(slice(None), *place)] = np.tensordot(window, kernel, len(size) + 1)
    return y


def depthwise(x, kernel, strides, dilation, padding):
    """Return a convolution of each channel by itself, with `[*size, in, multiplier]`."""
    *_, channels, multiplier = kernel.shape
    alone = [
        convolution(x[..., [channel]], kernel[..., [channel], :], strides, dilation, padding)
        for channel in range(channels)
    ]
    y = np.stack(alone, -2)
    return y.reshape(*y.shape[:-2], channels * multiplier)


def transposed(x, kernel, strides, padding):
    """Return what spreads each place of `[batch, *inner, in]` over a window, with `[*size, out, in]`."""
    size, inner = kernel.shape[:-2], x.shape[1:-1]
    whole = [
        max((n - 1) * step + window, n * step) for n, step, window in zip(inner, strides, size, strict=True)
    ]
    y = np.zeros((len(x), *whole, kernel.shape[-2]))
    for place in itertools.product(*map(range, inner)):
        cut = tuple(
            slice(at * step, at * step + window)
            for at, step, window in zip(place, strides, size, strict=True)
        )
        y[(slice(None), *cut)] += np.tensordot(x[(slice(None), *place)], kernel, ([1], [kernel.ndim - 1]))
    if padding == "same":
        begin = [max(window - step, 0) // 2 for window, step in zip(size, strides, strict=True)]
        cut = tuple(slice(b, b + n * step) for b, n, step in zip(begin, inner, strides, strict=True))
        y = y[(slice(None), *cut)]
    return y


def pooled(x, size, strides, padding, fold):
    """Return `np.nanmax` or `np.nanmean` of all windows, of which the padding is no part."""
    found, places = windows(x, size, strides, [1] * len(size), padding, np.nan)
    y = np.zeros((len(x), *places, x.shape[-1]))
    for place, window in found.items():
        y[(slice(None), *place)] = fold(window, tuple(range(1, window.ndim - 1)))
    return y


def standardized(x, axes, epsilon):
    """Return x with mean 0 and variance 1 over some axes."""
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + epsilon)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm(v, x, state, *, forget_bias=1.0, cell_clip=None, proj_clip=None, activation=np.tanh):
    """Return output and next state of one step; v are its variables, by own names."""
    c, h = state
    i, j, f, o = np.split(np.concatenate([x, h], -1) @ v["kernel"] + v["bias"], 4, -1)
    if "w_f_diag" in v:
        i, f = i + v["w_i_diag"] * c, f + v["w_f_diag"] * c
    c = sigmoid(f + forget_bias) * c + sigmoid(i) * activation(j)
    c = c if cell_clip is None else np.clip(c, -cell_clip, cell_clip)
    if "w_o_diag" in v:
        o = o + v["w_o_diag"] * c
    h = sigmoid(o) * activation(c)
    if "projection/kernel" in v:
        h = h @ v["projection/kernel"]
        h = h if proj_clip is None else np.clip(h, -proj_clip, proj_clip)
    return h, (c, h)


def gru(v, x, h, *, activation=np.tanh):
    """Return output and next state of one step."""
    r, u = np.split(sigmoid(np.concatenate([x, h], -1) @ v["gates/kernel"] + v["gates/bias"]), 2, -1)
    candidate = activation(np.concatenate([x, r * h], -1) @ v["candidate/kernel"] + v["candidate/bias"])
    h = u * h + (1 - u) * candidate
    return h, h


def basic_rnn(v, x, h, *, activation=np.tanh):
    """Return output and next state of one step."""
    h = activation(np.concatenate([x, h], -1) @ v["kernel"] + v["bias"])
    return h, h


def over_time(step, x, begin, counts, size, *, backward=False):
    """Return outputs, `[batch, time, size]`, and last states of a step, one sequence after the other.

    `counts` tells which times of a sequence count: the others give 0 and leave the state.
    """
    outputs, lasts = np.zeros((*x.shape[:2], size)), []
    for row, sequence in enumerate(x):
        state = begin
        times = np.flatnonzero(counts[row])
        for time in times[::-1] if backward else times:
            y, state = step(sequence[time][None], state)
            outputs[row, time] = y[0]
        lasts.append(state)
    return outputs, lasts
