"""Collections of outputs by name: `end_points` of slim's networks."""

import weakref
from typing import Any

from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.tensor import Tensor
from jaxscope.tf1.ops.variables import collections

__all__ = ["collect_named_outputs"]

#: Tensor -> the names that it was collected under.
_aliases: "weakref.WeakKeyDictionary[Tensor, list[str]]" = weakref.WeakKeyDictionary()

_PLACES = (
    "contrib.layers.utils.{0}",
    "contrib.slim.utils.{0}",
    "contrib.layers.python.layers.utils.{0}",
)


def _places(name: str) -> list[str]:
    return [place.format(name) for place in _PLACES]


@export(*_places("collect_named_outputs"))
def collect_named_outputs(collections_: Any, alias: str, outputs: Tensor) -> Tensor:
    """Add a tensor to collections under a name, and return it.

    Args:
        collections_: The collections' names, or one name; None for none.
        alias: The name.
        outputs: The tensor.
    """
    if collections_:
        append_tensor_alias(outputs, alias)
        collections.add_to_collections(collections_, outputs)
    return outputs


@export(*_places("append_tensor_alias"))
def append_tensor_alias(tensor: Tensor, alias: str) -> Tensor:
    """Give a tensor a name, and return it.

    Args:
        tensor: The tensor.
        alias: The name.
    """
    _aliases.setdefault(tensor, []).append(alias.removesuffix("/"))  # of an `original_name_scope`
    return tensor


@export(*_places("get_tensor_aliases"))
def get_tensor_aliases(tensor: Tensor) -> list[str]:
    """Return the names of a tensor.

    Args:
        tensor: The tensor.
    """
    return _aliases.get(tensor) or [tensor.op.name]


@export(*_places("gather_tensors_aliases"))
def gather_tensors_aliases(tensors: Any) -> list[str]:
    """Return the names of tensors, in a row.

    Args:
        tensors: A list of tensors.
    """
    return [alias for tensor in tensors for alias in get_tensor_aliases(tensor)]


@export(*_places("convert_collection_to_dict"))
def convert_collection_to_dict(collection: Any, clear_collection: bool = False) -> dict[str, Tensor]:
    """Return the tensors of a collection by name.

    Args:
        collection: Its name.
        clear_collection: Without meaning here: a collection ends with its pass.
    """
    return {
        alias: tensor
        for tensor in collections.get_collection(collection)
        for alias in get_tensor_aliases(tensor)
    }


@export(*_places("last_dimension"))
def last_dimension(shape: Any, min_rank: int = 1) -> Any:
    """Return the size of a shape's last axis.

    Args:
        shape: The shape.
        min_rank: The fewest axes that it may have.

    Raises:
        ValueError: If it has fewer.
    """
    if shape.ndims < min_rank:
        raise ValueError(f"rank of shape must be at least {min_rank} not: {shape.ndims}")
    return shape.dims[-1].value


@export(*_places("two_element_tuple"))
def two_element_tuple(int_or_tuple: Any) -> tuple[int, int]:
    """Return a number twice, or two numbers as they are.

    Args:
        int_or_tuple: One number, or two.

    Raises:
        ValueError: If it is neither.
    """
    if isinstance(int_or_tuple, list | tuple):
        if len(int_or_tuple) != 2:
            raise ValueError(f"must be a list with 2 elements: {int_or_tuple}")
        return int(int_or_tuple[0]), int(int_or_tuple[1])
    return int(int_or_tuple), int(int_or_tuple)


@export(*_places("n_positive_integers"))
def n_positive_integers(n: int, value: Any) -> tuple[int, ...]:
    """Return a whole number n times, or n of them as they are.

    Args:
        n: How many.
        value: One number, or n.

    Raises:
        ValueError: If it is neither.
    """
    numbers = tuple(value) if hasattr(value, "__iter__") else (value,) * n
    if len(numbers) != n or any(int(one) != one or one < 1 for one in numbers):
        raise ValueError(f"must be {n} whole numbers above 0: {value}")
    return tuple(map(int, numbers))


@export(*_places("get_variable_collections"))
def get_variable_collections(variables_collections: Any, name: str) -> Any:
    """Return the collections of one of a layer's variables.

    Args:
        variables_collections: Collections for all of them, or a dict of collections by the variables' names.
        name: The variable's name in the layer.
    """
    if isinstance(variables_collections, dict):
        return variables_collections.get(name)
    return variables_collections
