"""The examples do what they say, and break nothing when they are stopped."""

import contextlib
import importlib.util
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent
DIGITS = ROOT / "examples" / "digits.py"
for needed in ("matplotlib", "optax", "rich", "sklearn"):
    pytest.importorskip(needed)


def start(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-u", str(DIGITS), *arguments],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(*arguments: str, cwd: Path) -> str:
    process = start(*arguments, cwd=cwd)
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return output


def is_png(path: Path) -> bool:
    picture = path.read_bytes()
    return picture.startswith(b"\x89PNG\r\n\x1a\n") and picture.endswith(b"IEND\xaeB`\x82")


def test_digits_runs_to_the_end(tmp_path: Path):
    """It shows each shared weight once, trains, and leaves one whole picture."""
    output = run("--epochs", "2", "--out", "picture.png", cwd=tmp_path)
    assert output.count("conv_1/") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["picture.png"]
    assert is_png(tmp_path / "picture.png")


@pytest.mark.slow
def test_digits_reads_well(tmp_path: Path):
    """As the README promises: at least 97% of the held-out fifth."""
    match = re.search(r"(\d+) of 360 test digits read right", run(cwd=tmp_path))
    assert match
    assert int(match[1]) / 360 >= 0.97


def test_digits_stops_cleanly(tmp_path: Path):
    """Ctrl-C during training leaves no file, says so, and exits as an interrupted program does."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # children inherit that it is ignored
    process = start("--epochs", "100000", cwd=tmp_path)
    signal.signal(signal.SIGINT, before)
    try:
        assert process.stdout
        for line in process.stdout:
            if "classifier" in line:  # the table: training is next
                break
        # Python drops an interrupt that comes while a weak reference's callback runs; a user presses again.
        for _ in range(6):
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                _, errors = process.communicate(timeout=10)
                break
    finally:
        process.kill()  # else it trains on behind a test that failed
    assert process.returncode == 130
    assert errors == "interrupted; no picture was written\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("wrong", [("--epochs", "0"), ("--out", "no/such/folder.png")])
def test_digits_says_at_once_what_cannot_be(tmp_path: Path, wrong: tuple[str, str]):
    """A wrong option is reported before a minute is spent on training."""
    process = start(*wrong, cwd=tmp_path)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "must" in errors


@pytest.fixture
def digits() -> ModuleType:
    spec = importlib.util.spec_from_file_location("digits", DIGITS)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_digits_keeps_the_old_picture(tmp_path: Path, digits: ModuleType):
    """Ctrl-C while the picture is written leaves the one that was there before."""
    picture = tmp_path / "digits.png"
    picture.write_bytes(b"before")

    class Figure:
        def savefig(self, path: Path, **options: object):
            path.write_bytes(b"half a pic")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        digits.save(Figure(), picture)
    assert picture.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [picture]
