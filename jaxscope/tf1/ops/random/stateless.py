"""`tf.random.stateless_*`: numbers drawn by two whole numbers alone."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.dtypes import canonical
from jaxscope.tf1.base.errors import TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute, static_int, static_ints
from jaxscope.tf1.base.tensor import Tensor
from jaxscope.tf1.ops.arrays.gathering import whole_numbers
from jaxscope.tf1.ops.random.drawing import between, classes, logits_of, real_dtype, truncated

__all__ = [
    "stateless_categorical",
    "stateless_normal",
    "stateless_truncated_normal",
    "stateless_uniform",
]


def _seed(seed: Any) -> Tensor:
    tensor = whole_numbers(seed, "seed")
    if tensor._held.shape != (2,):
        raise TensorValueError(f"a seed is two whole numbers, not of shape {tensor.get_shape()}")
    return tensor


def _key(seed: Any) -> Any:
    return jax.random.fold_in(jax.random.key(jnp.asarray(seed)[0]), jnp.asarray(seed)[1])


def _scaled(
    kind: str, law: Any, shape: Any, seed: Any, mean: Any, stddev: Any, dtype: Any, name: Any
) -> Tensor:
    target, sizes = real_dtype(dtype, kind), static_ints(shape, "shape")
    center, scale = convert_to_tensor(mean, target), convert_to_tensor(stddev, target)
    return compute(
        kind,
        lambda words, m, s: law(_key(words), sizes, target.dtype) * s + m,
        _seed(seed),
        center,
        scale,
        name=name,
    )


@export("random.stateless_normal")
def stateless_normal(
    shape: Any,
    seed: Any,
    mean: Any = 0.0,
    stddev: Any = 1.0,
    dtype: Any = "float32",
    name: str | None = None,
) -> Tensor:
    """Return numbers of a normal distribution, the same for the same seed.

    Args:
        shape: The shape, known while tracing.
        seed: Two whole numbers.
        mean: The mean.
        stddev: The standard deviation.
        dtype: The dtype, of real numbers.
        name: A name for the result.

    Raises:
        TensorValueError: If the seed is not two numbers (`tensor_value`).
    """
    return _scaled("StatelessNormal", jax.random.normal, shape, seed, mean, stddev, dtype, name)


@export("random.stateless_truncated_normal")
def stateless_truncated_normal(
    shape: Any,
    seed: Any,
    mean: Any = 0.0,
    stddev: Any = 1.0,
    dtype: Any = "float32",
    name: str | None = None,
) -> Tensor:
    """Return numbers of a normal distribution within two deviations, the same for the same seed.

    Args:
        shape: The shape, known while tracing.
        seed: Two whole numbers.
        mean: The mean.
        stddev: The standard deviation of what is not cut off.
        dtype: The dtype, of real numbers.
        name: A name for the result.

    Raises:
        TensorValueError: If the seed is not two numbers (`tensor_value`).
    """
    return _scaled("StatelessTruncatedNormal", truncated, shape, seed, mean, stddev, dtype, name)


@export("random.stateless_uniform")
def stateless_uniform(
    shape: Any,
    seed: Any,
    minval: Any = 0,
    maxval: Any = None,
    dtype: Any = "float32",
    name: str | None = None,
) -> Tensor:
    """Return numbers that are anywhere between two limits, the same for the same seed.

    Args:
        shape: The shape, known while tracing.
        seed: Two whole numbers.
        minval: The least one.
        maxval: The limit, which is not reached; 1 for real numbers, and needed for whole ones.
        dtype: The dtype.
        name: A name for the result.

    Raises:
        TensorValueError: If the seed is not two numbers, or whole numbers have no limit (`tensor_value`).
    """
    target, sizes = canonical(dtype), static_ints(shape, "shape")
    if maxval is None and target.is_integer:
        raise TensorValueError(f"numbers of {target.name} need a maxval")
    low, high = convert_to_tensor(minval, target), convert_to_tensor(1 if maxval is None else maxval, target)
    return compute(
        "StatelessUniform",
        lambda words, a, b: between(_key(words), sizes, target, a, b),
        _seed(seed),
        low,
        high,
        name=name,
    )


@export("random.stateless_categorical", "random.stateless_multinomial")
def stateless_categorical(
    logits: Any, num_samples: Any, seed: Any, dtype: Any = "int64", name: str | None = None
) -> Tensor:
    """Return classes, drawn by their logits, the same for the same seed.

    Args:
        logits: Those of each class, of shape `[batch, classes]`.
        num_samples: How many are drawn for each row, known while tracing.
        seed: Two whole numbers.
        dtype: `tf.int64` or `tf.int32`.
        name: A name for the result.

    Raises:
        TensorValueError: If the seed is not two numbers, or the logits have another rank (`tensor_value`).
        TensorTypeError: If the logits are no real numbers (`tensor_type`).
    """
    tensor, count, target = logits_of(logits), static_int(num_samples, "num_samples"), canonical(dtype)
    return compute(
        "StatelessMultinomial",
        lambda x, words: classes(_key(words), x, count, target),
        tensor,
        _seed(seed),
        name=name,
    )
