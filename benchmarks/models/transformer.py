"""Transformers: a GPT-2 with embeddings, and a bare stack of blocks that may be scanned or wrapped."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp


@dataclass(frozen=True)
class Decoder:
    """GPT-2: tied embeddings, learned positions, pre-norm blocks, 12 variables a block and 4 more."""

    name: str
    depth: int = 12
    width: int = 768
    heads: int = 12
    vocabulary: int = 50257
    context: int = 1024
    batch: int = 1

    @property
    def variables(self) -> int:
        return 12 * self.depth + 4

    def inputs(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        return (jax.ShapeDtypeStruct((self.batch, self.context), jnp.int32),)


@dataclass(frozen=True)
class Stack:
    """`depth` pre-norm blocks without embeddings: unrolled, or one `lax.scan` over stacked variables."""

    depth: int
    width: int = 256
    heads: int = 4
    context: int = 32
    batch: int = 1
    scanned: bool = False

    @property
    def name(self) -> str:
        return f"{self.depth} blocks, {'scanned' if self.scanned else 'unrolled'}"

    @property
    def variables(self) -> int:
        return 12 if self.scanned else 12 * self.depth

    def inputs(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        return (jax.ShapeDtypeStruct((self.batch, self.context, self.width), jnp.float32),)


@dataclass(frozen=True)
class Wrapped(Stack):
    """An unrolled stack with each block inside `jax.jit` or `jax.checkpoint`."""

    wrap: str = "jit"

    @property
    def name(self) -> str:
        return f"{self.depth} blocks, each in jax.{self.wrap}"


def dense(x: jax.Array, kernel: jax.Array, bias: jax.Array) -> jax.Array:
    """Return `x @ kernel + bias`."""
    return x @ kernel + bias


def norm(x: jax.Array, scale: jax.Array, bias: jax.Array) -> jax.Array:
    """Return the layer norm of `x` over its last axis."""
    mean = jnp.mean(x, axis=-1, keepdims=True)
    variance = jnp.mean(jnp.square(x - mean), axis=-1, keepdims=True)
    return (x - mean) * jax.lax.rsqrt(variance + 1e-5) * scale + bias


def attend(qkv: jax.Array, heads: int) -> jax.Array:
    """Return causal self-attention of the packed queries, keys and values `[batch, time, 3 * width]`."""
    batch, time, packed = qkv.shape
    q, k, v = jnp.split(qkv.reshape(batch, time, heads, packed // heads), 3, axis=-1)
    scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) / (q.shape[-1] ** 0.5)
    scores = jnp.where(jnp.tril(jnp.ones((time, time), bool)), scores, -1e9)
    mixed = jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(scores), v)
    return mixed.reshape(batch, time, packed // 3)


def embed(tokens: jax.Array, table: jax.Array, positions: jax.Array) -> jax.Array:
    """Return the token embeddings plus those of their positions."""
    return table[tokens] + positions


def cross_entropy(logits: jax.Array, tokens: jax.Array) -> jax.Array:
    """Return the mean loss, in nats, of predicting each next token."""
    scores = jax.nn.log_softmax(logits[:, :-1])
    return -jnp.mean(jnp.take_along_axis(scores, tokens[:, 1:, None], axis=-1))
