"""The keys of parts of partitioned variables: names and ranges, written so that bytes sort as they do.

Source:
    TensorFlow's `lib/strings/ordered_code` and `util/saved_tensor_slice_util`.
"""

from collections.abc import Sequence

#: A part's range along each axis: start and length; (0, -1) for all of an axis.
Range = tuple[int, int]
# As many ones as there are bytes, in the first two of them.
_HEADERS = {size: 0xFFFF << (16 - size) & 0xFFFF for size in range(2, 11)}


def key_of(name: str, ranges: Sequence[Range]) -> bytes:
    """Return the key of a variable's part.

    Example:
        >>> key_of("w", [(0, 2), (0, -1)]).hex()
        '0077000101028082807f'
    """
    text = name.encode().replace(b"\x00", b"\x00\xff")  # UTF-8 has no ff
    made = _number(0) + text + b"\x00\x01" + _number(len(ranges))
    return made + b"".join(_signed(start) + _signed(length) for start, length in ranges)


def _number(value: int) -> bytes:
    size = (value.bit_length() + 7) // 8
    return bytes([size]) + value.to_bytes(size, "big")


def _signed(value: int) -> bytes:
    bits = (value if value >= 0 else ~value).bit_length()
    size = next(size for size in range(1, 11) if bits <= 7 * size - 1)
    if size == 1:
        return bytes([0x80 ^ (value & 0xFF)])
    raw = bytearray(value.to_bytes(10, "big", signed=True)[-size:])
    header = _HEADERS[size]
    raw[0] ^= header >> 8
    raw[1] ^= header & 0xFF
    return bytes(raw)
