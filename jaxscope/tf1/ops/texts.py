"""`tf.compat.as_text` and its like: Python's strings and bytes."""

from typing import Any

from jaxscope.tf1.base.errors import TensorTypeError
from jaxscope.tf1.base.exporting import export

__all__ = ["as_bytes", "as_str_any", "as_text"]


@export("compat.as_bytes")
def as_bytes(bytes_or_text: Any, encoding: str = "utf-8") -> bytes:
    """Return a string as bytes.

    Args:
        bytes_or_text: A string, or bytes.
        encoding: How a string is written.

    Raises:
        TensorTypeError: If it is neither (`tensor_type`).

    Example:
        >>> as_bytes("a"), as_text(b"a")
        (b'a', 'a')
    """
    if isinstance(bytes_or_text, str):
        return bytes_or_text.encode(encoding)
    if isinstance(bytes_or_text, bytes | bytearray):
        return bytes(bytes_or_text)
    raise TensorTypeError(f"a string or bytes are needed, not {bytes_or_text!r}")


@export("compat.as_text", "compat.as_str")
def as_text(bytes_or_text: Any, encoding: str = "utf-8") -> str:
    """Return bytes as a string.

    Args:
        bytes_or_text: A string, or bytes.
        encoding: How a string is written.

    Raises:
        TensorTypeError: If it is neither (`tensor_type`).
    """
    return as_bytes(bytes_or_text, encoding).decode(encoding)


@export("compat.as_str_any")
def as_str_any(value: Any) -> str:
    """Return a string of anything.

    Args:
        value: Anything.
    """
    return as_text(value) if isinstance(value, bytes) else str(value)
