"""The GPT-2 example is GPT-2: names, logits, gradients and samples as TensorFlow 1 had them."""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxscope as js

REAL = Path(__file__).parent / "tf1" / "real"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent / "examples"))
    return importlib.import_module("gpt2")


@pytest.fixture
def recorded() -> Any:
    return np.load(REAL / "gpt2_tiny" / "io.npz")


def tiny(example: Any) -> tuple[Any, js.Variables]:
    size = example.Size(n_vocab=97, n_ctx=16, n_embd=32, n_head=2, n_layer=2)
    path = REAL / "gpt2_tiny" / "model.ckpt"
    return size, js.checkpoint.load(path, example.specs_of(size)).variables


def test_the_published_names(example: Any):
    """All 148 variables of the published model, in its order."""
    names = json.loads((REAL / "gpt2_117m.json").read_text())
    specs = example.specs_of(example.Size())
    assert {name: list(spec.shape) for name, spec in specs.items()} == names
    assert list(specs) == list(names)


@pytest.mark.parametrize("stacked", [False, True])
def test_logits_and_a_cached_step(example: Any, recorded: Any, stacked: bool):
    size, variables = tiny(example)
    if stacked:
        variables = variables.stack("model/h{}")
    tokens, step = jnp.asarray(recorded["tokens"]), jnp.asarray(recorded["step_tokens"])
    apply = jax.jit(example.gpt2.apply, static_argnums=4)
    logits, cache = apply(variables, tokens, example.empty(size, 2, 16), 0, size)
    np.testing.assert_allclose(logits, recorded["logits"], rtol=1e-4, atol=1e-5)
    present = np.moveaxis(np.asarray(cache)[:, :, :, :, :12], 0, 1)
    np.testing.assert_allclose(present, recorded["present"], rtol=1e-4, atol=1e-5)
    logits, _ = apply(variables, step, cache, 12, size)
    np.testing.assert_allclose(logits, recorded["step_logits"], rtol=1e-4, atol=1e-5)


def test_gradients(example: Any, recorded: Any):
    size, variables = tiny(example)
    tokens = jnp.asarray(recorded["tokens"])

    @jax.jit
    def slopes(variables: js.Variables) -> Any:
        def loss(variables: js.Variables) -> jax.Array:
            logits, _ = example.gpt2.apply(variables, tokens, example.empty(size, 2, 12), 0, size)
            chances = jax.nn.log_softmax(logits[:, :-1])
            return -jnp.mean(jnp.take_along_axis(chances, tokens[:, 1:, None], -1))

        return jax.value_and_grad(loss)(variables)

    loss, gradients = slopes(variables)
    np.testing.assert_allclose(loss, recorded["loss"], rtol=1e-5)
    for name, norm in zip(recorded["grad_names"], recorded["grad_norms"], strict=True):
        found = jnp.linalg.norm(gradients[str(name).removesuffix(":0")])
        np.testing.assert_allclose(found, norm, rtol=2e-4, atol=1e-6)


def test_samples(example: Any, recorded: Any):
    """Of one choice it takes the likeliest, and what it has seen is in the cache."""
    size, variables = tiny(example)
    begin = jnp.asarray(recorded["gen_context"])
    more = example.sample(variables, begin, jax.random.key(0), size, 6, 1, 1.0)
    np.testing.assert_array_equal(more, recorded["gen_tokens"][:, 4:])
    chosen, text = example.sample(variables, begin, jax.random.key(1), size, 5, 0, 1.0), begin
    for at in range(5):  # again, without a cache
        logits, _ = example.gpt2.apply(variables, text, example.empty(size, 1, text.shape[1]), 0, size)
        key = jax.random.split(jax.random.key(1), 5)[at]
        text = jnp.concatenate([text, jax.random.categorical(key, logits[:, -1])[:, None]], 1)
    np.testing.assert_array_equal(chosen, text[:, 4:])


def test_it_runs(example: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Without files: a small model is written as TensorFlow 1 does, read, and sampled."""
    monkeypatch.setattr(sys, "argv", ["gpt2.py", "--length", "4", "--prompt", "abc"])
    assert example.main() == 0
    assert "tokens/s" in capsys.readouterr().out


def test_it_reads_published_tables(example: Any, tmp_path: Path):
    """With GPT-2's tables of pairs of bytes, texts are its tokens."""
    pytest.importorskip("tokenizers", reason="which only reads GPT-2's tables of pairs of bytes")
    letters = {chr(c): at for at, c in enumerate(range(ord("a"), ord("z") + 1))}
    (tmp_path / "encoder.json").write_text(json.dumps(letters | {"ab": 26, "Ġ": 27, "Ġab": 28}))
    (tmp_path / "vocab.bpe").write_text("#version: 0.2\na b\nĠ ab\n")
    words = example.Words(tmp_path)
    assert words.encode("ab abc") == [26, 28, 2]
    assert words.decode([26, 28, 2]) == "ab abc"
