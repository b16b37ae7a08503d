"""How large a model is, and how often it is right: `slim.model_analyzer`, `contrib.metrics.accuracy`."""

import sys
from typing import Any

import jax.numpy as jnp

from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.errors import TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute
from jaxscope.tf1.base.tensor import Tensor

__all__ = ["accuracy", "analyze_vars"]


@export("contrib.slim.model_analyzer.analyze_vars")
def analyze_vars(variables: Any, print_info: bool = False) -> tuple[int, int]:
    """Return how many numbers variables have, and how many bytes.

    Args:
        variables: A list of variables.
        print_info: Whether to print them, one in a line.

    Example:
        >>> analyze_vars([convert_to_tensor([1.0, 2.0])])
        (2, 8)
    """
    counts = [int(one.get_shape().num_elements()) for one in variables]
    sizes = [count * one.dtype.size for count, one in zip(counts, variables, strict=True)]
    if print_info:
        lines = ["---------", "Variables: name (type shape) [size]", "---------"]
        for one, count, size in zip(variables, counts, sizes, strict=True):
            shape = "x".join(map(str, one.get_shape().as_list()))
            lines.append(f"{one.name} ({one.dtype.name} {shape}) [{count}, bytes: {size}]")
        lines += [f"Total size of variables: {sum(counts)}", f"Total bytes of variables: {sum(sizes)}"]
        sys.stdout.write("\n".join(lines) + "\n")
    return sum(counts), sum(sizes)


@export("contrib.metrics.accuracy")
def accuracy(predictions: Any, labels: Any, weights: Any = None, name: str | None = None) -> Tensor:
    """Return the share of predictions that are as labels say.

    Args:
        predictions: Whole numbers, or truth values.
        labels: The same in shape and dtype.
        weights: The weight of each; 1 if None.
        name: A name for the result.

    Raises:
        TensorValueError: If shapes or dtypes differ, or these are real numbers (`tensor_value`).
    """
    found, wanted = convert_to_tensor(predictions), convert_to_tensor(labels)
    if found.dtype is not wanted.dtype or found.dtype.is_floating:
        raise TensorValueError(
            f"accuracy compares whole numbers of one dtype, not {found.dtype.name} and {wanted.dtype.name}"
        )
    if found._held.shape != wanted._held.shape:
        raise TensorValueError(
            f"shapes {found.get_shape()} and {wanted.get_shape()} differ", code="shapes_disagree"
        )

    def share(x: Any, y: Any, *weights: Any) -> Any:
        right = jnp.equal(x, y).astype(jnp.float32)
        if not weights:
            return jnp.mean(right)
        return jnp.sum(right * weights[0]) / jnp.sum(jnp.broadcast_to(weights[0], right.shape))

    given = [] if weights is None else [convert_to_tensor(weights, "float32")]
    return compute("accuracy", share, found, wanted, *given, name=name)
