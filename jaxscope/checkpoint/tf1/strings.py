"""Strings of a bundle: their lengths, a checksum of these, and their bytes."""

from typing import Any

import numpy as np

from jaxscope.checkpoint.stored import size_of
from jaxscope.checkpoint.tf1.checksums import extended, masked
from jaxscope.checkpoint.tf1.wire import Bytes, WrongError, varint


def decoded(data: Bytes, shape: tuple[int, ...], crc: int, *, big: bool) -> np.ndarray[Any, Any]:
    """Return an array of `bytes` objects, after comparing its checksums.

    Args:
        data: All that is stored of them.
        shape: Axis lengths, whose product is at most the number of bytes.
        crc: The masked checksum of all.
        big: Whether the file is of a machine whose high byte is first; the checksum in it may be, too.
    """
    count, at, total = size_of(shape), 0, 0
    lengths: list[int] = []
    for _ in range(count):
        length, at = varint(data, at)
        lengths.append(length)
        total += length
    if not data and not count:
        return np.empty(shape, object)
    # The checksum is that of lengths of four bytes, or of eight where four are too few.
    wide = b"".join(one.to_bytes(4 if one < 2**32 else 8, "little") for one in lengths)
    value = extended(0, wide)
    stored = bytes(data[at : at + 4])
    said = {int.from_bytes(stored, "little")} | ({int.from_bytes(stored, "big")} if big else set())
    if masked(value) not in said:
        raise WrongError("the checksum of the strings' lengths is another")
    begin = at + 4
    if total != len(data) - begin:
        raise WrongError(f"the strings would have {total:,} bytes, and there are {len(data) - begin:,}")
    if masked(extended(extended(value, stored), data[begin:])) != crc:
        raise WrongError("the checksum of the strings is another")
    made = np.empty(count, object)
    for number, length in enumerate(lengths):
        made[number] = bytes(data[begin : begin + length])
        begin += length
    return made.reshape(shape)
