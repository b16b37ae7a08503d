"""Tables taken apart and put together again with right checksums, and bundles made by hand."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jaxscope.checkpoint.tf1 import entries
from jaxscope.checkpoint.tf1.checksums import checksum
from jaxscope.checkpoint.tf1.dtypes import NUMBERS
from jaxscope.checkpoint.tf1.entries import Tensor
from jaxscope.checkpoint.tf1.table_writing import table
from jaxscope.checkpoint.tf1.tables import FOOTER, MAGIC, PLAIN, SNAPPY, Table
from jaxscope.checkpoint.tf1.wire import field, fixed32, to_varint

cramjam = pytest.importorskip("cramjam", reason="compressed blocks are its")
pytest.importorskip("google_crc32c", reason="TF1's checkpoints have its checksums")

RECORDED = Path(__file__).parent / "recorded"


def copied(name: str, folder: Path) -> Path:
    """Copy the files of a recorded checkpoint; return what their names begin with."""
    for file in RECORDED.glob(f"{name}*"):
        if not file.name.endswith(".npz"):
            shutil.copy(file, folder)
    return folder / name


def expected(name: str) -> dict[str, np.ndarray]:
    """Return what TensorFlow reads of a recorded checkpoint."""
    with np.load(RECORDED / f"{name}_expected.npz") as file:
        return {key.replace("__", "/"): file[key] for key in file}


def apart(data: bytes) -> tuple[list[bytes], list[bytes]]:
    """Return what a table's blocks have in them, and the last key of each."""
    found = Table(data)
    return [bytes(found.block(handle)) for _, handle in found.blocks], [key for key, _ in found.blocks]


def together(blocks: Sequence[bytes], bounds: Sequence[bytes], *, compress: bool = False) -> bytes:
    """Return a table of blocks, whatever is in them, with right checksums."""
    made = bytearray()

    def put(content: bytes) -> bytes:
        nonlocal made
        kind = PLAIN
        if compress:
            content, kind = bytes(cramjam.snappy.compress_raw(content)), SNAPPY
        handle = to_varint(len(made)) + to_varint(len(content))
        content += bytes([kind])
        made += content + checksum(content).to_bytes(4, "little")
        return handle

    rows = b""
    for block, bound in zip(blocks, bounds, strict=True):
        handle = put(block)
        rows += to_varint(0) + to_varint(len(bound)) + to_varint(len(handle)) + bound + handle
    restarts = bytes(4) + (1).to_bytes(4, "little")
    ends = put(restarts) + put(rows + restarts)
    return bytes(made) + ends.ljust(FOOTER - len(MAGIC), b"\0") + MAGIC


def bundle(
    path: Path, arrays: dict[str, np.ndarray], *, big: bool = False, change: Any = None, header: Any = None
) -> Path:
    """Write a bundle by hand; `change` is given name and entry, and returns the entry's bytes."""
    data, rows = b"", []
    for name, array in sorted(arrays.items()):
        raw = array.tobytes()
        if big and array.dtype.itemsize > 1:
            width = array.dtype.itemsize // (2 if array.dtype.kind == "c" else 1)
            raw = np.frombuffer(raw, f"u{width}").byteswap().tobytes()
        one = Tensor(NUMBERS[array.dtype], array.shape, 0, len(data), len(raw), checksum(raw), ())
        data += raw
        rows.append((name.encode(), (change or (lambda _, one: entries.tensor_bytes(one)))(name, one)))
    first = header if header is not None else field(1, 1) + field(2, int(big)) + field(3, field(1, 1))
    path.with_name(f"{path.name}.index").write_bytes(table([(b"", first), *rows], {}))
    path.with_name(f"{path.name}.data-00000-of-00001").write_bytes(data)
    return path


def strings(values: Sequence[bytes], shape: Sequence[int] = ()) -> tuple[bytes, bytes]:
    """Return what is stored of strings, and their entry's bytes as the first of a file."""
    from jaxscope.checkpoint.tf1.checksums import extended, masked

    value = extended(0, b"".join(len(one).to_bytes(4, "little") for one in values))
    stored = masked(value).to_bytes(4, "little")
    data = b"".join(to_varint(len(one)) for one in values) + stored + b"".join(values)
    crc = masked(extended(extended(value, stored), b"".join(values)))
    sizes = b"".join(field(2, field(1, size)) for size in shape)
    return data, field(1, 7) + field(2, sizes) + field(5, len(data)) + fixed32(6, crc)
