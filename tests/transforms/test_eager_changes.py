"""What an eager call reads of the program around it is what is there now, also where it is staged whole."""

import numpy as np
from hypothesis import HealthCheck, given, settings

from tests.transforms import random_modules


@settings(
    max_examples=30,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(module=random_modules.modules())
def test_eager_calls_see_changes(module: random_modules.Module):
    """Calls before and after a change come to what they come to without inner transforms."""
    bare = random_modules.outcomes(module, wrapped=False)
    got = random_modules.outcomes(module, wrapped=True)
    np.testing.assert_allclose(got, bare, rtol=1e-6)
