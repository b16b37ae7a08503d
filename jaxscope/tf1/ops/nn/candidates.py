"""Classes that are drawn in place of all of them: candidate samplers."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.dtypes import canonical
from jaxscope.tf1.base.errors import TensorTypeError, TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute_tree, static_int
from jaxscope.tf1.base.tensor import Tensor
from jaxscope.tf1.ops.nn.arguments import expect_rank
from jaxscope.tf1.ops.random.drawing import draw_key

__all__ = ["Candidates", "log_uniform_candidate_sampler", "uniform_candidate_sampler"]


class Candidates(NamedTuple):
    """What a candidate sampler returns.

    Attributes:
        sampled_candidates: The classes that were drawn, `[num_sampled]`, int64.
        true_expected_count: How often each true class is expected among them, like `true_classes`.
        sampled_expected_count: How often each of them is expected, `[num_sampled]`.
    """

    sampled_candidates: Tensor
    true_expected_count: Tensor
    sampled_expected_count: Tensor


def _sample(
    kind: str,
    true_classes: Any,
    num_true: Any,
    num_sampled: Any,
    unique: bool,
    range_max: Any,
    seed: Any,
    name: str | None,
    share: Callable[[Any, int], Any],
) -> Candidates:
    """Draw classes of which each has a share; `share(classes, range_max)` gives the shares."""
    true = convert_to_tensor(true_classes)
    number, classes = static_int(num_sampled, "num_sampled"), static_int(range_max, "range_max")
    if not true.dtype.is_integer:
        raise TensorTypeError(f"{kind}: true_classes are whole numbers, not {true.dtype.name}")
    expect_rank(kind, true, 2, "true_classes")
    if true._held.shape[1] != static_int(num_true, "num_true"):
        raise TensorValueError(
            f"{kind}: true_classes of {true.get_shape()} are not {num_true} for each example"
        )
    if number < 1 or classes < 1 or (unique and number > classes):
        raise TensorValueError(f"{kind}: {number} classes cannot be drawn of {classes}")
    key, dtype = draw_key(seed), canonical("int64").dtype

    def run(true: Any) -> tuple[Any, Any, Any]:
        logs = jnp.log(share(np.arange(classes), classes))
        if not unique:
            drawn = jax.random.categorical(key, logs, shape=(number,)).astype(dtype)
            return drawn, share(true, classes) * number, share(drawn, classes) * number
        first, second = jax.random.split(key)
        # The largest logarithms with noise are those that would be drawn one after the other, without return.
        drawn = jax.lax.top_k(logs + jax.random.gumbel(first, (classes,)), number)[1].astype(dtype)
        shares = share(drawn, classes)
        left = jnp.clip(1 - (jnp.cumsum(shares) - shares), 1e-7, 1)
        tries = jnp.sum(jax.random.geometric(second, left).astype(jnp.float32))
        expected = [-jnp.expm1(tries * jnp.log1p(-one)) for one in (share(true, classes), shares)]
        return drawn, expected[0], expected[1]

    return Candidates(*compute_tree(kind, run, true, known=False, name=name))


def _log_uniform(classes: Any, range_max: int) -> Any:
    return jnp.log1p(1 / (jnp.asarray(classes, jnp.float32) + 1)) / np.float32(np.log(range_max + 1))


def _uniform(classes: Any, range_max: int) -> Any:
    return jnp.full(jnp.shape(classes), 1 / range_max, jnp.float32)


@export("nn.log_uniform_candidate_sampler", "random.log_uniform_candidate_sampler")
def log_uniform_candidate_sampler(
    true_classes: Any,
    num_true: Any,
    num_sampled: Any,
    unique: bool,
    range_max: Any,
    seed: Any = None,
    name: str | None = None,
) -> Candidates:
    """Draw classes by Zipf's law: class c has the share `log((c + 2) / (c + 1)) / log(range_max + 1)`.

    Args:
        true_classes: `[batch, num_true]`, whole numbers.
        num_true: How many true classes an example has.
        num_sampled: How many are drawn.
        unique: Whether no class is drawn twice.
        range_max: The number of classes.
        seed: A whole number; another one gives other draws.
        name: A name for the result.

    Returns:
        `(sampled_candidates, true_expected_count, sampled_expected_count)`, a named tuple.

    Raises:
        TensorValueError: If sizes do not fit (`rank`, `tensor_value`).
        TensorTypeError: If classes are no whole numbers (`tensor_type`).
        KeyStreamError: If no stream of keys is open (`no_key_stream`).
    """
    return _sample(
        "LogUniformCandidateSampler",
        true_classes,
        num_true,
        num_sampled,
        unique,
        range_max,
        seed,
        name,
        _log_uniform,
    )


@export("nn.uniform_candidate_sampler", "random.uniform_candidate_sampler")
def uniform_candidate_sampler(
    true_classes: Any,
    num_true: Any,
    num_sampled: Any,
    unique: bool,
    range_max: Any,
    seed: Any = None,
    name: str | None = None,
) -> Candidates:
    """Draw classes, each of which has the same share.

    Args:
        true_classes: `[batch, num_true]`, whole numbers.
        num_true: How many true classes an example has.
        num_sampled: How many are drawn.
        unique: Whether no class is drawn twice.
        range_max: The number of classes.
        seed: A whole number; another one gives other draws.
        name: A name for the result.

    Returns:
        `(sampled_candidates, true_expected_count, sampled_expected_count)`, a named tuple.

    Raises:
        TensorValueError: If sizes do not fit (`rank`, `tensor_value`).
        TensorTypeError: If classes are no whole numbers (`tensor_type`).
        KeyStreamError: If no stream of keys is open (`no_key_stream`).
    """
    return _sample(
        "UniformCandidateSampler",
        true_classes,
        num_true,
        num_sampled,
        unique,
        range_max,
        seed,
        name,
        _uniform,
    )
