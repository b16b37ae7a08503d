"""Results: what blocks return, as arrays, and stacked where they ran one after the other."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxscope._core.base.calls import is_array
from jaxscope._core.base.describe import describe, shown
from jaxscope._core.base.sameness import UnknownError, key_of
from jaxscope._core.base.sites import here
from jaxscope.errors import TraceError

_NUMBERS = (bool, int, float, complex)


def as_arrays(result: Any) -> Any:
    """Return what a block returned, with arrays in the place of numbers."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf) if isinstance(leaf, _NUMBERS) else leaf, result)


def is_value(leaf: Any) -> bool:
    """Tell whether a leaf is an array, which can be stacked."""
    return is_array(leaf, structs=False) and not isinstance(leaf, jax.Ref)


def same(one: Any, other: Any) -> bool:
    """Tell whether two things that are no arrays are surely the same."""
    if one is other:
        return True
    try:
        return bool(key_of(one, alive=True) == key_of(other, alive=True))
    except UnknownError:
        return False


def stack_results(results: list[Any], what: str) -> Any:
    """Return results as one, whose arrays have a leading axis; all else has to be the same in each.

    Args:
        results: Pytrees.
        what: What they are, for messages.

    Raises:
        TraceError: They are not alike (code `unlike`).
    """
    rows, trees = zip(*(jax.tree.flatten(as_arrays(result)) for result in results), strict=True)
    for index, tree in enumerate(trees):
        if tree != trees[0]:
            raise _unlike(what, index, str(trees[0]), str(tree))
    stacked: list[Any] = []
    for leaves in zip(*rows, strict=True):
        first = leaves[0]
        array = is_value(first)
        for index, leaf in enumerate(leaves):
            if describe(leaf) != describe(first) if array or is_value(leaf) else not same(leaf, first):
                raise _unlike(what, index, _words(first), _words(leaf))
        stacked.append(jnp.stack(leaves) if array else first)
    return jax.tree.unflatten(trees[0], stacked)


def _words(leaf: Any) -> str:
    return describe(leaf) if is_value(leaf) else shown(leaf)


def _unlike(what: str, index: int, first: str, other: str) -> TraceError:
    return TraceError(
        f"{what} cannot be stacked: that of number {index} is not like that of number 0",
        code="unlike",
        at=here(),
        first=first,
        other=other,
        fix="return arrays of one shape and dtype from all of them, and all else the same",
    )
