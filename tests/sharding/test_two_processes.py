"""The program of the page for many hosts runs in two processes, which see the same losses."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("localhost", 0))
        return one.getsockname()[1]


@pytest.mark.slow
def test_two_processes(tmp_path: Path):
    """Over gloo, with two devices each: variables are made on all four, and the loss falls alike."""
    page = (ROOT / "docs" / "how_to" / "sharding.md").read_text()
    (program,) = re.findall(r"^```py\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    path = tmp_path / "train.py"
    path.write_text(program)
    environment = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "JAX_NUM_CPU_DEVICES": "2",
        "JAX_CPU_COLLECTIVES_IMPLEMENTATION": "gloo",
        "XLA_FLAGS": "",
        "PYTHONPATH": str(ROOT),
    }
    address = f"localhost:{free_port()}"
    runs = [
        subprocess.Popen(
            [sys.executable, str(path), address, "2", str(number)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    try:
        told = [run.communicate(timeout=300) for run in runs]
    finally:
        for run in runs:
            run.kill()
    assert [run.returncode for run in runs] == [0, 0], told[0][1][-3000:] + told[1][1][-3000:]
    one, other = (re.findall(r"^\d: (\d\.\d+)$", out, re.MULTILINE) for out, _ in told)
    assert one == other
    assert len(one) == 3
    assert float(one[0]) > float(one[1]) > float(one[2])
