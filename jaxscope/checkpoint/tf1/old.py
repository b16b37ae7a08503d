"""TF1's checkpoints of version 1: one sorted table that has the values too, or several of them.

Source:
    TensorFlow's `core/util/saved_tensor_slice.proto` and `tensor_slice_reader`.
"""

import bisect
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxscope.checkpoint.mapped import MappedFile
from jaxscope.checkpoint.stored import ALIGNED, Entry, OnHost, aligned, bad_shape, size_of
from jaxscope.checkpoint.tf1 import tables
from jaxscope.checkpoint.tf1.dtypes import STRING, described
from jaxscope.checkpoint.tf1.entries import ranges, shape
from jaxscope.checkpoint.tf1.index import told
from jaxscope.checkpoint.tf1.ordered import Range, key_of
from jaxscope.checkpoint.tf1.protos import values
from jaxscope.checkpoint.tf1.regions import Parts, Region, check_cover, region, sizes
from jaxscope.checkpoint.tf1.wire import BYTES, VARINT, Bytes, WrongError, fields

# How many times the files' size may come out of them, and how many bytes more: small integers are written
# in a byte, and blocks may be compressed.
_MOST_TIMES, _MOST_MORE = 32, 2**20
_KEPT = 2**22  # bytes of a block that is kept, since the next variable may be in it
_META, _SAID, _DATA = {1: BYTES}, {1: BYTES, 2: BYTES, 3: VARINT, 4: BYTES}, {1: BYTES, 3: BYTES}


class _Part(NamedTuple):
    file: int
    ranges: tuple[Range, ...]


class Old(OnHost):
    """An open checkpoint of version 1, whose files are mapped into memory.

    Args:
        path: What was given to open it.
        files: The files, each a table.

    Raises:
        CheckpointError: A file is not what the format says (code `damaged`).
        OSError: One is not there, or may not be read.
        ImportError: A package for checksums, or for compressed blocks, is not installed.
    """

    tf1 = True
    mapped = True  # what is read is never written into

    def __init__(self, path: str, files: Sequence[str]) -> None:
        self.path, self.facts = path, {}
        self._files = [MappedFile(file, mapped=True) for file in files]
        self.most = _MOST_TIMES * sum(file.size for file in self._files) + _MOST_MORE
        self._tables: list[tables.Table] = []
        self._kept: tuple[tuple[int, int], dict[bytes, Bytes]] | None = None
        said: dict[str, tuple[int, tuple[int, ...]]] = {}
        parts: dict[str, list[_Part]] = {}
        for number, file in enumerate(self._files):
            with told(file.path):
                self._tables.append(tables.Table(file.view(0, file.size).data))
                for name, dtype, size, found in self._said(number):
                    if said.setdefault(name, (dtype, size)) != (dtype, size):
                        raise WrongError(f"{name[:200]!r} is another in another of the files")
                    parts.setdefault(name, []).extend(_Part(number, one) for one in found)
        self._dtypes = {name: dtype for name, (dtype, _) in said.items()}
        self._parts, self._regions = parts, dict[str, list[Region]]()
        entries: dict[str, Entry] = {}
        for name in sorted(said):
            with told(self.path, f"{name[:200]!r}: "):
                entries[name] = self._entry(name, *said[name])
        self.entries = entries

    def _said(self, number: int) -> list[tuple[str, int, tuple[int, ...], list[tuple[Range, ...]]]]:
        """Return name, type, shape and parts of the variables of a file."""
        if not self._tables[number].blocks:
            raise WrongError("it has nothing in it")
        first = self._block(number, 0).get(b"")
        if first is None:
            raise WrongError("it does not begin with a table of contents")
        found: list[tuple[str, int, tuple[int, ...], list[tuple[Range, ...]]]] = []
        for _, meta in fields(first, _META):
            for _, one in fields(meta, _META):
                name, dtype = "", 0
                size: tuple[int, ...] = ()
                pieces: list[tuple[Range, ...]] = []
                for at, value in fields(one, _SAID):
                    if at == 1:
                        name = _text(value)
                    elif at == 2:
                        size = shape(value)
                    elif at == 3:
                        dtype = value
                    else:
                        pieces.append(ranges(value))
                found.append((name, dtype, size, pieces))
        return found

    def _entry(self, name: str, dtype: int, size: tuple[int, ...]) -> Entry:
        if bad_shape(size):
            raise WrongError(f"it is said to be of shape {str(size)[:200]}")
        kind, problem = described(dtype)
        regions = [region(one.ranges, size) for one in self._parts[name]]
        check_cover(regions, size)
        if len(regions) > 1 and problem:
            problem = f"{problem.partition(':')[0]}, in parts"
        self._regions[name] = regions
        return Entry(size, kind, problem)

    def _block(self, file: int, number: int) -> dict[bytes, Bytes]:
        """Return the keys and values of a block of a file."""
        if self._kept is not None and self._kept[0] == (file, number):
            return self._kept[1]
        self._files[file].view(0, self._files[file].size)  # it must not have become shorter
        table = self._tables[file]
        block = table.block(table.blocks[number][1])
        if len(block) > _KEPT:
            return dict(tables.entries(block))
        # Of a copy: the file may become shorter.
        found: dict[bytes, Bytes] = dict(tables.entries(bytes(block)))
        self._kept = (file, number), found
        return found

    def _read(self, name: str, number: int) -> np.ndarray[Any, Any]:
        """Read one part of a variable."""
        part = self._parts[name][number]
        size = sizes(self._regions[name][number])
        key = key_of(name, part.ranges)
        with told(self._files[part.file].path, f"{name[:200]!r}: "):
            at = bisect.bisect_left(self._tables[part.file].blocks, key, key=lambda block: block[0])
            blocks = self._tables[part.file].blocks
            raw = self._block(part.file, at).get(key) if at < len(blocks) else None
            if raw is None:
                raise WrongError("its values are not there")
            for _, data in fields(raw, {2: BYTES}):
                found = dict(fields(data, _DATA))
                if _text(found.get(1, b"")) != name or 3 not in found:
                    raise WrongError("its values are another's")
                return values(found[3], self._dtypes[name], size)
            raise WrongError("it has no values")

    def host(self, name: str) -> np.ndarray[Any, Any]:
        entry = self.checked(name)
        if not size_of(entry.shape):
            return np.empty(entry.shape, entry.dtype)
        if len(self._regions[name]) > 1:
            return self._of_parts(name, entry).whole()
        found = self._read(name, 0)
        if found.ctypes.data % ALIGNED == 0 and found.base is None:
            return found
        made = np.frombuffer(aligned(entry.nbytes), entry.dtype).reshape(entry.shape)
        made[...] = found  # nothing of the file stays: it is no place for arrays
        return made

    def view(self, name: str) -> Any:
        entry = self.checked(name)
        return self._of_parts(name, entry) if len(self._regions[name]) > 1 else self.host(name)

    def numpy(self, name: str) -> np.ndarray[Any, Any]:
        if self._dtypes[name] != STRING or len(self._regions[name]) != 1:
            return self.host(name)
        if not size_of(self.entries[name].shape):
            return np.empty(self.entries[name].shape, object)
        return self._read(name, 0)

    def _of_parts(self, name: str, entry: Entry) -> Parts:
        return Parts(entry.shape, entry.dtype, self._regions[name], lambda number: self._read(name, number))


def _text(data: Bytes) -> str:
    try:
        return bytes(data).decode()
    except UnicodeDecodeError:
        raise WrongError("a name is no text") from None


def is_table(path: str) -> bool:
    """Tell whether a file ends as a table of LevelDB's does.

    Raises:
        OSError: It may not be read.
    """
    if not os.path.isfile(path):
        return False
    with open(path, "rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - len(tables.MAGIC)))
        return file.read() == tables.MAGIC
