"""Everywhere a tree goes: what other libraries save, load, export and label, with `Variables` as they are."""

import io
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

import jaxscope as js
from tests.checkpoint.nets import SPECS, VARIABLES, X, gpt, same

ROOT = Path(__file__).parents[2]


def elsewhere(program: str, *arguments: Path) -> str:
    """Run a program in a fresh process, and return what it prints."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": path, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-W", "error", "-c", program, *map(str, arguments)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


@pytest.fixture
def optax() -> Any:
    return pytest.importorskip("optax", reason="optimizer states are optax's")


# --- programs --------------------------------------------------------------------------------------

EXPORTED = """
import sys, jax, numpy as np
import jaxscope as js
program = jax.export.deserialize(bytearray(open(sys.argv[1], "rb").read()))
variables = js.checkpoint.load(sys.argv[2]).variables
for batch in (1, 5):
    y, state = program.call(variables, np.ones((batch, 8), "float32"))
    print(y.shape, float(y.sum() / batch), list(state))
"""


def test_an_exported_net(tmp_path: Path):
    """Serialised with a symbolic batch from specs alone, called in a fresh process on a file's variables."""
    pytest.importorskip("flatbuffers", reason="jax.export writes with it")
    (batch,) = export.symbolic_shape("batch")
    x = jax.ShapeDtypeStruct((batch, 8), "float32")
    program = export.export(jax.jit(gpt.apply_with_state))(SPECS.shape_dtypes(), x)
    (tmp_path / "net.jax").write_bytes(program.serialize())
    js.checkpoint.save(tmp_path / "net.safetensors", VARIABLES)
    told = elsewhere(EXPORTED, tmp_path / "net.jax", tmp_path / "net.safetensors").splitlines()
    expected = float(gpt.apply(VARIABLES, X).sum()) / len(X)
    for line, size in zip(told, (1, 5), strict=True):
        shape, _, rest = line.partition(") ")
        value, _, state = rest.partition(" ")
        assert shape == f"({size}, 8"
        assert float(value) == pytest.approx(expected, abs=1e-5)
        assert state == "['gpt/seen']"


PICKLED = """
import pickle, sys, jax
specs, variables, state = pickle.load(open(sys.argv[1], "rb"))
assert jax.tree.structure(specs.init(jax.random.key(0))) == jax.tree.structure(variables)
print(len(specs), len(variables.trainable), type(state[0].mu).__name__)
"""


def test_pickles_in_another_process(tmp_path: Path, optax: Any):
    state = optax.adam(1e-3).init(VARIABLES.trainable)
    (tmp_path / "net.pickle").write_bytes(pickle.dumps((SPECS, VARIABLES, state)))
    assert elsewhere(PICKLED, tmp_path / "net.pickle") == "6 5 Variables"


# --- flax ------------------------------------------------------------------------------------------


def test_flax(optax: Any):
    """`flax.serialization` takes variables, and optimizer states of them, as they are."""
    serialization = pytest.importorskip("flax.serialization", reason="compares with flax")
    tree = {"variables": js.Variables(VARIABLES, non_trainable=VARIABLES.non_trainable)}
    tree["state"] = optax.adamw(1e-3).init(VARIABLES.trainable)
    data = serialization.to_bytes(tree)
    back = serialization.from_bytes(jax.tree.map(jnp.zeros_like, tree), data)
    same(back, tree)
    assert list(back["variables"].non_trainable) == ["gpt/seen"]
    assert serialization.msgpack_restore(data)["variables"].keys() == VARIABLES.keys()
    other = js.Variables({"gpt/scale": jnp.ones(8), "new": jnp.ones(1)})
    with pytest.raises(js.errors.VariablesMismatchError) as caught:
        serialization.from_bytes(other, serialization.to_bytes(tree["variables"]))
    assert caught.value.facts["missing"] == "new"
    assert caught.value.facts["extra"].splitlines() == [name for name in VARIABLES if name != "gpt/scale"]


FLAX_LATER = """
import sys
import jaxscope as js, jax.numpy as jnp
assert not any(name.split(".")[0] == "flax" for name in sys.modules)
import flax.serialization
variables = js.Variables({"a/w": jnp.ones(2), "n": jnp.zeros(1)}, non_trainable=["n"])
back = flax.serialization.from_bytes(variables, flax.serialization.to_bytes(variables))
print(type(back).__name__, list(back.non_trainable), back["a/w"].tolist())
"""


def test_flax_that_is_imported_later():
    """Making variables does not import it, and tells it of them."""
    pytest.importorskip("flax.serialization", reason="compares with flax")
    assert elsewhere(FLAX_LATER) == "Variables ['n'] [1.0, 1.0]"


# --- equinox ---------------------------------------------------------------------------------------


def test_equinox(tmp_path: Path, optax: Any):
    equinox = pytest.importorskip("equinox", reason="compares with equinox")
    tree = (VARIABLES, optax.adam(1e-3).init(VARIABLES.trainable))
    equinox.tree_serialise_leaves(tmp_path / "model.eqx", tree)
    like = jax.tree.map(jnp.zeros_like, tree)
    same(equinox.tree_deserialise_leaves(tmp_path / "model.eqx", like), tree)
    like = jax.eval_shape(lambda: like)
    same(equinox.tree_deserialise_leaves(tmp_path / "model.eqx", like), tree)


def test_equinox_filters(optax: Any):
    """Its transformations take variables among a module's fields."""
    equinox = pytest.importorskip("equinox", reason="compares with equinox")
    arrays, rest = equinox.partition((VARIABLES, "name"), equinox.is_array)
    same(equinox.combine(arrays, rest)[0], VARIABLES)
    file = io.BytesIO()
    equinox.tree_serialise_leaves(file, VARIABLES.trainable)
    file.seek(0)
    same(equinox.tree_deserialise_leaves(file, VARIABLES.trainable), VARIABLES.trainable)


# --- orbax -----------------------------------------------------------------------------------------


@pytest.fixture
def orbax() -> Any:
    return pytest.importorskip("orbax.checkpoint", reason="compares with orbax")


def test_orbax(tmp_path: Path, orbax: Any, optax: Any):
    """By its own interface: with a target the tree comes back, without one a dict of the names."""
    tree = {"variables": VARIABLES, "state": optax.adam(1e-3).init(VARIABLES.trainable)}
    with orbax.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "theirs", tree)
        checkpointer.wait_until_finished()
        target = jax.eval_shape(lambda: tree)
        same(checkpointer.restore(tmp_path / "theirs", target), tree)
        plain = checkpointer.restore(tmp_path / "theirs")
    assert isinstance(plain["variables"], dict)
    same(SPECS.bind(plain["variables"]), VARIABLES)
    # And we load their folder, by a rename.
    loaded = js.checkpoint.load(tmp_path / "theirs", SPECS, rename={r"variables/(.*)": r"\1"}, extra="ignore")
    same(loaded.variables, VARIABLES)
    assert all(name.startswith("state/0/") for name in loaded.report.left)


def test_orbax_reads_ours(tmp_path: Path, orbax: Any):
    js.checkpoint.save(tmp_path / "ours", VARIABLES)
    with orbax.StandardCheckpointer() as checkpointer:
        same(SPECS.bind(checkpointer.restore(tmp_path / "ours" / "arrays")), VARIABLES)


def test_folders_of_orbaxs_manager(tmp_path: Path, orbax: Any):
    """Nested trees with lists in them: the keys on the way are the name."""
    tree = {"params": {"dense": {"kernel": jnp.ones((2, 3))}, "layers": [jnp.ones(1), jnp.zeros(2)]}}
    with orbax.CheckpointManager(tmp_path / "run") as manager:
        manager.save(3, args=orbax.args.StandardSave(tree))
    loaded = js.checkpoint.load(tmp_path / "run" / "3", rename={r"params/(.*)": r"\1"})
    assert {name: value.shape for name, value in loaded.items()} == {
        "dense/kernel": (2, 3),
        "layers/0": (1,),
        "layers/1": (2,),
    }
    with pytest.raises(js.errors.CheckpointError, match=r"use js\.checkpoint\.Manager"):
        js.checkpoint.load(tmp_path / "run")


# --- optax -----------------------------------------------------------------------------------------


def test_labels_by_name(optax: Any):
    """A plain dict is another tree than `Variables`: `Variables(labels)` serves, or `js.optim.match`."""
    transforms = {"head": optax.sgd(1.0), "body": optax.set_to_zero()}
    labels = {name: "head" if name == "gpt/scale" else "body" for name in VARIABLES.trainable}
    with pytest.raises(ValueError, match="Variables"):
        optax.multi_transform(transforms, labels).init(VARIABLES.trainable)
    for fitting in (
        js.Variables(labels),
        js.optim.match(VARIABLES.trainable, {"gpt/scale": "head", ".*": "body"}),
    ):
        optimizer = optax.multi_transform(transforms, fitting)
        gradients = jax.tree.map(jnp.ones_like, VARIABLES.trainable)
        updates, _ = optimizer.update(gradients, optimizer.init(VARIABLES.trainable))
        assert {name: float(value.sum()) for name, value in updates.items() if value.any()} == {
            "gpt/scale": -8
        }
    plain = VARIABLES.trainable.as_dict()
    optimizer = optax.multi_transform(transforms, labels)
    updates, _ = optimizer.update(jax.tree.map(jnp.ones_like, plain), optimizer.init(plain))
    np.testing.assert_array_equal(updates["gpt/scale"], -np.ones(8))
