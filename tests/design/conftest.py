"""Whole models run under JAX's own rule for mixed dtypes, as their users run them: optax needs it."""

from collections.abc import Iterator

import jax
import pytest


@pytest.fixture(autouse=True)
def _standard_dtypes(_strict_dtypes: None) -> Iterator[None]:
    with jax.numpy_dtype_promotion("standard"):
        yield
