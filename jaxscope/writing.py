"""Writing anew: a file is there under its name when all of it is on the disk, and until then the last one."""

import contextlib
import glob
import os
import secrets
import stat
import time
from collections.abc import Generator
from typing import Any, BinaryIO

import numpy as np

#: After how many seconds an unfinished file that nobody holds is surely left over, not just begun.
_LEFT_OVER = 10.0


@contextlib.contextmanager
def written_anew(path: str) -> Generator[BinaryIO]:
    """Give a file to write into, which takes the place of `path` when the block ends well.

    Whatever happens before that (an exception, a full disk, kill -9, the power), `path` is what it was: the
    new file has another name until it is on the disk. Who reads or has mapped the old file goes on with it.

    Args:
        path: The file's name; a link stays one, and what it leads to is written.
    """
    path = os.path.realpath(path)
    folder, base = os.path.split(path)
    clean(folder, base)
    unfinished = os.path.join(folder, f".{base}.{secrets.token_hex(4)}.part")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with open(descriptor, "wb", buffering=0) as file:
            _lock(file, wait=True)
            with contextlib.suppress(FileNotFoundError, PermissionError):
                os.chmod(unfinished, stat.S_IMODE(os.stat(path).st_mode))
            yield file
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(unfinished)
        raise
    sync_folder(folder)


def clean(folder: str, base: str) -> None:
    """Remove what writers of a file that were killed have left: unfinished files that nobody holds."""
    for left in glob.glob(os.path.join(glob.escape(folder), f".{glob.escape(base)}.????????.part")):
        with contextlib.suppress(OSError):
            if time.time() - os.stat(left).st_mtime < _LEFT_OVER:
                continue
            with open(left, "rb") as file:
                if _lock(file, wait=False):
                    os.unlink(left)


def sync_folder(folder: str) -> None:
    """Have a folder's names on the disk, where the system can."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows opens no folders
        return
    try:
        os.fsync(descriptor)
    except OSError:  # nor do some network disks sync them
        return
    finally:
        os.close(descriptor)


def write_array(file: BinaryIO, array: np.ndarray[Any, Any]) -> None:
    """Write the numbers of an array in C order, from where they are in memory."""
    write_bytes(file, np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)


def write_bytes(file: BinaryIO, data: bytes | memoryview) -> None:
    """Write all of it."""
    while data:  # a system call writes at most 2 GiB
        data = data[file.write(data) :]


def _lock(file: BinaryIO, *, wait: bool) -> bool:
    """Hold a file while it is open; return False where another process holds it."""
    try:
        import fcntl
    except ImportError:  # Windows, where an open file cannot be removed anyway
        return True
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:  # held; or a disk that has no locks, where nothing is removed
        return False
    return True
