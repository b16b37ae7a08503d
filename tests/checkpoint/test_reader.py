"""load_checkpoint: what is in a file of whatever format, as it is there; and how far a save is."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxscope as js

VARIABLES = js.Variables(
    {"a/w": np.arange(6.0).reshape(2, 3), "n": np.int64(2**40), "k": jax.random.key(3)}, non_trainable=["n"]
)


@pytest.mark.parametrize("name", ["m.safetensors", "m.npz", "m.ckpt", "folder"])
def test_as_they_are(tmp_path: Path, name: str):
    """64 bits stay 64 bits; names, shapes and types are told before anything is read."""
    path = tmp_path / name
    js.checkpoint.save(
        path, VARIABLES, step=7, key=jax.random.key(1), opt_state=optax.sgd(1.0).init({"w": 1.0})
    )
    reader = js.checkpoint.load_checkpoint(path)
    assert set(reader) - {"global_step"} == set(VARIABLES)
    shapes, types = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
    assert (shapes["a/w"], types["a/w"], types["n"]) == ([2, 3], np.float64, np.int64)
    np.testing.assert_array_equal(reader["a/w"], VARIABLES["a/w"])
    assert reader.get_tensor("n") == 2**40
    assert reader.has_tensor("n")
    assert "n" in reader
    assert not reader.has_tensor("m")
    assert (reader.step, reader.key) == (7, jax.random.key(1))
    assert reader.non_trainable == {"n"}
    assert reader.key_impls == {"k": "threefry2x32"}
    assert reader.unreadable == {}
    with pytest.raises(KeyError, match="near names: a/w"):
        reader["a/v"]


def test_of_a_later_version(tmp_path: Path):
    """What was saved by rules that nobody knows yet is not guessed at, whoever looks."""
    path = tmp_path / "m.safetensors"
    js.checkpoint.save(path, {"w": np.ones(2)})
    saved = path.read_bytes()
    assert saved.count(b'"jaxscope":"1"') == 1
    path.write_bytes(saved.replace(b'"jaxscope":"1"', b'"jaxscope":"2"'))
    lookers = [
        js.checkpoint.load,
        js.checkpoint.load_checkpoint,
        js.checkpoint.list_variables,
        lambda path: js.checkpoint.load_variable(path, "w"),
    ]
    for look in lookers:
        with pytest.raises(js.errors.CheckpointError) as caught:
            look(path)
        assert caught.value.code == "unsupported"


def test_of_others(tmp_path: Path):
    """What cannot be a variable here is told, with the reason."""
    np.savez(tmp_path / "a.npz", w=np.ones(2), words=np.array(["a", "b"]))
    reader = js.checkpoint.load_checkpoint(tmp_path / "a.npz")
    assert list(reader.unreadable) == ["words"]
    assert (reader.step, reader.key, reader.along) == (None, None, {})
    with pytest.raises(FileNotFoundError):
        js.checkpoint.load_checkpoint(tmp_path / "b.npz")


def test_types_of_what_is_loaded(tmp_path: Path):
    """`shape_dtypes` says of each variable what it will be here, also of those that are drawn."""
    net = js.transform(lambda: [js.get_variable("w", [2]), js.get_variable("new", [3], trainable=False)])
    js.checkpoint.save(tmp_path / "a.npz", {"w": np.ones(2), "k": jax.random.key(0)})
    options = {"missing": "init", "extra": "ignore", "key": jax.random.key(0)}
    loaded = js.checkpoint.load(tmp_path / "a.npz", net.spec(), **options)
    types = loaded.shape_dtypes()
    assert {name: (one.shape, one.dtype) for name, one in types.items()} == {
        "w": ((2,), jnp.float32),
        "new": ((3,), jnp.float32),
    }
    assert list(types.non_trainable) == ["new"]
    whole = js.checkpoint.load(tmp_path / "a.npz")
    there, here = whole.shape_dtypes(), whole.variables
    assert {name: one.dtype for name, one in there.items()} == {name: one.dtype for name, one in here.items()}


@pytest.mark.parametrize("name", ["m.safetensors", "m.npz", "m.ckpt", "folder"])
def test_progress(tmp_path: Path, name: str):
    """Bytes before each array, and all of them at the end."""
    told: list[tuple[int, int]] = []
    values = {f"w{at}": jnp.ones(16) for at in range(4)}
    js.checkpoint.save(tmp_path / name, values, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (256, 256)
    assert told == sorted(told)
    if name != "folder":
        assert [done for done, _ in told] == [0, 64, 128, 192, 256]
    np.testing.assert_array_equal(js.checkpoint.load(tmp_path / name)["w3"], np.ones(16))
