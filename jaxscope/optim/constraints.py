"""Ready-made constraints: functions that project a variable's new value, after each update."""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp

#: Keras' fuzz factor: beside a norm in a denominator.
_EPSILON = 1e-7


@dataclasses.dataclass(frozen=True)
class max_norm:  # noqa: N801 - called like TF's functions
    """Scale what is longer than `max_value` by `max_value / (norm + 1e-7)`.

    Args:
        max_value: The greatest norm; positive.
        axis: The axes that a norm is taken over: 0 for the inputs of a dense kernel, `[0, 1, 2]` for those of
            a convolution, None for all.

    Raises:
        ValueError: `max_value` is not positive.

    Source:
        `tf.keras.constraints.MaxNorm`, which also scales what is short, by `norm / (norm + 1e-7)`: a decay
        that depends on the number of steps. Here it stays as it is.

    Example:
        >>> max_norm(1.0)(jnp.array([[3.0, 0.3], [4.0, 0.4]]))
        Array([[0.6, 0.3],
               [0.8, 0.4]], dtype=float32)
    """

    max_value: float = 2.0
    axis: int | Sequence[int] | None = 0

    def __post_init__(self) -> None:
        _freeze_axis(self)
        if not self.max_value > 0:
            raise ValueError(f"the greatest norm must be positive, not {self.max_value}")

    def __call__(self, value: jax.Array) -> jax.Array:
        """Return the projected value, of the same shape and dtype."""
        wide = _wide(value)
        norm = _norm(wide, self.axis)
        short = wide * (self.max_value / (norm + _EPSILON)).astype(wide.dtype)
        return jnp.where(norm > self.max_value, short, wide).astype(value.dtype)


@dataclasses.dataclass(frozen=True)
class unit_norm:  # noqa: N801 - called like TF's functions
    """Give each vector length 1: `w / (norm + 1e-7)`.

    Args:
        axis: As of `max_norm`.

    Source:
        `tf.keras.constraints.UnitNorm`.

    Example:
        >>> unit_norm()(jnp.array([[3.0], [4.0]]))
        Array([[0.6],
               [0.8]], dtype=float32)
    """

    axis: int | Sequence[int] | None = 0

    def __post_init__(self) -> None:
        _freeze_axis(self)

    def __call__(self, value: jax.Array) -> jax.Array:
        """Return the projected value, of the same shape and dtype."""
        wide = _wide(value)
        return (wide / (_norm(wide, self.axis) + _EPSILON).astype(wide.dtype)).astype(value.dtype)


@dataclasses.dataclass(frozen=True)
class non_neg:  # noqa: N801 - called like TF's functions
    """Replace what is negative by 0.

    Source:
        `tf.keras.constraints.NonNeg`.

    Example:
        >>> non_neg()(jnp.array([-1.0, 2.0]))
        Array([0., 2.], dtype=float32)
    """

    def __call__(self, value: jax.Array) -> jax.Array:
        """Return the projected value, of the same shape and dtype."""
        return jnp.maximum(value, jnp.zeros([], value.dtype))


@dataclasses.dataclass(frozen=True)
class clip:  # noqa: N801 - called like TF's functions
    """Keep each element between two numbers.

    Args:
        min_value: The least.
        max_value: The greatest.

    Raises:
        ValueError: `min_value` is not less than `max_value`, or one of them is no number.

    Source:
        `tf.clip_by_value`, as a constraint.

    Example:
        >>> clip(-0.5, 0.5)(jnp.array([-1.0, 0.25]))
        Array([-0.5 ,  0.25], dtype=float32)
    """

    min_value: float
    max_value: float

    def __post_init__(self) -> None:
        if not self.min_value < self.max_value:
            raise ValueError(f"{self.min_value} is not less than {self.max_value}")

    def __call__(self, value: jax.Array) -> jax.Array:
        """Return the projected value, of the same shape and dtype."""
        return jnp.clip(value, self.min_value, self.max_value).astype(value.dtype)


def _freeze_axis(constraint: max_norm | unit_norm) -> None:
    # Constraints are compared, and are in what is hashed.
    if isinstance(constraint.axis, Sequence):
        object.__setattr__(constraint, "axis", tuple(constraint.axis))


def _wide(value: jax.Array) -> jax.Array:
    """Return a value in float32 where its own dtype is too narrow for a sum of squares."""
    return value.astype(jnp.float32) if value.dtype.itemsize < 4 else value


def _norm(value: jax.Array, axis: int | Sequence[int] | None) -> jax.Array:
    axes = tuple(axis) if isinstance(axis, Sequence) else axis
    return jnp.sqrt(jnp.sum(jnp.square(jnp.abs(value)), axis=axes, keepdims=True))
