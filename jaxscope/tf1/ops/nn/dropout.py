"""`tf.nn.dropout`."""

import numbers
from typing import Any

import jax
import jax.numpy as jnp

from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.errors import TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute, static_shape, value_if_known
from jaxscope.tf1.base.shapes import TensorShape
from jaxscope.tf1.base.tensor import Tensor
from jaxscope.tf1.ops.nn.arguments import either
from jaxscope.tf1.ops.random.drawing import draw_key

__all__ = ["dropout"]


@export("nn.dropout")
def dropout(
    x: Any,
    keep_prob: Any = None,
    noise_shape: Any = None,
    seed: Any = None,
    name: str | None = None,
    rate: Any = None,
) -> Tensor:
    """Return a tensor with a share of its numbers set to 0, and the others larger by as much.

    The key comes from the open stream, as `js.next_key()` gives it.

    Args:
        x: A tensor of floats.
        keep_prob: The share that stays: the older way to say `1 - rate`.
        noise_shape: The shape of what is drawn, which broadcasts to `x`; None for an axis as `x` has it.
        seed: A whole number; another one gives another mask.
        name: A name for the result.
        rate: The share that is dropped, from 0 to less than 1.

    Raises:
        TensorValueError: If the tensor is not of floats, if the rate is not in range, or neither or both of
            rate and keep_prob are given (`tensor_value`).
        KeyStreamError: If no stream of keys is open (`no_key_stream`).
    """
    dropped = rate
    if keep_prob is not None:
        if isinstance(keep_prob, str | bytes):
            raise TensorValueError(f"keep_prob must be a number or a tensor, not {keep_prob!r}")
        dropped = either("rate", rate, "keep_prob", _rest(keep_prob))
    if dropped is None:
        raise TensorValueError("dropout needs rate, the share that is dropped")
    tensor = convert_to_tensor(x)
    if not tensor.dtype.is_floating:
        raise TensorValueError(f"dropout scales what stays, so that it takes floats, not {tensor.dtype.name}")
    if isinstance(dropped, numbers.Real) and not 0 <= float(dropped) < 1:
        raise TensorValueError(f"rate must be at least 0 and below 1, not {dropped!r}")
    share = convert_to_tensor(dropped, tensor.dtype)
    if share._held.shape:
        raise TensorValueError(f"rate must be one number, and has shape {share.get_shape()}", code="rank")
    known = value_if_known(share)
    if known is not None and known == 0:
        return tensor
    shape = _noise(tensor, noise_shape)
    key = draw_key(seed)

    def run(x: Any, rate: Any) -> Any:
        kept = 1 - rate
        mask = jax.random.bernoulli(key, jnp.asarray(kept).astype(jnp.float32), shape)
        return jnp.where(mask, x / kept, jnp.zeros([], x.dtype))

    return compute("Dropout", run, tensor, share, known=False, name=name)


def _rest(keep_prob: Any) -> Any:
    if isinstance(keep_prob, numbers.Real):
        return 1.0 - float(keep_prob)
    return compute("Sub", lambda kept: 1 - kept, convert_to_tensor(keep_prob))


def _noise(tensor: Tensor, noise_shape: Any) -> tuple[int, ...]:
    shape = tuple(tensor._held.shape)
    if noise_shape is None:
        return shape
    if isinstance(noise_shape, TensorShape):
        noise_shape = noise_shape.as_list()
    if isinstance(noise_shape, list | tuple) and len(noise_shape) == len(shape):
        noise_shape = [own if one is None else one for one, own in zip(noise_shape, shape, strict=True)]
    return static_shape(noise_shape, "noise_shape")
