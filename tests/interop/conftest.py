"""The other libraries, and what is asked of each of them alike."""

import importlib
import warnings
from typing import Any

import jax
import numpy as np
import pytest


def imported(name: str) -> Any:
    """Import a library, or skip: some do not import with each JAX."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of theirs, about names that JAX is giving up
        try:
            return importlib.import_module(name)
        except (ImportError, AttributeError) as problem:  # what it needs of JAX may be gone
            pytest.skip(f"{name} is not installed, or does not import with this JAX: {problem}")


@pytest.fixture(autouse=True)
def _their_dtypes():
    """The libraries promote types among each other."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture(scope="session")
def nn():
    return imported("flax.linen")


@pytest.fixture(scope="session")
def nnx():
    return imported("flax.nnx")


@pytest.fixture(scope="session")
def hk():
    return imported("haiku")


@pytest.fixture(scope="session")
def eqx():
    return imported("equinox")


@pytest.fixture(scope="session")
def x():
    return jax.random.normal(jax.random.key(3), (5, 3))


@pytest.fixture(scope="session")
def equal():
    """Return a function that compares two mappings of names to arrays."""

    def compare(left: Any, right: Any, rtol: float = 0) -> None:
        assert list(left) == list(right)
        for name, value in left.items():
            np.testing.assert_allclose(value, right[name], rtol=rtol, atol=rtol, err_msg=name)
            assert value.dtype == right[name].dtype

    return compare
