"""Statistics are those of NumPy in float64, whatever the type, size and place of an array."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from jaxscope.inspect import statistics
from jaxscope.inspect.statistics import Statistics


def expected(value: np.ndarray) -> Statistics:
    """Return the statistics by their definition."""
    wide = np.abs(value) if value.dtype.kind == "c" else value
    wide = wide.astype(np.float64)
    finite = wide[np.isfinite(wide)]
    largest = np.abs(finite).max(initial=0.0)
    scaled = finite / largest if largest else finite
    return Statistics(
        value.size,
        float(finite.sum()),
        float(largest * np.sqrt(np.sum(scaled**2))),
        float(finite.min(initial=math.inf)),
        float(finite.max(initial=-math.inf)),
        int(np.isnan(wide).sum()),
        int(np.isinf(wide).sum()),
    )


def check(found: Statistics, value: np.ndarray, rtol: float = 1e-9) -> None:
    wanted = expected(value)
    assert (found.elements, found.nan, found.inf) == (wanted.elements, wanted.nan, wanted.inf)
    scale = abs(wanted.norm) * math.sqrt(max(1, value.size))
    assert found.total == pytest.approx(wanted.total, abs=rtol * scale or 1e-300)
    for one, other in zip(found[2:5], wanted[2:5], strict=True):
        assert one == pytest.approx(other, rel=rtol)


ANY = st.sampled_from(
    ["float32", "float64", "float16", "int8", "uint32", "int64", "bool", "complex64"]
).flatmap(lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=0, min_side=0, max_side=5)))


@settings(max_examples=150)
@given(st.lists(ANY, min_size=1, max_size=4))
def test_any_arrays(values: list[np.ndarray]):
    """Joined or one by one, with NaN, infinities, and squares that overflow or vanish."""
    named = [(str(at), value) for at, value in enumerate(values)]
    found = dict(statistics.of_all(named))
    assert sorted(found) == sorted(name for name, _ in named)
    for name, value in named:
        with np.errstate(all="ignore"):
            if np.isfinite(expected(value).total):
                check(found[name], value)
                check(statistics.of_host(value), value)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int32", "bool", "complex64", "float8_e4m3fn"])
def test_on_devices(dtype: str):
    """The program that reduces an array where it is says what NumPy says."""
    values = np.random.default_rng(0).normal(size=(40, 7)) * 3
    value = jnp.asarray(values).astype(dtype) if dtype != "bool" else jnp.asarray(values > 0)
    there = np.asarray(value)
    plain = there if there.dtype.kind in "fiubc" else there.astype(np.float32)
    check(statistics.of_device(value), plain, 1e-5)
    check(statistics.of_host(there), plain)


def test_on_devices_what_is_not_finite():
    """NaN and infinities are counted there, and squares beyond float32 are scaled."""
    value = np.array([1e30, -2e30, np.nan, np.inf, -np.inf, 3.0], np.float32)
    check(statistics.of_device(jnp.asarray(value)), value, 1e-5)
    check(statistics.of_device(jnp.asarray(value[:2] * 1e-65)), value[:2] * 1e-65, 1e-5)
    check(statistics.of_device(jnp.full(3, jnp.nan)), np.full(3, np.nan))
    large = np.array([2**24 + 1, -5], np.int32)  # which float32 has not
    assert statistics.of_device(jnp.asarray(large)).max == 2**24 + 1


@pytest.mark.parametrize("size", [0, 1, 4095, 4097, 2**17, 2**17 + 1, 300_001])
def test_in_pieces(size: int):
    """Sizes around the limits: joined with others, in one piece, in several."""
    value = np.random.default_rng(1).normal(size=size).astype(np.float32)
    if size > 10:
        value[[3, -1]] = np.nan, np.inf
    (found,) = statistics.of_all([("x", value)])
    check(found[1], value)
    if size % 2 == 1 and size > 10:
        check(statistics.of_host(value[::2]), value[::2])  # not contiguous


def test_kinds():
    """Keys and strings have no statistics."""
    assert not statistics.has_numbers(jax.random.key(0).dtype)
    assert not statistics.has_numbers(np.dtype("S3"))
    assert not statistics.has_numbers(None)
    assert statistics.has_numbers(jnp.bfloat16)
    assert math.isnan(Statistics().mean)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("size", [6, 2**17])
def test_nan_of_any_bits(dtype, size: int):
    """Also such as no processor writes, and infinities of both signs, are counted without a warning."""
    one = np.dtype(f"u{np.dtype(dtype).itemsize}").type
    infinite = np.array([np.inf, -np.inf], dtype).view(one)
    value = np.zeros(size, one)
    value[:4] = *(infinite + one(1)), *infinite  # signalling NaN are behind the infinities
    (found,) = statistics.of_all([("x", value.view(dtype))])
    assert (found[1].nan, found[1].inf, found[1].max) == (2, 2, 0)
