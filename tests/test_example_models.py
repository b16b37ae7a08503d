"""The larger examples, at tiny sizes: each trains, survives Ctrl-C, goes on as if nothing was, and draws."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import jaxscope as js

for needed in ("matplotlib", "optax", "rich", "sklearn", "safetensors"):
    pytest.importorskip(needed)
load_digits = importlib.import_module("sklearn.datasets").load_digits

SMALL_GPT = ("--width", "16", "--layers", "2", "--context", "8", "--batch", "4")
CASES = {
    "char_gpt": ("--steps", "4", *SMALL_GPT),
    "gan": ("--steps", "4", "--batch", "8"),
    "resnet": ("--epochs", "2", "--batch", "80"),
}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Return what runs an example in an empty folder, and returns its exit status."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent / "examples"))

    def run(name: str, *arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *arguments])
        module = importlib.import_module(name)
        if name == "resnet":  # each image takes a while, and no test asks how well it reads
            images, digits = load_digits(return_X_y=True)
            few = images[:300], digits[:300]
            monkeypatch.setattr(module, "load_digits", lambda return_X_y: few)
        with jax.numpy_dtype_promotion("standard"):  # optax mixes dtypes
            return int(module.main())

    return run


def interrupt(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """Let Ctrl-C come where the data of a step (or an epoch) is chosen."""
    choose = np.random.default_rng

    def default_rng(seed: Any) -> np.random.Generator:
        if isinstance(seed, tuple) and seed[1:] == (at,):
            raise KeyboardInterrupt
        return choose(seed)

    monkeypatch.setattr(np.random, "default_rng", default_rng)


@pytest.mark.parametrize("name", CASES)
def test_interrupted_and_resumed(
    name: str, run: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """What is resumed ends where an uninterrupted training does."""
    arguments = CASES[name]
    assert run(name, *arguments, "--checkpoint", "whole.safetensors") == 0
    with monkeypatch.context() as patch:
        interrupt(patch, at=int(arguments[1]) // 2)
        assert run(name, *arguments, "--checkpoint", "parts.safetensors") == 130
    assert js.checkpoint.load("parts.safetensors").step == int(arguments[1]) // 2
    assert run(name, *arguments, "--checkpoint", "parts.safetensors", "--resume") == 0
    whole, parts = (js.checkpoint.load(f"{which}.safetensors").variables for which in ("whole", "parts"))
    assert list(whole) == list(parts)
    for key in whole:
        np.testing.assert_allclose(whole[key], parts[key], rtol=1e-5, atol=1e-6, err_msg=key)
    assert (tmp_path / f"{name}.png").read_bytes().endswith(b"IEND\xaeB`\x82")


def test_adapters_are_folded(run: Callable[..., int], capsys: pytest.CaptureFixture[str]):
    """What is trained beside frozen weights ends in weights for the model as it was."""
    assert run("char_gpt", *CASES["char_gpt"]) == 0
    assert run("lora", "--steps", "3", "--batch", "4", "--context", "8", "--rank", "2") == 0
    base, folded = js.checkpoint.load("char_gpt.safetensors"), js.checkpoint.load("lora.safetensors")
    assert list(base) == list(folded)
    assert not np.array_equal(base["layer_{}/up/kernel"], folded["layer_{}/up/kernel"])
    np.testing.assert_array_equal(base["characters/embeddings"].shape, folded["characters/embeddings"].shape)
    assert "folded weights in lora.safetensors" in capsys.readouterr().out


@pytest.mark.parametrize("name", [*CASES, "lora"])
@pytest.mark.parametrize("wrong", [("--batch", "0"), ("--out", "no/such/folder.png")])
def test_wrong_options_are_told_at_once(name: str, wrong: tuple[str, str], run: Callable[..., int]):
    """A wrong option is reported before a minute is spent on training."""
    with pytest.raises(SystemExit) as caught:
        run(name, *wrong)
    assert caught.value.code == 2
