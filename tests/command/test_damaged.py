"""Whatever a file of any format has become: one message, status 2, nothing beside it, nothing left."""

import contextlib
import gc
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxscope as js
from jaxscope.command.main import main
from jaxscope.command.mistakes import alone

VARIABLES = js.Variables({f"net/{at}/w": jnp.arange(280.0).reshape(40, 7) * at for at in range(1, 4)})
NAMES = ["m.safetensors", "m.npz", "small.npz", "m.ckpt-7", "v1_single.ckpt", "folder"]
RECORDED = Path(__file__).parent.parent / "checkpoint" / "tf1" / "recorded"


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a whole file of each format."""
    folder = tmp_path_factory.mktemp("good")
    for name in ("m.safetensors", "m.npz", "m.ckpt-7", "folder"):
        js.checkpoint.save(folder / name, VARIABLES, step=7, key=jax.random.key(1))
    np.savez_compressed(folder / "small.npz", a=np.arange(1000.0), b=np.ones(3))
    shutil.copy(RECORDED / "v1_single.ckpt", folder)
    (folder / "checkpoint").unlink()  # TF1's note of the last one, which is none of them
    return folder


@pytest.fixture(scope="module", autouse=True)
def _alone():
    """Do in this process what the command does in its own, where threads of orbax's have something to say."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "excepthook", sys.excepthook)
        patch.setattr(sys, "unraisablehook", sys.unraisablehook)
        level = logging.getLogger("asyncio").level
        alone()
        yield
        gc.collect()
        logging.getLogger("asyncio").setLevel(level)


def copied(good: Path, name: str, to: Path) -> Path:
    """Copy what a checkpoint consists of."""
    for path in good.glob(f"{name}*"):
        (shutil.copytree if path.is_dir() else shutil.copy)(path, to / path.name)
    return to / name


def there(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def ends_well(capsys, path: Path, other: Path, *, refused: bool) -> None:
    """Run each command on a file; say whether it did what it may do."""
    folder = path.parent
    target = folder / "written.npz"
    for arguments in (
        ["inspect", path],
        ["inspect", path, "--values", "--depth=all"],
        ["diff", path, other],
        ["diff", other, path, "--no-values"],
        ["convert", path, target],
        ["convert", path, folder / "written"],
        ["view", path, "--values", "-o", folder / "page.html"],
        ["view", other, path, "-o", folder / "page.html"],
    ):
        before = there(folder)
        code = main([str(one) for one in arguments])
        out, err = capsys.readouterr()
        assert code == 2 or (not refused and code in (0, 1)), arguments
        if code == 2:
            assert out == ""
            assert re.match(r"jaxscope: (?![A-Z]\w*(Error|Exception)\b).+", err)
            assert "Traceback" not in err
            assert len(err.splitlines()) < 12
            assert there(folder) == before
        for made in there(folder) - before:
            shutil.rmtree(made) if made.is_dir() else made.unlink(missing_ok=True)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "one byte": lambda data: data[:1],
    "a third": lambda data: data[: len(data) // 3],
    "all but one": lambda data: data[:-1],
    "a text": lambda _: b"<!DOCTYPE html>\n<title>404</title>\n" * 20,
    "zeros": lambda data: bytes(len(data)),
    **{
        f"a bit at {at}%": lambda data, at=at: bytes(
            byte ^ 16 if place == at * (len(data) - 1) // 100 else byte for place, byte in enumerate(data)
        )
        for at in (0, 5, 50, 97)
    },
}
# Beside its data, these say what is in a folder of orbax's. `process_0` is for restoring on other devices.
PARTS = [
    *(name for name in NAMES if name != "folder"),
    "folder/_CHECKPOINT_METADATA",
    "folder/arrays/_METADATA",
]
PARTS += [
    "folder/arrays/manifest.ocdbt",
    "folder/arrays/_sharding",
    "folder/arrays/array_metadatas/process_0",
]


@pytest.mark.parametrize("kind", DAMAGES)
@pytest.mark.parametrize("part", PARTS)
def test_damaged(capsys, good: Path, tmp_path: Path, part: str, kind: str):
    """Each file that a checkpoint consists of, damaged: refused, or what is read does not depend on it."""
    name = part.partition("/")[0]
    path = copied(good, name, tmp_path)
    for file in tmp_path.glob(f"{part}*"):
        if not file.is_dir():
            file.write_bytes(DAMAGES[kind](file.read_bytes()))
    plain = kind in ("empty", "one byte", "a third", "a text") and "process_0" not in part
    ends_well(capsys, path, good / "m.npz", refused=plain)


@pytest.mark.parametrize("kind", ["gone", "a folder", "a pipe"])
@pytest.mark.parametrize("name", NAMES)
def test_not_a_file(capsys, good: Path, tmp_path: Path, name: str, kind: str):
    """Nothing at all, or what cannot be read as a file, is in its place, or in that of a part of it."""
    if kind == "a pipe" and name.startswith("m.ckpt"):
        pytest.skip("its name is what the names of its files begin with, and none of its own")
    path = copied(good, name, tmp_path)
    files = [path / "arrays" / "_METADATA"] if path.is_dir() and kind == "gone" else [path]
    for file in tmp_path.glob(f"{name}*") if files == [path] else files:
        shutil.rmtree(file) if file.is_dir() else file.unlink()
        {"gone": lambda _: None, "a folder": os.mkdir, "a pipe": os.mkfifo}[kind](file)
    ends_well(capsys, path, good / "m.npz", refused=True)


def test_data_that_is_a_folder(capsys, good: Path, tmp_path: Path):
    """Likewise, where the index is whole."""
    path = copied(good, "m.ckpt-7", tmp_path)
    data = Path(f"{path}.data-00000-of-00001")
    data.unlink()
    data.mkdir()
    ends_well(capsys, path, good / "m.npz", refused=True)


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Be a user who may not do everything."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder to which anybody may go."""
    with tempfile.TemporaryDirectory(prefix="jaxscope-tests-") as name:
        os.chmod(name, 0o755)
        yield Path(name)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="permissions are otherwise there")
@pytest.mark.parametrize("name", [name for name in NAMES if name != "m.npz"])
def test_not_allowed(capsys, good: Path, open_folder: Path, name: str):
    """What may not be read is told by its name; so is a folder that may not be written into."""
    path, other = copied(good, name, open_folder), copied(good, "m.npz", open_folder)
    ends_well(capsys, path, other, refused=False)  # and all that is needed has been imported
    for one in open_folder.rglob("*"):
        if not one.is_dir() and one != other:
            one.chmod(0)
    open_folder.chmod(0o555)
    with as_nobody():
        ends_well(capsys, path, other, refused=True)
        for arguments in (["inspect", path], ["convert", other, open_folder / "new.npz"]):
            assert main([str(one) for one in arguments]) == 2
            assert re.search(f"{open_folder}.*: Permission denied", capsys.readouterr().err)
    open_folder.chmod(0o755)


def test_a_process_prints_one_message(good: Path, tmp_path: Path):
    """Threads of orbax's that find their work undone print nothing beside it."""
    path = copied(good, "folder", tmp_path)
    (path / "arrays" / "manifest.ocdbt").write_bytes(b"x")
    environment = os.environ | {"PYTHONPATH": str(Path(js.__file__).parent.parent)}
    done = subprocess.run(
        [sys.executable, "-m", "jaxscope", "inspect", str(path)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    first, *facts = done.stderr.splitlines()
    assert first.startswith("jaxscope: the file is damaged, or made to do harm: orbax cannot read it: ")
    assert [line.split()[0] for line in facts] == ["file", "fix"]
