"""Files made to do harm run no code and fill no memory: they are an error, or what they are worth."""

import math
import tracemalloc
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxscope as js
from jaxscope.errors import CheckpointError, DtypeMismatchError, VariablesMismatchError
from tests.checkpoint import hostile

REFUSED = (CheckpointError, VariablesMismatchError, DtypeMismatchError)


def reading(path: Path, **how: Any) -> tuple[Any, int]:
    """Return what reading all of a file gives, an error or variables, and the most bytes that it took."""
    tracemalloc.start()
    try:
        loaded = js.checkpoint.load(path, **how)
        found: Any = loaded.variables
        found = {**found, "step": loaded.step, "key": loaded.key}
    except REFUSED as error:
        found = error
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return found, peak


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    yield
    assert not (tmp_path / hostile.MARK).exists(), "a pickle was run"


def most(path: Path) -> int:
    """Return how many bytes reading may take: Python's objects for a header, and what is in the file."""
    return 25 * path.stat().st_size + 2**20


@pytest.mark.parametrize(
    ("ending", "name", "content"), hostile.ALL, ids=[f"{e[1:]}-{n}" for e, n, _ in hostile.ALL]
)
def test_hostile(tmp_path: Path, ending: str, name: str, content: bytes):
    path = hostile.put(tmp_path, ending, content)
    js.testing  # noqa: B018 - what is imported at the first use is not counted
    reading(path)
    for how in ({}, {"mapped": False}, {"extra": "ignore"}):
        found, peak = reading(path, **how)
        if how != {"extra": "ignore"}:
            assert isinstance(found, REFUSED), f"{name} was read"
            assert found.code in ("damaged", "unsupported", "mismatch")
            assert len(str(found)) < 2000
        assert peak < most(path), f"{name} took {peak:,} bytes"


def test_harmless():
    """The plain files that the hostile ones are made from are read."""
    for ending, content in ((".safetensors", hostile.PLAIN), (".npz", hostile.GOOD)):
        path = hostile.put(Path(), ending, content)
        (value,) = js.checkpoint.load(path).variables.values()
        assert value.tolist() == [0, 0]


def test_a_pickle_beside_arrays_is_left(tmp_path: Path):
    """A file may have one, as long as nobody asks for it."""
    path = hostile.put(
        tmp_path, ".npz", hostile.npz(("w.npy", hostile.member()), ("args.npy", hostile.objects()))
    )
    specs = js.VariableSpecs([js.VariableSpec("w", (2,), np.dtype("float32"))])
    loaded = js.checkpoint.load(path, specs, extra="ignore")
    assert loaded["w"].tolist() == [0, 0]
    assert loaded.report.left == ["args"]
    with pytest.raises(
        VariablesMismatchError, match="pickled Python, which could run code, and is never unpickled"
    ):
        js.checkpoint.load(path)


def test_zeros_that_are_expected(tmp_path: Path):
    """With specs, whose shapes say what to expect, a file that is small for its contents is read."""
    content = hostile.NPZ["16 megabytes of zeros"]
    path = hostile.put(tmp_path, ".npz", content)
    with pytest.raises(CheckpointError, match="16,777,216 bytes would come out of it"):
        js.checkpoint.load(path)
    specs = js.VariableSpecs([js.VariableSpec("w0", (2**22,), np.dtype("float32"))])
    assert js.checkpoint.load(path, specs)["w0"].shape == (2**22,)


INDEXES = {
    "nothing": b"",
    "no object": b"[]",
    "no map": b"{}",
    "brackets": b"[" * 100_000,
    "a map that is a list": b'{"weight_map": ["model.safetensors"]}',
    "a file that is a number": b'{"weight_map": {"w": 1}}',
    "a file of another folder": b'{"weight_map": {"w": "../model.safetensors"}}',
    "a file by its whole path": b'{"weight_map": {"w": "/etc/model.safetensors"}}',
    "a file of another kind": b'{"weight_map": {"w": "passwd"}}',
    "an array that is not there": b'{"weight_map": {"v": "model.safetensors"}}',
}


@pytest.mark.parametrize("content", INDEXES.values(), ids=INDEXES)
def test_hostile_indexes(tmp_path: Path, content: bytes):
    (tmp_path / "model.safetensors").write_bytes(hostile.PLAIN)
    path = tmp_path / "model.safetensors.index.json"
    path.write_bytes(content)
    found, peak = reading(path)
    assert isinstance(found, CheckpointError)
    assert found.code == "damaged"
    assert peak < most(path)


def valid(ending: str, folder: Path) -> bytes:
    path = folder / f"valid{ending}"
    values = {
        "a/w": np.arange(6, dtype="float32").reshape(2, 3),
        "n": np.int64(3),
        "half": np.ones(5, "float16"),
    }
    js.checkpoint.save(path, values, step=3, key=jax.random.key(0))
    return path.read_bytes()


@pytest.mark.parametrize("ending", [".safetensors", ".npz"])
@settings(max_examples=150)
@given(data=st.data())
def test_spoiled_files(tmp_path_factory: Any, ending: str, data: st.DataObject):
    """Bytes changed, cut out or put in anywhere: an error of ours, or arrays that are in the file."""
    folder = tmp_path_factory.mktemp("fuzz")
    content = bytearray(valid(ending, folder))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content)))
        cut = data.draw(st.integers(0, 8) | st.integers(0, len(content)))
        content[at : at + cut] = data.draw(st.binary(max_size=8))
    path = hostile.put(folder, ending, bytes(content))
    found, peak = reading(path)
    assert peak < most(path) + 2**20
    if isinstance(found, dict):
        size = sum(math.prod(v.shape) * v.dtype.itemsize for v in found.values() if hasattr(v, "dtype"))
        assert size <= len(content)
