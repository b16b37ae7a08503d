"""Python's operators of tensors. NumPy's arrays and numbers on either side are cast to the tensor's dtype."""

from collections.abc import Callable
from typing import Any

from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.tensor import Tensor, operator
from jaxscope.tf1.ops.arrays.indexing import getitem
from jaxscope.tf1.ops.math import arithmetic, comparing, elementwise, pairs, products

__all__ = ["both_ways", "one_way"]


def both_ways(name: str, function: Callable[..., Any]) -> None:
    """Let `function(x, y)` be the operator `name` on both sides of a tensor: `both_ways("add", add)`."""
    one_way(name, function)

    def reflected(self: Tensor, other: Any) -> Any:
        if not isinstance(other, Tensor):
            other = _fitting(other, self)
        return function(other, self)

    operator(f"__r{name}__", reflected)


def one_way(name: str, function: Callable[..., Any]) -> None:
    """Let `function(x, y)` be the operator `name` of a tensor on its left: `one_way("lt", less)`."""

    def straight(self: Tensor, other: Any) -> Any:
        return function(self, other)

    operator(f"__{name}__", straight)


def _fitting(value: Any, beside: Tensor) -> Any:
    """Return what is no tensor in the dtype of the tensor beside it."""
    if hasattr(type(value), "__tf_tensor__") or hasattr(type(value), "__jax_array__"):
        return convert_to_tensor(value)
    return convert_to_tensor(value, beside.dtype)


_OPERATORS: dict[str, Callable[..., Any]] = {
    "add": arithmetic.add,
    "sub": arithmetic.subtract,
    "mul": arithmetic.multiply,
    "truediv": arithmetic.truediv,
    "floordiv": arithmetic.floordiv,
    "mod": arithmetic.floormod,
    "matmul": products.matmul,
    "div": pairs.div,
    "pow": pairs.pow_,
    "and": comparing.both,
    "or": comparing.either,
    "xor": comparing.exclusive,
}
_ONE_WAY: dict[str, Callable[..., Any]] = {  # Python turns `1 < x` into `x > 1`
    "lt": comparing.less,
    "le": comparing.less_equal,
    "gt": comparing.greater,
    "ge": comparing.greater_equal,
}
for _name, _function in _OPERATORS.items():
    both_ways(_name, _function)
for _name, _function in _ONE_WAY.items():
    one_way(_name, _function)
operator("__neg__", arithmetic.negative)
operator("__abs__", elementwise.absolute)
operator("__invert__", comparing.inverted)
operator("__getitem__", getitem)
