"""Which tests of this folder need eight devices: `test_on_eight_devices` runs them, in another process."""

from pathlib import Path

import jax
import pytest

HERE = Path(__file__).parent
#: Files whose every test needs eight devices.
EIGHT = ("test_init.py", "test_training.py", "test_shard_map.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what needs more devices than there are."""
    if jax.device_count() >= 8:
        return
    for item in items:
        if item.path.parent == HERE and item.path.name in EIGHT:
            item.add_marker(pytest.mark.skip(reason="needs eight devices: run by test_on_eight_devices"))
