"""Norms by scope: of weights, gradients, updates."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxscope.optim.naming import as_array, is_array, named


def norms(tree: Any, depth: int = 2) -> dict[str, jax.Array]:
    """Return the Euclidean norm of all that is in each scope.

    Args:
        tree: Variables, gradients, updates: whatever has names and arrays. What has no numbers (None, keys,
            masked values) counts nothing.
        depth: How many parts of the scopes' names to tell apart: 1 for the outermost scopes, 0 for one norm
            of all. Variables in scopes below count to the scope of that depth.

    Returns:
        Scope -> norm, a scalar of float32 (float64 where the values are), in the order of the tree; `""` is
        the root.

    Raises:
        ValueError: `depth` is negative.
        VariablesMismatchError: The tree is no mapping of names, or has types in the place of values.

    Example:
        >>> import jaxscope as js
        >>> gradients = {
        ...     "gpt/h0/mlp/w": jnp.array([3.0]),
        ...     "gpt/h0/b": jnp.array([4.0]),
        ...     "gpt/wte": jnp.ones(4),
        ... }
        >>> {scope: float(norm) for scope, norm in js.optim.norms(gradients).items()}
        {'gpt/h0': 5.0, 'gpt': 2.0}
    """
    if depth < 0:
        raise ValueError(f"a depth is 0 or more, not {depth}")
    squares: dict[str, Any] = {}
    for name, value in named(tree).items():
        if isinstance(value, int | float | complex) or _has_numbers(value):
            scope = "/".join(name.split("/")[:-1][:depth])
            square = jnp.sum(jnp.square(jnp.abs(_wide(as_array(name, value)))))
            with jax.numpy_dtype_promotion("standard"):
                squares[scope] = squares.get(scope, 0.0) + square
    return {scope: jnp.sqrt(square) for scope, square in squares.items()}


def _has_numbers(value: Any) -> bool:
    return is_array(value) and (jnp.issubdtype(value.dtype, jnp.number) or value.dtype == jnp.bool)


def _wide(value: jax.Array) -> jax.Array:
    """Return a value in a dtype in which its squares can be added."""
    if not jnp.issubdtype(value.dtype, jnp.inexact) or value.dtype.itemsize < 4:
        return value.astype(jnp.float32)
    return value
