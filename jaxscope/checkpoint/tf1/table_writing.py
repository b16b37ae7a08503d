"""Writing tables of LevelDB's format, as TF1's bundles have them: never compressed."""

from collections.abc import Iterable, Mapping

from jaxscope.checkpoint.tf1.checksums import checksum
from jaxscope.checkpoint.tf1.tables import FOOTER, MAGIC, PLAIN
from jaxscope.checkpoint.tf1.wire import to_varint

_BLOCK = 2**18  # bytes of entries, after which a block ends; TF1's own size
_RESTARTS = 16  # entries, after which a key is written in full


class _Block:
    def __init__(self, restarts: int = _RESTARTS) -> None:
        self._every = restarts
        self.data = bytearray()
        self._restarts = [0]
        self._count = 0
        self.last = b""

    def add(self, key: bytes, value: bytes) -> None:
        shared = 0
        if self._count == self._every:
            self._restarts.append(len(self.data))
            self._count = 0
        elif self.data:
            most = min(len(key), len(self.last))
            while shared < most and key[shared] == self.last[shared]:
                shared += 1
        self._count += 1
        self.data += to_varint(shared) + to_varint(len(key) - shared) + to_varint(len(value))
        self.data += key[shared:] + value
        self.last = key

    def content(self) -> bytes:
        ends = [*self._restarts, len(self._restarts)]
        return bytes(self.data) + b"".join(one.to_bytes(4, "little") for one in ends)


def table(entries: Iterable[tuple[bytes, bytes]], meta: Mapping[bytes, bytes]) -> bytes:
    """Return a table.

    Args:
        entries: Keys and values, in order of keys, each once.
        meta: Blocks beside them, by name.
    """
    made = bytearray()

    def put(content: bytes) -> bytes:
        nonlocal made
        handle = to_varint(len(made)) + to_varint(len(content))
        content += bytes([PLAIN])
        made += content + checksum(content).to_bytes(4, "little")
        return handle

    index, block = _Block(1), _Block()
    for key, value in entries:
        block.add(key, value)
        if len(block.data) >= _BLOCK:
            index.add(block.last, put(block.content()))
            block = _Block()
    if block.data:
        index.add(block.last, put(block.content()))
    beside = _Block(1)
    for key in sorted(meta):
        beside.add(key, put(meta[key]))
    ends = put(beside.content()) + put(index.content())
    return bytes(made) + ends.ljust(FOOTER - len(MAGIC), b"\0") + MAGIC
