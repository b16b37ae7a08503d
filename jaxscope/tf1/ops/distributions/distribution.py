"""What all distributions have, over what each one tells of itself: `sample`, `log_prob`, `entropy`."""

import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxscope.tf1.base.converting import convert_many, convert_to_tensor
from jaxscope.tf1.base.dtypes import DType, canonical
from jaxscope.tf1.base.errors import TensorTypeError, UnimplementedError
from jaxscope.tf1.base.exporting import export, export_constant
from jaxscope.tf1.base.operation import compute, static_ints
from jaxscope.tf1.base.shapes import TensorShape
from jaxscope.tf1.base.tensor import Tensor, wrap
from jaxscope.tf1.ops.control.checks import assert_same_float_dtype

__all__ = ["Distribution", "OfReals", "names_of", "real_parameters"]


class ReparameterizationType:
    """Whether gradients go through what is drawn."""

    def __init__(self, rep_type: str) -> None:
        self._type = rep_type

    def __repr__(self) -> str:
        return f"<Reparameterization Type: {self._type}>"


FULLY_REPARAMETERIZED = ReparameterizationType("FULLY_REPARAMETERIZED")
NOT_REPARAMETERIZED = ReparameterizationType("NOT_REPARAMETERIZED")


def names_of(name: str) -> tuple[str, str]:
    """Return the two names under which TensorFlow has what belongs to distributions."""
    return f"distributions.{name}", f"contrib.distributions.{name}"


export_constant(ReparameterizationType, *names_of("ReparameterizationType"))
export_constant(FULLY_REPARAMETERIZED, *names_of("FULLY_REPARAMETERIZED"))
export_constant(NOT_REPARAMETERIZED, *names_of("NOT_REPARAMETERIZED"))


def real_parameters(*values: Any) -> list[Tensor]:
    """Return parameters as tensors of one dtype of real numbers.

    Raises:
        TensorTypeError: If they do not agree (`tensor_type`).
        TensorValueError: If they are no real numbers (`tensor_value`).
    """
    tensors = convert_many(values)
    assert_same_float_dtype(tensors)
    return tensors


@export(*names_of("Distribution"))
class Distribution:
    """A distribution; one of the program's own has `_log_prob`, `_sample_n` and what else it can tell.

    Args:
        dtype: The dtype of what is drawn.
        reparameterization_type: Whether gradients go through what is drawn.
        validate_args: Without meaning here: a compiled program does not raise.
        allow_nan_stats: Without meaning here: what is not defined is NaN.
        parameters: What it was made of, by name, for `copy`.
        graph_parents: Without meaning here.
        name: Its name.
    """

    def __init__(
        self,
        dtype: Any,
        reparameterization_type: Any = FULLY_REPARAMETERIZED,
        validate_args: bool = False,
        allow_nan_stats: bool = True,
        parameters: Any = None,
        graph_parents: Any = None,
        name: str | None = None,
    ) -> None:
        self._dtype, self._reparameterization_type = canonical(dtype), reparameterization_type
        self._validate_args, self._allow_nan_stats = validate_args, allow_nan_stats
        self._parameters = {
            key: value
            for key, value in dict(parameters or {}).items()
            if key not in {"self", "__class__"} and not key.startswith("_")
        }
        self._name = name or type(self).__name__
        #: The tensors that formulas are given, behind what they are asked about.
        self._given: list[Tensor] = []

    def _formula(self, kind: str, formula: Callable[..., Any], *values: Tensor) -> Tensor:
        return compute(f"{type(self).__name__}.{kind}", formula, *values, *self._given)

    @property
    def name(self) -> str:
        """The name."""
        return self._name

    @property
    def dtype(self) -> DType:
        """The dtype of what is drawn."""
        return self._dtype

    @property
    def parameters(self) -> dict[str, Any]:
        """What it was made of, by name."""
        return dict(self._parameters)

    @property
    def reparameterization_type(self) -> Any:
        """Whether gradients go through what is drawn."""
        return self._reparameterization_type

    @property
    def allow_nan_stats(self) -> bool:
        """What was told; what is not defined is NaN here."""
        return self._allow_nan_stats

    @property
    def validate_args(self) -> bool:
        """What was told; a compiled program does not raise."""
        return self._validate_args

    @property
    def batch_shape(self) -> TensorShape:
        """The shape of the distributions that are in this one."""
        return TensorShape(self._batch_shape())

    @property
    def event_shape(self) -> TensorShape:
        """The shape of one thing that is drawn."""
        return TensorShape(self._event_shape())

    def _batch_shape(self) -> Any:
        return np.broadcast_shapes(*(one._held.shape for one in self._given))

    def _event_shape(self) -> Any:
        return ()

    def batch_shape_tensor(self, name: str = "batch_shape_tensor") -> Tensor:
        """Return the shape of the distributions as a tensor."""
        return wrap(np.asarray(self.batch_shape.as_list(), np.int32), name)

    def event_shape_tensor(self, name: str = "event_shape_tensor") -> Tensor:
        """Return the shape of one thing that is drawn as a tensor."""
        return wrap(np.asarray(self.event_shape.as_list(), np.int32), name)

    def is_scalar_batch(self, name: str = "is_scalar_batch") -> Tensor:
        """Return whether it is one distribution alone."""
        return convert_to_tensor(not self.batch_shape.as_list())

    def is_scalar_event(self, name: str = "is_scalar_event") -> Tensor:
        """Return whether single numbers are drawn."""
        return convert_to_tensor(not self.event_shape.as_list())

    def copy(self, **override_parameters_kwargs: Any) -> Any:
        """Return another one, made of the same but for what is told.

        Args:
            **override_parameters_kwargs: What it is made of instead.
        """
        return type(self)(**{**self._parameters, **override_parameters_kwargs})

    def sample(self, sample_shape: Any = (), seed: Any = None, name: str = "sample") -> Tensor:
        """Return what is drawn, of shape `sample_shape`, that of the distributions, that of an event.

        Args:
            sample_shape: How often each is drawn from, known while tracing.
            seed: A whole number that is folded into the key.
            name: A name for the result.

        Raises:
            KeyStreamError: If no `js.random_keys` is open (`no_key_stream`).
        """
        shape = (
            (sample_shape,) if isinstance(sample_shape, int) else static_ints(sample_shape, "sample_shape")
        )
        drawn = convert_to_tensor(self._sample_n(math.prod(shape), seed))
        if len(shape) == 1:
            return drawn
        rest = drawn._held.shape[1:]
        return compute("Reshape", lambda x: jnp.reshape(x, (*shape, *rest)), drawn, name=name)

    def _shape_of_draws(self, n: int) -> tuple[int, ...]:
        return (n, *self.batch_shape.as_list())

    def _asked(self, value: Any) -> Tensor:
        return convert_to_tensor(value, self._dtype)

    def _told(self, name: str, *args: Any) -> Tensor:
        """Return what a method of this distribution tells."""
        method = getattr(self, name, None)
        if method is None:
            raise UnimplementedError(f"{type(self).__name__} has no {name.removeprefix('_')}")
        return convert_to_tensor(method(*args))

    def log_prob(self, value: Any, name: str = "log_prob") -> Any:
        """Return the logarithm of the density, or of the probability, of values.

        Args:
            value: Values, which broadcast with the distributions.
            name: A name for the result.
        """
        x = self._asked(value)
        if not hasattr(self, "_log_prob"):
            return compute("Log", jnp.log, self._told("_prob", x), name=name)
        return self._told("_log_prob", x)

    def prob(self, value: Any, name: str = "prob") -> Any:
        """Return the density, or the probability, of values.

        Args:
            value: Values, which broadcast with the distributions.
            name: A name for the result.
        """
        if hasattr(self, "_prob"):
            return self._told("_prob", self._asked(value))
        return compute("Exp", jnp.exp, self.log_prob(value), name=name)

    def cdf(self, value: Any, name: str = "cdf") -> Any:
        """Return how likely it is that what is drawn is not greater than values.

        Args:
            value: Values, which broadcast with the distributions.
            name: A name for the result.
        """
        if hasattr(self, "_cdf"):
            return self._told("_cdf", self._asked(value))
        return compute("Exp", jnp.exp, self._told("_log_cdf", self._asked(value)), name=name)

    def log_cdf(self, value: Any, name: str = "log_cdf") -> Any:
        """Return the logarithm of `cdf`.

        Args:
            value: Values, which broadcast with the distributions.
            name: A name for the result.
        """
        if hasattr(self, "_log_cdf"):
            return self._told("_log_cdf", self._asked(value))
        return compute("Log", jnp.log, self._told("_cdf", self._asked(value)), name=name)

    def survival_function(self, value: Any, name: str = "survival_function") -> Any:
        """Return how likely it is that what is drawn is greater than values.

        Args:
            value: Values, which broadcast with the distributions.
            name: A name for the result.
        """
        return compute("Sub", lambda x: 1 - x, self.cdf(value), name=name)

    def quantile(self, value: Any, name: str = "quantile") -> Any:
        """Return at which value `cdf` is as told.

        Args:
            value: Probabilities, which broadcast with the distributions.
            name: A name for the result.
        """
        return self._told("_quantile", self._asked(value))

    def entropy(self, name: str = "entropy") -> Any:
        """Return the entropies, in nats."""
        return self._told("_entropy")

    def mean(self, name: str = "mean") -> Any:
        """Return the means."""
        return self._told("_mean")

    def mode(self, name: str = "mode") -> Any:
        """Return what is likeliest."""
        return self._told("_mode")

    def variance(self, name: str = "variance") -> Any:
        """Return the variances."""
        if hasattr(self, "_variance"):
            return self._told("_variance")
        return compute("Square", jnp.square, self._told("_stddev"), name=name)

    def stddev(self, name: str = "stddev") -> Any:
        """Return the standard deviations."""
        if hasattr(self, "_stddev"):
            return self._told("_stddev")
        return compute("Sqrt", jnp.sqrt, self._told("_variance"), name=name)

    def covariance(self, name: str = "covariance") -> Any:
        """Return the covariances."""
        return self._told("_covariance")

    def _sample_n(self, n: int, seed: Any = None) -> Any:
        raise UnimplementedError(f"{type(self).__name__} has no sample_n")

    def kl_divergence(self, other: Any, name: str = "kl_divergence") -> Any:
        """Return how far another distribution is from this one, in nats.

        Args:
            other: The other one.
            name: Without meaning here.
        """
        return kl_divergence(self, other)

    def cross_entropy(self, other: Any, name: str = "cross_entropy") -> Any:
        """Return the entropy plus `kl_divergence`, in nats.

        Args:
            other: The other one.
            name: Without meaning here.
        """
        return self.entropy() + kl_divergence(self, other)

    def __repr__(self) -> str:
        shapes = f"batch_shape={self.batch_shape} event_shape={self.event_shape}"
        return f"<tf.distributions.{type(self).__name__} {self._name!r} {shapes} dtype={self._dtype.name}>"


class OfReals(Distribution):
    """One whose parameters are real numbers of one dtype, that of what is drawn; formulas are given these.

    Args:
        parameters: The arguments that it is made of, by name.
        *values: Those that are the parameters.
    """

    def __init__(self, parameters: dict[str, Any], *values: Any) -> None:
        given = real_parameters(*values)
        super().__init__(
            given[0].dtype,
            validate_args=parameters["validate_args"],
            allow_nan_stats=parameters["allow_nan_stats"],
            parameters=parameters,
            name=parameters["name"],
        )
        self._given = given


#: Two classes -> how far one is from the other.
_DIVERGENCES: dict[tuple[type, type], Callable[..., Any]] = {}


@export(*names_of("RegisterKL"))
class RegisterKL:
    """Puts a function under `kl_divergence` for two classes.

    Args:
        dist_cls_a: The class of the first distribution.
        dist_cls_b: The class of the second one.
    """

    def __init__(self, dist_cls_a: type, dist_cls_b: type) -> None:
        self._key = dist_cls_a, dist_cls_b

    def __call__(self, kl_fn: Callable[..., Any]) -> Callable[..., Any]:
        if not callable(kl_fn):
            raise TensorTypeError("kl_fn must be a function")
        _DIVERGENCES[self._key] = kl_fn
        return kl_fn


@export(*names_of("kl_divergence"))
def kl_divergence(
    distribution_a: Any, distribution_b: Any, allow_nan_stats: bool = True, name: str | None = None
) -> Tensor:
    """Return the Kullback-Leibler divergences of two distributions, in nats.

    Args:
        distribution_a: From whose side it is seen.
        distribution_b: The other one.
        allow_nan_stats: Without meaning here.
        name: Without meaning here.

    Raises:
        UnimplementedError: If there is no formula for these two (`unimplemented`).
    """
    found = [
        (one, other)
        for one in type(distribution_a).__mro__
        for other in type(distribution_b).__mro__
        if (one, other) in _DIVERGENCES
    ]
    if not found:
        kinds = f"{type(distribution_a).__name__} and {type(distribution_b).__name__}"
        raise UnimplementedError(
            f"kl_divergence has no formula for {kinds}",
            fix="tf.distributions.RegisterKL, or an estimate by sample()",
        )
    return convert_to_tensor(_DIVERGENCES[found[0]](distribution_a, distribution_b, name=name))
