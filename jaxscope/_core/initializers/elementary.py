"""TF1's initializers that do not look at how many inputs and outputs a weight has."""

# ruff: noqa: N801 - the classes are called like TF's functions
import math
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxscope._core.initializers import laws
from jaxscope._core.initializers.base import Initializer, Problem, Shape, as_numbers, number
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
        value: A number, a nested list of numbers or an array. No digit is lost before the variable's dtype is
            known: 0.1 in a float64 variable is 0.1. Two are equal if they have the same numbers, of one sort:
            1 is not 1.0, nor True.

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
        self.given = np.array(as_numbers(value))
        self.given.setflags(write=False)

    def __repr__(self) -> str:
        text = repr(self.given.tolist())
        return f"constant({text if len(text) <= 60 else text[:57] + '...'})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, constant) and self._bits() == other._bits()

    def __hash__(self) -> int:
        return hash(self._bits())

    def _bits(self) -> tuple[Any, ...]:
        own = self.given.dtype
        wide = own if own == np.uint64 else np.result_type(own, _SORTS[_sort(own)][2])
        return wide, self.given.shape, self.given.astype(wide).tobytes()

    def _cast(self, dtype: np.dtype[Any]) -> np.ndarray:
        with np.errstate(over="ignore"):
            return self.given.astype(dtype)

    def value(self, shape: Shape, dtype: np.dtype[Any]) -> np.ndarray:
        given: np.ndarray = self._cast(dtype).reshape(-1)
        if given.size == 1:
            return given.reshape(())
        missing = math.prod(shape) - given.size
        return np.concatenate([given, np.repeat(given[-1:], missing)]).reshape(shape)

    def problem(self, shape: Shape | None, dtype: np.dtype[Any]) -> Problem | None:
        have, want = _sort(self.given.dtype), _sort(dtype)
        if have > want or (have == 0) != (want == 0) or want == _OTHER:
            return "init_wrong_dtype", f"has {_SORTS[have][0]} values, not {dtype.name}"
        if not self._fits(dtype):
            return "init_wrong_dtype", f"has values that do not fit into {dtype.name}"
        if shape is not None and self.given.size != 1 and not 0 < self.given.size <= math.prod(shape):
            return "init_wrong_shape", f"has {self.given.size} values, not at most {math.prod(shape)}"
        return None

    def _fits(self, dtype: np.dtype[Any]) -> bool:
        if not jnp.issubdtype(dtype, jnp.integer):
            return bool(np.all(np.isfinite(self._cast(dtype)) | ~np.isfinite(self.given)))
        low, high = limits(dtype)
        return all(low <= int(value) <= high for value in _ends(self.given))


# Sorts of numbers, each but the first of which may be given for those that follow: name, dtypes, the widest.
_SORTS: tuple[tuple[str, Any, Any], ...] = (
    ("bool", jnp.bool_, np.bool_),
    ("integer", jnp.integer, np.int64),
    ("floating-point", jnp.floating, np.float64),
    ("complex", jnp.complexfloating, np.complex128),
    ("other", np.void, np.void),
)
_OTHER = len(_SORTS) - 1


def _sort(dtype: np.dtype[Any]) -> int:
    return next((at for at, (_, kind, _) in enumerate(_SORTS) if jnp.issubdtype(dtype, kind)), _OTHER)


def limits(dtype: np.dtype[Any]) -> tuple[int, int]:
    """Return the least and the greatest number of an integer dtype."""
    info = cast("Any", jnp.iinfo)(dtype)
    return int(info.min), int(info.max)


def _ends(values: np.ndarray) -> tuple[Any, ...]:
    return (values.min(), values.max()) if values.size else ()


class random_uniform(Initializer):
    """Begin with numbers that are uniform in [minval, maxval).

    Args:
        minval: Lower bound, included.
        maxval: Upper bound, excluded but for rounding; None means 1, and is not for integer dtypes.

    Source:
        `tf.random_uniform_initializer`, whose defaults are 0 and None. Integers too: as in TF, they are
        random bits modulo `maxval - minval`, a little biased where that is no power of two and not much
        smaller than the range of the bits, 32 or (for 64-bit integers) 64 of them.

    Example:
        >>> random_uniform(-0.05, 0.05)
        random_uniform(minval=-0.05, maxval=0.05)
    """

    def __init__(self, minval: float = 0.0, maxval: float | None = None) -> None:
        self.minval = number(minval)
        self.maxval = None if maxval is None else number(maxval)

    def law(self, shape: Shape, dtype: np.dtype[Any]) -> Law:
        top = 1 if self.maxval is None else self.maxval
        if jnp.issubdtype(dtype, jnp.integer):
            return Law("whole", int(top) - int(self.minval), int(self.minval))
        if self.minval == -top:
            return Law("signed", top)
        return Law("uniform", top - self.minval, self.minval)

    def problem(self, shape: Shape | None, dtype: np.dtype[Any]) -> Problem | None:
        if not jnp.issubdtype(dtype, jnp.integer):
            return super().problem(shape, dtype)
        if self.maxval is None:
            return "init_wrong_dtype", f"has no maxval, which {dtype.name} needs"
        if any(bound % 1 != 0 for bound in (self.minval, self.maxval)):
            return "init_wrong_dtype", f"has bounds that are not {dtype.name}"
        low, high = limits(dtype)
        if not low <= self.minval < self.maxval <= high:
            return "init_wrong_dtype", f"has no range of {dtype.name} between its bounds"
        return None


class random_normal(Initializer):
    """Begin with normally distributed numbers.

    Args:
        mean: Mean of the distribution.
        stddev: Its standard deviation.

    Note:
        The first argument is the mean, as in TF1: `jax.nn.initializers.normal(0.02)`, and Haiku's
        `RandomNormal(0.02)`, are `random_normal(stddev=0.02)` here.

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

    Note:
        The first argument is the mean, as in TF1: `jax.nn.initializers.truncated_normal(0.02)`, and
        Haiku's `TruncatedNormal(0.02)`, are `truncated_normal(stddev=0.02)` here.

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

    Example:
        >>> w = orthogonal()(jax.random.key(0), (4, 3))
        >>> bool(jnp.allclose(w.T @ w, jnp.eye(3), atol=1e-6))
        True
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = float(gain)

    def draw(self, key: jax.Array, shape: Shape, dtype: np.dtype[Any]) -> jax.Array:
        rows, columns = math.prod(shape[:-1]), shape[-1]
        exact = dtype if dtype == np.float64 else np.dtype(np.float32)
        q, r = jnp.linalg.qr(laws.standard(key, "normal", (max(rows, columns), min(rows, columns)), exact))
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

    def draw(self, key: jax.Array, shape: Shape, dtype: np.dtype[Any]) -> jax.Array:
        row, column = (lax.broadcasted_iota(np.int32, shape, axis) for axis in (0, 1))
        return jnp.where(row == column, np.asarray(self.gain, dtype), np.zeros((), dtype))

    def problem(self, shape: Shape | None, dtype: np.dtype[Any]) -> Problem | None:
        if shape is not None and len(shape) != 2:
            return "init_wrong_shape", f"needs two dimensions, not {shape}"
        return super().problem(shape, dtype)
