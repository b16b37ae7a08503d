"""`tf.nest`: trees of lists, tuples and dicts, in which all else is a leaf, None too."""

from collections.abc import Callable, Mapping
from typing import Any

import jax

from jaxscope.tf1.base.errors import TensorTypeError, TensorValueError
from jaxscope.tf1.base.exporting import export

__all__ = ["assert_same_structure", "flatten", "is_nested", "map_structure", "pack_sequence_as"]


@export("nest.is_nested", "contrib.framework.nest.is_nested", "contrib.framework.nest.is_sequence")
def is_nested(seq: Any) -> bool:
    """Return whether this is a list, a tuple or a dict.

    Args:
        seq: Anything.
    """
    return isinstance(seq, list | tuple | Mapping)


def _leaf(value: Any) -> bool:
    return not is_nested(value)


@export("nest.flatten", "contrib.framework.nest.flatten")
def flatten(structure: Any, expand_composites: bool = False) -> list[Any]:
    """Return the leaves of a tree, dicts in the order of their keys.

    Args:
        structure: Lists, tuples and dicts, nested; or a leaf.
        expand_composites: Without meaning here.
    """
    return jax.tree.leaves(structure, is_leaf=_leaf)


@export("nest.pack_sequence_as", "contrib.framework.nest.pack_sequence_as")
def pack_sequence_as(structure: Any, flat_sequence: Any, expand_composites: bool = False) -> Any:
    """Return leaves as a tree of the same form as another one.

    Args:
        structure: The tree that has the form.
        flat_sequence: As many leaves.
        expand_composites: Without meaning here.

    Raises:
        TensorValueError: If there are not as many leaves (`tensor_value`).
    """
    form: Any = jax.tree.structure(structure, is_leaf=_leaf)
    flat = list(flat_sequence)
    if form.num_leaves != len(flat):
        raise TensorValueError(f"{len(flat)} leaves for a structure of {form.num_leaves}")
    return jax.tree.unflatten(form, flat)


@export("nest.assert_same_structure", "contrib.framework.nest.assert_same_structure")
def assert_same_structure(
    nest1: Any, nest2: Any, check_types: bool = True, expand_composites: bool = False
) -> None:
    """Raise an error unless two trees have the same form.

    Args:
        nest1: A tree.
        nest2: Another one.
        check_types: Whether a list and a tuple are not the same.
        expand_composites: Without meaning here.

    Raises:
        TensorValueError: If the forms differ (`structures_disagree`).
        TensorTypeError: If only the types of containers do (`structures_disagree`).
    """
    if is_nested(nest1) != is_nested(nest2):
        _differ(nest1, nest2)
    if not is_nested(nest1):
        return
    if isinstance(nest1, Mapping) != isinstance(nest2, Mapping) or len(nest1) != len(nest2):
        _differ(nest1, nest2)
    if check_types and type(nest1) is not type(nest2):
        raise TensorTypeError(
            f"{type(nest1).__name__} and {type(nest2).__name__} are not the same structure",
            code="structures_disagree",
        )
    first: list[Any]
    second: list[Any]
    if isinstance(nest1, Mapping):
        one, other = dict(nest1), dict(nest2)
        if set(one) != set(other):
            _differ(nest1, nest2)
        first, second = [one[key] for key in one], [other[key] for key in one]
    else:
        first, second = list(nest1), list(nest2)
    for a, b in zip(first, second, strict=True):
        assert_same_structure(a, b, check_types)


def _differ(first: Any, second: Any) -> None:
    raise TensorValueError(
        "two values do not have the same nested structure",
        code="structures_disagree",
        first=str(first)[:80],
        second=str(second)[:80],
    )


@export("nest.map_structure", "contrib.framework.nest.map_structure")
def map_structure(func: Callable[..., Any], *structure: Any, **kwargs: Any) -> Any:
    """Return a tree of what a function makes of the leaves of trees.

    Args:
        func: A function of as many leaves as there are trees.
        *structure: Trees of the same form.
        **kwargs: `check_types`, whether a list and a tuple are not the same.

    Raises:
        TensorTypeError: If there is no tree, or `func` cannot be called (`tensor_type`).
        TensorValueError: If the forms differ (`structures_disagree`).
    """
    if not callable(func):
        raise TensorTypeError("func must be callable")
    if not structure:
        raise TensorTypeError("map_structure needs at least one structure")
    check = kwargs.pop("check_types", True)
    for other in structure[1:]:
        assert_same_structure(structure[0], other, check)
    return pack_sequence_as(
        structure[0], [func(*leaves) for leaves in zip(*map(flatten, structure), strict=True)]
    )
