"""TF1's initializers that keep the variance of what flows through a layer: He's, Glorot's, LeCun's."""

# ruff: noqa: N801 - the classes are called like TF's functions
import math
from typing import Any, ClassVar

import numpy as np

from jaxscope._core.initializers.base import Initializer, Shape
from jaxscope._core.initializers.laws import Law
from jaxscope.errors import InitializerError


def fans(shape: Shape) -> tuple[int, int]:
    """Return how many inputs and outputs a unit of a weight of `shape` has.

    Args:
        shape: Axis lengths, in elements: `()`, `(n,)`, `(inputs, outputs)` or `(*window, inputs, outputs)`.

    Returns:
        fan_in and fan_out: 1, 1; n, n; inputs, outputs; the latter two times the window's elements.

    Source:
        `_compute_fans` of TF 1.15's `init_ops.py`; rule R28.

    Example:
        >>> fans((3, 3, 16, 32))
        (144, 288)
    """
    if len(shape) < 2:
        n = shape[0] if shape else 1
        return n, n
    window = math.prod(shape[:-2])
    return window * shape[-2], window * shape[-1]


# scipy.stats.truncnorm.std(a=-2, b=2, loc=0., scale=1.), as TF writes it
_TRUNCATED_STDDEV = 0.87962566103423978


def _scaled(shape: Shape, scale: float, mode: str, distribution: str) -> Law:
    fan_in, fan_out = fans(shape)
    fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2.0}[mode]
    variance = scale / max(1.0, fan)
    if distribution == "uniform":
        return Law("signed", math.sqrt(3.0 * variance))
    if distribution == "untruncated_normal":
        return Law("normal", math.sqrt(variance))
    return Law("truncated", math.sqrt(variance) / _TRUNCATED_STDDEV)


_MODES = "fan_in", "fan_out", "fan_avg"
_DISTRIBUTIONS = "truncated_normal", "untruncated_normal", "uniform"


def _either(words: tuple[str, ...]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"


def _meaningless(argument: str, what: str, given: object) -> InitializerError:
    return InitializerError(
        f"the {argument} of variance_scaling must be {what}, not {given!r}",
        code="init_argument",
        fix="pass such a one, or leave it out",
    )


class variance_scaling(Initializer):
    """Begin with numbers whose variance is `scale` over the number of inputs, outputs, or their mean.

    Args:
        scale: Positive factor of the variance.
        mode: `"fan_in"`, `"fan_out"` or `"fan_avg"`: what the variance is divided by (see `fans`).
        distribution: `"truncated_normal"` (cut at two standard deviations, and made wider by
            1 / 0.8796 for it), `"untruncated_normal"`, or `"uniform"` in [-L, L] with L = sqrt(3 variance).
            `"normal"` is TF's older word for `"truncated_normal"`.

    Raises:
        InitializerError: An argument is none of these (code `init_argument`).

    Source:
        `tf.variance_scaling_initializer` of TF 1.15.

    Example:
        >>> variance_scaling(2.0, "fan_out").law((3, 8), np.dtype(np.float32))
        Law(base='truncated', scale=0.5684236..., offset=0.0)
    """

    def __init__(
        self, scale: float = 1.0, mode: str = "fan_in", distribution: str = "truncated_normal"
    ) -> None:
        named = distribution.lower()
        self.scale = float(scale)
        self.mode = mode
        self.distribution = "truncated_normal" if named == "normal" else named
        if not self.scale > 0:
            raise _meaningless("scale", "positive", self.scale)
        if self.mode not in _MODES:
            raise _meaningless("mode", _either(_MODES), self.mode)
        if self.distribution not in _DISTRIBUTIONS:
            raise _meaningless("distribution", _either(_DISTRIBUTIONS), self.distribution)

    def law(self, shape: Shape, dtype: np.dtype[Any]) -> Law:
        return _scaled(shape, self.scale, self.mode, self.distribution)


class _Scaling(Initializer):
    """A `variance_scaling` with a name of its own and no arguments."""

    _as: ClassVar[tuple[float, str, str]]

    def law(self, shape: Shape, dtype: np.dtype[Any]) -> Law:
        return _scaled(shape, *self._as)


class glorot_uniform(_Scaling):
    """Begin uniformly in [-L, L], L = sqrt(6 / (fan_in + fan_out)); TF1's default for floats (rule R28).

    Source:
        `tf.glorot_uniform_initializer`; Glorot and Bengio, 2010.

    Example:
        >>> w = glorot_uniform()(jax.random.key(0), (100, 50))
        >>> bool(jnp.abs(w).max() <= (6 / (100 + 50)) ** 0.5)
        True
    """

    _as = 1.0, "fan_avg", "uniform"


class glorot_normal(_Scaling):
    """Begin truncated normal, of standard deviation sqrt(2 / (fan_in + fan_out)).

    Source:
        `tf.glorot_normal_initializer`; Glorot and Bengio, 2010.

    Example:
        >>> w = glorot_normal()(jax.random.key(0), (100, 50))
        >>> round(float(w.std()) / (2 / (100 + 50)) ** 0.5, 1)
        1.0
    """

    _as = 1.0, "fan_avg", "truncated_normal"


class he_uniform(_Scaling):
    """Begin uniformly in [-L, L], L = sqrt(6 / fan_in).

    Source:
        `tf.initializers.he_uniform`; He et al., 2015.

    Example:
        >>> w = he_uniform()(jax.random.key(0), (100, 50))
        >>> bool(jnp.abs(w).max() <= (6 / 100) ** 0.5)
        True
    """

    _as = 2.0, "fan_in", "uniform"


class he_normal(_Scaling):
    """Begin truncated normal, of standard deviation sqrt(2 / fan_in).

    Source:
        `tf.initializers.he_normal`; He et al., 2015.

    Example:
        >>> w = he_normal()(jax.random.key(0), (100, 50))
        >>> round(float(w.std()) / (2 / 100) ** 0.5, 1)
        1.0
    """

    _as = 2.0, "fan_in", "truncated_normal"


class lecun_uniform(_Scaling):
    """Begin uniformly in [-L, L], L = sqrt(3 / fan_in).

    Source:
        `tf.initializers.lecun_uniform`; LeCun et al., 1998.

    Example:
        >>> w = lecun_uniform()(jax.random.key(0), (100, 50))
        >>> bool(jnp.abs(w).max() <= (3 / 100) ** 0.5)
        True
    """

    _as = 1.0, "fan_in", "uniform"


class lecun_normal(_Scaling):
    """Begin truncated normal, of standard deviation sqrt(1 / fan_in).

    Source:
        `tf.initializers.lecun_normal`; LeCun et al., 1998.

    Example:
        >>> w = lecun_normal()(jax.random.key(0), (100, 50))
        >>> round(float(w.std()) / (1 / 100) ** 0.5, 1)
        1.0
    """

    _as = 1.0, "fan_in", "truncated_normal"


class uniform_unit_scaling(Initializer):
    """Begin uniformly in [-L, L], L = factor * sqrt(3 / n), n the product of all axes but the last.

    Args:
        factor: Factor of the limit; 1.43 suits relu, 1.15 tanh.

    Source:
        `tf.uniform_unit_scaling_initializer`; Sussillo and Abbott, 2014.

    Example:
        >>> uniform_unit_scaling(1.43).law((100, 50), np.dtype(np.float32))
        Law(base='signed', scale=0.2476..., offset=0.0)
    """

    def __init__(self, factor: float = 1.0) -> None:
        self.factor = float(factor)

    def law(self, shape: Shape, dtype: np.dtype[Any]) -> Law:
        return Law("signed", self.factor * math.sqrt(3.0 / max(1, math.prod(shape[:-1]))))
