"""TF1's initializers that do not look at how many inputs and outputs a weight has."""

# ruff: noqa: N801 - the classes are called like TF's functions
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxscope._core.initializers.base import Initializer, Problem, Shape, as_constant
from jaxscope._core.initializers.laws import Law


class zeros(Initializer):
    """Begin with zeros (False for bool).

    Source:
        `tf.zeros_initializer`.

    Example:
        >>> zeros()(None, (2,), np.int32)
        Array([0, 0], dtype=int32)
    """

    def value(self, shape: Shape, dtype: np.dtype[Any]) -> np.ndarray:
        return np.zeros((), dtype)

    def problem(self, shape: Shape | None, dtype: np.dtype[Any]) -> None:
        return None


class ones(Initializer):
    """Begin with ones (True for bool).

    Source:
        `tf.ones_initializer`.

    Example:
        >>> ones()(None, (2,))
        Array([1., 1.], dtype=float32)
    """

    def value(self, shape: Shape, dtype: np.dtype[Any]) -> np.ndarray:
        return np.ones((), dtype)

    def problem(self, shape: Shape | None, dtype: np.dtype[Any]) -> None:
        return None


class constant(Initializer):
    """Begin with given numbers, converted to the variable's dtype.

    One number fills the variable. Several fill it in row-major order; if there are too few, the last one
    is repeated.

    Args:
        value: A number, a nested list of numbers or an array. Two are equal if shape, dtype and bits are.

    Raises:
        InitializerError: `value` has no numbers (code `init_wrong_dtype`). When a variable is made: there
            are more numbers than elements (`init_wrong_shape`), or they are floats and the variable
            has an integer dtype, bool and the variable has not, or they don't fit (`init_wrong_dtype`).

    Source:
        `tf.constant_initializer`.

    Example:
        >>> constant([1, 2])(None, (2, 2))
        Array([[1., 2.],
               [2., 2.]], dtype=float32)
    """

    def __init__(self, value: Any = 0) -> None:
        self.given = np.array(as_constant(value))
        self.given.setflags(write=False)

    def __repr__(self) -> str:
        text = repr(self.given.tolist())
        return f"constant({text if len(text) <= 60 else text[:57] + '...'})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, constant) and self._bits() == other._bits()

    def __hash__(self) -> int:
        return hash(self._bits())

    def _bits(self) -> tuple[Any, ...]:
        return self.given.dtype, self.given.shape, self.given.tobytes()

    def value(self, shape: Shape, dtype: np.dtype[Any]) -> np.ndarray:
        given: np.ndarray = self.given.astype(dtype).reshape(-1)
        if given.size == 1:
            return given.reshape(())
        missing = math.prod(shape) - given.size
        return np.concatenate([given, np.repeat(given[-1:], missing)]).reshape(shape)

    def problem(self, shape: Shape | None, dtype: np.dtype[Any]) -> Problem | None:
        have, want = self.given.dtype, dtype
        inexact = jnp.issubdtype(have, jnp.inexact) and not jnp.issubdtype(want, jnp.inexact)
        unreal = jnp.issubdtype(have, jnp.complexfloating) and not jnp.issubdtype(want, jnp.complexfloating)
        if inexact or unreal or (have.kind == "b") != (want.kind == "b"):
            return "init_wrong_dtype", f"has values of {have.name}, not {want.name}"
        if (
            have.kind in "iu"
            and want.kind in "iu"
            and not np.array_equal(self.given.astype(want), self.given)
        ):
            return "init_wrong_dtype", f"has values that do not fit into {want.name}"
        if shape is not None and self.given.size != 1 and not 0 < self.given.size <= math.prod(shape):
            return "init_wrong_shape", f"has {self.given.size} values, not at most {math.prod(shape)}"
        return None


class random_uniform(Initializer):
    """Begin with numbers that are uniform in [minval, maxval).

    Args:
        minval: Lower bound, included.
        maxval: Upper bound, excluded but for rounding; None means 1, and is not for integer dtypes.

    Source:
        `tf.random_uniform_initializer`, whose defaults are 0 and None; integers too.

    Example:
        >>> random_uniform(-0.05, 0.05)
        random_uniform(minval=-0.05, maxval=0.05)
    """

    def __init__(self, minval: float = 0.0, maxval: float | None = None) -> None:
        self.minval = float(minval)
        self.maxval = None if maxval is None else float(maxval)

    def law(self, shape: Shape, dtype: np.dtype[Any]) -> Law | None:
        if not jnp.issubdtype(dtype, jnp.floating):
            return None
        top = 1.0 if self.maxval is None else self.maxval
        if self.minval == -top:
            return Law("signed", top)
        return Law("uniform", top - self.minval, self.minval)

    def draw(self, key: jax.Array, shape: Shape, dtype: np.dtype[Any]) -> jax.Array:
        low, high = (np.asarray(int(bound or 0), dtype) for bound in (self.minval, self.maxval))
        return jax.random.randint(key, shape, low, high, dtype)

    def problem(self, shape: Shape | None, dtype: np.dtype[Any]) -> Problem | None:
        if not jnp.issubdtype(dtype, jnp.integer):
            return super().problem(shape, dtype)
        if self.maxval is None:
            return "init_wrong_dtype", f"has no maxval, which {dtype.name} needs"
        if not (self.minval.is_integer() and self.maxval.is_integer()):
            return "init_wrong_dtype", f"has bounds that are not {dtype.name}"
        limits = np.iinfo(dtype)
        if not limits.min <= self.minval < self.maxval <= limits.max:
            return "init_wrong_dtype", f"has no range of {dtype.name} between its bounds"
        return None


class random_normal(Initializer):
    """Begin with normally distributed numbers.

    Args:
        mean: Mean of the distribution.
        stddev: Its standard deviation.

    Source:
        `tf.random_normal_initializer`.

    Example:
        >>> random_normal(stddev=0.02)
        random_normal(mean=0.0, stddev=0.02)
    """

    def __init__(self, mean: float = 0.0, stddev: float = 1.0) -> None:
        self.mean = float(mean)
        self.stddev = float(stddev)

    def law(self, shape: Shape, dtype: np.dtype[Any]) -> Law:
        return Law("normal", self.stddev, self.mean)


class truncated_normal(Initializer):
    """Begin with normal numbers of which those beyond two standard deviations are drawn again.

    Args:
        mean: Mean of the distribution.
        stddev: Standard deviation before the cut; after it, 0.8796 times as much.

    Source:
        `tf.truncated_normal_initializer`.

    Example:
        >>> truncated_normal(stddev=0.02)
        truncated_normal(mean=0.0, stddev=0.02)
    """

    def __init__(self, mean: float = 0.0, stddev: float = 1.0) -> None:
        self.mean = float(mean)
        self.stddev = float(stddev)

    def law(self, shape: Shape, dtype: np.dtype[Any]) -> Law:
        return Law("truncated", self.stddev, self.mean)


class orthogonal(Initializer):
    """Begin with a random orthogonal matrix times `gain`.

    All axes but the last are taken together as rows. With fewer rows than columns the rows are
    orthonormal, else the columns are.

    Args:
        gain: Factor of the matrix.

    Source:
        `tf.orthogonal_initializer`; Saxe et al., 2014.
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = float(gain)

    def draw(self, key: jax.Array, shape: Shape, dtype: np.dtype[Any]) -> jax.Array:
        rows, columns = math.prod(shape[:-1]), shape[-1]
        exact = dtype if dtype == np.float64 else np.dtype(np.float32)
        normal = jax.random.normal(key, (max(rows, columns), min(rows, columns)), exact)
        q, r = jnp.linalg.qr(normal)
        q = q * jnp.where(jnp.diagonal(r) < 0, -1, 1).astype(exact)[None, :]
        return (self.gain * (q.T if rows < columns else q)).reshape(shape).astype(dtype)

    def problem(self, shape: Shape | None, dtype: np.dtype[Any]) -> Problem | None:
        if shape is not None and len(shape) < 2:
            return "init_wrong_shape", f"needs two dimensions or more, not {shape}"
        return super().problem(shape, dtype)


class identity(Initializer):
    """Begin with the identity matrix times `gain`; what is left over of a wider or taller one is zero.

    Args:
        gain: Factor of the matrix.

    Source:
        `tf.initializers.identity`.

    Example:
        >>> identity(2.0)(None, (2, 3))
        Array([[2., 0., 0.],
               [0., 2., 0.]], dtype=float32)
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = float(gain)

    def value(self, shape: Shape, dtype: np.dtype[Any]) -> np.ndarray:
        rows, columns = shape
        return np.asarray(self.gain * np.eye(rows, columns), dtype)

    def problem(self, shape: Shape | None, dtype: np.dtype[Any]) -> Problem | None:
        if shape is not None and len(shape) != 2:
            return "init_wrong_shape", f"needs two dimensions, not {shape}"
        return super().problem(shape, dtype)
