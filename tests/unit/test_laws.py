"""Laws: each element has the bits of its place, however the program that draws it is compiled."""

import math
from statistics import NormalDist

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxscope._core.initializers import laws
from jaxscope._core.initializers.bits import _places, bits
from jaxscope._core.initializers.laws import Law
from jaxscope._core.initializers.quantile import BEYOND_TWO, quantile, times

DATA = np.array([2024, 7], np.uint32)
THREEFRY = "threefry2x32"
LAWS = [
    Law("normal", 0.37),
    Law("normal", 0.37, 1.1),
    Law("truncated", 0.02),
    Law("truncated", 3.3, -0.7),
    Law("uniform", 0.1),
    Law("uniform", 4.0, -1.0),
    Law("signed", 0.3),
]
DTYPES = ["float32", "bfloat16", "float16", "float64"]


def drawn(law: Law, shape, dtype, data=DATA):
    return laws.sample(
        data, laws.numbers_of(law, dtype), impl=THREEFRY, form=law.form, shape=tuple(shape), dtype=dtype
    )


def raw(array) -> bytes:
    return np.asarray(array).tobytes()


# Bits.

SHAPES = st.lists(st.integers(1, 9), max_size=4).map(tuple)


@settings(max_examples=8, deadline=None)
@given(SHAPES, st.sampled_from([32, 64]), st.integers(0, 2**32 - 1))
def test_bits_are_jaxs_own(shape, width, seed):
    """Without JAX's loops, the bits are those of `jax.random.bits`."""
    with jax.enable_x64(True):
        key = jax.random.key(seed)
        ours = jax.jit(lambda data: bits(data, THREEFRY, shape, width))(jax.random.key_data(key))
        theirs = jax.random.bits(key, shape, f"uint{width}")
        assert (ours.dtype, ours.shape, raw(ours)) == (theirs.dtype, theirs.shape, raw(theirs))


@pytest.mark.parametrize("shape", [(2**20, 2**13, 6), (3, 2**31, 5), (2**16 + 1, 2**16 + 3), (2**32 - 1, 7)])
def test_places_beyond_32_bits(shape):
    """Elements of arrays that no machine here could hold are counted right."""
    last = jax.jit(lambda: [word[tuple(slice(-2, None) for _ in shape)] for word in _places(shape)])()
    high, low = (np.broadcast_to(word, (2,) * len(shape)).astype(object) for word in last)
    index = np.indices((2,) * len(shape)).astype(object)
    place = 0
    for length, along in zip(shape, index, strict=True):
        place = place * length + along + length - 2
    assert ((high * 2**32 + low) == place).all()


# Steps.


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.sampled_from([np.float32, np.float64]))
def test_products_are_never_fused_with_sums(seed, length, dtype):
    """A product of `times` is the same with a sum behind it and without."""
    with jax.enable_x64(True):
        a, b, c = np.random.default_rng(seed).normal(size=(3, length)).astype(dtype)
        apart = np.asarray(jax.jit(times)(a, b)) + c
        assert raw(jax.jit(lambda a, b, c: times(a, b) + c)(a, b, c)) == raw(apart)
        np.testing.assert_allclose(apart, a * b + c, rtol=0, atol=8 * np.finfo(dtype).eps)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 4e-7), (np.float64, 1.5e-8)])
def test_the_quantile_is_the_normal_laws(dtype, tolerance: float):
    """From the middle to 6.2 standard deviations, to the error that is promised."""
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        share = np.concatenate([rng.uniform(2**-31, 1, 3000), 2.0 ** -rng.uniform(0, 31, 3000), [2.0**-31]])
        share = share.astype(dtype)
        exact = np.array([-NormalDist().inv_cdf(one / 2) for one in share.astype(float)])
        inside = share < 1
        np.testing.assert_allclose(jax.jit(quantile)(share)[inside], exact[inside], rtol=tolerance)
        assert float(quantile(jnp.ones((), dtype))) == 0
    assert pytest.approx(2 * NormalDist().cdf(-2), rel=1e-15) == BEYOND_TWO


# Laws.


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("law", LAWS, ids=str)
def test_a_draw_is_the_beginning_of_a_longer_one(law: Law, dtype: str):
    """Whatever the shape, element i is element i of a long flat draw."""
    with jax.enable_x64(True):
        long = np.asarray(jax.jit(lambda: drawn(law, (1000,), dtype))())
        for shape in ((), (3,), (17, 5), (2, 3, 129), (999,)):
            short = np.asarray(jax.jit(lambda shape=shape: drawn(law, shape, dtype))())
            assert raw(short) == raw(long[: short.size]), shape


@settings(max_examples=6, deadline=None)
@given(st.sampled_from(LAWS), st.lists(st.integers(1, 40), max_size=3), st.sampled_from(DTYPES))
def test_what_surrounds_a_draw_leaves_its_bits_alone(law: Law, shape, dtype: str):
    """In a loop, under vmap, beside its use, with constant numbers: the same bits."""
    with jax.enable_x64(True):
        several = np.stack([DATA, DATA + 1, DATA + 2])
        numbers = laws.numbers_of(law, dtype)

        def one(data, numbers=numbers):
            return laws.sample(
                data, numbers, impl=THREEFRY, form=law.form, shape=tuple(shape), dtype=np.dtype(dtype)
            )

        def used(data):
            value = one(data)
            return value, (3 * value + 1).sum(), jnp.exp(value.astype(np.float32) * 0.1 - 0.3)

        alone = raw(jax.jit(one)(DATA, numbers))
        assert raw(jax.jit(used)(DATA)[0]) == alone
        assert raw(jax.jit(lambda: one(DATA))()) == alone
        assert raw(jax.jit(jax.vmap(one))(several)[0]) == alone
        assert raw(jax.jit(lambda many: jax.lax.map(one, many))(several)[0]) == alone
        assert raw(one(DATA)) == alone  # operation by operation


@pytest.mark.parametrize(
    ("base", "distribution"),
    [
        ("normal", lambda x: NormalDist().cdf(x)),
        ("truncated", lambda x: (NormalDist().cdf(x) - BEYOND_TWO / 2) / (1 - BEYOND_TWO)),
        ("uniform", lambda x: x),
        ("signed", lambda x: (x + 1) / 2),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_distributions(base: str, distribution, dtype: str):
    """A hundred thousand numbers are distributed as the law says (Kolmogorov and Smirnov)."""
    with jax.enable_x64(True):
        sample = np.sort(np.asarray(jax.jit(lambda: drawn(Law(base, 1.0), (100_000,), dtype))()))
    assert len(np.unique(sample)) > 99_000
    expected = np.array([distribution(float(x)) for x in sample[50::100]])
    distance = np.abs(expected - (np.arange(50, 100_000, 100) + 0.5) / 100_000).max()
    assert distance < 1.63 / math.sqrt(100_000)  # further in one of a hundred
    if base == "truncated":
        assert np.abs(sample).max() <= 2


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [
        ("int8", -128, 127),
        ("uint8", 3, 250),
        ("int16", -5, 6),
        ("int32", -(2**31), 2**31 - 1),
        ("uint32", 0, 2**32 - 1),
        ("int64", 2**60, 2**60 + 3),
        ("uint64", 2**63, 2**64 - 1),
    ],
)
def test_whole_numbers(dtype: str, low: int, high: int):
    """Whole numbers are the random bits modulo the range, plus its beginning, for each width and sign."""
    with jax.enable_x64(True):
        law = Law("whole", high - low, low)
        values = jax.jit(lambda: drawn(law, (5, 77), dtype))()
        width = 64 if "64" in dtype else 32
        random = jax.random.bits(jax.random.wrap_key_data(DATA, impl=THREEFRY), (5, 77), f"uint{width}")
        expected = np.asarray(random).astype(object) % (high - low) + low
        assert values.dtype == dtype
        assert (np.asarray(values).astype(object) == expected).all()
