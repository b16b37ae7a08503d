"""Kill -9 at a random moment, again and again: what is there is the last version, or the one just written."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jaxscope import writing
from jaxscope.checkpoint import folders
from tests.checkpoint.crashes import WAYS

KILLS = {"safetensors": 12, "npz": 8, "ckpt": 8, "folder": 3, "manager": 3}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="writers are forked")
@pytest.mark.parametrize("kind", WAYS)
def test_killed_while_saving(kind: str):
    """More often than not in the middle of a save; nothing is lost, and little is left over."""
    if kind in ("folder", "manager"):
        pytest.importorskip("orbax.checkpoint", reason="folders are orbax's")
    if kind == "ckpt":
        pytest.importorskip("google_crc32c", reason="TF1's checkpoints have its checksums")
    command = [sys.executable, "-m", "tests.checkpoint.crashes", kind, str(KILLS[kind]), "0"]
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    run = subprocess.run(
        command, cwd=Path(__file__).parents[2], env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr[-3000:]
    told = json.loads(run.stdout)
    assert told["interrupted"] > KILLS[kind] / 2
    assert told["saved"] >= KILLS[kind]


def test_what_killed_writers_left_is_removed(tmp_path: Path):
    """After a while, and not what a living one has open; files of others stay."""
    path, dead, alive = (
        tmp_path / name for name in ("m.npz", ".m.npz.00000000.part", ".m.npz.11111111.part")
    )
    other = tmp_path / ".n.npz.00000000.part"
    for left in (dead, alive, other):
        left.write_bytes(b"half")
        os.utime(left, (0, 0))
    with open(alive, "rb+") as held:
        assert writing._lock(held, wait=False)
        with writing.written_anew(str(path)) as file:
            file.write(b"all")
        assert sorted(tmp_path.iterdir()) == sorted([path, alive, other])
    writing.clean(str(tmp_path), "m.npz")
    assert sorted(tmp_path.iterdir()) == sorted([path, other])
    fresh = tmp_path / ".m.npz.22222222.part"
    fresh.write_bytes(b"just begun")
    writing.clean(str(tmp_path), "m.npz")
    assert fresh.exists()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_exception_leaves_the_last_file(tmp_path: Path, error: type[BaseException]):
    path = tmp_path / "m.npz"
    path.write_bytes(b"old")

    def interrupted() -> None:
        with writing.written_anew(str(path)) as file:
            file.write(b"new")
            raise error

    with pytest.raises(error):
        interrupted()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_between_its_two_names(tmp_path: Path):
    """Killed after the old folder was set aside: the new one is complete, and found, and then named."""
    path = str(tmp_path / "model")
    new, old = folders.beside(path)
    os.mkdir(new)
    os.mkdir(old)
    assert folders.found(path) == new
    folders.repair(path)
    assert sorted(os.listdir(tmp_path)) == ["model"]
    os.rename(path, old)
    assert folders.found(path) == old
    os.mkdir(path)
    os.mkdir(new)
    assert folders.found(path) == path
