"""Eight devices, which need a process of their own: see `on_devices`."""

import subprocess
import sys
from pathlib import Path

import pytest

for needed in ("optax", "orbax.checkpoint"):
    pytest.importorskip(needed, reason="optimizer states are optax's, folders orbax's")


@pytest.mark.parametrize("what", ["files", "stacks", "wide", "donated", "manager"])
def test_on_eight_devices(what: str):
    command = [sys.executable, "-W", "error", "-m", "tests.checkpoint.on_devices", what]
    run = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert run.stdout.strip() == "well", run.stderr[-3000:]
