"""What was saved comes back: all of it, bit by bit, whatever the format, and as it was at that moment."""

import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import jaxscope as js
from jaxscope import writing
from tests.checkpoint.nets import FORMATS, SPECS, VARIABLES, same

optax = pytest.importorskip("optax", reason="optimizer states are optax's")
pytest.importorskip("orbax.checkpoint", reason="folders are orbax's")
pytest.importorskip("google_crc32c", reason="TF1's checkpoints have its checksums")

TX = optax.chain(optax.clip(1.0), optax.adamw(1e-3))
DTYPES = [
    *("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "float16", "float32", "complex64"),
    *(jnp.bfloat16, jnp.float8_e4m3fn, jnp.float8_e5m2, jnp.float8_e8m0fnu),
]


@pytest.mark.parametrize("name", FORMATS)
def test_a_whole_training(tmp_path: Path, name: str):
    """Variables, which of them are trained, optimizer state, step and key come back."""
    state = TX.init(VARIABLES.trainable)
    with jax.numpy_dtype_promotion("standard"):  # which optax needs
        _, state = TX.update(VARIABLES.trainable, state, VARIABLES.trainable)
    js.checkpoint.save(tmp_path / name, VARIABLES, opt_state=state, step=7, key=jax.random.key(3))
    like = jax.eval_shape(TX.init, VARIABLES.trainable)
    for specs in (SPECS, None):
        loaded = js.checkpoint.load(tmp_path / name, specs, opt_state=like)
        same(loaded.variables, VARIABLES)
        same(loaded.opt_state, state)
        same(loaded.key, jax.random.key(3))
        assert loaded.step == 7
        assert loaded.report.used == {name: name for name in (SPECS if specs else VARIABLES)}
    alone = js.checkpoint.load(tmp_path / name)
    assert alone.opt_state is None
    assert alone.report.along["opt_state"].endswith("arrays, not asked for")


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    "key", [jax.random.PRNGKey(1), jax.random.split(jax.random.key(1, impl="rbg"), 3)], ids=str
)
def test_keys(tmp_path: Path, name: str, key: jax.Array):
    """Legacy ones, and many of another implementation."""
    js.checkpoint.save(tmp_path / name, {}, key=key)
    loaded = js.checkpoint.load(tmp_path / name)
    same(loaded.key, key)
    assert dict(loaded) == {}
    assert loaded.step is None


@pytest.mark.parametrize("name", FORMATS)
def test_keys_among_variables(tmp_path: Path, name: str):
    variables = js.Variables({"keys": jax.random.split(jax.random.key(0), 2), "w": jnp.ones(2)})
    js.checkpoint.save(tmp_path / name, variables)
    same(js.checkpoint.load(tmp_path / name).variables, variables)


NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12).filter(
    lambda name: not name.startswith(("__", "jaxscope:"))
)


@pytest.mark.parametrize("name", FORMATS[:2])
@settings(max_examples=40)
@given(data=st.data())
def test_any_arrays_under_any_names(tmp_path_factory: Any, name: str, data: st.DataObject):
    """Every type of JAX's, every shape, empty ones among them, every name that can be written."""
    path = tmp_path_factory.mktemp("any") / name
    shapes = arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)
    bits = st.tuples(st.sampled_from(DTYPES), shapes, st.integers(0, 2**32 - 1))

    def made(what: Any) -> np.ndarray:
        dtype, shape, seed = what
        raw = np.random.default_rng(seed).integers(0, 2 if dtype == "bool" else 256, 4096, "uint8")
        count = int(np.prod(shape)) * np.dtype(dtype).itemsize
        return np.resize(raw, count).view(dtype).reshape(shape)

    given = {key: made(what) for key, what in data.draw(st.dictionaries(NAMES, bits, max_size=5)).items()}
    js.checkpoint.save(path, given)
    mapped = data.draw(st.booleans())
    same(js.checkpoint.load(path, mapped=mapped).variables, js.Variables(given))


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: np.dtype(dtype).name)
def test_types_in_folders(tmp_path: Path, dtype: Any):
    """Empty arrays too, which orbax itself refuses."""
    given = {"a/w": jnp.ones((2, 3), dtype), "empty": jnp.ones((0, 3), dtype), "b": jnp.ones((), dtype)}
    js.checkpoint.save(tmp_path / "model", given)
    same(js.checkpoint.load(tmp_path / "model").variables, js.Variables(given))


def test_wide_types_where_they_are(tmp_path: Path):
    with jax.enable_x64(True):
        given = {"a": jnp.ones(2, "float64"), "b": jnp.int64(2**40), "c": jnp.ones(1, "complex128")}
        for name in FORMATS[1:]:
            js.checkpoint.save(tmp_path / name, given)
            same(js.checkpoint.load(tmp_path / name).variables, js.Variables(given))
        with pytest.raises(js.errors.CheckpointError, match=r"c is complex128, which \.safetensors has not"):
            js.checkpoint.save(tmp_path / "model.safetensors", given)


def test_equal_variables_give_equal_files(tmp_path: Path):
    for name in FORMATS[:2]:
        js.checkpoint.save(tmp_path / name, VARIABLES, step=1)
        first = (tmp_path / name).read_bytes()
        js.checkpoint.save(tmp_path / name, VARIABLES, step=1)
        assert (tmp_path / name).read_bytes() == first


def test_nested_mappings_are_variables(tmp_path: Path):
    js.checkpoint.save(tmp_path / "model.npz", VARIABLES.nested())
    same(js.checkpoint.load(tmp_path / "model.npz", SPECS).variables, VARIABLES)


# --- other libraries read and write the same files -------------------------------------------------


def test_the_safetensors_library_reads_ours(tmp_path: Path):
    theirs = pytest.importorskip("safetensors.flax", reason="compares with the library")
    path = tmp_path / "model.safetensors"
    given = {**VARIABLES, "half": jnp.ones(3, "bfloat16")}
    js.checkpoint.save(path, given)
    read = theirs.load_file(path)
    assert {name: read[name].tolist() for name in given} == {name: given[name].tolist() for name in given}


def test_we_read_those_of_the_safetensors_library(tmp_path: Path):
    theirs = pytest.importorskip("safetensors.flax", reason="compares with the library")
    path = tmp_path / "model.safetensors"
    given = {f"{at}/w": jnp.full(at + 1, at, "bfloat16" if at % 2 else "float32") for at in range(9)}
    theirs.save_file(dict(given), path)
    for mapped in (True, False):
        same(js.checkpoint.load(path, mapped=mapped).variables, js.Variables(given))


def test_several_files_and_an_index(tmp_path: Path):
    """As hubs have large models."""
    files = {name: f"model-{at % 2 + 1:05}-of-00002.safetensors" for at, name in enumerate(VARIABLES)}
    for file in set(files.values()):
        js.checkpoint.save(tmp_path / file, {name: VARIABLES[name] for name in files if files[name] == file})
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": files}))
    same(js.checkpoint.load(index, SPECS).variables, VARIABLES)
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="00002-of-00002"):
        js.checkpoint.load(index, SPECS)


def test_numpy_reads_ours(tmp_path: Path):
    js.checkpoint.save(tmp_path / "model.npz", VARIABLES)
    with np.load(tmp_path / "model.npz") as read:
        assert {name: read[name].tolist() for name in VARIABLES} == {
            n: v.tolist() for n, v in VARIABLES.items()
        }


@pytest.mark.parametrize("writer", [np.savez, np.savez_compressed])
def test_we_read_those_of_numpy(tmp_path: Path, writer: Any):
    """Also in Fortran's order, from the other kind of processor, and JAX's bfloat16, which it calls `V2`."""
    given = {
        "w": np.asfortranarray(np.arange(6, dtype="float32").reshape(2, 3)),
        "big": np.arange(3, dtype=">i2"),
        "half": np.asarray(jnp.ones(3, "bfloat16")),
    }
    writer(tmp_path / "model.npz", **given)
    read = js.checkpoint.load(tmp_path / "model.npz")
    same(read["w"], np.ascontiguousarray(given["w"]))
    same(read["big"], np.arange(3, dtype="int16"))
    same(read["half"], given["half"])


# --- the moment of saving --------------------------------------------------------------------------


@pytest.fixture
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Writing waits for this event."""
    event, write = threading.Event(), writing.write_array

    def slow(file: Any, array: Any) -> None:
        assert event.wait(30)
        write(file, array)

    for module in ("safetensors", "npz"):
        monkeypatch.setattr(f"jaxscope.checkpoint.{module}.write_array", slow)
    return event


@pytest.mark.parametrize("name", FORMATS[:2])
def test_what_is_saved_are_the_values_of_the_moment(tmp_path: Path, name: str, slow_disk: threading.Event):
    """Though arrays are donated, and NumPy's written into, before they are on the disk."""
    mine = np.ones(1000, "float32")
    variables = {"donated": jnp.arange(1000.0), "mine": mine, "kept": jnp.ones(3)}
    saving = js.checkpoint.save(tmp_path / name, variables, wait=False)
    assert not saving.done
    assert "going on" in repr(saving)
    step = jax.jit(lambda x: x * 0 - 1, donate_argnums=0)
    later = step(step(variables["donated"]))
    mine[:] = -1
    later.block_until_ready()
    slow_disk.set()
    saving.wait()
    assert saving.done
    loaded = js.checkpoint.load(tmp_path / name)
    np.testing.assert_array_equal(loaded["donated"], np.arange(1000.0, dtype="float32"))
    np.testing.assert_array_equal(loaded["mine"], np.ones(1000))


def test_saves_are_in_order(tmp_path: Path):
    """The next waits for the one before, so that the last one is what is there."""
    for step in range(5):
        saving = js.checkpoint.save(
            tmp_path / "m.safetensors", {"w": jnp.full(5000, step)}, step=step, wait=False
        )
    saving.wait()
    assert js.checkpoint.load(tmp_path / "m.safetensors").step == 4


def test_a_failure_behind_the_back_is_raised_at_the_next_save(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "model.safetensors"
    js.checkpoint.save(path, {"w": jnp.ones(3)})

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("jaxscope.checkpoint.safetensors.write_array", full)
        failed = js.checkpoint.save(path, {"w": jnp.zeros(3)}, wait=False)
        while not failed.done:
            pass
    with pytest.raises(OSError, match="No space left") as caught:
        js.checkpoint.save(path, {"w": jnp.zeros(3)}, wait=False)
    assert caught.value.__notes__ == [f"in saving {str(path)!r}"]
    failed.wait()  # it was told once
    assert js.checkpoint.load(path)["w"].tolist() == [1, 1, 1]
    assert os.listdir(tmp_path) == ["model.safetensors"]


def test_a_file_that_is_saved_over_leaves_mapped_arrays_as_they_are(tmp_path: Path):
    path = tmp_path / "model.safetensors"
    js.checkpoint.save(path, {"w": jnp.ones(64), "odd": jnp.ones(3)})
    old = js.checkpoint.load(path)
    before = old["w"]
    js.checkpoint.save(path, {"w": jnp.zeros(64), "odd": jnp.zeros(3)})
    assert before.tolist() == [1] * 64
    assert old["odd"].tolist() == [1] * 3  # read only now
    assert js.checkpoint.load(path)["w"].tolist() == [0] * 64
    path.unlink()
    assert before.tolist() == [1] * 64


def test_mapped_arrays_may_be_donated(tmp_path: Path):
    """The file stays what it was."""
    path = tmp_path / "model.safetensors"
    js.checkpoint.save(path, {"w": jnp.ones(64)})
    content = path.read_bytes()
    value = js.checkpoint.load(path)["w"]
    assert jax.jit(lambda x: x * 2, donate_argnums=0)(value).tolist() == [2] * 64
    assert path.read_bytes() == content
    assert js.checkpoint.load(path)["w"].tolist() == [1] * 64


def test_arrays_stay_in_the_file(tmp_path: Path):
    """JAX takes those whose size is a multiple of 64 bytes from where the file is mapped; others are read."""
    path = tmp_path / "model.safetensors"
    given = {f"w{at}": jnp.full(16 * at, at, "float32") for at in range(1, 5)} | {"odd": jnp.ones(3)}
    js.checkpoint.save(path, given)
    loaded = js.checkpoint.load(path)
    stored = loaded._stored
    for name in given:
        inside = loaded[name].unsafe_buffer_pointer() == stored.view(name).ctypes.data
        assert inside, name  # the first odd one too, which begins behind them
    assert loaded.variables["w3"] is loaded["w3"]


def test_links_and_permissions_stay(tmp_path: Path):
    path, link = tmp_path / "a.npz", tmp_path / "b.npz"
    js.checkpoint.save(path, {"w": jnp.ones(3)})
    path.chmod(0o640)
    link.symlink_to(path)
    js.checkpoint.save(link, {"w": jnp.zeros(3)})
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o640
    assert js.checkpoint.load(path)["w"].tolist() == [0, 0, 0]


# --- what cannot be saved --------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
def test_one_error_tells_all_that_cannot_be_saved(tmp_path: Path, name: str):
    """And the last file stays."""
    js.checkpoint.save(tmp_path / name, {"w": jnp.ones(3)})
    gone = jnp.ones(3)
    gone.delete()
    wrong = {
        "a": "text",
        "b": gone,
        "n" * 70_000: jnp.ones(1),
        "jaxscope:step": jnp.ones(1),
        "c": None,
        "d": np.array(["x"]),
    }
    with pytest.raises(js.errors.CheckpointError) as caught:
        js.checkpoint.save(tmp_path / name, wrong)
    assert caught.value.code == "unsupported"
    first = str(caught.value)
    for part in ("a is no array but str", "c is no array but NoneType", "'jaxscope:step' is no name"):
        assert part in first
    with pytest.raises(js.errors.CheckpointError, match="b is deleted: it was donated"):
        js.checkpoint.save(tmp_path / name, {"b": gone})
    with pytest.raises(js.errors.CheckpointError, match=r"w is traced: save outside jax\.jit"):
        jax.jit(lambda w: js.checkpoint.save(tmp_path / name, {"w": w}))(jnp.ones(3))
    assert js.checkpoint.load(tmp_path / name)["w"].tolist() == [1, 1, 1]


@pytest.mark.parametrize("name", FORMATS)
def test_what_goes_along_is_looked_at(tmp_path: Path, name: str):
    for wrong in ({"step": 1.5}, {"step": "7"}, {"step": jnp.ones(2)}, {"key": 3}, {"key": jnp.ones(2)}):
        with pytest.raises(js.errors.CheckpointError, match=r"step is no integer|key is no key of JAX's"):
            js.checkpoint.save(tmp_path / name, VARIABLES, **wrong)
    with pytest.raises(js.errors.CheckpointError, match=r"opt_state\['a'\] is no array but str"):
        js.checkpoint.save(tmp_path / name, VARIABLES, opt_state={"a": "adam"})
    with pytest.raises(js.errors.CheckpointError, match=r"w is object, which .* has not"):
        js.checkpoint.save(tmp_path / name, {"w": np.array([None])})
    assert not (tmp_path / name).exists()
    js.checkpoint.save(
        tmp_path / name, VARIABLES, step=np.int64(2**40), opt_state={"a": 1, "b": None, "c": ()}
    )
    loaded = js.checkpoint.load(tmp_path / name, opt_state={"a": 0, "b": None, "c": ()})
    assert loaded.step == 2**40
    assert loaded.opt_state == {"a": 1, "b": None, "c": ()}


def test_a_folder_of_other_things_stays(tmp_path: Path):
    """A folder is replaced where it is a checkpoint of ours, and nothing else is in it."""
    notes = tmp_path / "home" / "notes.txt"
    notes.parent.mkdir()
    notes.write_text("mine")
    for path in (notes.parent, tmp_path):
        with pytest.raises(js.errors.CheckpointError, match="it is not just a checkpoint of ours"):
            js.checkpoint.save(path, VARIABLES)
    js.checkpoint.save(tmp_path / "model", VARIABLES)
    (tmp_path / "model" / "notes.txt").write_text("mine")
    with pytest.raises(js.errors.CheckpointError, match="it is not just a checkpoint of ours"):
        js.checkpoint.save(tmp_path / "model", VARIABLES)
    (tmp_path / "2024").mkdir()
    with pytest.raises(js.errors.CheckpointError, match="called by numbers, that are no checkpoints"):
        js.checkpoint.Manager(tmp_path)
    assert notes.read_text() == "mine"


def test_a_link_to_a_folder_stays_one(tmp_path: Path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    for step in (1, 2):
        js.checkpoint.save(tmp_path / "link", VARIABLES, step=step)
    assert (tmp_path / "link").is_symlink()
    assert js.checkpoint.load(tmp_path / "real").step == 2


ENDING = """
import sys, numpy as np, jaxscope as js
js.checkpoint.save(sys.argv[1], {"w": np.arange(3e6)}, wait=False)
"""


def test_a_process_that_ends_has_saved(tmp_path: Path):
    subprocess.run(
        [sys.executable, "-c", ENDING, tmp_path / "m.npz"], cwd=Path(__file__).parents[2], check=True
    )
    assert js.checkpoint.load(tmp_path / "m.npz")["w"][-1] == 3e6 - 1


def test_many_threads_save(tmp_path: Path):
    """Each file is whole."""
    path = tmp_path / "m.npz"
    js.checkpoint.save(path, {"w": np.ones(1)})

    def work(at: int) -> None:
        for step in range(5):
            js.checkpoint.save(path, {"w": np.full(1000, at)}, step=step, wait=bool(step % 2))
            value = js.checkpoint.load(path)["w"]
            assert (value == value[0]).all()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    js.checkpoint.save(path, {"w": np.ones(1)}).wait()
    assert os.listdir(tmp_path) == ["m.npz"]


def test_paths(tmp_path: Path):
    with pytest.raises(js.errors.CheckpointError) as caught:
        js.checkpoint.save(tmp_path / "model.pt", VARIABLES)
    assert caught.value.code == "unknown_format"
    with pytest.raises(FileNotFoundError):
        js.checkpoint.save(tmp_path / "nowhere" / "model.npz", VARIABLES)
    for name in FORMATS:
        with pytest.raises(FileNotFoundError):
            js.checkpoint.load(tmp_path / name)
    (tmp_path / "empty").mkdir()
    with pytest.raises(js.errors.CheckpointError, match="no checkpoint of orbax's"):
        js.checkpoint.load(tmp_path / "empty")
