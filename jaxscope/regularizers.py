"""Losses on weights: callables from a variable's array to a scalar, or to None for no loss."""

import math
from collections.abc import Callable, Iterable

import jax
import jax.numpy as jnp

from jaxscope._core.base.describe import shown
from jaxscope._core.base.immutable import Value

__all__ = [
    "Regularizer",
    "l1",
    "l1_l2",
    "l1_l2_regularizer",
    "l1_regularizer",
    "l2",
    "l2_regularizer",
    "no_regularizer",
    "sum_of",
    "sum_regularizer",
]

Regularizer = Callable[[jax.Array], jax.Array | None]


def no_regularizer(value: jax.Array) -> None:
    """Give no loss: where a scope has a regularizer, this switches it off.

    Args:
        value: The variable's array, of any shape and dtype; not looked at.

    Source:
        `tf.no_regularizer`; rule R34.

    Example:
        >>> no_regularizer(jnp.ones(3)) is None
        True
    """


class l1(Value):  # noqa: N801 - called like TF's functions
    """Give `scale * sum(|v|)`.

    Args:
        scale: Finite factor, 0 or more; 0 gives None, no loss at all.

    Raises:
        ValueError: `scale` is negative or not finite.

    Source:
        `tf.contrib.layers.l1_regularizer`.

    Example:
        >>> l1(0.5)(jnp.array([1.0, -3.0]))
        Array(2., dtype=float32)
    """

    def __init__(self, scale: float) -> None:
        self.scale = _checked(scale)

    def __call__(self, value: jax.Array) -> jax.Array | None:
        """Return the loss of `value`, a scalar of its dtype, or None where `scale` is 0."""
        if not self.scale:
            return None
        # The derivative at 0 is 0, as TF's: that of `jnp.abs` is 1, which moves weights that are zeros.
        return self.scale * jnp.sum(jnp.where(value == 0, 0, jnp.abs(value)))


class l2(Value):  # noqa: N801 - called like TF's functions
    """Give `scale * sum(v ** 2) / 2`.

    Args:
        scale: Finite factor, 0 or more; 0 gives None, no loss at all.

    Raises:
        ValueError: `scale` is negative or not finite.

    Source:
        `tf.contrib.layers.l2_regularizer`, which is `scale * tf.nn.l2_loss(v)`; the half is TF's.

    Example:
        >>> l2(0.5)(jnp.array([1.0, -3.0]))
        Array(2.5, dtype=float32)
    """

    def __init__(self, scale: float) -> None:
        self.scale = _checked(scale)

    def __call__(self, value: jax.Array) -> jax.Array | None:
        """Return the loss of `value`, a scalar of its dtype, or None where `scale` is 0."""
        return self.scale * (jnp.sum(jnp.square(value)) / 2) if self.scale else None


class l1_l2(Value):  # noqa: N801 - called like TF's functions
    """Give `scale_l1 * sum(|v|) + scale_l2 * sum(v ** 2) / 2`.

    Args:
        scale_l1: Finite factor of the L1 part, 0 or more; 0 leaves the part out.
        scale_l2: Finite factor of the L2 part, likewise.

    Raises:
        ValueError: A scale is negative or not finite.

    Source:
        `tf.contrib.layers.l1_l2_regularizer`.

    Example:
        >>> l1_l2(1.0, 0.5)(jnp.array([1.0, -3.0]))
        Array(6.5, dtype=float32)
    """

    def __init__(self, scale_l1: float = 1.0, scale_l2: float = 1.0) -> None:
        self.scale_l1 = _checked(scale_l1)
        self.scale_l2 = _checked(scale_l2)

    def __call__(self, value: jax.Array) -> jax.Array | None:
        """Return the loss of `value`, a scalar of its dtype, or None where both scales are 0."""
        return _sum([l1(self.scale_l1)(value), l2(self.scale_l2)(value)])


class sum_of(Value):  # noqa: N801 - called like TF's functions
    """Give the sum of what several regularizers give; None counts as nothing.

    Args:
        regularizers: Callables from an array to a scalar or None; None among them is left out.
        apart: Whether `js.get_collection` gives the losses one by one, in the place of their sum.

    Source:
        `tf.contrib.layers.sum_regularizer`; `apart` is how TF1 keeps a layer's loss beside its scope's.

    Example:
        >>> sum_of([l1(1.0), no_regularizer, l2(0.5)])(jnp.array([1.0, -3.0]))
        Array(6.5, dtype=float32)
    """

    def __init__(self, regularizers: Iterable[Regularizer | None], *, apart: bool = False) -> None:
        self.regularizers = tuple(one for one in regularizers if one is not None)
        self.apart = apart

    def __call__(self, value: jax.Array) -> jax.Array | None:
        """Return the summed loss of `value`, or None where no part gives one."""
        return _sum([regularizer(value) for regularizer in self.regularizers])


def _sum(losses: list[jax.Array | None]) -> jax.Array | None:
    total: jax.Array | None = None
    for loss in losses:
        if loss is not None:
            total = loss if total is None else total + loss
    return total


def _checked(scale: float) -> float:
    if not 0 <= scale < math.inf:
        raise ValueError(f"the scale of a regularizer must be finite and 0 or more, not {shown(scale)}")
    return scale


l1_regularizer = l1
l2_regularizer = l2
l1_l2_regularizer = l1_l2
sum_regularizer = sum_of
