"""GPT-2 by the formulas of its published source, which traces more operations than one would write today."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


@dataclass(frozen=True)
class Published:
    """How large it is; the names of the sizes are those of its source."""

    name: str = "GPT-2, as published"
    n_vocab: int = 50257
    n_ctx: int = 1024
    n_embd: int = 768
    n_head: int = 12
    n_layer: int = 12
    batch: int = 1

    @property
    def variables(self) -> int:
        return 12 * self.n_layer + 4

    def inputs(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        return (jax.ShapeDtypeStruct((self.batch, self.n_ctx), jnp.int32),)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each variable by name, in order of making."""
        width = self.n_embd
        found: dict[str, tuple[int, ...]] = {"wpe": (self.n_ctx, width), "wte": (self.n_vocab, width)}
        for i in range(self.n_layer):
            for layer, (ins, outs) in {
                "ln_1": (0, 0),
                "attn/c_attn": (width, 3 * width),
                "attn/c_proj": (width, width),
                "ln_2": (0, 0),
                "mlp/c_fc": (width, 4 * width),
                "mlp/c_proj": (4 * width, width),
            }.items():
                at = f"h{i}/{layer}"
                found |= (
                    {f"{at}/w": (1, ins, outs), f"{at}/b": (outs,)}
                    if ins
                    else {f"{at}/g": (width,), f"{at}/b": (width,)}
                )
        found |= {"ln_f/g": (width,), "ln_f/b": (width,)}
        return {f"model/{name}": shape for name, shape in found.items()}


def softmax(x: jax.Array) -> jax.Array:
    x = x - jnp.max(x, axis=-1, keepdims=True)
    e = jnp.exp(x)
    return e / jnp.sum(e, axis=-1, keepdims=True)


def gelu(x: jax.Array) -> jax.Array:
    return 0.5 * x * (1 + jnp.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * jnp.power(x, 3))))


def norm(x: jax.Array, g: jax.Array, b: jax.Array) -> jax.Array:
    mean = jnp.mean(x, axis=-1, keepdims=True)
    variance = jnp.mean(jnp.square(x - mean), axis=-1, keepdims=True)
    return (x - mean) * jax.lax.rsqrt(variance + 1e-5) * g + b


def linear(x: jax.Array, w: jax.Array, b: jax.Array) -> jax.Array:
    units = w.shape[-1]
    y = jnp.matmul(jnp.reshape(x, (-1, x.shape[-1])), jnp.reshape(w, (-1, units))) + b
    return jnp.reshape(y, (*x.shape[:-1], units))


def to_heads(x: jax.Array, heads: int) -> jax.Array:
    return jnp.transpose(jnp.reshape(x, (*x.shape[:-1], heads, x.shape[-1] // heads)), (0, 2, 1, 3))


def attend(c: jax.Array, heads: int) -> tuple[jax.Array, jax.Array]:
    """Return what is found by queries, keys and values in a row, and the keys and values."""
    q, k, v = (to_heads(part, heads) for part in jnp.split(c, 3, axis=2))
    present = jnp.stack([k, v], axis=1)
    w = jnp.matmul(q, jnp.swapaxes(k, -1, -2))
    w = w * jax.lax.rsqrt(np.float32(v.shape[-1]))
    nd, ns = w.shape[-2:]
    seen = jnp.arange(nd)[:, None] >= jnp.arange(ns) - ns + nd
    mask = jnp.reshape(seen.astype(w.dtype), (1, 1, nd, ns))
    a = jnp.transpose(jnp.matmul(softmax(w * mask - 1e10 * (1 - mask)), v), (0, 2, 1, 3))
    return jnp.reshape(a, (*a.shape[:2], -1)), present


def positions(tokens: jax.Array, past: int) -> jax.Array:
    places = jnp.expand_dims(past + jnp.arange(tokens.shape[1]), 0)
    return jnp.tile(places, (tokens.shape[0], 1))


def embed(tokens: jax.Array, wpe: jax.Array, wte: jax.Array) -> jax.Array:
    return wte[tokens] + wpe[positions(tokens, 0)]


def outputs(h: jax.Array, wte: jax.Array, presents: list[jax.Array]) -> dict[str, jax.Array]:
    flat = jnp.matmul(jnp.reshape(h, (-1, h.shape[-1])), jnp.transpose(wte))
    return {
        "present": jnp.stack(presents, axis=1),
        "logits": jnp.reshape(flat, (*h.shape[:-1], wte.shape[0])),
    }


def forward(w: dict[str, Any], tokens: jax.Array, size: Published) -> dict[str, jax.Array]:
    """Return logits, and keys and values, by hand-written JAX over names."""
    h = embed(tokens, w["model/wpe"], w["model/wte"])
    presents: list[jax.Array] = []
    for i in range(size.n_layer):
        at = f"model/h{i}"
        c = linear(
            norm(h, w[f"{at}/ln_1/g"], w[f"{at}/ln_1/b"]), w[f"{at}/attn/c_attn/w"], w[f"{at}/attn/c_attn/b"]
        )
        a, present = attend(c, size.n_head)
        presents.append(present)
        h = h + linear(a, w[f"{at}/attn/c_proj/w"], w[f"{at}/attn/c_proj/b"])
        m = linear(
            norm(h, w[f"{at}/ln_2/g"], w[f"{at}/ln_2/b"]), w[f"{at}/mlp/c_fc/w"], w[f"{at}/mlp/c_fc/b"]
        )
        h = h + linear(gelu(m), w[f"{at}/mlp/c_proj/w"], w[f"{at}/mlp/c_proj/b"])
    return outputs(norm(h, w["model/ln_f/g"], w["model/ln_f/b"]), w["model/wte"], presents)
