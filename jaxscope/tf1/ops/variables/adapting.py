"""Between functions of tensors, which TensorFlow's programs give, and those of arrays, which `js` calls."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import PartitionSpec

from jaxscope.tf1.base.converting import as_array, convert_to_tensor
from jaxscope.tf1.base.dtypes import as_dtype, canonical
from jaxscope.tf1.base.operation import static_int, static_shape
from jaxscope.tf1.base.shapes import Dimension, TensorShape
from jaxscope.tf1.base.tensor import Tensor, is_tensor, wrap

__all__ = [
    "OnArrays",
    "array_of",
    "arrays_of",
    "as_given",
    "on_arrays",
    "partitioner_of",
    "shape_of",
    "tensors_of",
]


class OnArrays:
    """A function of tensors as one of arrays; equal where the functions are.

    Attributes:
        function: The function of tensors.
    """

    __slots__ = ("function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return arrays_of(self.function(*tensors_of(args), **tensors_of(kwargs)))

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.function == self.function

    def __hash__(self) -> int:
        return hash((type(self), self.function))

    def __repr__(self) -> str:
        return repr(self.function)

    @property
    def __name__(self) -> str:
        return getattr(self.function, "__name__", "function")


def on_arrays(function: Any) -> Any:
    """Return a function of tensors as one of arrays; jaxscope's and JAX's own are so already, as is None."""
    if function is None or isinstance(function, OnArrays) or not callable(function):
        return function
    inner = getattr(function, "_of_js", None)
    if inner is not None:
        return inner
    return function if is_of_js(function) else OnArrays(function)


def as_given(function: Any) -> Any:
    """Return a function as the program gave it, of one that `js` calls; others as they are."""
    return getattr(function, "function", function)


def is_of_js(function: Any) -> bool:
    """Tell whether a function is jaxscope's or JAX's own, and takes arrays."""
    module = getattr(function, "__module__", None) or getattr(type(function), "__module__", None) or ""
    ours = module == "jaxscope" or module.startswith("jaxscope.")
    return (ours and not module.startswith("jaxscope.tf1")) or module.startswith(("jax.", "optax"))


def array_of(value: Any) -> Any:
    """Return a tensor or variable as an array, and all else as it is."""
    if isinstance(value, Tensor):
        return as_array(value)
    if hasattr(type(value), "__tf_tensor__"):
        return as_array(value.__tf_tensor__())
    return value


def _is_whole(value: Any) -> bool:
    return is_tensor(value) or isinstance(value, TensorShape)


def arrays_of(tree: Any) -> Any:
    """Return a structure with arrays in the place of tensors and variables."""
    return jax.tree.map(array_of, tree, is_leaf=_is_whole)


def _tensor_of(value: Any) -> Any:
    return wrap(value) if isinstance(value, jax.Array) else value


def tensors_of(tree: Any) -> Any:
    """Return a structure with tensors in the place of arrays."""
    return jax.tree.map(_tensor_of, tree, is_leaf=_is_whole)


def shape_of(shape: Any) -> Any:
    """Return a shape as `js` takes it: a list of numbers and Nones; None stays."""
    if shape is None:
        return None
    if isinstance(shape, TensorShape):
        return shape.as_list()
    if isinstance(shape, list | tuple):
        return [_size(one) for one in shape]
    if isinstance(shape, Dimension | int | np.integer):
        return [_size(shape)]
    return list(static_shape(shape))


def _size(size: Any) -> Any:
    if size is None or type(size) is int:
        return size
    if isinstance(size, Dimension):
        return size.value
    if isinstance(size, bool | np.bool_):  # TensorFlow's Dimension(True) is 1
        return int(size)
    if is_tensor(size) or isinstance(size, jax.Array | np.ndarray):
        return static_int(size, "shape")
    return size


def dtype_of(dtype: Any) -> Any:
    """Return a dtype as NumPy's; None stays."""
    return None if dtype is None else canonical(dtype).dtype


def value_of(value: Any, dtype: Any = None) -> Any:
    """Return an initial value as an array: NumPy's where it is known, by the rules of tensors."""
    return convert_to_tensor(value, dtype)._held


def partitioner_of(partitioner: Any) -> Any:
    """Return a partitioner as `js` takes it; TensorFlow's, which cut variables into pieces, cut nothing."""
    if partitioner is None or isinstance(partitioner, PartitionSpec) or is_of_js(partitioner):
        return partitioner
    return _Partitioner(partitioner) if callable(partitioner) else partitioner


class _Partitioner(OnArrays):
    def __call__(self, shape: Any, dtype: Any, *_: Any, **__: Any) -> Any:
        found = self.function(shape=TensorShape(shape), dtype=as_dtype(dtype))
        return found if isinstance(found, PartitionSpec) else PartitionSpec()


def reuse_of(reuse: Any) -> Any:
    """Return `reuse` as a truth value of Python's, `AUTO_REUSE` or None."""
    if isinstance(reuse, np.bool_) or (isinstance(reuse, int) and reuse in (0, 1)):
        return bool(reuse)
    return reuse
