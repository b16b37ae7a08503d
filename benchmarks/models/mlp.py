"""A deep MLP: two variables a layer and little maths, so that the library's share is at its largest."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp


@dataclass(frozen=True)
class Mlp:
    """`depth` layers of `width` by `width`, each followed by a tanh."""

    depth: int
    width: int = 16
    batch: int = 8

    @property
    def name(self) -> str:
        return f"mlp {self.depth}"

    @property
    def variables(self) -> int:
        return 2 * self.depth

    def inputs(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        return (jax.ShapeDtypeStruct((self.batch, self.width), jnp.float32),)


def layer(x: jax.Array, kernel: jax.Array, bias: jax.Array) -> jax.Array:
    """Return `tanh(x @ kernel + bias)`."""
    return jnp.tanh(x @ kernel + bias)
