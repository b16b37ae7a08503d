"""`tf.register_tensor_conversion_function`: classes of the program's own as tensors."""

from collections.abc import Callable
from typing import Any

from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.errors import TensorTypeError
from jaxscope.tf1.base.exporting import export

__all__ = ["register_tensor_conversion_function"]


@export("register_tensor_conversion_function")
def register_tensor_conversion_function(
    base_type: Any, conversion_func: Callable[..., Any], priority: int = 100
) -> None:
    """Let objects of a class be tensors wherever a tensor is taken.

    Args:
        base_type: The class, or a tuple of classes. Its objects have a `dtype`.
        conversion_func: A function of an object that returns a tensor; `dtype`, `name` and `as_ref` are given
            as TensorFlow does.
        priority: Without meaning here: there is one function for a class.

    Raises:
        TensorTypeError: If that is no class, or no function (`tensor_type`).

    Example:
        >>> class Half:
        ...     dtype = "float32"
        >>> register_tensor_conversion_function(Half, lambda value, dtype=None, name=None, as_ref=False: 0.5)
        >>> convert_to_tensor(Half()).dtype.name
        'float32'
    """
    del priority
    classes = base_type if isinstance(base_type, tuple) else (base_type,)
    if not callable(conversion_func) or not all(isinstance(one, type) for one in classes):
        raise TensorTypeError("a class, or a tuple of such, and a function are needed")

    def convert(self: Any) -> Any:
        return convert_to_tensor(conversion_func(self, dtype=None, name=None, as_ref=False))

    for one in classes:
        one.__tf_tensor__ = convert
