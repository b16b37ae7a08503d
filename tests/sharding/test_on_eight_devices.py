"""What needs eight devices is tested in a process that has eight, made of the one processor."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sharding.conftest import EIGHT, HERE

DOCS = HERE.parent.parent / "docs"
PAGES = [DOCS / "how_to" / "sharding.md", DOCS / "tutorial" / "5_sharding.md"]


@pytest.mark.slow
@pytest.mark.parametrize("path", [*(HERE / name for name in EIGHT), *PAGES], ids=lambda path: path.name)
def test_on_eight_devices(path: Path):
    """Every test of the file, or of the page, passes there, and none is skipped."""
    environment = os.environ | {
        "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
        "JAX_PLATFORMS": "cpu",
    }
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", str(path)]
    run = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, cwd=HERE.parent.parent
    )
    assert run.returncode == 0, run.stdout[-5000:]
    last = run.stdout.splitlines()[-1]
    assert "passed" in last
    assert "skipped" not in last, last
