"""All tests run under JAX's strict rule for mixed dtypes, so that jaxscope works for those who turn it on."""

from collections.abc import Iterator

import jax
import pytest

# Files for the type checkers, not to be run.
collect_ignore = ["typing"]


@pytest.fixture(autouse=True)
def _strict_dtypes() -> Iterator[None]:
    with jax.numpy_dtype_promotion("strict"):
        yield
