"""optax needs JAX's own rule for mixed dtypes; what it is not part of runs under the strict one."""

from collections.abc import Iterator

import jax
import pytest


@pytest.fixture
def optax_dtypes(_strict_dtypes: None) -> Iterator[None]:
    with jax.numpy_dtype_promotion("standard"):
        yield
