"""GPT-2 as it was published, in plain jax.numpy: TensorFlow 1's checkpoint and names, sampling with a cache.

With the published files (a folder of hparams.json, encoder.json, vocab.bpe and model.ckpt.*) it goes on with
a text of yours; TensorFlow is not needed. Without them it writes a small checkpoint of random values in the
same format, and reads it back. The blocks are one `jax.lax.scan`: 12 or 48 of them compile in the same time.

    python examples/gpt2.py --model models/124M --prompt "The meaning of life is" --length 40
"""

import argparse
import json
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import jaxscope as js


class Size(NamedTuple):
    """How large a model is; the names are those of its hparams.json."""

    n_vocab: int = 50257
    n_ctx: int = 1024
    n_embd: int = 768
    n_head: int = 12
    n_layer: int = 12


SMALL = Size(n_vocab=256, n_ctx=64, n_embd=64, n_head=4, n_layer=4)


# --- The model: plain functions that name their weights where they use them. ---


def norm(x: jax.Array, name: str) -> jax.Array:
    """Bring (..., features) to mean 0 and variance 1, then scale and shift them."""
    with js.variable_scope(name):
        g = js.get_variable("g", [x.shape[-1]], initializer=js.initializers.ones)
        b = js.get_variable("b", [x.shape[-1]], initializer=js.initializers.zeros)
    x = x - jnp.mean(x, -1, keepdims=True)
    return x * jax.lax.rsqrt(jnp.mean(jnp.square(x), -1, keepdims=True) + 1e-5) * g + b


def dense(x: jax.Array, units: int, name: str) -> jax.Array:
    """Map (..., features) to (..., units); the kernel is that of a convolution of width 1."""
    with js.variable_scope(name):
        w = js.get_variable(
            "w", [1, x.shape[-1], units], initializer=js.initializers.random_normal(0.0, 0.02)
        )
        b = js.get_variable("b", [units], initializer=js.initializers.zeros)
    return x @ w[0] + b


def attention(x: jax.Array, cache: jax.Array, position: Any, heads: int) -> tuple[jax.Array, jax.Array]:
    """Let each of (batch, new, features) look at itself and at what came before.

    Args:
        x: The new tokens.
        cache: Keys and values of all tokens, (batch, 2, heads, time, features of a head).
        position: How many tokens there were before.
        heads: How many heads.

    Returns:
        What each gets, and the cache with the new tokens in it.
    """
    batch, new, width = x.shape
    parts = dense(x, 3 * width, "c_attn").reshape(batch, new, 3, heads, width // heads)
    q, k, v = jnp.moveaxis(parts, (2, 3), (0, 2))
    cache = jax.lax.dynamic_update_slice(cache, jnp.stack([k, v], 1), (0, 0, 0, position, 0))
    seen = jnp.arange(cache.shape[3]) <= position + jnp.arange(new)[:, None]
    scores = q @ cache[:, 0].mT * (width // heads) ** -0.5
    found = jax.nn.softmax(jnp.where(seen, scores, -1e10)) @ cache[:, 1]
    return dense(found.swapaxes(1, 2).reshape(x.shape), width, "c_proj"), cache


def block(x: jax.Array, cache: jax.Array, position: Any, heads: int) -> tuple[jax.Array, jax.Array]:
    """Map (batch, new, features) to the same; return the cache beside it."""
    h = norm(x, "ln_1")
    with js.variable_scope("attn"):
        found, cache = attention(h, cache, position, heads)
    x = x + found
    h = norm(x, "ln_2")
    with js.variable_scope("mlp"):
        return x + dense(jax.nn.gelu(dense(h, 4 * x.shape[-1], "c_fc")), x.shape[-1], "c_proj"), cache


@js.transform
def gpt2(tokens: jax.Array, cache: jax.Array, position: Any, size: Size) -> tuple[jax.Array, jax.Array]:
    """Map (batch, new) tokens to (batch, new, vocabulary) logits of what follows each.

    Args:
        tokens: Those that are new.
        cache: What `empty` or the last call returned.
        position: How many tokens there were before.
        size: Of the model.

    Returns:
        The logits, and the cache with the new tokens in it.
    """
    normal = js.initializers.random_normal
    with js.variable_scope("model"):
        wpe = js.get_variable("wpe", [size.n_ctx, size.n_embd], initializer=normal(0.0, 0.01))
        wte = js.get_variable("wte", [size.n_vocab, size.n_embd], initializer=normal(0.0, 0.02))
        x = wte[tokens] + wpe[position + jnp.arange(tokens.shape[1])]
        blocks = js.scan_layers(block, size.n_layer, "h{}", xs=cache, outputs=True)
        x, cache = blocks(x, position, size.n_head)
        return norm(x, "ln_f") @ wte.T, cache


def empty(size: Size, batch: int, time: int) -> jax.Array:
    """Return a cache for so many tokens, of which none is there yet."""
    return jnp.zeros([size.n_layer, batch, 2, size.n_head, time, size.n_embd // size.n_head])


@partial(jax.jit, static_argnames=("size", "length", "top_k"))
def sample(
    variables: js.Variables, tokens: jax.Array, key: jax.Array, size: Size, length: int, top_k: int, heat: Any
) -> jax.Array:
    """Go on from (batch, time) tokens; return (batch, length) more.

    Args:
        variables: Those of `gpt2`; stacked ones (`variables.stack("model/h{}")`) need not be stacked anew.
        tokens: The beginning.
        key: Decides the choices.
        size: Of the model.
        length: How many tokens to add.
        top_k: From how many of the likeliest to choose; 0: from all.
        heat: The temperature.
    """

    def choose(logits: jax.Array, key: jax.Array) -> jax.Array:
        if top_k:
            logits = jnp.where(logits < jax.lax.top_k(logits, top_k)[0][:, -1:], -1e10, logits)
        return jax.random.categorical(key, logits / heat)

    def step(carry: tuple[jax.Array, jax.Array, jax.Array], key: jax.Array) -> tuple[Any, jax.Array]:
        logits, cache, position = carry
        token = choose(logits, key)
        logits, cache = gpt2.apply(variables, token[:, None], cache, position, size)
        return (logits[:, 0], cache, position + 1), token

    batch, time = tokens.shape
    logits, cache = gpt2.apply(variables, tokens, empty(size, batch, time + length), 0, size)
    carry = logits[:, -1], cache, jnp.int32(time)
    return jax.lax.scan(step, carry, jax.random.split(key, length))[1].T


# --- Files and texts. ---


def load(folder: Path) -> tuple[Size, js.Variables]:
    """Return how large a published model is, and its variables, with those of the blocks stacked."""
    size = Size(**json.loads((folder / "hparams.json").read_text()))
    specs = specs_of(size)
    path = js.checkpoint.latest_checkpoint(folder) or folder / "model.ckpt"
    return size, js.checkpoint.load(path, specs).variables.stack("model/h{}")


def specs_of(size: Size) -> js.VariableSpecs:
    """Return what variables a model has, by the names in its checkpoint."""
    return gpt2.spec(jnp.zeros([1, 1], jnp.int32), empty(size, 1, 1), 0, size)


def write_small(folder: Path, seed: int) -> None:
    """Write a small model of random values as the published ones are written, but for the vocabulary."""
    variables = specs_of(SMALL).init(jax.random.key(seed))
    (folder / "hparams.json").write_text(json.dumps(SMALL._asdict()))
    js.checkpoint.save(folder / "model.ckpt", variables)


class Words:
    """Texts as tokens: pairs of bytes where the folder has GPT-2's tables, else bytes."""

    def __init__(self, folder: Path) -> None:
        self._pairs: Any = None
        if (folder / "encoder.json").exists():
            try:
                from tokenizers import ByteLevelBPETokenizer
            except ImportError:
                sys.exit("GPT-2's tokens need a package: pip install tokenizers")
            self._pairs = ByteLevelBPETokenizer(str(folder / "encoder.json"), str(folder / "vocab.bpe"))

    def encode(self, text: str) -> list[int]:
        """Return a text's tokens."""
        return [*text.encode()] if self._pairs is None else [*self._pairs.encode(text).ids]

    def decode(self, tokens: list[int]) -> str:
        """Return the text of tokens."""
        if self._pairs is None:
            return "".join(one if one.isprintable() else " " for one in bytes(tokens).decode("latin-1"))
        return str(self._pairs.decode(tokens))


def parse() -> argparse.Namespace:
    """Return the options, checked."""
    parser = argparse.ArgumentParser(description="Go on with a text, by GPT-2 as it was published.")
    add = parser.add_argument
    add("--model", type=Path, help="a folder of the published files (default: a small random model)")
    add("--prompt", default="The meaning of life is", help='(default "The meaning of life is")')
    add("--length", type=int, default=32, help="tokens to add (default 32)")
    add("--top-k", type=int, default=40, help="choose among so many; 0: all (default 40)")
    add("--temperature", type=float, default=1.0, help="(default 1)")
    add("--seed", type=int, default=0, metavar="N", help="(default 0)")
    options = parser.parse_args()
    if not options.prompt or options.length < 1 or options.top_k < 0 or options.temperature <= 0:
        parser.error("--prompt, --length and --temperature must be something, and --top-k at least 0")
    if options.model is not None and not (options.model / "hparams.json").exists():
        parser.error(f"{options.model} has no hparams.json; it must be a folder of the published files")
    return options


def main() -> int:
    """Load a model, and let it go on with a text."""
    options = parse()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.model or Path(scratch)
        if options.model is None:
            print("no --model: a small model of random values, which knows nothing")
            write_small(folder, options.seed)
        size, variables = load(folder)
        words = Words(folder)
    print(f"{sum(value.size for value in variables.values()) / 1e6:.1f} million parameters, such as", end=" ")
    print(", ".join(f"{name} {[*value.shape]}" for name, value in [*variables.items()][:3]))
    tokens = words.encode(options.prompt)
    if len(tokens) + options.length > size.n_ctx:
        sys.exit(f"{len(tokens)} tokens and {options.length} more do not fit into {size.n_ctx}")
    start, key, heat = jnp.asarray([tokens], jnp.int32), jax.random.key(options.seed), options.temperature
    begin = time.perf_counter()
    program = sample.lower(variables, start, key, size, options.length, options.top_k, heat).compile()
    compiled = time.perf_counter()
    more = jax.block_until_ready(program(variables, start, key, heat))
    print(options.prompt + words.decode(more[0].tolist()))
    speed = options.length / (time.perf_counter() - compiled)
    print(f"compiled in {compiled - begin:.1f} s, {speed:.0f} tokens/s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
