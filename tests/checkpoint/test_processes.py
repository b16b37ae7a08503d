"""Several processes, over gloo: each writes and reads its own parts: see `on_processes`."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

for needed in ("optax", "orbax.checkpoint"):
    pytest.importorskip(needed, reason="optimizer states are optax's, folders orbax's")


def free_port() -> str:
    with socket.socket() as one:
        one.bind(("localhost", 0))
        return str(one.getsockname()[1])


def test_from_two_processes_to_one(tmp_path: Path):
    """Two save on a mesh of (4, 2), one process goes on on (1, 8)."""
    for count, last in ((2, 4), (1, 8)):
        port = free_port()
        runs = [
            subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "tests.checkpoint.on_processes",
                    port,
                    str(count),
                    str(me),
                    str(tmp_path),
                ],
                cwd=Path(__file__).parents[2],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for me in range(count)
        ]
        try:
            told = [run.communicate(timeout=200) for run in runs]
        finally:
            for run in runs:
                run.kill()
        for out, err in told:
            assert out.strip().splitlines()[-1:] == [f"well {last}"], err[-3000:]
