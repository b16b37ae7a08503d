"""The wire format of protocol buffers: numbers of variable length, and fields by number.

A message of these files is a handful of fields. Slices of the file stand for what is inside, so that the
values of a V1 file are never copied into Python's objects.

Source:
    https://protobuf.dev/programming-guides/encoding.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

#: Kinds of fields: a number of variable length, 8 bytes, some bytes, 4 bytes.
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
Bytes = bytes | memoryview


class WrongError(ValueError):
    """Bytes are not what their format says; whoever knows the file says where."""


def varint(data: Bytes, at: int) -> tuple[int, int]:
    """Return a number of variable length, unsigned, and where it ends.

    Example:
        >>> varint(bytes([0xAC, 0x02, 7]), 0)
        (300, 2)
    """
    try:
        value = data[at]
        if value < 128:
            return value, at + 1
        value &= 127
        for shift in (7, 14, 21, 28, 35, 42, 49, 56, 63):
            at += 1
            byte = data[at]
            value |= (byte & 127) << shift
            if byte < 128:
                return value & 0xFFFFFFFFFFFFFFFF, at + 1
    except IndexError:
        raise WrongError("a number is cut") from None
    raise WrongError("a number has more than ten bytes")


def signed(value: int) -> int:
    """Return a number of 64 bits with its sign.

    Example:
        >>> signed(2**64 - 1)
        -1
    """
    return value - 2**64 if value >= 2**63 else value


def fields(data: Bytes, kinds: Mapping[int, int]) -> Iterator[tuple[int, Any]]:
    """Yield number and value of a message's fields, in order; others than those of `kinds` are skipped.

    Args:
        data: The message.
        kinds: The kind that each field of interest has, by number. Lists of numbers, which may be packed or
            one by one, are not told apart here: ask for `BYTES`, and get bytes either way.

    Yields:
        An unsigned integer, or the bytes of `BYTES`.
    """
    at, end = 0, len(data)
    value: Any
    while at < end:
        tag, at = varint(data, at)
        number, kind = tag >> 3, tag & 7
        begin = at
        if kind == VARINT:
            value, at = varint(data, at)
        elif kind == BYTES:
            length, begin = varint(data, at)
            at = begin + length
            value = data[begin:at]
        elif kind in (FIXED32, FIXED64):
            at += 4 if kind == FIXED32 else 8
            value = int.from_bytes(data[begin:at], "little")
        else:
            raise WrongError(f"a field is of kind {kind}, which there is not")
        if at > end:
            raise WrongError("a field is longer than its message")
        if number in kinds:
            if kinds[number] == kind:
                yield number, value
            elif kinds[number] == BYTES:
                yield number, data[begin:at]
            else:
                raise WrongError(f"field {number} is of kind {kind}, not {kinds[number]}")


def varints(data: Bytes) -> np.ndarray[Any, Any]:
    """Return numbers of variable length that follow each other, as unsigned ones of 64 bits.

    Example:
        >>> varints(bytes([0xAC, 0x02, 7]))
        array([300,   7], dtype=uint64)
    """
    raw = np.frombuffer(data, np.uint8)
    if not raw.size:
        return np.empty(0, np.uint64)
    last = raw < 128
    ends = np.flatnonzero(last)
    if not last[-1]:
        raise WrongError("a number is cut")
    if ends.size == raw.size:
        return raw.astype(np.uint64)
    begins = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - begins + 1
    longest = int(lengths.max())
    if longest > 10:
        raise WrongError("a number has more than ten bytes")
    found = np.zeros(ends.size, np.uint64)
    for place in range(longest):
        has = np.flatnonzero(lengths > place)
        found[has] |= (raw[begins[has] + place] & np.uint8(127)).astype(np.uint64) << np.uint64(7 * place)
    return found


# --- writing ---------------------------------------------------------------------------------------


def to_varint(value: int) -> bytes:
    """Return a number of variable length; negative ones as 64 bits.

    Example:
        >>> to_varint(300).hex()
        'ac02'
    """
    value &= 0xFFFFFFFFFFFFFFFF
    made = bytearray()
    while value > 127:
        made.append(value & 127 | 128)
        value >>= 7
    made.append(value)
    return bytes(made)


def field(number: int, value: int | bytes) -> bytes:
    """Return one field: a number, left out where it is 0, or bytes, which are there even if empty."""
    if isinstance(value, int):
        return to_varint(number << 3 | VARINT) + to_varint(value) if value else b""
    return to_varint(number << 3 | BYTES) + to_varint(len(value)) + value


def fixed32(number: int, value: int) -> bytes:
    """Return one field of four bytes."""
    return to_varint(number << 3 | FIXED32) + value.to_bytes(4, "little") if value else b""
