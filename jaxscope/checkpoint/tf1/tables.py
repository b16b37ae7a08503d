"""Sorted tables of LevelDB's format: keys and values in blocks, each with a checksum.

Source:
    https://github.com/google/leveldb/blob/main/doc/table_format.md.
"""

from collections.abc import Iterator
from typing import NamedTuple

from jaxscope.checkpoint.tf1 import snappy
from jaxscope.checkpoint.tf1.checksums import checksum
from jaxscope.checkpoint.tf1.wire import Bytes, WrongError, varint

MAGIC = 0xDB4775248B80FB57.to_bytes(8, "little")
FOOTER = 48  # bytes
TRAILER = 5  # bytes behind a block: how it is compressed, and a checksum
PLAIN, SNAPPY = 0, 1
# A key is written in full at least every 16th time, so that keys are not much longer than what is there.
_MOST_TIMES = 32


class Handle(NamedTuple):
    """Where a block is, in bytes."""

    offset: int
    size: int


class Table:
    """A table, of which the index of its blocks is read.

    Args:
        data: All of the file.

    Raises:
        WrongError: It is no table; the message says where.
    """

    def __init__(self, data: Bytes) -> None:
        self._data = data
        self._room = len(data) - FOOTER
        if self._room < 0 or bytes(data[-8:]) != MAGIC:
            raise WrongError("it does not end as a table does")
        footer = data[self._room :]
        meta, at = self._handle(footer, 0)
        index, _ = self._handle(footer, at)
        self._meta = meta
        #: The last key that a block may have -> where it is; in order.
        self.blocks: list[tuple[bytes, Handle]] = []
        end = 0
        for key, value in entries(self.block(index)):
            handle, _ = self._handle(value, 0)
            if handle.offset < end:
                raise WrongError(f"the block at byte {handle.offset:,} is over the one before it")
            end = handle.offset + handle.size + TRAILER
            self.blocks.append((key, handle))

    def _handle(self, data: Bytes, at: int) -> tuple[Handle, int]:
        offset, at = varint(data, at)
        size, at = varint(data, at)
        if offset + size + TRAILER > self._room:
            raise WrongError(f"a block would be at byte {offset:,}, of {size:,}, in {self._room:,}")
        return Handle(offset, size), at

    def block(self, handle: Handle) -> Bytes:
        """Return what a block has in it, after comparing its checksum."""
        end = handle.offset + handle.size
        kind = self._data[end]
        said = int.from_bytes(self._data[end + 1 : end + TRAILER], "little")
        if checksum(self._data[handle.offset : end + 1]) != said:
            raise WrongError(f"the checksum of the block at byte {handle.offset:,} is another")
        content = self._data[handle.offset : end]
        if kind == PLAIN:
            return content
        if kind == SNAPPY:
            return snappy.decompressed(content)
        raise WrongError(f"the block at byte {handle.offset:,} is compressed in a way that there is not")

    def entries(self) -> Iterator[tuple[bytes, Bytes]]:
        """Yield all keys and values, in order of keys, each once."""
        last: bytes | None = None
        total = 0
        for bound, handle in self.blocks:
            for key, value in entries(self.block(handle)):
                if last is not None and key <= last:
                    raise WrongError(f"a key of the block at byte {handle.offset:,} is out of order")
                last = key
                total += len(key)
                if total > _MOST_TIMES * len(self._data):
                    raise WrongError(f"its keys would have more than {total:,} bytes")
                yield key, value
            if last is not None and last > bound:
                raise WrongError(f"the block at byte {handle.offset:,} has keys of the next one")

    def meta(self) -> dict[bytes, Bytes]:
        """Return blocks beside the data, by name; TF1 writes none and reads none."""
        found: dict[bytes, Bytes] = {}
        for key, value in entries(self.block(self._meta)):
            handle, _ = self._handle(value, 0)
            found[bytes(key)] = self.block(handle)
        return found


def entries(block: Bytes) -> Iterator[tuple[bytes, Bytes]]:
    """Yield the keys and values of a block, in order."""
    if len(block) < 4:
        raise WrongError("a block has no end")
    restarts = int.from_bytes(block[-4:], "little")
    end = len(block) - 4 * (restarts + 1)
    if end < 0:
        raise WrongError("a block has more restarts than bytes")
    at, key, total = 0, b"", 0
    while at < end:
        shared, at = varint(block, at)
        more, at = varint(block, at)
        length, at = varint(block, at)
        begin = at + more
        if shared > len(key) or begin + length > end:
            raise WrongError("an entry of a block is longer than the block")
        key = key[:shared] + bytes(block[at:begin])
        at = begin + length
        total += len(key)
        if total > _MOST_TIMES * len(block) + 64:
            raise WrongError("the keys of a block are longer than it can say")
        yield key, block[begin:at]
