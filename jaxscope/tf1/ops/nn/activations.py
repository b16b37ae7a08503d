"""Activations: functions of single numbers. The sigmoid and tanh are in `ops/math/elementwise.py`."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute, static_axis
from jaxscope.tf1.base.tensor import Tensor
from jaxscope.tf1.ops.math.casts import cast
from jaxscope.tf1.ops.nn.arguments import floats, real_numbers

__all__ = [
    "crelu",
    "elu",
    "leaky_relu",
    "relu",
    "relu6",
    "selu",
    "softplus",
    "softsign",
    "swish",
]


@export("nn.relu")
def relu(features: Any, name: str | None = None) -> Tensor:
    """Return `max(x, 0)`; its gradient at 0 is 0.

    Args:
        features: A tensor of real numbers.
        name: A name for the result.

    Raises:
        TensorTypeError: If it is of another dtype (`tensor_type`).
    """
    return compute("Relu", jax.nn.relu, real_numbers("Relu", features), name=name)


@export("nn.relu6")
def relu6(features: Any, name: str | None = None) -> Tensor:
    """Return `min(max(x, 0), 6)`; its gradient at 0 and at 6 is 0.

    Args:
        features: A tensor of real numbers.
        name: A name for the result.

    Raises:
        TensorTypeError: If it is of another dtype (`tensor_type`).
    """
    tensor = real_numbers("Relu6", features)
    if tensor.dtype.is_integer:
        return compute("Relu6", lambda x: jnp.minimum(jnp.maximum(x, 0), 6), tensor, name=name)
    return compute("Relu6", jax.nn.relu6, tensor, name=name)


@export("nn.leaky_relu")
def leaky_relu(features: Any, alpha: Any = 0.2, name: str | None = None) -> Tensor:
    """Return x where it is above 0, else `alpha * x`; its gradient at 0 is alpha.

    Args:
        features: A tensor of real numbers; whole ones become float32.
        alpha: The slope below 0.
        name: A name for the result.

    Raises:
        TensorTypeError: If it is of another dtype (`tensor_type`).
    """
    tensor = real_numbers("LeakyRelu", features)
    if tensor.dtype.is_integer:
        tensor = cast(tensor, "float32")
    slope = convert_to_tensor(alpha, tensor.dtype)
    return compute("LeakyRelu", lambda x, a: jnp.where(x > 0, x, a * x), tensor, slope, name=name)


@export("nn.elu")
def elu(features: Any, name: str | None = None) -> Tensor:
    """Return x where it is above 0, else `exp(x) - 1`.

    Args:
        features: A tensor of floats.
        name: A name for the result.

    Raises:
        TensorTypeError: If it is of another dtype (`tensor_type`).
    """
    return compute("Elu", jax.nn.elu, floats("Elu", features), name=name)


@export("nn.selu")
def selu(features: Any, name: str | None = None) -> Tensor:
    """Return the scaled exponential linear unit; its gradient at 0 is that above 0.

    Args:
        features: A tensor of floats.
        name: A name for the result.

    Raises:
        TensorTypeError: If it is of another dtype (`tensor_type`).
    """

    def scaled(x: Any) -> Any:  # `jax.nn.selu` has another gradient at 0
        below = x < 0
        curve = 1.6732632423543772 * jnp.expm1(jnp.where(below, x, jnp.zeros_like(x)))
        return 1.0507009873554805 * jnp.where(below, curve, x)

    return compute("Selu", scaled, floats("Selu", features), name=name)


@export("nn.softplus", "math.softplus")
def softplus(features: Any, name: str | None = None) -> Tensor:
    """Return `log(exp(x) + 1)`.

    Args:
        features: A tensor of floats.
        name: A name for the result.

    Raises:
        TensorTypeError: If it is of another dtype (`tensor_type`).
    """
    return compute("Softplus", jax.nn.softplus, floats("Softplus", features), name=name)


@export("nn.softsign", "math.softsign")
def softsign(features: Any, name: str | None = None) -> Tensor:
    """Return `x / (abs(x) + 1)`.

    Args:
        features: A tensor of floats.
        name: A name for the result.

    Raises:
        TensorTypeError: If it is of another dtype (`tensor_type`).
    """
    return compute("Softsign", jax.nn.soft_sign, floats("Softsign", features), name=name)


@export("nn.swish")
def swish(features: Any, beta: Any = 1.0) -> Tensor:
    """Return `x * sigmoid(beta * x)`.

    Args:
        features: A tensor of floats.
        beta: The factor in the sigmoid.

    Raises:
        TensorTypeError: If it is of another dtype (`tensor_type`).
    """
    tensor = floats("Swish", features)
    if isinstance(beta, int | float) and beta == 1:
        return compute("Swish", jax.nn.silu, tensor)
    factor = convert_to_tensor(beta, tensor.dtype)
    return compute("Swish", lambda x, b: x * jax.nn.sigmoid(b * x), tensor, factor)


@export("nn.crelu")
def crelu(features: Any, name: str | None = None, axis: Any = -1) -> Tensor:
    """Return `relu(x)` and `relu(-x)`, joined.

    Args:
        features: A tensor of real numbers.
        name: A name for the result.
        axis: The axis that becomes twice as long.

    Raises:
        TensorTypeError: If it is of another dtype (`tensor_type`).
        TensorValueError: If the axis is out of range (`tensor_value`).
    """
    tensor = real_numbers("CRelu", features)
    where = static_axis(axis, len(tensor._held.shape))
    return compute("CRelu", lambda x: jax.nn.relu(jnp.concatenate([x, -x], where)), tensor, name=name)
