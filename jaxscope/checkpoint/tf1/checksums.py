"""Checksums: CRC-32C, by Google's own package, masked as in LevelDB's tables and TF1's bundles."""

from typing import Any

import numpy as np

from jaxscope.extras import library

_AT_ONCE = 2**30  # bytes


def crc() -> Any:
    """Return the module `google_crc32c`.

    Raises:
        ImportError: It is not installed.
    """
    return library("google_crc32c", "a checkpoint of TF1's")


def extended(value: int, data: Any) -> int:
    """Return the checksum of what had one, and of bytes behind it."""
    extend = crc().extend
    raw = np.frombuffer(data, np.uint8)  # which it takes without a copy
    for begin in range(0, raw.size, _AT_ONCE):
        value = extend(value, raw[begin : begin + _AT_ONCE])
    return value


def masked(value: int) -> int:
    """Return a checksum as files have it, so that checksums of checksums are no special ones."""
    return ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF


def checksum(*data: Any) -> int:
    """Return the masked checksum of bytes that follow each other.

    Example:
        >>> hex(checksum(b"123456789"))  # of 0xe3069283
        '0xc78ab0e5'
    """
    value = 0
    for one in data:
        value = extended(value, one)
    return masked(value)
