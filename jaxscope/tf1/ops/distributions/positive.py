"""Distributions of positive numbers, and of shares: gamma, exponential, beta, Dirichlet's."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy import special

from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute
from jaxscope.tf1.base.tensor import Tensor
from jaxscope.tf1.ops.distributions.distribution import OfReals, RegisterKL, names_of, real_parameters
from jaxscope.tf1.ops.random.drawing import draw, random_gamma

__all__ = ["Beta", "Dirichlet", "Exponential", "Gamma"]


@export(*names_of("Gamma"))
class Gamma(OfReals):
    """The gamma distribution.

    Args:
        concentration: Its shape, positive.
        rate: Its rate, positive; broadcasts with `concentration`.
        validate_args: Without meaning here.
        allow_nan_stats: Without meaning here.
        name: Its name.
    """

    def __init__(
        self,
        concentration: Any,
        rate: Any,
        validate_args: bool = False,
        allow_nan_stats: bool = True,
        name: str = "Gamma",
    ) -> None:
        super().__init__(dict(locals()), concentration, rate)

    @property
    def concentration(self) -> Tensor:
        """The shape."""
        return self._given[0]

    @property
    def rate(self) -> Tensor:
        """The rate."""
        return self._given[1]

    def _sample_n(self, n: int, seed: Any = None) -> Tensor:
        return random_gamma([n], self.concentration, self.rate, self.dtype, seed)

    def _log_prob(self, x: Tensor) -> Tensor:
        def formula(x: Any, a: Any, r: Any) -> Any:
            return (a - 1) * jnp.log(x) - r * x - (special.gammaln(a) - a * jnp.log(r))

        return self._formula("log_prob", formula, x)

    def _cdf(self, x: Tensor) -> Tensor:
        return self._formula("cdf", lambda x, a, r: special.gammainc(a, r * x), x)

    def _entropy(self) -> Tensor:
        return self._formula(
            "entropy", lambda a, r: a - jnp.log(r) + special.gammaln(a) + (1 - a) * special.digamma(a)
        )

    def _mean(self) -> Tensor:
        return self._formula("mean", lambda a, r: a / r)

    def _variance(self) -> Tensor:
        return self._formula("variance", lambda a, r: a / jnp.square(r))

    def _stddev(self) -> Tensor:
        return self._formula("stddev", lambda a, r: jnp.sqrt(a) / r)

    def _mode(self) -> Tensor:
        return self._formula("mode", lambda a, r: jnp.where(a > 1, (a - 1) / r, jnp.nan))


@RegisterKL(Gamma, Gamma)
def _kl_of_gammas(a: Any, b: Any, name: Any = None) -> Tensor:
    def formula(a: Any, r: Any, b: Any, s: Any) -> Any:
        logs = special.gammaln(b) - special.gammaln(a) + b * jnp.log(r) - b * jnp.log(s)
        return (a - b) * special.digamma(a) + logs + a * (s / r - 1)

    return compute("kl_gamma_gamma", formula, *a._given, *b._given)


@export(*names_of("Exponential"))
class Exponential(Gamma):
    """The exponential distribution.

    Args:
        rate: Its rate, positive.
        validate_args: Without meaning here.
        allow_nan_stats: Without meaning here.
        name: Its name.
    """

    def __init__(
        self, rate: Any, validate_args: bool = False, allow_nan_stats: bool = True, name: str = "Exponential"
    ) -> None:
        (tensor,) = real_parameters(rate)
        one = compute("OnesLike", jnp.ones_like, tensor)
        super().__init__(one, rate, validate_args, allow_nan_stats, name)
        del self._parameters["concentration"]

    def _sample_n(self, n: int, seed: Any = None) -> Tensor:
        shape, dtype = self._shape_of_draws(n), self.dtype.dtype
        return draw(
            "Exponential.sample",
            lambda key, r: jax.random.exponential(key, shape, dtype) / r,
            self.rate,
            seed=seed,
        )


@export(*names_of("Beta"))
class Beta(OfReals):
    """The beta distribution.

    Args:
        concentration1: How much speaks for one, positive.
        concentration0: How much speaks for zero, likewise; broadcasts with the other.
        validate_args: Without meaning here.
        allow_nan_stats: Without meaning here.
        name: Its name.
    """

    def __init__(
        self,
        concentration1: Any = None,
        concentration0: Any = None,
        validate_args: bool = False,
        allow_nan_stats: bool = True,
        name: str = "Beta",
    ) -> None:
        super().__init__(dict(locals()), concentration1, concentration0)

    @property
    def concentration1(self) -> Tensor:
        """How much speaks for one."""
        return self._given[0]

    @property
    def concentration0(self) -> Tensor:
        """How much speaks for zero."""
        return self._given[1]

    @property
    def total_concentration(self) -> Tensor:
        """The sum of both."""
        return self._formula("total_concentration", lambda a, b: a + b)

    def _sample_n(self, n: int, seed: Any = None) -> Tensor:
        shape, dtype = self._shape_of_draws(n), self.dtype.dtype
        return draw(
            "Beta.sample", lambda key, a, b: jax.random.beta(key, a, b, shape, dtype), *self._given, seed=seed
        )

    def _log_prob(self, x: Tensor) -> Tensor:
        return self._formula(
            "log_prob",
            lambda x, a, b: (a - 1) * jnp.log(x) + (b - 1) * jnp.log1p(-x) - special.betaln(a, b),
            x,
        )

    def _cdf(self, x: Tensor) -> Tensor:
        return self._formula("cdf", lambda x, a, b: special.betainc(a, b, x), x)

    def _entropy(self) -> Tensor:
        def formula(a: Any, b: Any) -> Any:
            apart = (a - 1) * special.digamma(a) + (b - 1) * special.digamma(b)
            return special.betaln(a, b) - apart + (a + b - 2) * special.digamma(a + b)

        return self._formula("entropy", formula)

    def _mean(self) -> Tensor:
        return self._formula("mean", lambda a, b: a / (a + b))

    def _variance(self) -> Tensor:
        return self._formula("variance", lambda a, b: a * b / (jnp.square(a + b) * (a + b + 1)))

    def _mode(self) -> Tensor:
        return self._formula(
            "mode", lambda a, b: jnp.where((a > 1) & (b > 1), (a - 1) / (a + b - 2), jnp.nan)
        )


@RegisterKL(Beta, Beta)
def _kl_of_betas(a: Any, b: Any, name: Any = None) -> Tensor:
    def formula(a: Any, b: Any, c: Any, d: Any) -> Any:
        apart = special.digamma(a) * (c - a) + special.digamma(b) * (d - b)
        return special.betaln(c, d) - special.betaln(a, b) - apart + special.digamma(a + b) * (c + d - a - b)

    return compute("kl_beta_beta", formula, *a._given, *b._given)


def _log_beta(c: Any) -> Any:
    return jnp.sum(special.gammaln(c), -1) - special.gammaln(jnp.sum(c, -1))


@export(*names_of("Dirichlet"))
class Dirichlet(OfReals):
    """Dirichlet's distribution of shares that add up to one.

    Args:
        concentration: How much speaks for each, `[..., size]`, positive.
        validate_args: Without meaning here.
        allow_nan_stats: Without meaning here.
        name: Its name.
    """

    def __init__(
        self,
        concentration: Any,
        validate_args: bool = False,
        allow_nan_stats: bool = True,
        name: str = "Dirichlet",
    ) -> None:
        super().__init__(dict(locals()), concentration)

    @property
    def concentration(self) -> Tensor:
        """How much speaks for each."""
        return self._given[0]

    @property
    def total_concentration(self) -> Tensor:
        """The sum of all."""
        return self._formula("total_concentration", lambda c: jnp.sum(c, -1))

    def _event_shape(self) -> Any:
        return self.concentration._held.shape[-1:]

    def _batch_shape(self) -> Any:
        return self.concentration._held.shape[:-1]

    def _sample_n(self, n: int, seed: Any = None) -> Tensor:
        shape, dtype = self._shape_of_draws(n), self.dtype.dtype
        return draw(
            "Dirichlet.sample",
            lambda key, c: jax.random.dirichlet(key, c, shape, dtype),
            *self._given,
            seed=seed,
        )

    def _log_prob(self, x: Tensor) -> Tensor:
        return self._formula("log_prob", lambda x, c: jnp.sum((c - 1) * jnp.log(x), -1) - _log_beta(c), x)

    def _entropy(self) -> Tensor:
        def formula(c: Any) -> Any:
            total = jnp.sum(c, -1)
            apart = jnp.sum((c - 1) * special.digamma(c), -1)
            return _log_beta(c) + (total - c.shape[-1]) * special.digamma(total) - apart

        return self._formula("entropy", formula)

    def _mean(self) -> Tensor:
        return self._formula("mean", lambda c: c / jnp.sum(c, -1, keepdims=True))

    def _variance(self) -> Tensor:
        def formula(c: Any) -> Any:
            total = jnp.sum(c, -1, keepdims=True)
            return c / total * (1 - c / total) / (total + 1)

        return self._formula("variance", formula)

    def _mode(self) -> Tensor:
        def formula(c: Any) -> Any:
            found = (c - 1) / (jnp.sum(c, -1, keepdims=True) - c.shape[-1])
            return jnp.where(jnp.all(c > 1, -1, keepdims=True), found, jnp.nan)

        return self._formula("mode", formula)


@RegisterKL(Dirichlet, Dirichlet)
def _kl_of_dirichlets(a: Any, b: Any, name: Any = None) -> Tensor:
    def formula(a: Any, b: Any) -> Any:
        apart = special.digamma(a) - special.digamma(jnp.sum(a, -1, keepdims=True))
        return jnp.sum((a - b) * apart, -1) - _log_beta(a) + _log_beta(b)

    return compute("kl_dirichlet_dirichlet", formula, *a._given, *b._given)
