"""TF1's numbers of element types, and which types of NumPy's and JAX's they are."""

from typing import Any

import jax.numpy as jnp
import numpy as np

STRING = 7
_NAMES = {
    1: "float32",
    2: "float64",
    3: "int32",
    4: "uint8",
    5: "int16",
    6: "int8",
    8: "complex64",
    9: "int64",
    10: "bool",
    14: "bfloat16",
    17: "uint16",
    18: "complex128",
    19: "float16",
    22: "uint32",
    23: "uint64",
    24: "float8_e5m2",
    25: "float8_e4m3fn",
    26: "float8_e4m3fnuz",
    27: "float8_e4m3b11fnuz",
    28: "float8_e5m2fnuz",
}
# Quantized numbers are plain ones, whose range is told elsewhere.
_QUANTIZED = {11: "int8", 12: "uint8", 13: "int32", 15: "int16", 16: "uint16"}
DTYPES: dict[int, np.dtype[Any]] = {
    number: np.dtype(getattr(jnp, name) if name.startswith(("bf", "float8")) else name)
    for number, name in (_NAMES | _QUANTIZED).items()
}
NUMBERS = {DTYPES[number]: number for number in _NAMES}
#: What has no array of numbers, by number.
_OTHERS = {20: "a resource", 21: "a variant", 29: "int4", 30: "uint4", 31: "int2", 32: "uint2"}


def described(number: int) -> tuple[np.dtype[Any], str]:
    """Return the element type of a number, and why JAX cannot have it; "" where it can.

    Example:
        >>> described(1), described(21)[1]
        ((dtype('float32'), ''), 'it is a variant, which JAX has not')
    """
    if number in DTYPES:
        return DTYPES[number], ""
    if number == STRING:
        return np.dtype("S"), "it holds strings, which JAX has not: js.checkpoint.load_variable reads them"
    what = _OTHERS.get(number, f"of type {number}")
    return np.dtype("V"), f"it is {what}, which JAX has not"
