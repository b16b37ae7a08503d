"""Initial values that are known: computed where a variable begins with them, not in the model's trace."""

import functools
from typing import Any

import jax
from jax.core import Tracer

from jaxscope.tf1.base.operation import Again
from jaxscope.tf1.base.pending import Pending, is_pending
from jaxscope.tf1.base.tensor import Tensor

__all__ = ["starting_value"]


def starting_value(tensor: Tensor) -> Any:
    """Return what a variable begins with: a tensor's array, or what computes it anew.

    A tensor of known numbers, as `tf.zeros([3])`, is traced in the model. As an initial value it is computed
    again where it is needed, as what is drawn is, so that specs can do without the model.
    """
    held = tensor._held
    made = _again(tensor) if isinstance(held, Tracer) else None
    return held if made is None else made


def _again(tensor: Tensor) -> Pending | None:
    """Return what computes a traced tensor of known numbers once more; None for others."""
    compute, held = tensor._compute, tensor._held
    if compute is None:
        return None
    again = getattr(getattr(compute, "func", None), "__self__", None)
    if not isinstance(compute, functools.partial) or not isinstance(again, Again):
        known = compute()
        return None if known is None else Pending(held.shape, held.dtype, lambda: known, [])
    (leaf,) = compute.args
    parts = [_part(one) for one in again.tensors]
    if any(part is None for part in parts):
        return None

    def function(*arrays: Any) -> Any:
        return jax.tree.leaves(again.function(*arrays))[leaf]

    return Pending(held.shape, held.dtype, function, parts)


def _part(tensor: Tensor) -> Any:
    held = tensor._held
    return held if is_pending(held) or not isinstance(held, Tracer) else _again(tensor)
