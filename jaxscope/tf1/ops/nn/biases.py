"""Biases, and the layers of TensorFlow's that are a product and a bias."""

from typing import Any

import jax.numpy as jnp

from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.errors import TensorTypeError, TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute
from jaxscope.tf1.base.tensor import Tensor
from jaxscope.tf1.ops.math.products import matmul
from jaxscope.tf1.ops.nn.activations import relu
from jaxscope.tf1.ops.nn.arguments import expect_rank

__all__ = ["bias_add", "relu_layer", "xw_plus_b", "zero_fraction"]


@export("nn.bias_add")
def bias_add(value: Any, bias: Any, data_format: Any = None, name: str | None = None) -> Tensor:
    """Return a tensor with a number added to each channel.

    Args:
        value: A tensor of rank 2 or more.
        bias: `[channels]`, of the same dtype.
        data_format: "N...C" or None if the channels are the last axis, "NC..." if they are the second.
        name: A name for the result.

    Raises:
        TensorValueError: If the dtypes differ, or ranks, sizes or the format are wrong (`tensor_dtype`,
            `rank`, `shapes_disagree`, `tensor_value`).
        TensorTypeError: If it is not of numbers (`tensor_type`).
    """
    first = data_format is not None and str(data_format).startswith("NC")
    if (
        data_format is not None
        and not first
        and not (str(data_format).startswith("N") and str(data_format).endswith("C"))
    ):
        raise TensorValueError(f"data_format must be of the form N...C or NC..., not {data_format!r}")
    x = convert_to_tensor(value)
    b = convert_to_tensor(bias, x.dtype)
    if x.dtype.is_bool or x.dtype.name == "string":
        raise TensorTypeError(f"BiasAdd does not take tensors of {x.dtype.name}")
    expect_rank("BiasAdd", x, 2, "value", at_least=True)
    expect_rank("BiasAdd", b, 1, "bias")
    shape = x._held.shape
    if shape[1 if first else -1] != b._held.shape[0]:
        raise TensorValueError(
            f"BiasAdd: a bias of shape {b.get_shape()} does not fit the channels of {x.get_shape()}",
            code="shapes_disagree",
        )
    if not first or len(shape) == 2:
        return compute("BiasAdd", jnp.add, x, b, name=name)
    ones = (1,) * (len(shape) - 2)
    return compute("BiasAdd", lambda x, b: x + jnp.reshape(b, (-1, *ones)), x, b, name=name)


@export("nn.xw_plus_b")
def xw_plus_b(x: Any, weights: Any, biases: Any, name: str | None = None) -> Tensor:
    """Return `matmul(x, weights) + biases`.

    Args:
        x: `[batch, in]`.
        weights: `[in, out]`.
        biases: `[out]`.
        name: A name for the result.

    Raises:
        TensorValueError: If shapes do not fit (`rank`, `tensor_value`, `shapes_disagree`).
        TensorTypeError: If dtypes differ (`dtypes_disagree`).
    """
    return bias_add(matmul(x, weights), biases, name=name)


@export("nn.relu_layer")
def relu_layer(x: Any, weights: Any, biases: Any, name: str | None = None) -> Tensor:
    """Return `relu(matmul(x, weights) + biases)`.

    Args:
        x: `[batch, in]`.
        weights: `[in, out]`.
        biases: `[out]`.
        name: A name for the result.

    Raises:
        TensorValueError: If shapes do not fit (`rank`, `tensor_value`, `shapes_disagree`).
        TensorTypeError: If dtypes differ (`dtypes_disagree`).
    """
    return relu(xw_plus_b(x, weights, biases), name=name)


@export("nn.zero_fraction", "math.zero_fraction")
def zero_fraction(value: Any, name: str | None = None) -> Tensor:
    """Return the share of zeros, as float32.

    Args:
        value: A tensor of numbers.
        name: A name for the result.
    """

    def share(x: Any) -> Any:
        return jnp.mean(jnp.asarray(x == 0), dtype=jnp.float32)

    return compute("ZeroFraction", share, convert_to_tensor(value), name=name)
