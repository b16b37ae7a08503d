"""Leaves by full name: of variables, and of all that has their names (gradients, masks, specs, dicts)."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

import jaxscope as js


def as_tree(tree: Any) -> Any:
    """Return what has names as a pytree whose key paths are the names.

    Args:
        tree: `Variables`, or a mapping of names to whatever (mappings inside it are scopes), which is
            returned as it is if it is a pytree; specs become `Variables` of specs.

    Raises:
        VariablesMismatchError: It is no mapping.
    """
    if isinstance(tree, js.VariableSpecs):
        frozen = [name for name, spec in tree.items() if not spec.trainable]
        return js.Variables(tree, non_trainable=frozen)
    if not isinstance(tree, Mapping):
        raise js.errors.VariablesMismatchError(
            f"variables are a mapping of full names to values, and this is of type {type(tree).__name__}",
            fix="pass variables, their specs, what a transform made of them, or a dict of names",
        )
    known = not jax.tree_util.all_leaves([tree])
    return tree if known else dict(tree.items())  # archives of arrays, say, are mappings and no pytrees


def map_named(function: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """Return a tree of `function(full name, value, ...)`, of the structure of `tree`.

    Whatever is no mapping is a value: also None, and what optax puts in the place of masked values.
    """
    return jax.tree_util.tree_map_with_path(
        lambda path, *values: function(_name(path), *values), tree, *others, is_leaf=_is_value
    )


def named(tree: Any) -> dict[str, Any]:
    """Return the values of a tree by full name, in its order."""
    pairs, _ = jax.tree_util.tree_flatten_with_path(as_tree(tree), is_leaf=_is_value)
    return {_name(path): value for path, value in pairs}


def is_array(value: Any) -> bool:
    """Tell an array, or what stands for one, from what has no shape and dtype."""
    return hasattr(value, "shape") and hasattr(value, "dtype")


def as_array(name: str, value: Any) -> jax.Array:
    """Return a value as an array.

    Raises:
        VariablesMismatchError: It stands for one, as a spec does, and has no numbers.
    """
    try:
        return jnp.asarray(value)
    except TypeError:
        raise js.errors.VariablesMismatchError(
            f"{name!r} has no value: it is of type {type(value).__name__}",
            fix="pass variables with values, not their specs or types",
        ) from None


def _is_value(value: Any) -> bool:
    return not isinstance(value, Mapping)


def _name(path: tuple[Any, ...]) -> str:
    return "/".join(str(getattr(key, "key", key)) for key in path)
