"""Distributions of real numbers that are placed and scaled: normal, Laplace's, Student's, uniform."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy import special

from jaxscope.tf1.base.errors import TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute
from jaxscope.tf1.base.tensor import Tensor
from jaxscope.tf1.ops.distributions.distribution import OfReals, RegisterKL, names_of, real_parameters
from jaxscope.tf1.ops.random.drawing import draw, random_gamma, random_normal, random_uniform

__all__ = ["Laplace", "MultivariateNormalDiag", "Normal", "StudentT", "Uniform"]


class _Placed(OfReals):
    """One that is moved by `loc` and made wider by `scale`."""

    @property
    def loc(self) -> Tensor:
        """Where the middle is."""
        return self._given[-2]

    @property
    def scale(self) -> Tensor:
        """How wide it is."""
        return self._given[-1]

    def _mode(self) -> Tensor:
        return self._formula("mode", lambda *p: p[-2] + jnp.zeros_like(p[-1]))


@export(*names_of("Normal"))
class Normal(_Placed):
    """The normal distribution.

    Args:
        loc: The mean.
        scale: The standard deviation, positive; broadcasts with `loc`.
        validate_args: Without meaning here.
        allow_nan_stats: Without meaning here.
        name: Its name.

    Example:
        >>> float(jnp.asarray(Normal(0.0, 1.0).log_prob(0.0)))  # doctest: +ELLIPSIS
        -0.91893...
    """

    def __init__(
        self,
        loc: Any,
        scale: Any,
        validate_args: bool = False,
        allow_nan_stats: bool = True,
        name: str = "Normal",
    ) -> None:
        super().__init__(dict(locals()), loc, scale)

    def _sample_n(self, n: int, seed: Any = None) -> Tensor:
        noise = random_normal(self._shape_of_draws(n), dtype=self.dtype, seed=seed)
        return self._formula("sample", lambda z, m, s: z * s + m, noise)

    def _log_prob(self, x: Tensor) -> Tensor:
        def formula(x: Any, m: Any, s: Any) -> Any:
            return -0.5 * jnp.square((x - m) / s) - (0.5 * math.log(2 * math.pi) + jnp.log(s))

        return self._formula("log_prob", formula, x)

    def _cdf(self, x: Tensor) -> Tensor:
        return self._formula("cdf", lambda x, m, s: special.ndtr((x - m) / s), x)

    def _log_cdf(self, x: Tensor) -> Tensor:
        return self._formula("log_cdf", lambda x, m, s: special.log_ndtr((x - m) / s), x)

    def _quantile(self, x: Tensor) -> Tensor:
        return self._formula("quantile", lambda x, m, s: special.ndtri(x) * s + m, x)

    def _entropy(self) -> Tensor:
        return self._formula(
            "entropy", lambda m, s: 0.5 * math.log(2 * math.pi * math.e) + jnp.log(s * jnp.ones_like(m))
        )

    def _mean(self) -> Tensor:
        return self._mode()

    def _stddev(self) -> Tensor:
        return self._formula("stddev", lambda m, s: s * jnp.ones_like(m))


@RegisterKL(Normal, Normal)
def _kl_of_normals(a: Any, b: Any, name: Any = None) -> Tensor:
    def formula(m: Any, s: Any, n: Any, t: Any) -> Any:
        ratio = jnp.square(s / t)
        return jnp.square(m - n) / (2 * jnp.square(t)) + 0.5 * (ratio - 1 - jnp.log(ratio))

    return compute("kl_normal_normal", formula, a.loc, a.scale, b.loc, b.scale)


@export(*names_of("Laplace"))
class Laplace(_Placed):
    """Laplace's distribution.

    Args:
        loc: The mean.
        scale: The scale, positive; broadcasts with `loc`.
        validate_args: Without meaning here.
        allow_nan_stats: Without meaning here.
        name: Its name.
    """

    def __init__(
        self,
        loc: Any,
        scale: Any,
        validate_args: bool = False,
        allow_nan_stats: bool = True,
        name: str = "Laplace",
    ) -> None:
        super().__init__(dict(locals()), loc, scale)

    def _sample_n(self, n: int, seed: Any = None) -> Tensor:
        shape, dtype = self._shape_of_draws(n), self.dtype.dtype
        return draw(
            "Laplace.sample",
            lambda key, m, s: m + s * jax.random.laplace(key, shape, dtype),
            *self._given,
            seed=seed,
        )

    def _log_prob(self, x: Tensor) -> Tensor:
        return self._formula(
            "log_prob", lambda x, m, s: -jnp.abs((x - m) / s) - (math.log(2.0) + jnp.log(s)), x
        )

    def _cdf(self, x: Tensor) -> Tensor:
        def formula(x: Any, m: Any, s: Any) -> Any:
            z = (x - m) / s
            return 0.5 - 0.5 * jnp.sign(z) * jnp.expm1(-jnp.abs(z))

        return self._formula("cdf", formula, x)

    def _entropy(self) -> Tensor:
        return self._formula("entropy", lambda m, s: math.log(2.0) + 1 + jnp.log(s + jnp.zeros_like(m)))

    def _mean(self) -> Tensor:
        return self._mode()

    def _stddev(self) -> Tensor:
        return self._formula("stddev", lambda m, s: math.sqrt(2.0) * s + jnp.zeros_like(m))


@export(*names_of("StudentT"))
class StudentT(_Placed):
    """Student's distribution.

    Args:
        df: The degrees of freedom, positive.
        loc: The middle; broadcasts with `df`.
        scale: The scale, positive; broadcasts with `df`.
        validate_args: Without meaning here.
        allow_nan_stats: Without meaning here.
        name: Its name.
    """

    def __init__(
        self,
        df: Any,
        loc: Any,
        scale: Any,
        validate_args: bool = False,
        allow_nan_stats: bool = True,
        name: str = "StudentT",
    ) -> None:
        super().__init__(dict(locals()), df, loc, scale)

    @property
    def df(self) -> Tensor:
        """The degrees of freedom."""
        return self._given[0]

    def _sample_n(self, n: int, seed: Any = None) -> Tensor:
        shape = self._shape_of_draws(n)
        noise = random_normal(shape, dtype=self.dtype, seed=seed)
        half = compute("Mul", lambda k: 0.5 * k + jnp.zeros(shape[1:], k.dtype), self.df)
        gamma = random_gamma([n], half, 0.5, self.dtype, seed)
        return self._formula("sample", lambda z, g, k, m, s: z / jnp.sqrt(g / k) * s + m, noise, gamma)

    def _log_prob(self, x: Tensor) -> Tensor:
        def formula(x: Any, k: Any, m: Any, s: Any) -> Any:
            power = -0.5 * (k + 1) * jnp.log1p(jnp.square((x - m) / s) / k)
            lost = jnp.log(jnp.abs(s)) + 0.5 * jnp.log(k) + 0.5 * math.log(math.pi)
            return power - lost - special.gammaln(0.5 * k) + special.gammaln(0.5 * (k + 1))

        return self._formula("log_prob", formula, x)

    def _cdf(self, x: Tensor) -> Tensor:
        def formula(x: Any, k: Any, m: Any, s: Any) -> Any:
            y = (x - m) / jnp.abs(s)
            below = 0.5 * special.betainc(0.5 * k, 0.5, k / (jnp.square(y) + k))
            return jnp.where(y < 0, below, 1 - below)

        return self._formula("cdf", formula, x)

    def _entropy(self) -> Tensor:
        def formula(k: Any, m: Any, s: Any) -> Any:
            far = 0.5 * (k + 1) * (special.digamma(0.5 * (k + 1)) - special.digamma(0.5 * k))
            return (
                jnp.log(jnp.abs(s))
                + 0.5 * jnp.log(k)
                + special.betaln(0.5 * k, 0.5)
                + far
                + jnp.zeros_like(m)
            )

        return self._formula("entropy", formula)

    def _mean(self) -> Tensor:
        return self._formula("mean", lambda k, m, s: jnp.where(k > 1, m + jnp.zeros_like(s), jnp.nan))

    def _variance(self) -> Tensor:
        def formula(k: Any, m: Any, s: Any) -> Any:
            finite = jnp.square(s) * k / jnp.where(k > 2, k - 2, 1) + jnp.zeros_like(m)
            return jnp.where(k > 1, jnp.where(k > 2, finite, jnp.inf), jnp.nan)

        return self._formula("variance", formula)


@export(*names_of("Uniform"))
class Uniform(OfReals):
    """Numbers anywhere between two limits.

    Args:
        low: The least one.
        high: The limit, which is not reached; broadcasts with `low`.
        validate_args: Without meaning here.
        allow_nan_stats: Without meaning here.
        name: Its name.
    """

    def __init__(
        self,
        low: Any = 0.0,
        high: Any = 1.0,
        validate_args: bool = False,
        allow_nan_stats: bool = True,
        name: str = "Uniform",
    ) -> None:
        super().__init__(dict(locals()), low, high)

    @property
    def low(self) -> Tensor:
        """The least number."""
        return self._given[0]

    @property
    def high(self) -> Tensor:
        """The limit."""
        return self._given[1]

    def range(self, name: str = "range") -> Tensor:
        """Return how far the limits are from each other."""
        return self._formula("range", lambda a, b: b - a)

    def _sample_n(self, n: int, seed: Any = None) -> Tensor:
        noise = random_uniform(self._shape_of_draws(n), dtype=self.dtype, seed=seed)
        return self._formula("sample", lambda u, a, b: a + (b - a) * u, noise)

    def _prob(self, x: Tensor) -> Tensor:
        def formula(x: Any, a: Any, b: Any) -> Any:
            inside = jnp.where((x < a) | (x >= b), 0, 1 / (b - a) + jnp.zeros_like(x))
            return jnp.where(jnp.isnan(x), x, inside)

        return self._formula("prob", formula, x)

    def _cdf(self, x: Tensor) -> Tensor:
        return self._formula(
            "cdf", lambda x, a, b: jnp.where(x < a, 0, jnp.where(x >= b, 1, (x - a) / (b - a))), x
        )

    def _entropy(self) -> Tensor:
        return self._formula("entropy", lambda a, b: jnp.log(b - a))

    def _mean(self) -> Tensor:
        return self._formula("mean", lambda a, b: (a + b) / 2)

    def _stddev(self) -> Tensor:
        return self._formula("stddev", lambda a, b: (b - a) / math.sqrt(12.0))


@export("contrib.distributions.MultivariateNormalDiag")
class MultivariateNormalDiag(OfReals):
    """Vectors whose numbers are normal, each for itself.

    Args:
        loc: The means, `[..., size]`; zeros if None.
        scale_diag: The standard deviations, `[..., size]`; ones if None.
        scale_identity_multiplier: What they are multiplied by, or are where there are none.
        validate_args: Without meaning here.
        allow_nan_stats: Without meaning here.
        name: Its name.
    """

    def __init__(
        self,
        loc: Any = None,
        scale_diag: Any = None,
        scale_identity_multiplier: Any = None,
        validate_args: bool = False,
        allow_nan_stats: bool = True,
        name: str = "MultivariateNormalDiag",
    ) -> None:
        parameters = dict(locals())
        given = [one for one in (loc, scale_diag, scale_identity_multiplier) if one is not None]
        tensors = iter(real_parameters(*given))
        place = None if loc is None else next(tensors)
        spread = None if scale_diag is None else next(tensors)
        like = spread if place is None else place
        if like is None:
            raise TensorValueError(
                "MultivariateNormalDiag needs loc or scale_diag: one of them tells the size"
            )
        if place is None:
            place = compute("ZerosLike", jnp.zeros_like, like)
        if spread is None:
            spread = compute("OnesLike", jnp.ones_like, like)
        if scale_identity_multiplier is not None:
            times = next(tensors)
            spread = compute("Mul", lambda s, t: s * jnp.expand_dims(t, -1), spread, times)
        super().__init__(parameters, place, spread)

    @property
    def loc(self) -> Tensor:
        """The means."""
        return self._given[0]

    def _event_shape(self) -> Any:
        return super()._batch_shape()[-1:]

    def _batch_shape(self) -> Any:
        return super()._batch_shape()[:-1]

    def _sample_n(self, n: int, seed: Any = None) -> Tensor:
        shape = (*self._shape_of_draws(n), *self.event_shape.as_list())
        noise = random_normal(shape, dtype=self.dtype, seed=seed)
        return self._formula("sample", lambda z, m, s: z * s + m, noise)

    def _log_prob(self, x: Tensor) -> Tensor:
        def formula(x: Any, m: Any, s: Any) -> Any:
            each = -0.5 * jnp.square((x - m) / s) - (0.5 * math.log(2 * math.pi) + jnp.log(jnp.abs(s)))
            return jnp.sum(each, -1)

        return self._formula("log_prob", formula, x)

    def _entropy(self) -> Tensor:
        def formula(m: Any, s: Any) -> Any:
            return jnp.sum(0.5 * math.log(2 * math.pi * math.e) + jnp.log(jnp.abs(s * jnp.ones_like(m))), -1)

        return self._formula("entropy", formula)

    def _mean(self) -> Tensor:
        return self._formula("mean", lambda m, s: m + jnp.zeros_like(s))

    def _mode(self) -> Tensor:
        return self._mean()

    def _stddev(self) -> Tensor:
        return self._formula("stddev", lambda m, s: jnp.abs(s) * jnp.ones_like(m))


@RegisterKL(MultivariateNormalDiag, MultivariateNormalDiag)
def _kl_of_vectors(a: Any, b: Any, name: Any = None) -> Tensor:
    each = _kl_of_normals(Normal(a.loc, a.stddev()), Normal(b.loc, b.stddev()))
    return compute("Sum", lambda x: jnp.sum(x, -1), each)
