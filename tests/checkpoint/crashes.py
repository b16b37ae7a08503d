"""Kill writers in the middle of saving, and read what is there: `python -m tests.checkpoint.crashes npz 9 0`.

This process imports everything, makes no array of JAX's, and forks: a writer that saves one version after the
other until it is killed with -9 at a random moment; then a reader, for which nothing may be lost.
"""

import json
import os
import random
import select
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import jaxscope as js

#: The sizes of the arrays, in elements: several system calls each for the larger ones.
SIZES = (1, 300, 70_000, 500_000)


def contents(version: int) -> dict[str, np.ndarray]:
    return {f"layer_{at}/w": np.full(size, version, "int32") for at, size in enumerate(SIZES)}


def check(loaded: Any) -> int:
    """Return the version of what was loaded, all of which has to be of one."""
    version = loaded.step
    for name, value in contents(version).items():
        np.testing.assert_array_equal(np.asarray(loaded[name]), value)
    return version


def save_files(path: str, first: int, tell: Callable[[bytes], Any]) -> None:
    for version in range(first, first + 10_000):
        tell(b"b")
        js.checkpoint.save(path, contents(version), step=version, wait=version % 2 == 0).wait()
        tell(b"e")


def save_by_manager(path: str, first: int, tell: Callable[[bytes], Any]) -> None:
    with js.checkpoint.Manager(path, keep=2) as manager:
        for version in range(first, first + 10_000):
            tell(b"b")
            manager.save(version, contents(version))
            manager.wait()
            tell(b"e")


def load_file(path: str) -> int:
    return check(js.checkpoint.load(path))


def load_by_manager(path: str) -> int:
    with js.checkpoint.Manager(path, keep=2) as manager:
        return max(check(manager.load(step=step)) for step in manager.steps)


WAYS: dict[str, tuple[str, Any, Any]] = {
    "safetensors": ("model.safetensors", save_files, load_file),
    "npz": ("model.npz", save_files, load_file),
    "ckpt": ("model.ckpt", save_files, load_file),
    "folder": ("model", save_files, load_file),
    "manager": ("models", save_by_manager, load_by_manager),
}


def forked(work: Callable[[Callable[[bytes], Any]], Any]) -> tuple[int, int]:
    """Run a function in a fork of this process; return its id and where what it tells is to be read."""
    hear, tell = os.pipe()
    child = os.fork()
    if child:
        os.close(tell)
        return child, hear
    code = 1
    try:
        os.close(hear)
        work(lambda told: os.write(tell, told))
        code = 0
    except BaseException as problem:  # noqa: BLE001 - told to the parent
        os.write(2, f"{type(problem).__name__}: {problem}\n".encode())
    finally:
        os._exit(code)


def listen(hear: int, seconds: float) -> bytes:
    """Return what is told within some seconds."""
    told, end = b"", time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0 and select.select([hear], [], [], left)[0]:
        if not (more := os.read(hear, 1 << 16)):
            break
        told += more
    return told


def run(kind: str, kills: int, seed: int) -> dict[str, int]:
    """Kill a writer so many times; return how many saves were interrupted, and how many went well."""
    draw = random.Random(seed)
    base, save, load = WAYS[kind]
    interrupted = saved = version = 0
    usual = 0.05
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, base))
        for _ in range(kills):
            start = time.monotonic()
            writer, hear = forked(lambda tell, first=version + 1: save(path, first, tell))
            told = b""
            while told.count(b"e") < 1:  # there is something to lose
                told += listen(hear, 0.001)
                assert time.monotonic() - start < 60, "the writer writes nothing"
            told += listen(hear, draw.random() * 3 * usual)
            os.kill(writer, signal.SIGKILL)
            os.waitpid(writer, 0)
            told += listen(hear, 10)
            os.close(hear)
            good = version + told.count(b"e")
            saved += told.count(b"e")
            interrupted += told.endswith(b"b")
            usual = max(0.01, min(0.5, (time.monotonic() - start) / (2 * told.count(b"e"))))
            reader, hear = forked(lambda tell: tell(str(load(path)).encode()))
            found = listen(hear, 60)
            os.close(hear)
            assert os.waitpid(reader, 0)[1] == 0, f"{kind}: nothing can be read after version {good}"
            version = int(found)
            # The rename may have happened before the kill, and the word about it not.
            assert good <= version <= good + told.endswith(b"b"), f"{kind}: {version} is there, not {good}"
        left = len(os.listdir(folder))
    return {"kills": kills, "interrupted": interrupted, "saved": saved, "left": left}


if __name__ == "__main__":
    _, kind, kills, seed = sys.argv
    print(json.dumps(run(kind, int(kills), int(seed))))
