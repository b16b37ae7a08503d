"""Switches between TensorFlow 1's ways and TensorFlow 2's: those for what holds here do nothing."""

from collections.abc import Callable
from typing import Any

import jax

from jaxscope.tf1.base.exporting import export, export_constant

__all__ = ["is_gpu_available"]

# Programs for `tensorflow.compat.v1` begin with these. Models are functions of a graph's kind, variables have
# one value at each place of the program, shapes have `Dimension`s, and `==` of tensors is identity.
_HOLDING = {
    "disable_v2_behavior": None,
    "disable_eager_execution": None,
    "disable_v2_tensorshape": None,
    "disable_tensor_equality": None,
    "enable_resource_variables": None,
    "enable_control_flow_v2": None,
    "disable_control_flow_v2": None,
    "resource_variables_enabled": True,
    "control_flow_v2_enabled": True,
    "executing_eagerly": False,
    "executing_eagerly_outside_functions": False,
}


def _holding(name: str, answer: bool | None) -> Callable[[], bool | None]:
    def switch() -> bool | None:
        return answer

    switch.__name__ = switch.__qualname__ = name
    switch.__doc__ = (
        f"Return {answer}: so it is here." if answer is not None else "Do nothing: so it is here."
    )
    return switch


for _name, _answer in _HOLDING.items():
    export_constant(_holding(_name, _answer), _name)


@export("test.is_gpu_available")
def is_gpu_available(cuda_only: bool = False, min_cuda_compute_capability: Any = None) -> bool:
    """Return whether JAX computes on a GPU.

    Args:
        cuda_only: Without meaning here.
        min_cuda_compute_capability: Without meaning here.
    """
    return jax.default_backend() == "gpu"
