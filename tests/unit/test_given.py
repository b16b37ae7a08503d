"""Given values: what becomes of whatever is given for a variable."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from jaxscope._core.variables.given import as_given
from jaxscope.errors import DtypeMismatchError, JaxscopeError, ShapeMismatchError

TABLE = np.arange(12, dtype=np.float32).reshape(4, 3)


ON_DEVICE = jnp.asarray(TABLE)


class Labelled(np.ndarray):
    """NumPy's arrays by another name."""


class Parameter:
    """A parameter of another library, which JAX knows how to read."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __jax_array__(self) -> Any:
        return self.value


class Dataset:
    """A dataset in a file, which is read when NumPy asks for it."""

    shape, dtype = TABLE.shape, TABLE.dtype

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return TABLE


class Pretender:
    """What has the attributes of an array, and is none."""

    shape, dtype = TABLE.shape, TABLE.dtype


def test_a_jax_array_stays_what_it_is():
    for array in (jnp.asarray(TABLE), jax.random.key(0), jnp.ones((), jnp.int4)):
        assert as_given("w", array, array.shape, array.dtype) is array
        assert as_given("w", array) is array


def test_a_tracer_stays_what_it_is():
    seen: list[bool] = []

    @jax.jit
    @jax.grad
    def total(x: jax.Array) -> jax.Array:
        seen.append(as_given("w", x, (), jnp.dtype("float32")) is x)
        return x

    total(1.0)
    assert seen == [True]


def memmap(folder: Path) -> np.ndarray:
    made = np.memmap(folder / "table", dtype=np.float32, mode="w+", shape=TABLE.shape)
    made[:] = TABLE
    return np.memmap(folder / "table", dtype=np.float32, mode="r", shape=TABLE.shape)


def read_only(folder: Path) -> np.ndarray:
    made = TABLE.copy()
    made.flags.writeable = False
    return made


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: TABLE,
        lambda folder: TABLE.astype(">f4"),
        lambda folder: np.asfortranarray(TABLE),
        lambda folder: TABLE[::-1][::-1],
        lambda folder: TABLE.astype(np.float64),
        lambda folder: TABLE.view(Labelled),
        lambda folder: Parameter(ON_DEVICE),
        lambda folder: Parameter(TABLE),
        lambda folder: Dataset(),
        memmap,
        read_only,
    ],
    ids=[
        "plain",
        "endian",
        "fortran",
        "strides",
        "float64",
        "subclass",
        "jax",
        "jax-numpy",
        "file",
        "memmap",
        "const",
    ],
)
@pytest.mark.parametrize(
    "wrap", [lambda f: f, jax.jit, jax.vmap, jax.checkpoint], ids=["eager", "jit", "vmap", "remat"]
)
def test_what_becomes_an_array(make: Callable[[Path], Any], wrap: Any, tmp_path: Path):
    """Wherever it is asked for; the value belongs to no inner trace, so that it may be kept."""
    kept: list[jax.Array] = []

    def ask(x: jax.Array) -> jax.Array:
        kept.append(as_given("w", make(tmp_path), (4, 3), np.dtype("float32")))
        return x

    wrap(ask)(jnp.ones(2))
    (array,) = kept
    assert isinstance(array, jax.Array)
    assert not isinstance(array, jax.core.Tracer)
    np.testing.assert_array_equal(array, TABLE, strict=True)


def test_a_copy():
    """What is written into the given array later does not show, however it lies in memory."""
    raw = np.zeros(4 * 1024 + 64, np.uint8)
    start = -raw.ctypes.data % 64  # where JAX would take the memory as it is
    mine = raw[start : start + 4 * 1024].view(np.float32)
    array = as_given("w", mine)
    mine[:] = 1
    np.testing.assert_array_equal(array, np.zeros(1024))


@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "uint32", "float16", "complex64", "bfloat16", "float8_e4m3fn"]
)
def test_dtypes_that_jax_has_stay(dtype: str):
    value = np.ones(2, getattr(ml_dtypes, dtype, dtype))
    assert as_given("w", value).dtype == value.dtype


@pytest.mark.parametrize("value", [np.float32(3), np.int64(3), np.bool_(True), np.array(3)], ids=repr)
def test_scalars(value: Any):
    array = as_given("n", value, ())
    assert isinstance(array, jax.Array)
    assert array == value


# --- 64 bits -----------------------------------------------------------------------------------


@settings(deadline=None, max_examples=200)
@given(st.sampled_from([np.int64, np.uint64]), st.data())
def test_integers_of_64_bits_are_what_they_were(dtype: Any, data: st.DataObject):
    """They become 32 bits where all fit, and are an error that names the switch elsewhere."""
    edges = st.sampled_from([0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, -1, -(2**31), -(2**31) - 1])
    limits = np.iinfo(dtype)
    elements = st.one_of(edges, st.integers(int(limits.min), int(limits.max)), st.integers(-9, 9))
    shape = data.draw(st.sampled_from([(), (0,), (3,), (2, 2)]))
    elements = elements.filter(lambda number: limits.min <= number <= limits.max)
    value = data.draw(arrays.arrays(dtype, shape, elements=elements))
    narrow = np.int32 if dtype is np.int64 else np.uint32
    fits = value.size == 0 or (value.min() >= np.iinfo(narrow).min and value.max() <= np.iinfo(narrow).max)
    if fits:
        np.testing.assert_array_equal(as_given("n", value), value.astype(narrow), strict=True)
    else:
        with pytest.raises(DtypeMismatchError) as caught:
            as_given("n", value)
        assert caught.value.code == "needs_x64"


def test_the_error_of_integers_that_do_not_fit():
    with pytest.raises(DtypeMismatchError) as caught:
        as_given("step", np.array([3, 2**40]))
    assert str(caught.value) == (
        "the given variable 'step' is int64[2], and not all of its values fit int32\n"
        "  range    3 to 1099511627776\n"
        "  fix      turn on 64-bit types, jax.config.update('jax_enable_x64', True), or give it as int32"
    )


def test_floats_of_64_bits_are_rounded_as_jax_rounds_them():
    value = np.array([1 / 3, np.inf, -np.inf, np.nan, 1e-300, 3.4e38])
    np.testing.assert_array_equal(as_given("w", value), value.astype(np.float32), strict=True)
    assert as_given("w", value.astype(complex)).dtype == np.complex64


@pytest.mark.parametrize("value", [[1.0, 1e300, np.nan], [-1e39], [1e39j]])
def test_floats_of_64_bits_do_not_become_infinite(value: list[complex]):
    with pytest.raises(DtypeMismatchError, match=r"not all of its values fit (float32|complex64)") as caught:
        as_given("w", np.array(value))
    assert caught.value.code == "needs_x64"


def test_with_x64_nothing_is_narrowed():
    """Then JAX has the dtypes, and what differs is an error."""
    with jax.enable_x64(True):
        assert as_given("n", np.array(2**40)) == 2**40
        assert as_given("w", np.ones(2)).dtype == np.float64
        with pytest.raises(DtypeMismatchError) as caught:
            as_given("w", np.ones(2), (2,), np.dtype("float32"))
    assert caught.value.code == "dtype_mismatch"


# --- what is none ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (None, "not an array but NoneType"),
        ([1.0, 2.0], "not an array but list"),
        (1.0, "not an array but float"),
        ("v1", "not an array but str"),
        (object(), "not an array but object"),
        (Pretender(), "not an array but Pretender"),
        (Parameter(Pretender()), "not an array but Parameter"),
        (np.float32, "not an array but type"),
        (jax.ShapeDtypeStruct((2,), jnp.float32), "not an array but ShapeDtypeStruct"),
        (np.array("v1"), "not an array of numbers but <U2[]"),
        (np.array(b"graph"), "not an array of numbers but |S5[]"),
        (np.array([None, {}]), "not an array of numbers but object[2]"),
        (np.array("2020-01-01", "datetime64[D]"), "not an array of numbers but datetime64[D][]"),
        (
            np.zeros(2, [("a", "f4"), ("b", "i4")]),
            "not an array of numbers but [('a', '<f4'), ('b', '<i4')][2]",
        ),
        (np.ma.masked_array([1.0, 2.0], mask=[0, 1]), "not an array but MaskedArray"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_array(value: Any, what: str):
    with pytest.raises(DtypeMismatchError) as caught:
        as_given("a/w", value)
    assert caught.value.code == "not_an_array"
    assert caught.value.summary == f"the given variable 'a/w' is {what}"


def test_what_fails_to_convert_passes_unchanged():
    """With a note that names the variable: a file that is closed, a tensor on another device."""

    class Closed:
        def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
            raise OSError("the file is closed")

    with pytest.raises(OSError, match="the file is closed") as caught:
        as_given("a/w", Closed())
    assert caught.value.__notes__ == ["in converting the given variable 'a/w', of type Closed, to an array"]


@pytest.mark.parametrize(
    "value", [TABLE, jnp.asarray(TABLE), Dataset()], ids=lambda value: type(value).__name__
)
def test_another_shape(value: Any):
    for shape in ((4, 3), (None, 3), (None, None), None):
        assert as_given("w", value, shape).shape == (4, 3)
    for shape in ((3, 4), (4,), (), (None, 4)):
        with pytest.raises(ShapeMismatchError) as caught:
            as_given("w", value, shape)
        sizes = ",".join(map(str, shape))
        assert caught.value.facts == {"given": "float32[4,3]", "asked": f"float32[{sizes}]"}


def test_another_dtype():
    with pytest.raises(DtypeMismatchError) as caught:
        as_given("w", jnp.ones(2, jnp.bfloat16), (None,), np.dtype("float32"))
    assert caught.value.code == "dtype_mismatch"
    assert caught.value.facts == {"given": "bfloat16[2]", "asked": "float32[2]"}
    assert isinstance(caught.value, JaxscopeError)
