"""On several devices arrays are looked at where they are, each with its own program."""

import os
import subprocess
import sys
from pathlib import Path

import jaxscope as js


def test_on_four_devices():
    """Statistics, comparisons and captures of what is spread are those of the whole."""
    root = str(Path(js.__file__).parent.parent)
    flags = "--xla_force_host_platform_device_count=4"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu", "PYTHONPATH": root}
    program = [sys.executable, str(Path(__file__).parent / "on_devices.py")]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
