"""Arguments: what each may be, what it then is, and what is said of those that mean nothing."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxscope as js
from jaxscope._core.base.sites import here
from jaxscope._core.requests import arguments
from jaxscope.errors import CollectionError, InvalidDtypeError, InvalidShapeError, JaxscopeError, ReuseError

WHOLE = st.integers(0, 2**63 - 1)


def shape_of(shape: Any) -> Any:
    return arguments.as_shape(shape, "w", here)


@given(st.lists(WHOLE | st.none(), max_size=5))
def test_a_shape_is_a_tuple_however_it_is_written(sizes: list[int | None]):
    """Lists, tuples and iterators of sizes, NumPy's numbers among them, give one tuple of Python's."""
    numpy = [None if one is None else np.int64(one) for one in sizes]
    for written in (sizes, tuple(sizes), iter(sizes), numpy):
        found = shape_of(written)
        assert found == tuple(sizes)
        assert all(size is None or type(size) is int for size in found)


@given(st.lists(WHOLE, max_size=4))
def test_arrays_and_single_sizes_are_shapes(sizes: list[int]):
    """`x.shape` as an array is one, and so is a number alone."""
    assert shape_of(np.array(sizes, np.int64)) == tuple(sizes)
    for size in sizes:
        assert shape_of(size) == (size,)
        assert shape_of(np.int64(size)) == (size,)


@pytest.mark.parametrize(
    ("shape", "code", "problem"),
    [
        ([-1], "negative_dimension", "-1 is negative"),
        ([3, -2], "negative_dimension", "-2 is negative"),
        ([2.0], "invalid_shape", "2.0 is not a whole number"),
        ([True], "invalid_shape", "True is not a whole number"),
        ("23", "invalid_shape", "'23' is not a whole number"),
        ({2: 3}, "invalid_shape", "{2: 3} is not a whole number"),
        ({2, 3}, "invalid_shape", "{2, 3} is not a whole number"),
        ([2**63], "invalid_shape", "a size is larger than 2**63 - 1"),
        (object, "invalid_shape", "is not a whole number"),
        ([np.ones(2)], "invalid_shape", "is not a whole number"),
    ],
)
def test_what_is_no_shape(shape: Any, code: str, problem: str):
    """Each is told by its problem; strings, sets and mappings are no sequences of sizes."""
    with pytest.raises(InvalidShapeError) as caught:
        shape_of(shape)
    assert caught.value.code == code
    assert problem in caught.value.summary


def test_a_traced_size_is_told_as_one():
    """It is known when the program runs, which is too late for a shape."""
    with pytest.raises(InvalidShapeError, match="a size is traced"):
        jax.jit(lambda n: shape_of([n]))(3)


def test_symbolic_sizes_stay():
    """`jax.export` may leave a size open."""
    (n,) = jax.export.symbolic_shape("n")
    assert shape_of([n, 2]) == (n, 2)


@given(st.lists(WHOLE | st.booleans() | st.floats() | st.integers() | st.none(), max_size=3))
def test_what_is_known_is_what_a_shape_is(sizes: list[Any]):
    """The short way takes just plain whole sizes, and gives what the long way gives."""
    known = arguments.known_shape(sizes)
    plain = all(type(size) is int and 0 <= size < 2**63 for size in sizes)
    assert (known is not None) == plain
    assert known is None or known == shape_of(iter(sizes))


def test_true_is_not_one():
    """Sizes that are equal and not of one type are not taken for each other."""
    assert arguments.known_shape([1]) == (1,)
    assert arguments.known_shape([True]) is None
    assert arguments.known_shape([1.0]) is None


# --- dtypes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8", "bool", "complex64", float, int])
def test_dtypes_are_those_of_jax(dtype: Any):
    """Whatever names one; those of 64 bits are of 32 without x64."""
    assert arguments.as_dtype(dtype) == jnp.zeros([], dtype).dtype


def test_dtypes_of_64_bits():
    """Are there where x64 is, and are narrowed where it is not."""
    assert arguments.as_dtype("float64") == np.float32
    with jax.enable_x64(True):
        assert arguments.as_dtype("float64") == np.float64


@pytest.mark.parametrize("wrong", ["float31", object, js.initializers.zeros(), lambda: 0, 3, "O"])
def test_what_is_no_dtype(wrong: Any):
    """A function in its place tells that the order of arguments was mistaken."""
    with pytest.raises(InvalidDtypeError, match="is not a dtype") as caught:
        arguments.as_dtype(wrong)
    assert ("by keyword" in caught.value.fix) == callable(wrong)


KINDS = ["bool", "int8", "uint8", "int32", "bfloat16", "float32", "complex64"]


@given(st.sampled_from(KINDS), st.sampled_from(KINDS))
def test_numbers_widen_from_kind_to_kind(one: str, other: str):
    """A boolean is an integer, an integer a float, a float complex; and none the other way."""
    order = {"b": 0, "i": 1, "u": 1, "f": 2, "V": 2, "c": 3}
    kinds = [order[jnp.dtype(dtype).kind] for dtype in (one, other)]
    assert arguments.widens(one, other) == (kinds[0] <= kinds[1])


# --- collections, trainable, reuse -------------------------------------------------------------

NAMES = st.lists(st.sampled_from(["a", "b", "variables", "trainable_variables"]), max_size=6)


@given(NAMES, st.booleans())
def test_collections_are_each_once_and_as_given(names: list[str], trainable: bool):
    """In their order; a trainable variable is in `trainable_variables`, whatever is listed (R42)."""
    found = arguments.collections_of(iter(names), trainable)
    once = list(dict.fromkeys(names))
    added = trainable and "trainable_variables" not in names
    assert list(found) == [*once, *(["trainable_variables"] if added else [])]


def test_collections_left_out():
    """Are `variables`, and `trainable_variables` of what is trainable."""
    assert arguments.collections_of(None, True) == ("variables", "trainable_variables")
    assert arguments.collections_of(None, False) == ("variables",)


@pytest.mark.parametrize("wrong", ["losses", 3])
def test_collections_are_a_list(wrong: Any):
    """A string would be a list of its letters."""
    with pytest.raises(CollectionError) as caught:
        arguments.collections_of(wrong, True)
    assert caught.value.code == "collections_not_a_list"


@pytest.mark.parametrize("reuse", [1, 0, "AUTO_REUSE", np.True_, jnp.array(True)])
def test_what_reuse_may_not_be(reuse: Any):
    """Only None, False, True and AUTO_REUSE themselves (R16): 1 is refused as in TF1."""
    with pytest.raises(ReuseError, match="has no meaning for scope 'a'"):
        arguments.check_reuse(reuse, "a")
    for sound in (None, False, True, js.AUTO_REUSE):
        arguments.check_reuse(sound, "a")


OTHERS = st.sampled_from(["caching_device", "use_resource", "other"])


@settings(max_examples=20)
@given(st.dictionaries(OTHERS, st.none() | st.integers()))
def test_other_arguments(others: dict[str, Any]):
    """Those of the graph are refused unless they are None; one that nobody knows is Python's error."""
    wrong = [name for name, value in others.items() if name == "other" or value is not None]
    if not wrong:
        arguments.refuse_others("f", others)
        return
    with pytest.raises(TypeError, match=wrong[0]) as caught:
        arguments.refuse_others("f", others)
    assert isinstance(caught.value, JaxscopeError) == (wrong[0] != "other")
