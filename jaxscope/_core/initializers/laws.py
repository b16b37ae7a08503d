"""Laws: a standard draw of one element at a time, then a scale and an offset.

The definition that every way of drawing keeps to the last bit (`sample`):

1.  The standard draw is made in float32, or float64 for float64 variables, over a flat length that is a
    multiple of 128. With partitionable threefry keys (the default) element i depends on the key and on i
    alone, so any longer draw begins with the same bits. Lengths that are no such multiple would not do:
    JAX 0.8 on a CPU compiles the odd ends of a loop to other instructions (1 bit in 1 of 250 elements).
2.  Scale and offset come in at run time, behind an optimization barrier, so that XLA can't fold them into
    the draw's own constants. `0.02 * normal` and `normal * 0.02` fused differ in the last bit.
3.  The result is rounded to the variable's dtype, once.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxscope._core.base.sameness import Recent

__all__ = [
    "LANES",
    "Law",
    "barrier",
    "compute_dtype",
    "cut",
    "flat_length",
    "has_kernel",
    "kernel",
    "numbers_of",
    "sample",
    "sample_cut",
    "standard_shape",
]

#: Returns its argument, across which XLA moves and fuses nothing (but see `_MELTING`).
barrier: Callable[[Any], Any] = lax.optimization_barrier

#: Flat lengths of standard draws are multiples of this many elements.
LANES = 128


class Law(NamedTuple):
    """How one element is distributed: `scale * z + offset`, with z from the standard draw `base`.

    `base` is `"normal"`, `"truncated"` (normal, redrawn beyond 2), `"uniform"` (in [0, 1)) or `"signed"`
    (uniform in [-1, 1)).
    """

    base: str
    scale: float
    offset: float = 0.0


def _signed(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
    # Exact: u is a multiple of 2**-23 below 1, so no rounding depends on how it is compiled.
    return 2 * jax.random.uniform(key, shape, dtype) - 1


def _truncated(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
    return jax.random.truncated_normal(key, -2.0, 2.0, shape, dtype)


_BASES: dict[str, Callable[[jax.Array, tuple[int, ...], Any], jax.Array]] = {
    "normal": jax.random.normal,
    "truncated": _truncated,
    "uniform": jax.random.uniform,
    "signed": _signed,
}


def compute_dtype(dtype: Any) -> np.dtype[Any]:
    """Return the dtype in which a variable of floating `dtype` is drawn: float32 or float64."""
    return np.dtype(np.float64 if np.dtype(dtype) == np.float64 else np.float32)


def numbers_of(law: Law, dtype: Any) -> np.ndarray:
    """Return scale and offset of `law` for a variable of `dtype`, as `sample` takes them."""
    return np.array([law.scale, law.offset], compute_dtype(dtype))


def flat_length(shape: tuple[int, ...]) -> int:
    """Return the number of elements of `shape`, rounded up to a multiple of 128."""
    return -(-math.prod(shape) // LANES) * LANES


def standard_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape in which a variable of `shape` is drawn: its own if rows are whole lanes, else flat.

    Drawn in its own shape, a large variable can be split over devices without moving any element.
    """
    return shape if shape and shape[-1] % LANES == 0 else (flat_length(shape),)


def cut(drawn: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Return the first elements of `drawn` in `shape`."""
    if drawn.shape == shape:
        return drawn
    return lax.reshape(lax.slice_in_dim(lax.reshape(drawn, (drawn.size,)), 0, math.prod(shape)), shape)


def sample(
    data: jax.Array, numbers: jax.Array, *, impl: Any, base: str, shape: tuple[int, ...], dtype: Any
) -> jax.Array:
    """Draw `shape` (whole lanes, see `standard_shape`) from the law of `base` and `numbers`.

    Args:
        data: Raw data of one key.
        numbers: Scale and offset in the compute dtype, `numbers_of(law, dtype)`.
        impl: Implementation of the key, `jax.random.key_impl(key)`.
        base: Name of the standard draw.
        shape: What to draw, in elements; a multiple of 128.
        dtype: Floating dtype of the result.

    Returns:
        Array of `shape` and `dtype`, behind a barrier. Only for use inside `jax.jit`.
    """
    data, numbers = barrier((data, numbers))
    key = jax.random.wrap_key_data(data, impl=impl)
    standard = _BASES[base](key, shape, compute_dtype(dtype))
    standard, numbers = barrier((standard, numbers))
    value: jax.Array = barrier((standard * numbers[0] + numbers[1]).astype(jnp.dtype(dtype)))
    return value


def sample_cut(
    data: jax.Array, numbers: jax.Array, *, impl: Any, base: str, shape: tuple[int, ...], dtype: Any
) -> jax.Array:
    """Draw any `shape` of at least one element; the arguments are those of `sample`."""
    whole = standard_shape(shape)

    def drawn() -> jax.Array:
        return sample(data, numbers, impl=impl, base=base, shape=whole, dtype=dtype)

    return drawn() if whole == shape else cut(_fenced(drawn, data) if _MELTING else drawn(), shape)


# On a CPU, JAX before 0.9 takes the barriers away before it fuses, and would draw in the odd shape after all.
_MELTING = jax.__version_info__ < (0, 9)


def _fenced(drawn: Callable[[], jax.Array], data: jax.Array) -> jax.Array:
    """Return `drawn()` from inside a loop, out of which nothing is fused."""
    # One round, but XLA does not know that no 32-bit number has 64 bits that are set.
    rounds = 1 + lax.shift_right_logical(lax.population_count(data[0]), np.uint32(6))
    result = jax.eval_shape(drawn)
    start = np.uint32(0), jnp.zeros(result.shape, result.dtype)
    return lax.while_loop(lambda state: state[0] < rounds, lambda state: (state[0] + 1, drawn()), start)[1]


Kernel = Callable[[Any, Any], jax.Array]
_kernels: Recent[Kernel] = Recent(1024)


def kernel(impl: Any, base: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Kernel:
    """Return the compiled program `(data of a key, numbers) -> array` for one standard draw.

    Args:
        impl: Implementation of the key, `jax.random.key_impl(key)`.
        base: Name of the standard draw.
        shape: Shape of the result, in elements; at least one.
        dtype: Floating dtype of the result.

    Returns:
        A jitted function; scale and offset are its arguments, so all laws of a base share it.
    """

    def make() -> Kernel:
        def jaxscope_draw(data: jax.Array, numbers: jax.Array) -> jax.Array:
            return sample_cut(data, numbers, impl=impl, base=base, shape=shape, dtype=dtype)

        return jax.jit(jaxscope_draw)

    return _kernels.get_or((impl, base, shape, dtype), make)


def has_kernel(impl: Any, base: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    """Tell whether `kernel` has been asked for this program lately, so that it is compiled already."""
    return (impl, base, shape, dtype) in _kernels
