"""Laws: a standard draw of one element at a time, then a scale and an offset.

The definition that every way of drawing keeps to the last bit (`sample`):

1.  An element's random bits depend on the key and on its place in the variable, counted in row-major order
    (`jaxscope._core.initializers.bits`): 32 of them, or 64 for dtypes of 64 bits.
2.  A standard number is made of them by steps that are exact, or rounded alike however they are compiled
    (`jaxscope._core.initializers.quantile`): in float64 for float64 variables, else in float32.
3.  It is multiplied by the scale, the offset is added, if the law has one, and the result is rounded to the
    variable's dtype.

No step looks at another element. So any part of a variable may be made by itself, on the device where it
lives, and a long draw begins with the numbers of a shorter one. (With keys other than partitionable threefry,
the bits also depend on the shape.)
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import AbstractMesh, Sharding, use_abstract_mesh

from jaxscope._core.base.recent import Recent
from jaxscope._core.initializers.bits import bits
from jaxscope._core.initializers.quantile import BEYOND_TWO, quantile, times

__all__ = [
    "Form",
    "Law",
    "Layers",
    "barrier",
    "has_kernel",
    "kernel",
    "numbers_of",
    "sample",
    "standard",
    "without_mesh",
]

#: Returns its argument, across which XLA moves and fuses nothing.
barrier: Callable[[Any], Any] = lax.optimization_barrier


class Form(NamedTuple):
    """What is compiled of a law: all but its numbers."""

    base: str
    shifted: bool


class Law(NamedTuple):
    """How one element is distributed: `scale * z + offset`, with z from the standard draw `base`.

    `base` is `"normal"`, `"truncated"` (normal, redrawn beyond 2), `"uniform"` (in [0, 1)), `"signed"`
    (uniform in [-1, 1)), or `"whole"`: the remainder of any whole number by `scale`, plus `offset`.
    """

    base: str
    scale: float
    offset: float = 0.0

    @property
    def form(self) -> Form:
        """What is compiled of it."""
        return Form(self.base, self.offset != 0)


def numbers_of(law: Law, dtype: Any) -> np.ndarray:
    """Return scale and offset of `law` for a variable of `dtype`, as `sample` takes them."""
    exact = _exact(law.base, dtype)
    if law.base == "whole":
        return np.array([int(number) % 2 ** _width(exact) for number in (law.scale, law.offset)], exact)
    return np.array([float(law.scale), float(law.offset)], exact)


def _exact(base: str, dtype: Any) -> np.dtype[Any]:
    """Return the dtype in which a variable of `dtype` is drawn."""
    wide = np.dtype(dtype).itemsize == 8
    if base == "whole":
        return np.dtype(np.uint64 if wide else np.uint32)
    return np.dtype(np.float64 if wide else np.float32)


def _width(dtype: np.dtype[Any]) -> int:
    return 8 * dtype.itemsize


def sample(
    data: jax.Array, numbers: Any, *, impl: Any, form: Form, shape: tuple[int, ...], dtype: Any
) -> jax.Array:
    """Draw `shape` from the law of `form` and `numbers`.

    Args:
        data: Raw data of one key.
        numbers: Scale and offset, `numbers_of(law, dtype)`.
        impl: Implementation of the key, `jax.random.key_impl(key)`.
        form: `law.form`.
        shape: What to draw, in elements.
        dtype: Dtype of the result: floating, or an integer one for whole numbers.

    Returns:
        Array of `shape` and `dtype`, behind a barrier. Only for use inside `jax.jit`.
    """
    exact = _exact(form.base, dtype)
    random = bits(data, impl, shape, _width(exact))
    if form.base == "whole":
        value = lax.rem(random, lax.broadcast(numbers[0], shape)) + numbers[1]
    else:
        z = _STANDARD[form.base](random, exact)
        value = times(z, numbers[0]) + numbers[1] if form.shifted else z * numbers[0]
    result: jax.Array = barrier(value.astype(jnp.dtype(dtype)))
    return result


def standard(key: jax.Array, base: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> jax.Array:
    """Draw `shape` from the standard draw `base`, by one typed key; only for use inside `jax.jit`."""
    law = Law(base, 1.0)
    data, impl = jax.random.key_data(key), jax.random.key_impl(key)
    return sample(data, numbers_of(law, dtype), impl=impl, form=law.form, shape=shape, dtype=dtype)


def _uniform(random: jax.Array, exact: np.dtype[Any]) -> jax.Array:
    return _between(random, exact, 1) - 1


def _signed(random: jax.Array, exact: np.dtype[Any]) -> jax.Array:
    return _between(random, exact, 2) - 3


def _between(random: jax.Array, exact: np.dtype[Any], low: int) -> jax.Array:
    """Return numbers that are uniform in [low, 2 * low); `low` is a power of two."""
    unused = random.dtype.type(_width(exact) - np.finfo(exact).nmant)
    return lax.bitcast_convert_type((random >> unused) | exact.type(low).view(random.dtype), exact)


def _normal(random: jax.Array, exact: np.dtype[Any]) -> jax.Array:
    return _either_side(quantile(_share(random, exact)), random)


def _truncated(random: jax.Array, exact: np.dtype[Any]) -> jax.Array:
    share = times(_share(random, exact), exact.type(1 - BEYOND_TWO)) + exact.type(BEYOND_TWO)
    return _either_side(lax.min(quantile(share), exact.type(2)), random)


def _share(random: jax.Array, exact: np.dtype[Any]) -> jax.Array:
    """Return numbers that are uniform in [2**-31, 1], made of all bits but the last."""
    digits = 31 if exact == np.float32 else 53
    odd = (random >> random.dtype.type(_width(exact) - digits)) | random.dtype.type(1)
    signed = lax.bitcast_convert_type(odd, f"int{_width(exact)}")
    return lax.max(lax.convert_element_type(signed, exact) * exact.type(2.0**-digits), exact.type(2.0**-31))


def _either_side(value: jax.Array, random: jax.Array) -> jax.Array:
    """Return `value` or its negative, as the last random bit says."""
    sign = random << random.dtype.type(_width(value.dtype) - 1)
    return lax.bitcast_convert_type(lax.bitcast_convert_type(value, sign.dtype) | sign, value.dtype)


_STANDARD: dict[str, Callable[[jax.Array, np.dtype[Any]], jax.Array]] = {
    "normal": _normal,
    "truncated": _truncated,
    "uniform": _uniform,
    "signed": _signed,
}

Kernel = Callable[[Any, Any], jax.Array]
#: Of a stack: how many layers there are along which axis of it, outermost first.
Layers = tuple[tuple[int, int], ...]
_kernels: Recent[Kernel] = Recent(1024)


def kernel(
    impl: Any,
    form: Form,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    place: Sharding | None = None,
    layers: Layers = (),
) -> Kernel:
    """Return the compiled program `(data of a key, numbers) -> array` for one standard draw, or a stack.

    Args:
        impl: Implementation of the key, `jax.random.key_impl(key)`.
        form: Form of the law.
        shape: Shape of the result, in elements; at least one. Of a stack, that of one layer.
        dtype: Dtype of the result.
        place: Where the result lives; None: where the key does.
        layers: Of a stack, how many layers there are along which axis of the result, outermost first. Data
            and numbers are then rows, one for each layer, whose draws are those of the single programs.

    Returns:
        A jitted function; scale and offset are its arguments, so all laws of a form share it.
    """

    def make() -> Kernel:
        def jaxscope_draw(data: jax.Array, numbers: jax.Array) -> jax.Array:
            def one(data: jax.Array, numbers: jax.Array) -> jax.Array:
                return sample(data, numbers, impl=impl, form=form, shape=shape, dtype=dtype)

            with without_mesh():
                if not layers:
                    return one(data, numbers)
                for _, axis in reversed(layers):
                    one = jax.vmap(one, out_axes=axis)
                lengths = tuple(length for length, _ in layers)
                return one(*(rows.reshape(*lengths, *rows.shape[1:]) for rows in (data, numbers)))

        return jax.jit(jaxscope_draw, out_shardings=place)

    return _kernels.get_or((impl, form, shape, dtype, place, layers), make)


def has_kernel(
    impl: Any, form: Form, shape: tuple[int, ...], dtype: np.dtype[Any], place: Sharding | None = None
) -> bool:
    """Tell whether `kernel` has been asked for this program lately, so that it is compiled already."""
    return (impl, form, shape, dtype, place, ()) in _kernels


def without_mesh() -> Any:
    """Return a context in which XLA decides how values are split, whatever mesh the user has set."""
    return use_abstract_mesh(AbstractMesh((), ()))
