"""What TensorFlow wrote is read, bit by bit: types, parts, several files, both versions, strings."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

import jaxscope as js
from jaxscope.checkpoint import formats
from tests.checkpoint.tf1.tables import RECORDED, apart, bundle, copied, expected, together

NAMES = [
    *("partitioned.ckpt", "v2_sharded.ckpt", "v1_sharded.ckpt", "v1_single.ckpt", "v1_format.ckpt"),
    *("adam", "scoped", "mixed.ckpt"),
]
VALUES = {"partitioned.ckpt": "partitioned", "v1_format.ckpt": "v1", "mixed.ckpt": "mixed"}


def values(name: str) -> dict[str, np.ndarray]:
    found = expected(VALUES.get(name, name))
    if name == "mixed.ckpt":
        found["bf16"] = found.pop("bf16_as_f32").astype(ml_dtypes.bfloat16)
        found["strings"] = np.array([bytes.fromhex(one) for one in found.pop("strings_hex").ravel()], object)
    return found


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mapped", [True, False])
def test_values(name: str, mapped: bool):
    """All that is there, in the types of the file."""
    stored = formats.opened(str(RECORDED / name), mapped=mapped)
    there = values(name)
    assert set(stored.entries) == set(there)
    for full, value in there.items():
        found = stored.numpy(full)
        assert found.shape == value.shape or value.dtype == object, full
        assert found.dtype == value.dtype
        assert found.ravel().tolist() == value.ravel().tolist() if value.dtype == object else True
        assert found.tobytes() == value.tobytes() or value.dtype == object
        if not stored.entries[full].problem:
            assert stored.host(full).tobytes() == value.tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_loaded(name: str):
    """As JAX's arrays, each alone, and where 64 bits are off in 32 if they fit."""
    path = RECORDED / name
    there = values(name)
    dtypes = {full: value.dtype for full, value in there.items()}
    names = [full for full, dtype in dtypes.items() if dtype.kind != "O"]
    with jax.enable_x64(True):
        loaded = js.checkpoint.load(path, extra="ignore")
        assert sorted(loaded) == sorted(names)
        for full in names:
            one = js.checkpoint.load(path, extra="ignore")[full]
            assert np.asarray(one).tobytes() == there[full].tobytes()
            assert one.dtype == dtypes[full]


def test_strings():
    """On demand, and nothing else of them: they are no variables."""
    words = js.checkpoint.load_variable(RECORDED / "strings.ckpt", "words")
    assert words.tolist() == [[b"one", b""], [b"\0\xff", b"a longer one" * 30]]
    assert js.checkpoint.load_variable(RECORDED / "strings.ckpt", "empty_words").shape == (0,)
    assert js.checkpoint.list_variables(RECORDED / "strings.ckpt") == [
        *(("empty_words", [0]), ("half", [3]), ("words", [2, 2]))
    ]
    with pytest.raises(js.errors.VariablesMismatchError, match=r"strings, which JAX has not: js\.checkpoint"):
        js.checkpoint.load(RECORDED / "strings.ckpt")
    loaded = js.checkpoint.load(RECORDED / "strings.ckpt", extra="ignore")
    assert list(loaded) == ["half"]
    assert loaded["half"].tolist() == [1.5] * 3
    assert loaded["half"].dtype == jnp.bfloat16
    assert loaded.report.left == ["empty_words", "words"]


def test_any_of_its_files_names_it():
    for ending in ("", ".index", ".data-00000-of-00001", ".meta"):
        assert len(js.checkpoint.list_variables(f"{RECORDED / 'mixed.ckpt'}{ending}")) == 15


def test_no_array_is_near():
    with pytest.raises(KeyError, match="near names: net/w"):
        js.checkpoint.load_variable(RECORDED / "adam", "net/v")
    assert js.checkpoint.load_variable(RECORDED / "adam", "net/w:0").shape == (3, 4)


@pytest.mark.parametrize("name", ["mixed.ckpt.index", "v1_format.ckpt"])
def test_compressed_blocks(tmp_path: Path, name: str):
    """TF1's own builds compressed files of version 1; TF reads bundles whose index is, too."""
    prefix = copied(name.removesuffix(".index"), tmp_path)
    file = tmp_path / name
    file.write_bytes(together(*apart(file.read_bytes()), compress=True))
    stored = formats.opened(str(prefix), mapped=True)
    for full, value in values(name.removesuffix(".index")).items():
        assert stored.numpy(full).tobytes() == value.tobytes() or value.dtype == object


def test_the_high_byte_first(tmp_path: Path):
    """As other machines write; each type that has one."""
    given = {
        dtype: np.arange(6).reshape(2, 3).astype(dtype) * np.array(1.5).astype(dtype)
        for dtype in ("float32", "float64", "int64", "int16", "uint8", "bool", "complex64", "bfloat16")
    }
    stored = formats.opened(str(bundle(tmp_path / "big", given, big=True)), mapped=True)
    for name, value in given.items():
        np.testing.assert_array_equal(stored.host(name), value)


def test_many_blocks(tmp_path: Path):
    """An index of 9,000 long names has several."""
    name = "a_rather_long_scope/number_{:05}/of_variables".format
    given = {name(at): np.full(2, at, "float32") for at in range(9000)}
    js.checkpoint.save(tmp_path / "many.ckpt", given)
    assert len(apart((tmp_path / "many.ckpt.index").read_bytes())[0]) > 1
    loaded = js.checkpoint.load(tmp_path / "many.ckpt")
    assert len(loaded) == 9000
    for name in list(given)[::500]:
        assert loaded[name].tolist() == given[name].tolist()


@pytest.mark.parametrize("name", ["v2_sharded.ckpt", "adam", "v1_single.ckpt"])
def test_one_variable_is_read_alone(tmp_path: Path, name: str):
    """Where the values of others are damaged, it is read all the same, and they are not."""
    prefix = copied(name, tmp_path)
    file = next(
        file
        for ending in (".data-00001-of-00003", ".data-00000-of-00001", "")
        if (file := tmp_path / f"{name}{ending}").is_file()
    )
    content = bytearray(file.read_bytes())
    at = 3 if name != "v1_single.ckpt" else len(content) // 2
    content[at] ^= 1
    file.write_bytes(content)
    if name == "v1_single.ckpt":  # small: all is in one block, whose checksum is another
        with pytest.raises(js.errors.CheckpointError, match="checksum of the block at byte 0"):
            js.checkpoint.load(prefix)
        return
    with jax.enable_x64(True):
        loaded = js.checkpoint.load(prefix)
        good, bad = [], []
        for full, value in values(name).items():
            try:
                assert np.asarray(loaded[full]).tobytes() == value.tobytes()
                good.append(full)
            except js.errors.CheckpointError as error:
                bad.append((full in error.summary, "checksum of" in error.summary, error.facts["file"]))
    assert bad == [(True, True, str(file))]
    assert len(good) == len(values(name)) - 1


@pytest.mark.parametrize("name", ["v2_sharded.ckpt", "v1_sharded.ckpt"])
def test_parts_are_read_for_the_part_that_is_asked_for(name: str):
    """Each device's part of a variable that is stored in parts, along either axis."""
    stored: Any = formats.opened(str(RECORDED / name), mapped=True)
    there = values(name)
    for full in ("p/rows", "p/cols"):
        for rows in (slice(None), slice(1, 2), slice(0, 1)):
            for columns in (slice(None), slice(2, 3), slice(0, 2)):
                np.testing.assert_array_equal(stored.view(full)[rows, columns], there[full][rows, columns])


def test_placed_on_a_mesh():
    mesh = jax.make_mesh((1,), ("model",))
    place = NamedSharding(mesh, PartitionSpec("model", None))
    loaded = js.checkpoint.load(RECORDED / "partitioned.ckpt", shardings={"emb": place})
    assert loaded["emb"].sharding == place
    np.testing.assert_array_equal(loaded["emb"], values("partitioned.ckpt")["emb"])
