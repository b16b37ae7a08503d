"""The manager: due steps are saved in the background, the last few stay, and a training goes on from them."""

import os
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxscope as js
from tests.checkpoint.nets import SPECS, VARIABLES, same

optax = pytest.importorskip("optax", reason="optimizer states are optax's")
pytest.importorskip("orbax.checkpoint", reason="checkpoints are orbax's")

TX = optax.adam(1e-2)


@jax.jit
def gradients(params: js.Variables, key: jax.Array) -> js.Variables:
    return jax.tree.map(lambda value: jax.random.normal(key, value.shape) + value, params)


@jax.jit
def update(params: js.Variables, state: Any, key: jax.Array) -> Any:
    key, now = jax.random.split(key)
    with jax.numpy_dtype_promotion("standard"):  # which optax needs
        updates, state = TX.update(gradients(params, now), state)
    return optax.apply_updates(params, updates), state, key


update_in_place = jax.jit(update, donate_argnums=(0, 1))


def train(folder: Path, last: int, **how: Any) -> Any:
    """Train from wherever a folder is up to step `last`, and return what there is then."""
    with js.checkpoint.Manager(folder, **how) as manager:
        if manager.latest_step is None:
            step, variables, key = -1, SPECS.init(jax.random.key(0)), jax.random.key(1)
            state = TX.init(variables.trainable)
        else:
            loaded = manager.load(SPECS, opt_state=jax.eval_shape(TX.init, VARIABLES.trainable))
            step, variables, state, key = loaded.step, loaded.variables, loaded.opt_state, loaded.key
        while (step := step + 1) < last:
            params, state, key = update_in_place(variables.trainable, state, key)
            variables = params | variables.non_trainable
            manager.save(step, variables, opt_state=state, key=key)
        return variables, state, key


def test_a_training_goes_on_as_if_nothing_had_been(tmp_path: Path):
    """Though each step takes over the arrays that are being saved."""
    once = train(tmp_path / "once", 11, keep=None)
    train(tmp_path / "twice", 6, keep=2, every=5)
    same(train(tmp_path / "twice", 11, keep=2, every=5), once)


def test_due_steps_are_saved_and_the_last_few_kept(tmp_path: Path):
    with js.checkpoint.Manager(tmp_path / "a" / "b", keep=2, every=3) as manager:
        assert manager.latest_step is None
        assert manager.steps == []
        due = [step for step in range(10) if manager.save(step, {"w": jnp.full(3, step)})]
        assert due == [0, 3, 6, 9]
        assert manager.save(10, {"w": jnp.full(3, 10)}, force=True)
        manager.wait()
        assert (manager.steps, manager.latest_step) == ([9, 10], 10)
        assert repr(manager) == f"<Manager {str(tmp_path / 'a' / 'b')!r}, steps [9, 10]>"
        assert manager.load()["w"].tolist() == [10] * 3
        assert manager.load(step=9).step == 9
        with pytest.raises(FileNotFoundError, match=r"no checkpoint of step 3 in .*; steps: \[9, 10\]"):
            manager.load(step=3)
    assert js.checkpoint.load(tmp_path / "a" / "b" / "9")["w"].tolist() == [9] * 3
    assert os.listdir(tmp_path / "a" / "b" / ".deleted") == []


def test_nothing_to_load(tmp_path: Path):
    with js.checkpoint.Manager(tmp_path) as manager, pytest.raises(FileNotFoundError, match="of any step"):
        manager.load()


def test_what_is_saved_are_the_values_of_the_moment(tmp_path: Path):
    mine = np.zeros(1000, "float32")
    with js.checkpoint.Manager(tmp_path, keep=None) as manager:
        for step in range(4):
            manager.save(step, {"mine": mine})
            mine += 1
        manager.wait()
        assert [manager.load(step=step)["mine"][-1] for step in range(4)] == [0, 1, 2, 3]


def test_the_same_step_again(tmp_path: Path):
    """It is there already, and stays."""
    with js.checkpoint.Manager(tmp_path) as manager:
        assert manager.save(3, {"w": jnp.ones(1)})
        assert not manager.save(3, {"w": jnp.zeros(1)})
        assert not manager.save(2, {"w": jnp.zeros(1)})
        assert manager.load()["w"] == 1


def test_a_failure_is_raised_at_the_next_save_or_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    manager = js.checkpoint.Manager(tmp_path)
    manager.save(0, {"w": jnp.ones(1)})
    manager.wait()
    with monkeypatch.context() as patched:
        patched.setattr(manager._manager, "save", full)
        manager.save(1, {"w": jnp.ones(1)})
        with pytest.raises(OSError, match="No space left"):
            manager.save(2, {"w": jnp.ones(1)})
        manager.save(2, {"w": jnp.ones(1)})
        with pytest.raises(OSError, match="No space left"):
            manager.close()
    with js.checkpoint.Manager(tmp_path) as manager:
        assert manager.steps == [0]


def test_arguments(tmp_path: Path):
    for wrong in ({"keep": 0}, {"every": 0}):
        with pytest.raises(ValueError, match="at least"):
            js.checkpoint.Manager(tmp_path, **wrong)
    with js.checkpoint.Manager(tmp_path) as manager:
        with pytest.raises(js.errors.CheckpointError, match="a is no array but str"):
            manager.save(0, {"a": "text"})
        with pytest.raises(js.errors.CheckpointError, match="w is traced"):
            jax.jit(lambda w: manager.save(0, {"w": w}))(jnp.ones(1))
        assert manager.steps == []


def test_without_orbax(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An error says what to install; files need nothing but JAX."""
    monkeypatch.setitem(__import__("sys").modules, "orbax.checkpoint", None)
    for use in (js.checkpoint.Manager, lambda path: js.checkpoint.save(path / "m", VARIABLES)):
        with pytest.raises(ImportError, match=r"pip install 'jaxscope\[checkpoint\]'"):
            use(tmp_path)
    js.checkpoint.save(tmp_path / "m.safetensors", VARIABLES)
    same(js.checkpoint.load(tmp_path / "m.safetensors").variables, VARIABLES)
