"""The models: a GPT, deep or not, scanned or not, and a ResNet-18."""

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import optax

from benchmarks.models import transformer

EPSILON = 1e-5
MOMENTUM = 0.9

attend = transformer.attend
token_loss = transformer.cross_entropy


@dataclass(frozen=True)
class Gpt:
    """Embeddings of tokens and of positions, pre-norm blocks, a norm and a head of its own."""

    name: str = "gpt"
    depth: int = 6
    width: int = 256
    heads: int = 4
    vocabulary: int = 1024
    context: int = 64
    examples: int = 2
    scanned: bool = False

    def batch(self) -> tuple[np.ndarray]:
        """Return tokens `[batch, time]`."""
        drawn = np.random.default_rng(0).integers(self.vocabulary, size=(self.examples, self.context))
        return (drawn.astype(np.int32),)


@dataclass(frozen=True)
class ResNet:
    """ResNet-18: stages of two basic blocks, batch norm after each convolution, NHWC images."""

    name: str = "resnet"
    stages: tuple[int, ...] = (2, 2, 2, 2)
    width: int = 64
    size: int = 64
    classes: int = 1000
    examples: int = 2

    def batch(self) -> tuple[np.ndarray, np.ndarray]:
        """Return images `[batch, height, width, 3]` and labels `[batch]`."""
        draw = np.random.default_rng(0)
        images = draw.normal(size=(self.examples, self.size, self.size, 3)).astype(np.float32)
        return images, draw.integers(self.classes, size=self.examples).astype(np.int32)

    def blocks(self) -> list["Block"]:
        """Return the blocks in the order in which they run."""
        found: list[Block] = []
        fan_in = self.width
        for stage, length in enumerate(self.stages):
            for place in range(length):
                stride = 2 if stage > 0 and place == 0 else 1
                found.append(Block(f"block_{len(found)}", fan_in, self.width * 2**stage, stride))
                fan_in = self.width * 2**stage
        return found


@dataclass(frozen=True)
class Block:
    """Two 3x3 convolutions, beside the identity, or beside a 1x1 where shapes change."""

    name: str
    fan_in: int
    channels: int
    stride: int

    @property
    def project(self) -> bool:
        return self.stride > 1 or self.fan_in != self.channels


def label_loss(logits: jax.Array, labels: Any) -> jax.Array:
    """Return the mean cross-entropy, in nats."""
    return optax.losses.softmax_cross_entropy_with_integer_labels(logits, labels).mean()
