"""Mapped files: bytes of a file as NumPy's arrays, from where they are on the disk, or read into memory."""

import errno
import mmap
import os
import stat
import weakref
from typing import Any

import numpy as np

from jaxscope.checkpoint.stored import ALIGNED, aligned, damaged


class MappedFile:
    """An open file, mapped into memory, as long as this object or an array of it is there.

    Args:
        path: The file.
        mapped: Whether arrays may stay in the file where JAX can take them from there.

    Raises:
        OSError: There is no such file, or it may not be read.
    """

    def __init__(self, path: str, *, mapped: bool) -> None:
        self.path, self._mapped = path, mapped
        self._file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        weakref.finalize(self, os.close, self._file)
        found = os.fstat(self._file)
        if stat.S_ISDIR(found.st_mode):  # which can be opened, too
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        self.size = found.st_size
        # Length 0 means all of it, which must not be nothing.
        self._map = mmap.mmap(self._file, 0, access=mmap.ACCESS_READ) if self.size else b""

    def bytes(self, begin: int, nbytes: int) -> np.ndarray[Any, Any]:
        """Return bytes that JAX takes over without a copy: those in the file if it can, else read ones."""
        if self._mapped and begin % ALIGNED == 0:
            return self.view(begin, nbytes)
        value = aligned(nbytes)
        data = value.data
        while data:
            # Where a thread waits for the disk, the others go on.
            count = _read_into(self._file, data, begin)
            if not count:
                raise self._shorter()
            data, begin = data[count:], begin + count
        return value

    def view(self, begin: int, nbytes: int) -> np.ndarray[Any, Any]:
        """Return bytes of which only what is used is read; they stay in the file."""
        # Reading beyond the end of a mapped file would kill the process.
        if os.fstat(self._file).st_size < begin + nbytes:
            raise self._shorter()
        return np.frombuffer(self._map, np.uint8, nbytes, begin) if nbytes else np.empty(0, np.uint8)

    def _shorter(self) -> Exception:
        return damaged(self.path, "it has become shorter since it was opened")


def _read_into(file: int, data: memoryview, begin: int) -> int:
    if hasattr(os, "preadv"):
        return os.preadv(file, [data[: 2**30]], begin)
    os.lseek(file, begin, os.SEEK_SET)
    read = os.read(file, min(len(data), 2**24))
    data[: len(read)] = read
    return len(read)
