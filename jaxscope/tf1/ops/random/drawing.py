"""Numbers drawn by keys of the open stream: `tf.random_normal`, `tf.random_uniform` and their like.

A key is that of `js.next_key()`: it depends on the key of `js.random_keys`, the scope, and how many were
taken there before. `seed=` is folded in, so another seed gives other numbers.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxscope as js
from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.dtypes import DType, canonical
from jaxscope.tf1.base.errors import InvalidArgumentError, TensorTypeError, TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute, drawn_later, static_int, static_ints
from jaxscope.tf1.base.tensor import Tensor
from jaxscope.tf1.ops.arrays.slicing import slice_

__all__ = [
    "between",
    "categorical",
    "classes",
    "draw",
    "draw_key",
    "logits_of",
    "multinomial",
    "random_crop",
    "random_gamma",
    "random_normal",
    "random_poisson",
    "random_shuffle",
    "random_uniform",
    "real_dtype",
    "truncated",
    "truncated_normal",
]


def draw_key(seed: Any = None) -> Any:
    """Return the key of one operation that draws.

    Args:
        seed: A whole number that is folded in, or None.

    Raises:
        KeyStreamError: If no `js.random_keys` is open (`no_key_stream`).
    """
    return _folded(js.next_key(), seed)


def _folded(key: Any, seed: Any) -> Any:
    return key if seed is None else jax.random.fold_in(key, static_int(seed, "seed") % 2**32)


def draw(
    kind: str, function: Callable[..., Any], *tensors: Tensor, seed: Any, name: str | None = None
) -> Tensor:
    """Compute `function(key, *arrays)` of a new key; without a stream, of that of the variable it begins."""
    try:
        key = draw_key(seed)
    except js.errors.KeyStreamError as error:
        later = None
        if error.code == "no_key_stream":
            later = drawn_later(
                kind, lambda key, *arrays: function(_folded(key, seed), *arrays), *tensors, name=name
            )
        if later is None:
            raise
        return later
    return compute(kind, lambda *arrays: function(key, *arrays), *tensors, known=False, name=name)


def real_dtype(dtype: Any, kind: str) -> DType:
    """Return the dtype of what is drawn; `TensorTypeError` unless it is of real numbers."""
    target = canonical(dtype)
    if not target.is_floating:
        raise TensorTypeError(f"{kind} draws real numbers, not {target.name}")
    return target


def _is(tensor: Tensor, number: float) -> bool:
    return isinstance(tensor._held, np.ndarray) and bool(np.all(tensor._held == number))


def _scaled(kind: str, law: Callable[..., Any], shape: Any, mean: Any, stddev: Any, **options: Any) -> Tensor:
    """Return draws of a law of mean 0 and deviation 1, scaled and moved."""
    target, sizes = real_dtype(options["dtype"], kind), static_ints(shape, "shape")
    center, scale = convert_to_tensor(mean, target), convert_to_tensor(stddev, target)
    seed, name = options["seed"], options["name"]
    if _is(scale, 0):  # nothing is drawn, so no key is needed
        return compute(kind, lambda m: jnp.broadcast_to(jnp.asarray(m), sizes), center, name=name)

    def drawn(key: Any, m: Any, s: Any) -> Any:
        x = law(key, sizes, target.dtype)
        x = x if _is(scale, 1) else x * s
        return x if _is(center, 0) else x + m

    return draw(kind, drawn, center, scale, seed=seed, name=name)


@export("random_normal", "random.normal")
def random_normal(
    shape: Any,
    mean: Any = 0.0,
    stddev: Any = 1.0,
    dtype: Any = "float32",
    seed: Any = None,
    name: str | None = None,
) -> Tensor:
    """Return numbers of a normal distribution.

    Args:
        shape: The shape, known while tracing.
        mean: The mean, a number or a tensor that broadcasts to the shape.
        stddev: The standard deviation, likewise.
        dtype: The dtype, of real numbers.
        seed: A whole number that is folded into the key.
        name: A name for the result.

    Raises:
        KeyStreamError: If no `js.random_keys` is open (`no_key_stream`).
        TensorTypeError: If the dtype is another one (`tensor_type`).

    Example:
        >>> import jax
        >>> def noise(key):
        ...     with js.random_keys(key):
        ...         return random_normal([3], stddev=0.1)
        >>> js.transform(noise).apply({}, jax.random.key(0)).shape
        (3,)
    """
    return _scaled("RandomNormal", jax.random.normal, shape, mean, stddev, dtype=dtype, seed=seed, name=name)


def truncated(key: Any, shape: Any, dtype: Any) -> jax.Array:
    """Return numbers of the normal distribution that are within two deviations."""
    return jax.random.truncated_normal(key, -2.0, 2.0, shape, dtype)


@export("truncated_normal", "random.truncated_normal")
def truncated_normal(
    shape: Any,
    mean: Any = 0.0,
    stddev: Any = 1.0,
    dtype: Any = "float32",
    seed: Any = None,
    name: str | None = None,
) -> Tensor:
    """Return numbers of a normal distribution that are within two deviations of the mean.

    Args:
        shape: The shape, known while tracing.
        mean: The mean, a number or a tensor that broadcasts to the shape.
        stddev: The standard deviation of what is not cut off, likewise.
        dtype: The dtype, of real numbers.
        seed: A whole number that is folded into the key.
        name: A name for the result.

    Raises:
        KeyStreamError: If no `js.random_keys` is open (`no_key_stream`).
        TensorTypeError: If the dtype is another one (`tensor_type`).
    """
    return _scaled("TruncatedNormal", truncated, shape, mean, stddev, dtype=dtype, seed=seed, name=name)


@export("random_uniform", "random.uniform")
def random_uniform(
    shape: Any,
    minval: Any = 0,
    maxval: Any = None,
    dtype: Any = "float32",
    seed: Any = None,
    name: str | None = None,
) -> Tensor:
    """Return numbers that are anywhere between two limits.

    Args:
        shape: The shape, known while tracing.
        minval: The least one.
        maxval: The limit, which is not reached; 1 for real numbers, and needed for whole ones.
        dtype: The dtype: real numbers, int32 or int64.
        seed: A whole number that is folded into the key.
        name: A name for the result.

    Raises:
        KeyStreamError: If no `js.random_keys` is open (`no_key_stream`).
        TensorValueError: If whole numbers have no limit, or the dtype is another one (`tensor_value`).
        InvalidArgumentError: If it is known that there are no numbers between (`invalid_argument`).
    """
    target, sizes = canonical(dtype), static_ints(shape, "shape")
    if not (target.is_floating or target.name in {"int32", "int64", "uint32", "uint64"}):
        raise TensorValueError(f"RandomUniform draws real numbers, int32 or int64, not {target.name}")
    if maxval is None:
        if target.is_integer:
            raise TensorValueError(f"numbers of {target.name} need a maxval")
        maxval = 1
    low, high = convert_to_tensor(minval, target), convert_to_tensor(maxval, target)
    if target.is_integer:
        known = [one._held for one in (low, high) if isinstance(one._held, np.ndarray)]
        if len(known) == 2 and not np.all(known[0] < known[1]):
            raise InvalidArgumentError(f"there is no number from {known[0]} to below {known[1]}")
    kind = "RandomUniformInt" if target.is_integer else "RandomUniform"
    return draw(kind, lambda key, a, b: between(key, sizes, target, a, b), low, high, seed=seed, name=name)


def between(key: Any, shape: Any, dtype: DType, low: Any, high: Any) -> jax.Array:
    """Return numbers of a dtype that are anywhere between two limits, below the second one."""
    if dtype.is_integer:
        return jax.random.randint(key, shape, low, high, dtype.dtype)
    return jax.random.uniform(key, shape, dtype.dtype, low, high)


@export("random_gamma", "random.gamma")
def random_gamma(
    shape: Any,
    alpha: Any,
    beta: Any = None,
    dtype: Any = "float32",
    seed: Any = None,
    name: str | None = None,
) -> Tensor:
    """Return numbers of gamma distributions.

    Args:
        shape: How many for each distribution, known while tracing.
        alpha: The shapes of the distributions.
        beta: Their rates, 1 if left out; broadcasts with `alpha`.
        dtype: The dtype, of real numbers.
        seed: A whole number that is folded into the key.
        name: A name for the result.

    Returns:
        Numbers in `shape` and then the shape of `alpha` and `beta` together.

    Raises:
        KeyStreamError: If no `js.random_keys` is open (`no_key_stream`).
    """
    target, sizes = real_dtype(dtype, "RandomGamma"), static_ints(shape, "shape")
    form = convert_to_tensor(alpha, target)
    rate = convert_to_tensor(1 if beta is None else beta, target)
    each = np.broadcast_shapes(form._held.shape, rate._held.shape)

    def drawn(key: Any, a: Any, b: Any) -> Any:
        x = jax.random.gamma(key, a, (*sizes, *each), target.dtype)
        return x if beta is None else x / b

    return draw("RandomGamma", drawn, form, rate, seed=seed, name=name)


@export("random_poisson")
def random_poisson(
    lam: Any, shape: Any, dtype: Any = "float32", seed: Any = None, name: str | None = None
) -> Tensor:
    """Return numbers of Poisson distributions.

    Args:
        lam: Their means.
        shape: How many for each, known while tracing.
        dtype: The dtype.
        seed: A whole number that is folded into the key.
        name: A name for the result.

    Returns:
        Numbers in `shape` and then the shape of `lam`.

    Raises:
        KeyStreamError: If no `js.random_keys` is open (`no_key_stream`).
    """
    means, sizes, target = convert_to_tensor(lam), static_ints(shape, "shape"), canonical(dtype)
    each = means._held.shape

    def drawn(key: Any, mean: Any) -> Any:
        return jax.random.poisson(key, mean, (*sizes, *each)).astype(target.dtype)

    return draw("RandomPoisson", drawn, means, seed=seed, name=name)


@export("random.poisson")
def _poisson(
    shape: Any, lam: Any, dtype: Any = "float32", seed: Any = None, name: str | None = None
) -> Tensor:
    """Return numbers of Poisson distributions; `random_poisson` with the shape first.

    Args:
        shape: How many for each, known while tracing.
        lam: Their means.
        dtype: The dtype.
        seed: A whole number that is folded into the key.
        name: A name for the result.
    """
    return random_poisson(lam, shape, dtype, seed, name)


def logits_of(value: Any) -> Tensor:
    """Return a value as a tensor of logits, `[batch, classes]`, or raise an error."""
    tensor = convert_to_tensor(value)
    if tensor._held.ndim != 2:
        raise TensorValueError(f"logits have shape [batch, classes], not {tensor.get_shape()}")
    if not tensor.dtype.is_floating:
        raise TensorTypeError(f"logits are real numbers, not {tensor.dtype.name}")
    return tensor


def classes(key: Any, logits: Any, count: int, dtype: DType) -> jax.Array:
    """Return so many classes for each row of logits."""
    drawn = jax.random.categorical(key, jnp.expand_dims(logits, 1), shape=(logits.shape[0], count))
    return drawn.astype(dtype.dtype)


@export("multinomial", "random.multinomial")
def multinomial(
    logits: Any, num_samples: Any, seed: Any = None, name: str | None = None, output_dtype: Any = None
) -> Tensor:
    """Return classes, drawn by their unnormalized logarithms of probabilities.

    Args:
        logits: Those of each class, of shape `[batch, classes]`.
        num_samples: How many are drawn for each row, known while tracing.
        seed: A whole number that is folded into the key.
        name: A name for the result.
        output_dtype: `tf.int64`, if left out, or `tf.int32`.

    Returns:
        Whole numbers of shape `[batch, num_samples]`.

    Raises:
        KeyStreamError: If no `js.random_keys` is open (`no_key_stream`).
        TensorValueError: If the logits have another rank (`tensor_value`).
    """
    tensor, count = logits_of(logits), static_int(num_samples, "num_samples")
    target = canonical(output_dtype or "int64")
    return draw("Multinomial", lambda key, x: classes(key, x, count, target), tensor, seed=seed, name=name)


@export("random.categorical")
def categorical(
    logits: Any, num_samples: Any, dtype: Any = None, seed: Any = None, name: str | None = None
) -> Tensor:
    """Return classes, drawn by their unnormalized logarithms of probabilities.

    Args:
        logits: Those of each class, of shape `[batch, classes]`.
        num_samples: How many are drawn for each row, known while tracing.
        dtype: `tf.int64`, if left out, or `tf.int32`.
        seed: A whole number that is folded into the key.
        name: A name for the result.
    """
    return multinomial(logits, num_samples, seed, name, dtype)


@export("random_shuffle", "random.shuffle")
def random_shuffle(value: Any, seed: Any = None, name: str | None = None) -> Tensor:
    """Return a tensor with its parts along the first axis in a random order.

    Args:
        value: A tensor.
        seed: A whole number that is folded into the key.
        name: A name for the result.

    Raises:
        KeyStreamError: If no `js.random_keys` is open (`no_key_stream`).
    """
    tensor = convert_to_tensor(value)
    if not tensor._held.ndim:
        return tensor
    return draw("RandomShuffle", jax.random.permutation, tensor, seed=seed, name=name)


@export("random_crop", "image.random_crop")
def random_crop(value: Any, size: Any, seed: Any = None, name: str | None = None) -> Tensor:
    """Return a part of a tensor at a random place.

    Args:
        value: A tensor.
        size: The size of the part, one number for each axis, known while tracing.
        seed: A whole number that is folded into the key.
        name: A name for the result.

    Raises:
        KeyStreamError: If no `js.random_keys` is open (`no_key_stream`).
        InvalidArgumentError: If the part is larger than the tensor (`invalid_argument`).
    """
    tensor, sizes = convert_to_tensor(value), static_ints(size, "size")
    shape = tensor._held.shape
    if len(sizes) != len(shape) or any(part > n for part, n in zip(sizes, shape, strict=False)):
        raise InvalidArgumentError(f"a part of size {sizes} of a tensor of shape {tensor.get_shape()}")
    limits = np.asarray([n - part + 1 for part, n in zip(sizes, shape, strict=True)], np.int32)
    begin = draw(
        "RandomUniformInt",
        lambda key: jax.random.randint(key, (len(sizes),), 0, limits, jnp.int32),
        seed=seed,
        name=None,
    )
    return slice_(tensor, begin, list(sizes), name)
