"""Initializers: TF1's formulas, values and what is known of them without a call."""

import functools
import math
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxscope import initializers
from jaxscope._core.initializers import laws
from jaxscope._core.initializers.base import (
    as_constant,
    callable_without_arguments,
    check_static,
    is_constant,
)
from jaxscope._core.requests.starts import default_for
from jaxscope.errors import InitializerError
from jaxscope.initializers import (
    Initializer,
    constant,
    fans,
    glorot_normal,
    glorot_uniform,
    he_normal,
    he_uniform,
    identity,
    lecun_normal,
    lecun_uniform,
    ones,
    orthogonal,
    random_normal,
    random_uniform,
    truncated_normal,
    uniform_unit_scaling,
    variance_scaling,
    zeros,
)

KEY = jax.random.key(11)
BIG = (200, 500)


def values(initializer, shape=BIG, dtype=np.float32) -> np.ndarray:
    return np.asarray(initializer(KEY, shape, dtype))


# Formulas.


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((), (1, 1)), ((7,), (7, 7)), ((3, 5), (3, 5)), ((3, 3, 16, 32), (144, 288)), ((2, 3, 5), (6, 10))],
)
def test_fans(shape, expected):
    """Fans are those of rule R28."""
    assert fans(shape) == expected


@pytest.mark.parametrize(
    ("initializer", "limit"),
    [
        (glorot_uniform(), math.sqrt(6 / 700)),
        (he_uniform(), math.sqrt(6 / 200)),
        (lecun_uniform(), math.sqrt(3 / 200)),
        (variance_scaling(2.0, "fan_out", "uniform"), math.sqrt(3 * 2 / 500)),
        (uniform_unit_scaling(1.43), 1.43 * math.sqrt(3 / 200)),
    ],
)
def test_uniform_ones(initializer, limit: float):
    """They are uniform in [-limit, limit]."""
    v = values(initializer)
    assert -limit <= v.min() < -0.999 * limit
    assert 0.999 * limit < v.max() <= limit
    assert v.mean() == pytest.approx(0, abs=0.01 * limit)
    assert v.var() == pytest.approx(limit**2 / 3, rel=0.02)


@pytest.mark.parametrize(
    ("initializer", "stddev"),
    [
        (glorot_normal(), math.sqrt(2 / 700)),
        (he_normal(), math.sqrt(2 / 200)),
        (lecun_normal(), math.sqrt(1 / 200)),
        (variance_scaling(), math.sqrt(1 / 200)),
        (variance_scaling(3.0, "fan_out", "normal"), math.sqrt(3 / 500)),
    ],
)
def test_truncated_scaled_ones(initializer, stddev: float):
    """The standard deviation is right after the cut, which is at 2 / 0.8796 of it."""
    v = values(initializer)
    assert v.std() == pytest.approx(stddev, rel=0.01)
    assert v.mean() == pytest.approx(0, abs=0.02 * stddev)
    cut = 2 * stddev / 0.87962566103423978
    assert 0.97 * cut < np.abs(v).max() <= cut * 1.000001


def test_plain_draws():
    """Means, deviations, bounds and defaults are TF1's."""
    assert (random_uniform().minval, random_uniform().maxval) == (0.0, None)
    v = values(random_uniform())
    assert 0 <= v.min() < v.max() < 1
    assert v.mean() == pytest.approx(0.5, abs=0.01)
    v = values(random_uniform(-1, 3))
    assert -1 <= v.min() < v.max() < 3
    assert v.mean() == pytest.approx(1, abs=0.02)
    v = values(random_normal())
    assert (v.mean(), v.std()) == (pytest.approx(0, abs=0.01), pytest.approx(1, rel=0.01))
    v = values(random_normal(2, 0.5))
    assert (v.mean(), v.std()) == (pytest.approx(2, abs=0.01), pytest.approx(0.5, rel=0.01))
    v = values(truncated_normal(1.0, 0.5))
    assert 0 <= v.min() < v.max() <= 2
    assert v.std() == pytest.approx(0.5 * 0.8796, rel=0.01)
    v = values(variance_scaling(1.0, "fan_in", "untruncated_normal"))
    assert v.std() == pytest.approx(math.sqrt(1 / 200), rel=0.01)
    assert np.abs(v).max() > 3 * v.std()


@pytest.mark.parametrize("shape", [(), (7,), (3, 5), (131, 421), (256, 128)])
def test_uniform_draws_are_jaxs_own(shape):
    """A uniform draw is `jax.random`'s."""
    expected = jax.jit(lambda key: jax.random.uniform(key, shape))(KEY)
    np.testing.assert_array_equal(values(random_uniform(), shape), expected)


@pytest.mark.parametrize("dtype", ["int32", "uint8"])
def test_integers(dtype: str):
    """`random_uniform` draws integers too, as in TF1."""
    v = values(random_uniform(3, 7), dtype=dtype)
    assert (v.dtype, sorted(set(v.ravel().tolist()))) == (dtype, [3, 4, 5, 6])


@pytest.mark.parametrize("shape", [(5, 5), (3, 7), (7, 3), (2, 3, 4), (3, 2, 9)])
def test_orthogonal(shape):
    """The shorter side is orthonormal, times the gain."""
    v = values(orthogonal(2.0), shape).reshape(-1, shape[-1])
    gram = v @ v.T if v.shape[0] < v.shape[1] else v.T @ v
    np.testing.assert_allclose(gram, 4 * np.eye(min(v.shape)), atol=1e-5)


def test_constants():
    """A number fills; a list fills in row-major order, and its last number the rest (TF1)."""
    assert values(zeros(), (2,)).tolist() == [0, 0]
    assert values(ones(), (2,), bool).tolist() == [True, True]
    assert values(constant(), (2,)).tolist() == [0, 0]
    assert values(constant(3), (2, 2)).tolist() == [[3, 3], [3, 3]]
    assert values(constant([[0, 1], [2, 3]]), (2, 3)).tolist() == [[0, 1, 2], [3, 3, 3]]
    assert values(identity(2.0), (2, 3)).tolist() == [[2, 0, 0], [0, 2, 0]]
    assert values(constant(0.5), (), jnp.bfloat16).dtype == jnp.bfloat16


@pytest.mark.parametrize(
    "initializer", [zeros(), constant(1), glorot_uniform(), random_normal(), orthogonal()]
)
def test_calls_are_the_same_inside_and_outside_of_jit(initializer):
    """An initializer may be called by hand, with the same bits everywhere."""
    inside = jax.jit(lambda key: initializer(key, (5, 7)))(KEY)
    np.testing.assert_array_equal(values(initializer, (5, 7)), inside)
    assert initializer(KEY, [5, 7]).shape == (5, 7)
    assert glorot_uniform()(KEY, (0, 3)).shape == (0, 3)


# Precision: nothing is rounded before the variable's dtype is known.

NUMBERS = st.floats(allow_nan=False, allow_infinity=False, width=64)
NARROW = st.floats(-6e4, 6e4).filter(lambda x: x == 0 or abs(x) > 1e-4)


def made(initializer, dtype, shape=(3,)) -> np.ndarray:
    with jax.enable_x64(True):
        assert initializer.problem(shape, np.dtype(dtype)) is None
        return np.asarray(initializer(jax.random.key(0), shape, dtype))


@settings(deadline=None)
@given(st.one_of(NUMBERS, st.lists(NUMBERS, min_size=1, max_size=3), st.integers(-(2**53), 2**53)))
def test_constants_of_doubles_are_exact(value):
    """Any Python float, alone or in a list, and any integer that is a double, is itself in float64."""
    expected = np.resize(np.float64(value), 3)
    if isinstance(value, list):
        expected[len(value) :] = value[-1]
    assert made(constant(value), "float64").tobytes() == expected.tobytes()


@settings(deadline=None)
@given(st.complex_numbers(max_magnitude=1e300, allow_nan=False))
def test_complex_constants_are_exact(value: complex):
    """Likewise a complex number in complex128."""
    assert made(constant(value), "complex128", ())[()] == value


@settings(deadline=None)
@given(NARROW, st.sampled_from(["float16", "float32", "bfloat16"]))
def test_constants_are_rounded_once(value: float, dtype: str):
    """In a narrower dtype it is what NumPy rounds it to."""
    assert made(constant(value), dtype, ())[()] == np.float64(value).astype(dtype)


@settings(deadline=None)
@given(st.integers(-(2**63), 2**64 - 1))
def test_whole_constants_are_exact(value: int):
    """Any whole number of 64 bits is itself in an integer dtype that holds it, and refused by others."""
    for dtype in ("int8", "int32", "uint32", "int64", "uint64"):
        limits = np.iinfo(dtype)
        if limits.min <= value <= limits.max:
            assert int(made(constant(value), dtype, ())) == value
        else:
            assert constant(value).problem((), np.dtype(dtype)) == (
                "init_wrong_dtype",
                f"has values that do not fit into {dtype}",
            )


def test_constants_wait_for_64_bits():
    """What was made before 64 bits are turned on has all digits after that."""
    early = [constant(0.1), constant(np.float64(0.1)), constant([0.1, 2**40]), constant(2**40)]
    assert made(early[0], "float64", ())[()] == made(early[1], "float64", ())[()] == 0.1
    assert made(early[2], "float64", (2,)).tolist() == [0.1, 2**40]
    assert int(made(early[3], "int64", ())) == 2**40
    assert values(constant(2**40), ()).tolist() == 2**40  # a float32, without 64 bits
    assert values(constant(2**24 + 1), (), "int32").tolist() == 2**24 + 1


@settings(deadline=None)
@given(NUMBERS, st.floats(0, 1e300), st.sampled_from([random_normal, truncated_normal]))
def test_laws_have_all_digits(mean: float, stddev: float, kind):
    """Mean and deviation of a float64 variable are the doubles that were given."""
    law = kind(mean, stddev).law((3,), np.dtype(np.float64))
    assert laws.numbers_of(law, np.float64).tolist() == [stddev, mean]


def test_limits_have_all_digits():
    """Limits one apart, beyond 24 bits of a float and beyond its 53."""
    top = float(np.nextafter(0.1, 1))
    assert set(made(random_uniform(0.1, top), "float64", (50,)).tolist()) <= {0.1, top}
    assert set(values(random_uniform(2**24 + 1, 2**24 + 3), (50,), "int32").tolist()) == {
        2**24 + 1,
        2**24 + 2,
    }
    big = 2**60 + 1
    assert set(made(random_uniform(big, big + 2), "int64", (50,)).tolist()) == {big, big + 1}
    wide = made(random_uniform(np.int64(-(2**63)), np.int64(2**63 - 1)), "int64", (50,))
    assert len(set(wide.tolist())) == 50


def test_scales_have_all_digits():
    """The scale of a float64 kernel is a double."""
    for initializer, scale in (
        (glorot_uniform(), math.sqrt(6 / 700)),
        (variance_scaling(0.1, "fan_in", "uniform"), math.sqrt(3 * 0.1 / 200)),
        (uniform_unit_scaling(0.1), 0.1 * math.sqrt(3 / 200)),
    ):
        law = initializer.law(BIG, np.dtype(np.float64))
        assert laws.numbers_of(law, np.float64)[0] == pytest.approx(scale, rel=1e-15)
    assert made(identity(0.1), "float64", (2, 2))[0, 0] == 0.1
    gram = made(orthogonal(0.1), "float64", (2, 2))
    np.testing.assert_allclose(gram @ gram.T, 0.01 * np.eye(2), atol=1e-15)


# TF1's arguments.

EVERY = sorted(
    {one for one in vars(initializers).values() if isinstance(one, type)}
    - {Initializer, initializers.derived},  # which takes the dtype of another variable, and has no defaults
    key=lambda one: one.__name__,
)


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
def test_seeds_and_dtypes_are_not_ours(kind):
    """Each initializer says that TF1's `seed` and `dtype` can go, and why, by name and by place."""
    for name, value, why in (
        ("seed", 1, "the key given to init and the variable's name decide the bits"),
        ("dtype", np.float32, "the variable has the dtype"),
    ):
        with pytest.raises(InitializerError) as caught:
            kind(**{name: value})
        assert str(caught.value) == f"{kind.__name__} takes no {name}\n  fix      leave it out: {why}"
        assert caught.value.code == "init_argument"
    with pytest.raises(InitializerError, match=f"^{kind.__name__} takes (no|.) arguments by place, and was"):
        kind(*[1.0] * 4)
    assert pickle.loads(pickle.dumps(kind())) == kind()


def test_other_arguments():
    """An argument that nobody has is told with those that there are; a subclass has its own."""
    with pytest.raises(InitializerError) as caught:
        random_normal(std=0.02)
    assert str(caught.value) == "random_normal takes no std\n  fix      it takes mean, stddev"
    with pytest.raises(InitializerError) as caught:
        zeros(KEY, (3,))
    assert str(caught.value) == (
        "zeros takes no arguments by place, and was given 2\n"
        "  fix      leave out seed and dtype, if these are TF1's: the key given to init and the variable's "
        "name decide the bits; the variable has the dtype. To draw, call an instance: "
        "zeros(...)(key, shape, dtype)"
    )

    class seeded(Initializer):
        def __init__(self, seed: int, *rest: int, **options: int) -> None:
            self.seed = seed

    assert seeded(1, 2, 3, dtype=4).seed == seeded(seed=1).seed == 1


# Errors.


@pytest.mark.parametrize(
    ("initializer", "shape", "dtype", "message", "code"),
    [
        (
            glorot_uniform(),
            (3,),
            "int32",
            "glorot_uniform() draws floating-point numbers, not int32",
            "init_wrong_dtype",
        ),
        (
            random_normal(),
            (3,),
            "bool",
            "random_normal(mean=0.0, stddev=1.0) draws floating-point numbers, not bool",
            "init_wrong_dtype",
        ),
        (
            constant(0.5),
            (3,),
            "int32",
            "constant(0.5) has floating-point values, not int32",
            "init_wrong_dtype",
        ),
        (
            constant(True),
            (3,),
            "float32",
            "constant(True) has bool values, not float32",
            "init_wrong_dtype",
        ),
        (
            constant([1.0, 1e300]),
            (3,),
            "float32",
            "constant([1.0, 1e+300]) has values that do not fit into float32",
            "init_wrong_dtype",
        ),
        (
            constant(300),
            (3,),
            "int8",
            "constant(300) has values that do not fit into int8",
            "init_wrong_dtype",
        ),
        (
            constant([1, 2, 3]),
            (2,),
            "float32",
            "constant([1, 2, 3]) has 3 values, not at most 2",
            "init_wrong_shape",
        ),
        (
            orthogonal(),
            (3,),
            "float32",
            "orthogonal(gain=1.0) needs two dimensions or more, not (3,)",
            "init_wrong_shape",
        ),
        (
            identity(),
            (3,),
            "float32",
            "identity(gain=1.0) needs two dimensions, not (3,)",
            "init_wrong_shape",
        ),
        (
            random_uniform(),
            (3,),
            "int32",
            "random_uniform(minval=0.0, maxval=None) has no maxval, which int32 needs",
            "init_wrong_dtype",
        ),
        (
            random_uniform(0.5, 2),
            (3,),
            "int32",
            "random_uniform(minval=0.5, maxval=2.0) has bounds that are not int32",
            "init_wrong_dtype",
        ),
    ],
)
def test_what_cannot_be(initializer, shape, dtype, message: str, code: str):
    """What has no value is told by the call and, without one, by `check_static`."""
    with pytest.raises(InitializerError) as caught:
        initializer(KEY, shape, dtype)
    assert (str(caught.value), caught.value.code) == (message, code)
    assert check_static(initializer, dtype, shape) == (code, message.removeprefix(f"{initializer!r} "))


def test_static_checks():
    """Constants are checked against the dtype, and the shape where it is known."""
    assert check_static(np.zeros(3, np.float32), "float32") is None
    assert check_static(np.zeros(3), "int32") == ("init_wrong_dtype", "is a constant of float32, not int32")
    assert check_static([1, 2], "int32", (3,)) == (
        "init_wrong_shape",
        "is a constant of shape (2,), not (3,)",
    )
    assert check_static(lambda key, shape, dtype: 0, "int32") is None
    assert check_static(zeros(), "complex64") is None


def test_bad_arguments():
    """Constructors refuse what has no meaning."""
    for options, message in (
        ({"scale": 0}, "the scale of variance_scaling must be positive, not 0.0"),
        ({"mode": "fan"}, "the mode of variance_scaling must be fan_in, fan_out or fan_avg, not 'fan'"),
        (
            {"distribution": "cauchy"},
            (
                "the distribution of variance_scaling must be "
                "truncated_normal, untruncated_normal or uniform, not 'cauchy'"
            ),
        ),
    ):
        with pytest.raises(InitializerError) as caught:
            variance_scaling(**options)
        assert str(caught.value) == f"{message}\n  fix      pass such a one, or leave it out"
        assert caught.value.code == "init_argument"


# Values.


def test_equality_and_hash():
    """Initializers are values; constants tell 1, 1.0 and True apart."""
    assert len({glorot_uniform(), glorot_uniform(), glorot_normal(), zeros(), zeros()}) == 3
    assert random_normal(0, 1) == random_normal(0.0, np.float32(1))
    assert variance_scaling(distribution="normal") == variance_scaling()
    assert len({constant(1), constant(1.0), constant(True), constant([1]), constant(np.int32(1))}) == 4
    assert constant([0.0]) != constant([-0.0])
    for one in (glorot_uniform(), constant([1, 2]), random_uniform(-1, 1)):
        assert pickle.loads(pickle.dumps(one)) == one


def test_tf1s_long_names():
    """Each initializer has TF1's long name too."""
    for name in (
        "zeros",
        "ones",
        "constant",
        "random_uniform",
        "random_normal",
        "truncated_normal",
        "orthogonal",
        "variance_scaling",
        "glorot_uniform",
        "glorot_normal",
        "uniform_unit_scaling",
        "identity",
    ):
        assert getattr(initializers, f"{name}_initializer") is getattr(initializers, name)
    assert initializers.xavier_uniform is glorot_uniform
    assert initializers.xavier_normal is glorot_normal


def test_defaults():
    """Floats get glorot uniform, integers and bools zeros, others nothing (R28)."""
    assert [default_for(d) for d in ("float16", "bfloat16", "int8", "bool", "complex64")] == [
        glorot_uniform(),
        glorot_uniform(),
        zeros(),
        zeros(),
        None,
    ]


@pytest.mark.parametrize("x64", [False, True])
def test_constants_from_python(x64: bool):
    """Python numbers are int32, float32, bool, complex64; arrays keep their dtype (R32)."""
    with jax.enable_x64(x64):
        wide = "float64" if x64 else "float32"
        for given, dtype in [
            (1, "int32"),
            (1.5, "float32"),
            (True, "bool"),
            (1j, "complex64"),
            ([1, 2.5], "float32"),
            ([], "float32"),
            ([[True], [False]], "bool"),
            ((1, 2), "int32"),
            (np.float16(1), "float16"),
            (np.zeros(2), wide),
            (np.float64(1), wide),
            ([np.float64(1), 2.0], wide),
            (jnp.zeros(2, "bfloat16"), "bfloat16"),
            ([jnp.float32(1), jnp.float32(2)], "float32"),
            (np.uint8([1]), "uint8"),
        ]:
            assert as_constant(given).dtype == dtype, given
        if x64:
            assert as_constant(2**40).dtype == "int64"
        else:
            with pytest.raises(InitializerError) as caught:
                as_constant(2**40)
            assert str(caught.value) == (
                "the initial value 1099511627776 does not fit into 32 bits\n"
                "  fix      turn on jax_enable_x64, or pass a NumPy array of an unsigned or floating dtype"
            )
    with pytest.raises(InitializerError, match="must be a number or an array of numbers, not 'abc'"):
        as_constant("abc")
    with pytest.raises(InitializerError) as caught:
        constant([1, 2**64])
    assert str(caught.value) == (
        "the initial value [1, 18446744073709551616] does not fit into 64 bits\n  fix      pass a float"
    )


def test_what_is_a_constant():
    """A value is not callable."""
    assert all(map(is_constant, (0, [1.0], np.zeros(2))))
    assert not any(map(is_constant, (zeros, zeros(), lambda: 0)))


def test_callables_without_arguments():
    """All parameters have defaults; our own need the shape, and classes are instantiated first (R30)."""
    yes = [
        lambda: 0,
        lambda key=None: 0,
        lambda *rest: 0,
        lambda **rest: 0,
        functools.partial(lambda a: a, 1),
    ]
    no = [
        lambda key: 0,
        lambda *, key: 0,
        zeros(),
        zeros,
        glorot_uniform(),
        jax.nn.initializers.zeros,
        max,
        3,
    ]
    assert [callable_without_arguments(one) for one in yes] == [True] * len(yes)
    assert [callable_without_arguments(one) for one in no] == [False] * len(no)
