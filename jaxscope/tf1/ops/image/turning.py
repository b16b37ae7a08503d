"""Images the other way round: flips, turns, transposes."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute, static_int
from jaxscope.tf1.base.tensor import Tensor
from jaxscope.tf1.ops.image.arguments import images_of
from jaxscope.tf1.ops.random.drawing import draw_key

__all__ = [
    "flip_left_right",
    "flip_up_down",
    "random_flip_left_right",
    "random_flip_up_down",
    "rot90",
    "transpose_image",
]


@export("image.flip_left_right")
def flip_left_right(image: Any) -> Tensor:
    """Return images with left and right exchanged.

    Args:
        image: `[height, width, channels]`, or a batch of such.

    Raises:
        TensorValueError: If it has another rank (`rank`).
    """
    tensor, _, _, axis = images_of("flip_left_right", image)
    return compute("ReverseV2", lambda x: jnp.flip(x, axis + 1), tensor)


@export("image.flip_up_down")
def flip_up_down(image: Any) -> Tensor:
    """Return images upside down.

    Args:
        image: `[height, width, channels]`, or a batch of such.

    Raises:
        TensorValueError: If it has another rank (`rank`).
    """
    tensor, _, _, axis = images_of("flip_up_down", image)
    return compute("ReverseV2", lambda x: jnp.flip(x, axis), tensor)


@export("image.random_flip_left_right")
def random_flip_left_right(image: Any, seed: Any = None) -> Tensor:
    """Return each image with left and right exchanged, or not, by chance.

    Args:
        image: `[height, width, channels]`, or a batch of such.
        seed: A whole number; another one gives other draws.

    Raises:
        TensorValueError: If it has another rank (`rank`).
        KeyStreamError: If no stream of keys is open (`no_key_stream`).
    """
    return _perhaps("random_flip_left_right", image, seed, 1)


@export("image.random_flip_up_down")
def random_flip_up_down(image: Any, seed: Any = None) -> Tensor:
    """Return each image upside down, or not, by chance.

    Args:
        image: `[height, width, channels]`, or a batch of such.
        seed: A whole number; another one gives other draws.

    Raises:
        TensorValueError: If it has another rank (`rank`).
        KeyStreamError: If no stream of keys is open (`no_key_stream`).
    """
    return _perhaps("random_flip_up_down", image, seed, 0)


def _perhaps(kind: str, image: Any, seed: Any, along: int) -> Tensor:
    tensor, _, _, axis = images_of(kind, image)
    shape = (tensor._held.shape[0], 1, 1, 1) if axis else ()
    key = draw_key(seed)

    def run(x: Any) -> Any:
        return jnp.where(jax.random.bernoulli(key, shape=shape), jnp.flip(x, axis + along), x)

    return compute(kind, run, tensor, known=False)


@export("image.transpose_image", "image.transpose")
def transpose_image(image: Any, name: str | None = None) -> Tensor:
    """Return images with height and width exchanged.

    Args:
        image: `[height, width, channels]`, or a batch of such.
        name: A name for the result.

    Raises:
        TensorValueError: If it has another rank (`rank`).
    """
    tensor, _, _, axis = images_of("transpose_image", image)
    return compute("Transpose", lambda x: jnp.swapaxes(x, axis, axis + 1), tensor, name=name)


@export("image.rot90")
def rot90(image: Any, k: Any = 1, name: str | None = None) -> Tensor:
    """Return images turned by quarters, counter-clockwise.

    Args:
        image: `[height, width, channels]`, or a batch of such.
        k: How many quarters, known while tracing.
        name: A name for the result.

    Raises:
        TensorValueError: If it has another rank, or `k` is not one number (`rank`, `tensor_value`).
        NotStaticError: If `k` is not known while tracing (`not_static`).
    """
    tensor, _, _, axis = images_of("rot90", image)
    turns = static_int(k, "k") % 4
    return compute("rot90", lambda x: jnp.rot90(x, turns, (axis, axis + 1)), tensor, name=name)
