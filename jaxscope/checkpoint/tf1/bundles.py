"""Bundles: TF1's checkpoints of version 2, an index and files of data, each variable read when asked for."""

import contextlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from jaxscope.checkpoint.mapped import MappedFile
from jaxscope.checkpoint.stored import Entry, OnHost, bad_shape, damaged, size_of
from jaxscope.checkpoint.tf1 import index, strings
from jaxscope.checkpoint.tf1.checksums import checksum
from jaxscope.checkpoint.tf1.dtypes import DTYPES, STRING, described
from jaxscope.checkpoint.tf1.entries import Tensor
from jaxscope.checkpoint.tf1.index import ENDING, Index, told
from jaxscope.checkpoint.tf1.ordered import key_of
from jaxscope.checkpoint.tf1.regions import Parts, Region, check_cover, region, sizes
from jaxscope.checkpoint.tf1.wire import WrongError

_TRIES = 5  # to open files that somebody saves over meanwhile


def data_file(path: str, shard: int, shards: int) -> str:
    """Return the name of one of a bundle's files of data.

    Example:
        >>> data_file("model.ckpt", 0, 1)
        'model.ckpt.data-00000-of-00001'
    """
    return f"{path}.data-{shard:05}-of-{shards:05}"


class Bundle(OnHost):
    """An open checkpoint of version 2, whose files of data are mapped into memory.

    Args:
        path: What the names of its files begin with.
        mapped: Whether arrays may stay in the files where JAX can take them from there.

    Raises:
        CheckpointError: It is not what the format says, or not all of it is there (code `damaged`).
        OSError: There is no such file, or it may not be read.
        ImportError: The package for checksums is not installed.
    """

    tf1 = True

    def __init__(self, path: str, *, mapped: bool) -> None:
        self.path, self.mapped = path, mapped
        self._index, self._files = _opened(path, mapped=mapped)
        self.facts = self._index.facts
        self._regions: dict[str, list[Region]] = {}
        entries: dict[str, Entry] = {}
        for name, one in self._index.tensors.items():
            with told(path + ENDING, f"{name[:200]!r}: "):
                entries[name] = self._entry(name, one)
        if sum(len(one.parts) for one in self._index.tensors.values()) != len(self._index.parts):
            raise damaged(path + ENDING, "it has parts of variables that it has not")
        self._check_room()
        self.entries = entries

    def _entry(self, name: str, one: Tensor) -> Entry:
        dtype, problem = described(one.dtype)
        if bad_shape(one.shape):
            raise WrongError(f"it is said to be of shape {str(one.shape)[:200]}")
        entry = Entry(one.shape, dtype, problem)
        count = size_of(one.shape)
        if one.parts:
            if problem:
                return Entry(one.shape, dtype, f"{problem.partition(':')[0]}, in parts")
            self._regions[name] = self._checked_parts(name, one)
        elif one.dtype in DTYPES and one.size != entry.nbytes:
            raise WrongError(f"it is said to be {entry}, and to have {one.size:,} bytes")
        elif one.dtype == STRING and count > one.size:
            raise WrongError(f"it is said to be {count:,} strings, in {one.size:,} bytes")
        return entry

    def _checked_parts(self, name: str, one: Tensor) -> list[Region]:
        regions = [region(ranges, one.shape) for ranges in one.parts]
        for ranges, where in zip(one.parts, regions, strict=True):
            part = self._index.parts.get(key_of(name, ranges))
            if part is None:
                raise WrongError(f"its part {str(ranges)[:100]} is not there")
            size = size_of(sizes(where)) * DTYPES[one.dtype].itemsize
            if part.dtype != one.dtype or part.shape != sizes(where) or part.size != size or part.parts:
                raise WrongError(f"its part {str(ranges)[:100]} is another")
        check_cover(regions, one.shape)
        return regions

    def _check_room(self) -> None:
        """Raise an error unless what is stored is inside of the files, each in its own place."""
        every: list[tuple[str | bytes, Tensor]] = [*self._index.tensors.items(), *self._index.parts.items()]
        pieces = [(one.shard, one.offset, one.size, name) for name, one in every if one.size or one.offset]
        pieces.sort(key=lambda piece: piece[:2])
        at, end = -1, 0
        for shard, offset, size, name in pieces:
            if shard != at:
                at, end = shard, 0
            what = f"{name[:200]!r}, {size:,} bytes from byte {offset:,} of the file of data {shard},"
            if size < 0 or offset < 0 or offset + size > self._files[shard].size:
                room = self._files[shard].size
                raise damaged(self.path + ENDING, f"{what} is not inside of its {room:,} bytes")
            if size and offset < end:
                raise damaged(self.path + ENDING, f"{what} is over what is before it")
            end = max(end, offset + size)

    # --- values ------------------------------------------------------------------------------------

    def host(self, name: str) -> np.ndarray[Any, Any]:
        shape, dtype, _ = self.checked(name)
        if name in self._regions:
            return self._parts(name, shape, dtype).whole()
        return self._values(name, self._index.tensors[name], dtype, lambda file: file.bytes)

    def view(self, name: str) -> Any:
        shape, dtype, _ = self.checked(name)
        if name in self._regions:
            return self._parts(name, shape, dtype)
        return self._values(name, self._index.tensors[name], dtype, lambda file: file.view)

    def numpy(self, name: str) -> np.ndarray[Any, Any]:
        one = self._index.tensors[name]
        if one.dtype != STRING or one.parts:
            return self.host(name)
        raw = self._files[one.shard].view(one.offset, one.size) if one.size else np.empty(0, np.uint8)
        with told(self._file_of(one), f"{name[:200]!r}, from byte {one.offset:,}: "):
            return strings.decoded(raw.data, one.shape, one.crc, big=self._index.header.big)

    def _parts(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Parts:
        ranges = self._index.tensors[name].parts

        def read(number: int) -> np.ndarray[Any, Any]:
            part = self._index.parts[key_of(name, ranges[number])]
            return self._values(f"part {number} of {name}", part, dtype, lambda file: file.view)

        return Parts(shape, dtype, self._regions[name], read)

    def _values(
        self, name: str, one: Tensor, dtype: np.dtype[Any], how: Callable[[MappedFile], Any]
    ) -> np.ndarray[Any, Any]:
        if not one.size:
            return np.empty(one.shape, dtype)
        raw: np.ndarray[Any, Any] = how(self._files[one.shard])(one.offset, one.size)
        if checksum(raw) != one.crc:
            raise damaged(
                self._file_of(one),
                f"the checksum of {name[:200]!r}, {one.size:,} bytes from byte {one.offset:,}, is another",
            )
        value = _native(raw, dtype, big=self._index.header.big).reshape(one.shape)
        return value if value.flags.aligned else value.copy()  # TF1 puts tensors where they come to be

    def _file_of(self, one: Tensor) -> str:
        return data_file(self.path, one.shard, self._index.header.shards)


def _opened(path: str, *, mapped: bool) -> tuple[Index, Mapping[int, MappedFile]]:
    """Read the index, and open the files of data that it speaks of."""
    for more in reversed(range(_TRIES)):
        found = index.read(path + ENDING)
        shards = found.header.shards
        asked = {
            one.shard for one in (*found.tensors.values(), *found.parts.values()) if one.size or one.offset
        }
        if wrong := [shard for shard in asked if shard >= shards]:
            raise damaged(path + ENDING, f"there would be data in file {wrong[0]:,} of {shards:,}")
        files: dict[int, MappedFile] = {}
        missing = ""
        for shard in sorted(asked):
            with contextlib.suppress(FileNotFoundError):
                files[shard] = MappedFile(data_file(path, shard, shards), mapped=mapped)
                continue
            missing = data_file(path, shard, shards)
            break
        if not missing:
            return found, files
        if not more or index.read(path + ENDING) == found:  # else it was saved over just now
            raise damaged(path + ENDING, f"{missing!r}, which it speaks of, is not there")
    raise AssertionError


def _native(raw: np.ndarray[Any, Any], dtype: np.dtype[Any], *, big: bool) -> np.ndarray[Any, Any]:
    """Return bytes as numbers in this machine's order."""
    if big == (sys.byteorder == "big") or dtype.itemsize == 1:
        return raw.view(dtype)
    # Complex numbers are two; and of JAX's own types NumPy swaps no bytes.
    width = dtype.itemsize // 2 if dtype.kind == "c" else dtype.itemsize
    return raw.view(f"u{width}").byteswap().view(dtype)
