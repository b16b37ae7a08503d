"""What is saved for TF1: a bundle of its own form, whole or not at all, and noted as the last one."""

import os
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import jaxscope as js
from jaxscope.checkpoint.tf1 import bundle_writing, checksums, snappy, state
from jaxscope.checkpoint.tf1.dtypes import NUMBERS
from jaxscope.checkpoint.tf1.entries import header, tensor
from jaxscope.checkpoint.tf1.ordered import key_of
from jaxscope.checkpoint.tf1.table_writing import table
from jaxscope.checkpoint.tf1.tables import Table
from jaxscope.checkpoint.tf1.wire import field, fields, signed, to_varint, varint, varints
from tests.checkpoint.nets import same

pytest.importorskip("google_crc32c", reason="TF1's checkpoints have its checksums")

NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12)


@settings(max_examples=60)
@given(data=st.data())
def test_any_arrays_under_any_names(tmp_path_factory: Any, data: st.DataObject):
    """Every type that TF1 has, every shape, empty ones among them, every name, as they were."""
    path = tmp_path_factory.mktemp("any") / "model.ckpt"
    shapes = arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)
    bits = st.tuples(st.sampled_from(list(NUMBERS)), shapes, st.integers(0, 2**32 - 1))

    def made(what: Any) -> np.ndarray:
        dtype, shape, seed = what
        raw = np.random.default_rng(seed).integers(0, 2 if dtype == np.dtype("bool") else 256, 4096, "uint8")
        return np.resize(raw, int(np.prod(shape)) * dtype.itemsize).view(dtype).reshape(shape)

    names = NAMES.filter(lambda name: not name.startswith(("__", "jaxscope:")))
    given = {key: made(what) for key, what in data.draw(st.dictionaries(names, bits, max_size=5)).items()}
    with jax.enable_x64(True):
        js.checkpoint.save(path, given)
        loaded = js.checkpoint.load(path, mapped=data.draw(st.booleans()))
        same(loaded.variables, js.Variables(given))
    assert js.checkpoint.list_variables(path) == [(name, list(given[name].shape)) for name in sorted(given)]


def test_its_form(tmp_path: Path):
    """Header, entries in order of names, values at multiples of 64; what is ours is where TF1 looks not."""
    js.checkpoint.save(tmp_path / "model.ckpt-7", {"b": jnp.ones(3), "a": jnp.float16(2)}, step=7)
    assert sorted(os.listdir(tmp_path)) == [
        *("checkpoint", "model.ckpt-7.data-00000-of-00001", "model.ckpt-7.index")
    ]
    table = Table((tmp_path / "model.ckpt-7.index").read_bytes())
    rows = dict(table.entries())
    assert list(rows) == [b"", b"a", b"b", b"global_step"]
    assert header(rows[b""]) == (1, False)
    found = {name: tensor(value) for name, value in rows.items() if name}
    assert [(one.dtype, one.shape, one.offset, one.size) for one in found.values()] == [
        *((19, (), 0, 2), (1, (3,), 64, 12), (9, (), 128, 8))
    ]
    assert list(table.meta()) == [b"jaxscope"]


def test_the_step(tmp_path: Path):
    """It is TF1's `global_step`, unless a variable is; of another's file it is the step, too."""
    path = tmp_path / "model.ckpt"
    js.checkpoint.save(path, {"w": jnp.ones(2)}, step=7)
    loaded = js.checkpoint.load(path)
    assert (list(loaded), loaded.step) == (["w"], 7)
    assert js.checkpoint.load_variable(path, "global_step") == np.int64(7)
    js.checkpoint.save(path, {"w": jnp.ones(2), "global_step": np.int32(3)}, step=7)
    loaded = js.checkpoint.load(path)
    assert (list(loaded), loaded.step, int(loaded["global_step"])) == (["global_step", "w"], 7, 3)


def test_saved_over_while_it_is_open(tmp_path: Path):
    """Who has the old one open keeps it; nothing of it is left on the disk."""
    path = tmp_path / "model.ckpt"
    js.checkpoint.save(path, {"w": jnp.ones(2)})
    old = js.checkpoint.load(path)
    for number in range(3):
        js.checkpoint.save(path, {"w": jnp.full(2, number)})
        assert js.checkpoint.load(path)["w"].tolist() == [number] * 2
        assert len(os.listdir(tmp_path)) == 3
    assert old["w"].tolist() == [1, 1]


def test_killed_before_the_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The old one is there as it was, and the next save removes what is left of the other."""
    path = tmp_path / "model.ckpt"
    js.checkpoint.save(path, {"w": jnp.ones(2)})

    def killed(*_: Any) -> bytes:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(bundle_writing, "table", killed)
        with pytest.raises(KeyboardInterrupt):
            js.checkpoint.save(path, {"w": jnp.zeros(2)})
    assert js.checkpoint.load(path)["w"].tolist() == [1, 1]
    assert len(os.listdir(tmp_path)) == 4
    js.checkpoint.save(path, {"w": jnp.zeros(2)})
    assert js.checkpoint.load(path)["w"].tolist() == [0, 0]
    assert len(os.listdir(tmp_path)) == 3


def test_the_last_one(tmp_path: Path):
    """`checkpoint` names those that are there, as TF1's savers write it; a folder means its last one."""
    assert js.checkpoint.latest_checkpoint(tmp_path) is None
    odd = 'model "\\\n.ckpt-3'
    for name in ("model.ckpt-1", "model.ckpt-2", odd):
        js.checkpoint.save(tmp_path / name, {name[:5]: jnp.ones(2)})
        assert js.checkpoint.latest_checkpoint(tmp_path) == str(tmp_path / name)
    assert js.checkpoint.list_variables(tmp_path) == [("model", [2])]
    (tmp_path / "model.ckpt-1.index").unlink()
    js.checkpoint.save(tmp_path / "model.ckpt-2", {"w": jnp.ones(2)})
    assert state.read(str(tmp_path)) == ("model.ckpt-2", (odd, "model.ckpt-2"))
    (tmp_path / "model.ckpt-2.index").unlink()
    assert js.checkpoint.latest_checkpoint(tmp_path) is None


@pytest.mark.parametrize(
    ("text", "latest"),
    [
        ('model_checkpoint_path: "a\\303\\244.ckpt"', "aä.ckpt"),
        ("model_checkpoint_path: 'x'\nlast_preserved_timestamp: 1.5e9\nother: true", "x"),
        ('# no\nmodel_checkpoint_path: "x"', None),
        ("model_checkpoint_path: x", None),
        ('all_model_checkpoint_paths: "x"', None),
        ('model_checkpoint_path: "x', None),
        ('model_checkpoint_path: "\\377"', None),
        ("", None),
        (b"\x80\x81", None),
    ],
)
def test_files_called_checkpoint(tmp_path: Path, text: Any, latest: str | None):
    """What is no state of TF1's is an error, and is not written over."""
    file = tmp_path / "checkpoint"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    if latest is not None:
        found = state.read(str(tmp_path))
        assert found is not None
        assert found.latest == latest
        return
    with pytest.raises(js.errors.CheckpointError, match="does not say which checkpoint is the last"):
        js.checkpoint.latest_checkpoint(tmp_path)
    before = file.read_bytes()
    with pytest.raises(js.errors.CheckpointError, match="does not say which checkpoint is the last"):
        js.checkpoint.save(tmp_path / "model.ckpt", {"w": jnp.ones(2)})
    assert os.listdir(tmp_path) == ["checkpoint"]
    assert file.read_bytes() == before


def test_what_cannot_be_saved(tmp_path: Path):
    """All of it in one error, and nothing is written."""
    given = {"a": jnp.ones(2, jnp.float8_e8m0fnu), "": jnp.ones(2), "b": np.zeros(2, ml_dtypes.int4)}
    with pytest.raises(js.errors.CheckpointError) as caught:
        js.checkpoint.save(tmp_path / "model.ckpt", given)
    assert caught.value.facts["values"].splitlines() == [
        "'' is no name for a variable there",
        "a is float8_e8m0fnu, which .ckpt has not",
        "b is int4, which .ckpt has not",
    ]
    assert os.listdir(tmp_path) == []


def test_without_the_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The error names the line that installs them; saving fails before anything is written."""
    js.checkpoint.save(tmp_path / "model.ckpt", {"w": jnp.ones(2)})
    before = sorted(os.listdir(tmp_path))
    monkeypatch.setitem(sys.modules, "google_crc32c", None)
    monkeypatch.setitem(sys.modules, "cramjam", None)
    with pytest.raises(ImportError, match=r"pip install 'jaxscope\[tf1\]'"):
        js.checkpoint.load(tmp_path / "model.ckpt")
    with pytest.raises(ImportError, match=r"pip install 'jaxscope\[tf1\]'"):
        js.checkpoint.save(tmp_path / "other.ckpt", {"w": jnp.ones(2)})
    with pytest.raises(ImportError, match=r"pip install 'jaxscope\[tf1\]'"):
        snappy.decompressed(b"\0")
    assert sorted(os.listdir(tmp_path)) == before


# --- small parts -----------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 2**64 - 1)))
def test_numbers_of_variable_length(numbers: list[int]):
    data = b"".join(map(to_varint, numbers))
    at, found = 0, []
    while at < len(data):
        value, at = varint(data, at)
        found.append(value)
    assert found == numbers == varints(data).tolist()


@given(st.dictionaries(st.integers(1, 2**20), st.integers(-(2**63), 2**63 - 1).filter(bool)))
def test_fields(numbers: dict[int, int]):
    data = b"".join(field(at, value) for at, value in numbers.items())
    assert {at: signed(value) for at, value in fields(data, dict.fromkeys(numbers, 0))} == numbers


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1))
def test_keys_sort_as_what_they_are_of(one: int, other: int):
    """The point of the code: by name, then by the start of each range, as numbers."""
    assert (key_of("w", [(one, 0)]) < key_of("w", [(other, 0)])) == (one < other)
    assert (key_of("v", [(one, 0)]) < key_of("w", [(other, 0)])) is True


@settings(max_examples=30)
@given(st.dictionaries(st.binary(max_size=30), st.binary(max_size=40), max_size=50))
def test_tables(rows: dict[bytes, bytes]):
    assert [(key, bytes(value)) for key, value in Table(table(sorted(rows.items()), {})).entries()] == sorted(
        rows.items()
    )


def test_checksums_of_much():
    """In pieces it is the checksum of all."""
    data = np.arange(1000, dtype="uint16").view("uint8")
    whole = checksums.extended(0, data)
    assert checksums.extended(checksums.extended(0, data[:7]), data[7:]) == whole
