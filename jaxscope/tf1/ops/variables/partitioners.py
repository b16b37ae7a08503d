"""TensorFlow's partitioners, which cut nothing here: a mesh does that, by `PartitionSpec`s."""

from typing import Any

from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.shapes import TensorShape

__all__ = ["fixed_size_partitioner", "min_max_variable_partitioner", "variable_axis_size_partitioner"]


def _whole(shape: Any, dtype: Any = None, **_: Any) -> list[int]:
    """Cut nothing, along all axes."""
    return [1] * len(TensorShape(shape).as_list())


@export("fixed_size_partitioner")
def fixed_size_partitioner(num_shards: int, axis: int = 0) -> Any:
    """Return a partitioner that cuts nothing: variables are whole, and lie on a mesh as specs say.

    Args:
        num_shards: Without meaning here.
        axis: Without meaning here.
    """
    return _whole


@export("variable_axis_size_partitioner")
def variable_axis_size_partitioner(
    max_shard_bytes: int, axis: int = 0, bytes_per_string_element: int = 16, max_shards: int | None = None
) -> Any:
    """Return a partitioner that cuts nothing.

    Args:
        max_shard_bytes: Without meaning here.
        axis: Without meaning here.
        bytes_per_string_element: Without meaning here.
        max_shards: Without meaning here.
    """
    return _whole


@export("min_max_variable_partitioner")
def min_max_variable_partitioner(
    max_partitions: int = 1, axis: int = 0, min_slice_size: int = 262144, bytes_per_string_element: int = 16
) -> Any:
    """Return a partitioner that cuts nothing.

    Args:
        max_partitions: Without meaning here.
        axis: Without meaning here.
        min_slice_size: Without meaning here.
        bytes_per_string_element: Without meaning here.
    """
    return _whole
