"""What a bundle's index says: its header, and of each tensor where it is.

Source:
    TensorFlow's `core/protobuf/tensor_bundle.proto`, `tensor_shape.proto`, `tensor_slice.proto`.
"""

from typing import NamedTuple

from jaxscope.checkpoint.tf1.ordered import Range
from jaxscope.checkpoint.tf1.wire import (
    BYTES,
    FIXED32,
    VARINT,
    Bytes,
    WrongError,
    field,
    fields,
    fixed32,
    signed,
)

_HEADER = {1: VARINT, 2: VARINT, 3: BYTES}
_VERSION = {1: VARINT, 2: VARINT}
_ENTRY = {1: VARINT, 2: BYTES, 3: VARINT, 4: VARINT, 5: VARINT, 6: FIXED32, 7: BYTES}
_SHAPE = {2: BYTES, 3: VARINT}
_SIZE, _EXTENTS, _EXTENT = {1: VARINT}, {1: BYTES}, {1: VARINT, 2: VARINT}
_MOST_AXES = 254  # TF1's own limit


class Header(NamedTuple):
    """What a bundle says of itself: how many files of data it has, and whether the high byte is first."""

    shards: int
    big: bool


class Tensor(NamedTuple):
    """What a bundle says of one tensor.

    Attributes:
        dtype: TF1's number of its type.
        shape: Axis lengths, as said.
        shard: In which of the files of data it is.
        offset: Where in it, in bytes.
        size: How many bytes.
        crc: Their masked checksum.
        parts: The ranges of the parts in which it is stored instead; () where it is whole.
    """

    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    crc: int
    parts: tuple[tuple[Range, ...], ...]


def header(data: Bytes) -> Header:
    """Return the header of a bundle."""
    shards, order, oldest = 0, 0, 0
    for number, value in fields(data, _HEADER):
        if number == 1:
            shards = value
        elif number == 2:
            order = value
        else:
            oldest = max([oldest, *(one for at, one in fields(value, _VERSION) if at == 2)])
    if oldest > 1:
        raise WrongError(f"it needs a reader of version {oldest}, and this one is of version 1")
    if order > 1 or not 1 <= shards <= 99_999:
        raise WrongError(f"its header says {shards:,} files of data, and the order {order} of bytes")
    return Header(shards, order == 1)


def tensor(data: Bytes) -> Tensor:
    """Return what an entry says."""
    dtype = shard = offset = size = crc = 0
    sizes: tuple[int, ...] = ()
    parts: list[tuple[Range, ...]] = []
    for number, value in fields(data, _ENTRY):
        if number == 1:
            dtype = value
        elif number == 2:
            sizes = shape(value)
        elif number == 3:
            shard = value
        elif number == 4:
            offset = signed(value)
        elif number == 5:
            size = signed(value)
        elif number == 6:
            crc = value
        else:
            parts.append(ranges(value))
    return Tensor(dtype, sizes, shard, offset, size, crc, tuple(parts))


def shape(data: Bytes) -> tuple[int, ...]:
    """Return the axis lengths that a shape says."""
    sizes: list[int] = []
    for number, value in fields(data, _SHAPE):
        if number == 3:
            if value:
                raise WrongError("a shape has an unknown number of axes")
            continue
        sizes.append(sum(signed(one) for _, one in fields(value, _SIZE)))
        if len(sizes) > _MOST_AXES:
            raise WrongError(f"a shape has more than {_MOST_AXES} axes")
    return tuple(sizes)


def ranges(data: Bytes) -> tuple[Range, ...]:
    """Return the ranges of a part along each axis; (0, -1) for a whole one."""
    found: list[Range] = []
    for _, value in fields(data, _EXTENTS):
        start, length = 0, -1
        for number, one in fields(value, _EXTENT):
            if number == 1:
                start = signed(one)
            else:
                length = signed(one)
        found.append((start, length))
        if len(found) > _MOST_AXES:
            raise WrongError(f"a part has more than {_MOST_AXES} axes")
    return tuple(found)


# --- writing ---------------------------------------------------------------------------------------


def header_bytes(shards: int) -> bytes:
    """Return the header of a bundle of little endian numbers."""
    return field(1, shards) + field(3, field(1, 1))


def tensor_bytes(one: Tensor) -> bytes:
    """Return the entry of a tensor that is whole."""
    sizes = b"".join(field(2, field(1, size)) for size in one.shape)
    made = field(1, one.dtype) + field(2, sizes) + field(3, one.shard) + field(4, one.offset)
    return made + field(5, one.size) + fixed32(6, one.crc)
