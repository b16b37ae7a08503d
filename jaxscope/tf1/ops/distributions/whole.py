"""Distributions of whole numbers: Bernoulli's, and classes."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.errors import TensorTypeError, TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute
from jaxscope.tf1.base.tensor import Tensor
from jaxscope.tf1.ops.distributions.distribution import (
    NOT_REPARAMETERIZED,
    Distribution,
    RegisterKL,
    names_of,
    real_parameters,
)
from jaxscope.tf1.ops.random.drawing import draw

__all__ = ["Bernoulli", "Categorical"]


class _OfLogits(Distribution):
    """One that is made of logits or of probabilities; formulas are given the logits."""

    def __init__(self, parameters: dict[str, Any], validate_args: bool, allow_nan_stats: bool) -> None:
        logits, probs = parameters["logits"], parameters["probs"]
        if (logits is None) == (probs is None):
            raise TensorValueError(
                "Must pass probs or logits" + (", but not both." if probs is not None else ".")
            )
        (given,) = real_parameters(probs if logits is None else logits)
        super().__init__(
            parameters["dtype"],
            NOT_REPARAMETERIZED,
            validate_args,
            allow_nan_stats,
            parameters,
            name=parameters["name"],
        )
        if logits is None:
            self._probs, self._given = given, [compute("Log", self._logits_of, given)]
        else:
            self._probs, self._given = compute("Softmax", self._probs_of, given), [given]

    @staticmethod
    def _logits_of(p: Any) -> Any:
        raise NotImplementedError

    @staticmethod
    def _probs_of(x: Any) -> Any:
        raise NotImplementedError

    @property
    def logits(self) -> Tensor:
        """The logits."""
        return self._given[0]

    @property
    def probs(self) -> Tensor:
        """The probabilities."""
        return self._probs


@export(*names_of("Bernoulli"))
class Bernoulli(_OfLogits):
    """Bernoulli's distribution: one, or zero.

    Args:
        logits: The logarithms of the odds of one; either these or `probs`.
        probs: The probabilities of one.
        dtype: The dtype of what is drawn.
        validate_args: Without meaning here.
        allow_nan_stats: Without meaning here.
        name: Its name.

    Raises:
        TensorValueError: If both are given, or none (`tensor_value`).
    """

    def __init__(
        self,
        logits: Any = None,
        probs: Any = None,
        dtype: Any = "int32",
        validate_args: bool = False,
        allow_nan_stats: bool = True,
        name: str = "Bernoulli",
    ) -> None:
        super().__init__(dict(locals()), validate_args, allow_nan_stats)

    @staticmethod
    def _logits_of(p: Any) -> Any:
        return jnp.log(p) - jnp.log1p(-p)

    @staticmethod
    def _probs_of(x: Any) -> Any:
        return jax.nn.sigmoid(x)

    def _asked(self, value: Any) -> Tensor:
        tensor = convert_to_tensor(value)
        return compute("Cast", lambda x: jnp.asarray(x).astype(self.logits.dtype.dtype), tensor)

    def _sample_n(self, n: int, seed: Any = None) -> Tensor:
        shape, dtype = self._shape_of_draws(n), self.dtype.dtype

        def drawn(key: Any, p: Any) -> Any:
            return (jax.random.uniform(key, shape, p.dtype) < p).astype(dtype)

        return draw("Bernoulli.sample", drawn, self._probs, seed=seed)

    def _log_prob(self, x: Tensor) -> Tensor:
        def formula(z: Any, x: Any) -> Any:
            return z * x - jnp.maximum(x, 0) - jnp.log1p(jnp.exp(-jnp.abs(x)))

        return self._formula("log_prob", formula, x)

    def _entropy(self) -> Tensor:
        return self._formula("entropy", lambda x: -x * (jax.nn.sigmoid(x) - 1) + jax.nn.softplus(-x))

    def _mean(self) -> Tensor:
        return self._probs

    def _variance(self) -> Tensor:
        return compute("Mul", lambda p: p * (1 - p), self._probs)

    def _mode(self) -> Tensor:
        return compute("Cast", lambda p: (p > 0.5).astype(self.dtype.dtype), self._probs)


@RegisterKL(Bernoulli, Bernoulli)
def _kl_of_bernoullis(a: Any, b: Any, name: Any = None) -> Tensor:
    def formula(x: Any, y: Any) -> Any:
        zero = jax.nn.sigmoid(-x) * (jax.nn.softplus(y) - jax.nn.softplus(x))
        return zero + jax.nn.sigmoid(x) * (jax.nn.softplus(-y) - jax.nn.softplus(-x))

    return compute("kl_bernoulli_bernoulli", formula, a.logits, b.logits)


@export(*names_of("Categorical"))
class Categorical(_OfLogits):
    """Classes by their probabilities.

    Args:
        logits: Logarithms of what the probabilities are in proportion to, `[..., classes]`; these or `probs`.
        probs: The probabilities, `[..., classes]`.
        dtype: The dtype of what is drawn.
        validate_args: Without meaning here.
        allow_nan_stats: Without meaning here.
        name: Its name.

    Raises:
        TensorValueError: If both are given, or none, or a number without axes (`tensor_value`).
    """

    def __init__(
        self,
        logits: Any = None,
        probs: Any = None,
        dtype: Any = "int32",
        validate_args: bool = False,
        allow_nan_stats: bool = True,
        name: str = "Categorical",
    ) -> None:
        super().__init__(dict(locals()), validate_args, allow_nan_stats)
        if not self.logits._held.ndim:
            raise TensorValueError("Categorical needs an axis of classes, not one number")

    @staticmethod
    def _logits_of(p: Any) -> Any:
        return jnp.log(p)

    @staticmethod
    def _probs_of(x: Any) -> Any:
        return jax.nn.softmax(x)

    @property
    def event_size(self) -> Tensor:
        """How many classes there are."""
        return convert_to_tensor(self.logits._held.shape[-1])

    def _batch_shape(self) -> Any:
        return self.logits._held.shape[:-1]

    def _asked(self, value: Any) -> Tensor:
        tensor = convert_to_tensor(value)
        if not (tensor.dtype.is_integer or tensor.dtype.is_floating):
            raise TensorTypeError(f"a class is a number, not {tensor.dtype.name}")
        return compute("Cast", lambda x: jnp.asarray(x).astype(jnp.int32), tensor)

    def _sample_n(self, n: int, seed: Any = None) -> Tensor:
        shape, dtype = self._shape_of_draws(n), self.dtype.dtype

        def drawn(key: Any, x: Any) -> Any:
            return jax.random.categorical(key, x, shape=shape).astype(dtype)

        return draw("Categorical.sample", drawn, self.logits, seed=seed)

    def _log_prob(self, k: Tensor) -> Tensor:
        def formula(k: Any, x: Any) -> Any:
            shape = jnp.broadcast_shapes(jnp.shape(k), x.shape[:-1])
            logs = jnp.broadcast_to(jax.nn.log_softmax(x), (*shape, x.shape[-1]))
            at = jnp.broadcast_to(k, shape)[..., None]
            return jnp.take_along_axis(logs, at, -1)[..., 0]

        return self._formula("log_prob", formula, k)

    def _entropy(self) -> Tensor:
        def formula(x: Any, p: Any) -> Any:
            return -jnp.sum(jax.nn.log_softmax(x) * p, -1)

        return compute("Categorical.entropy", formula, self.logits, self._probs)

    def _mode(self) -> Tensor:
        return self._formula("mode", lambda x: jnp.argmax(x, -1).astype(self.dtype.dtype))


@RegisterKL(Categorical, Categorical)
def _kl_of_classes(a: Any, b: Any, name: Any = None) -> Tensor:
    def formula(x: Any, y: Any) -> Any:
        return jnp.sum(jax.nn.softmax(x) * (jax.nn.log_softmax(x) - jax.nn.log_softmax(y)), -1)

    return compute("kl_categorical_categorical", formula, a.logits, b.logits)
