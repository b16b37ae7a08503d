"""ResNet-50 in training: batch norm reads and writes two state arrays at each of 53 places."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp


@dataclass(frozen=True)
class ResNet:
    """Bottleneck blocks in `len(stages)` stages, NHWC images, 1000 classes."""

    name: str = "ResNet-50"
    stages: tuple[int, ...] = (3, 4, 6, 3)
    width: int = 64
    size: int = 64
    batch: int = 2
    classes: int = 1000

    @property
    def variables(self) -> int:
        return 5 * (1 + 3 * sum(self.stages) + len(self.stages)) + 2

    def inputs(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        return (jax.ShapeDtypeStruct((self.batch, self.size, self.size, 3), jnp.float32),)

    def blocks(self) -> list["Bottleneck"]:
        """Return the blocks in the order in which they run."""
        found: list[Bottleneck] = []
        fan_in = self.width
        for stage, length in enumerate(self.stages):
            inner = self.width * 2**stage
            for place in range(length):
                stride = 2 if stage > 0 and place == 0 else 1
                found.append(Bottleneck(f"block_{len(found)}", fan_in, inner, stride, place == 0))
                fan_in = 4 * inner
        return found


@dataclass(frozen=True)
class Bottleneck:
    """One block: 1x1, 3x3 and 1x1 convolutions to `4 * inner` channels, beside the identity or a 1x1."""

    name: str
    fan_in: int
    inner: int
    stride: int
    project: bool

    def convolutions(self) -> list[tuple[str, int, int, int, int]]:
        """Return (name, kernel size, channels in, channels out, stride) of each convolution."""
        main = [
            ("first", 1, self.fan_in, self.inner, 1),
            ("second", 3, self.inner, self.inner, self.stride),
            ("third", 1, self.inner, 4 * self.inner, 1),
        ]
        return [*main, ("project", 1, self.fan_in, 4 * self.inner, self.stride)] if self.project else main


def convolve(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """Return the SAME convolution of NHWC `x` with an HWIO kernel."""
    return jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def batch_norm(
    x: jax.Array, scale: jax.Array, bias: jax.Array, mean: jax.Array, variance: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return `x` normalised by its batch, and the running mean and variance moved towards the batch's."""
    batch_mean = jnp.mean(x, axis=(0, 1, 2))
    batch_variance = jnp.mean(jnp.square(x - batch_mean), axis=(0, 1, 2))
    y = (x - batch_mean) * jax.lax.rsqrt(batch_variance + 1e-5) * scale + bias
    return y, 0.9 * mean + 0.1 * batch_mean, 0.9 * variance + 0.1 * batch_variance


def pool(x: jax.Array) -> jax.Array:
    """Return the 3x3 maximum with stride 2."""
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 3, 3, 1), (1, 2, 2, 1), "SAME")
