"""Fourier transforms: `tf.spectral`, `tf.signal`, `tf.fft`."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.errors import TensorTypeError
from jaxscope.tf1.base.exporting import export_constant
from jaxscope.tf1.base.operation import compute, static_ints
from jaxscope.tf1.base.tensor import Tensor
from jaxscope.tf1.ops.arrays.matrices import matrix_of

__all__: list[str] = []


def _complex(name: str, function: Callable[..., Any], axes: tuple[int, ...]) -> None:
    def transform(input: Any, name: str | None = None) -> Tensor:
        tensor = matrix_of(input, kind, len(axes))
        if not tensor.dtype.is_complex:
            raise TensorTypeError(
                f"{kind} takes complex numbers, not {tensor.dtype.name}", fix="tf.cast(x, tf.complex64)"
            )
        return compute(kind, lambda x: function(x, axes=axes), tensor, name=name)

    kind = name.upper()
    transform.__name__ = transform.__qualname__ = name
    transform.__doc__ = f"""Return the Fourier transform {name} over the last {len(axes)} axes.

    Args:
        input: A tensor of complex numbers.
        name: A name for the result.

    Raises:
        TensorTypeError: If it is of other numbers (`tensor_type`).
        TensorValueError: If its rank is too small (`tensor_value`).
    """
    export_constant(transform, name, f"spectral.{name}", f"signal.{name}")


def _real(name: str, function: Callable[..., Any], axes: tuple[int, ...], *, back: bool) -> None:
    def transform(input_tensor: Any, fft_length: Any = None, name: str | None = None) -> Tensor:
        tensor = matrix_of(convert_to_tensor(input_tensor), kind, len(axes))
        if tensor.dtype.is_complex is not back or not (back or tensor.dtype.is_floating):
            raise TensorTypeError(f"{kind} does not take tensors of {tensor.dtype.name}")
        sizes = None if fft_length is None else static_ints(fft_length, "fft_length")
        return compute(kind, lambda x: function(x, s=sizes, axes=axes), tensor, name=name)

    kind = name.upper()
    transform.__name__ = transform.__qualname__ = name
    transform.__doc__ = f"""Return the Fourier transform {name} over the last {len(axes)} axes.

    Args:
        input_tensor: A tensor of {"complex" if back else "real"} numbers.
        fft_length: The sizes of the real side, known while tracing; those of the tensor, if left out.
        name: A name for the result.

    Raises:
        TensorTypeError: If it is of other numbers (`tensor_type`).
        TensorValueError: If its rank is too small (`tensor_value`).
    """
    export_constant(transform, f"spectral.{name}", f"signal.{name}")


for _end, _axes in (("", (-1,)), ("2d", (-2, -1)), ("3d", (-3, -2, -1))):
    _complex(f"fft{_end}", jnp.fft.fftn, _axes)
    _complex(f"ifft{_end}", jnp.fft.ifftn, _axes)
    _real(f"rfft{_end}", jnp.fft.rfftn, _axes, back=False)
    _real(f"irfft{_end}", jnp.fft.irfftn, _axes, back=True)
