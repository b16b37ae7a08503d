"""Starts: what an initializer argument means: initializer, shape and dtype of a new variable."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxscope as js
from jaxscope._core.requests.starts import WithoutArguments, default_for, is_constant, resolve
from jaxscope.errors import InitializerError, MissingShapeError

FLOAT, INT = np.dtype("float32"), np.dtype("int32")
SITE: Any = "here.py:1"


def start(initializer: Any, shape: Any, dtype: Any = FLOAT, explicit: bool = False) -> Any:
    return resolve("w", initializer, shape, dtype, explicit, SITE)


@pytest.mark.parametrize(
    ("dtype", "default"),
    [
        ("float32", "glorot_uniform()"),
        ("bfloat16", "glorot_uniform()"),
        ("int8", "zeros()"),
        ("bool", "zeros()"),
    ],
)
def test_without_one_the_dtype_decides(dtype: str, default: str):
    """Glorot uniform for floats, zeros for integers and booleans (R28)."""
    initializer, shape, found = start(None, (2, 3), jnp.dtype(dtype))
    assert (repr(initializer), shape, found) == (default, (2, 3), jnp.dtype(dtype))


def test_no_default():
    """Other dtypes have none."""
    assert default_for(np.dtype("complex64")) is None
    with pytest.raises(InitializerError) as caught:
        start(None, (2,), np.dtype("complex64"))
    assert caught.value.code == "no_default_for_dtype"


def test_neither_shape_nor_value():
    with pytest.raises(MissingShapeError, match="'w' is new and has no shape"):
        start(None, None)


@pytest.mark.parametrize(
    ("value", "shape", "dtype"),
    [
        (1.0, (), "float32"),
        (True, (), "bool"),
        ([1, 2], (2,), "int32"),
        (np.ones((2, 1)), (2, 1), "float32"),
        (np.ones(2, "int8"), (2,), "int8"),
    ],
)
def test_a_constant_decides(value: Any, shape: Any, dtype: str):
    """It has shape and dtype; Python's numbers have 32 bits (R30, R32)."""
    assert is_constant(value)
    array, *found = start(value, None, np.dtype("float16"))
    assert found == [shape, np.dtype(dtype)]
    np.testing.assert_array_equal(array, value)


def test_a_constant_and_an_explicit_dtype():
    """Have to agree, where the dtype is the call's own, and not the scope's."""
    start(1.0, None, INT, explicit=False)
    with pytest.raises(InitializerError) as caught:
        start(1.0, None, INT, explicit=True)
    assert caught.value.code == "constant_dtype_conflict"
    assert "float32" in caught.value.summary


def test_lists_of_different_lengths():
    """Are told as what they are, with the variable's name."""
    with pytest.raises(InitializerError, match="the initial value of 'w' is no array"):
        start([[1], [1, 2]], None)


def value_of() -> Any:
    return jnp.ones((4, 2))


@pytest.mark.parametrize("shape", [None, (None, 2)])
def test_a_function_without_arguments_decides(shape: Any):
    """Where the shape is missing or not full; else it is called like others (R30)."""
    initializer, *found = start(value_of, shape)
    assert isinstance(initializer, WithoutArguments)
    assert found == [None, None]
    assert initializer.value().shape == (4, 2)
    assert start(value_of, (4, 2)) == (value_of, (4, 2), FLOAT)


OTHERS = [js.initializers.ones(), js.initializers.ones, jax.nn.initializers.normal()]


@pytest.mark.parametrize("initializer", OTHERS)
@pytest.mark.parametrize("shape", [None, (3, None)])
def test_others_need_a_full_shape(initializer: Any, shape: Any):
    """And leave it as it is; a class is as good as its object."""
    assert start(initializer, (3, 4)) == (initializer, (3, 4), FLOAT)
    with pytest.raises(InitializerError) as caught:
        start(initializer, shape)
    assert caught.value.code == "init_needs_full_shape"


def test_none_is_no_constant():
    assert not is_constant(None)
    assert not is_constant(js.initializers.zeros)
    assert is_constant(0)
