"""Finding: whether a path means a checkpoint of TF1's, and of which version; a path is no file of its own."""

import glob
import os
import re

from jaxscope.checkpoint.stored import Stored, damaged
from jaxscope.checkpoint.tf1.bundles import Bundle
from jaxscope.checkpoint.tf1.index import ENDING
from jaxscope.checkpoint.tf1.old import Old, is_table

_FILE = re.compile(r"(.+)\.(?:index|meta|data-[0-9]{5}-of-[0-9]{5})", re.DOTALL)
_SHARD = re.compile(r".+-[0-9]{5}-of-[0-9]{5}", re.DOTALL)


def prefix_of(path: str) -> str:
    """Return what the names of a checkpoint's files begin with, where one of the files was given.

    Example:
        >>> prefix_of("run/model.ckpt-7.data-00000-of-00001"), prefix_of("run/model.ckpt-7")
        ('run/model.ckpt-7', 'run/model.ckpt-7')
    """
    found = _FILE.fullmatch(path)
    return found[1] if found else path


def old_files(path: str) -> list[str]:
    """Return what may be the files of a checkpoint of version 1; none where there are none."""
    if os.path.isfile(path):
        return [path]
    shards = sorted(glob.glob(f"{glob.escape(path)}-?????-of-?????"))
    return [file for file in shards if _SHARD.fullmatch(file)]


def is_there(path: str) -> bool:
    """Tell whether there is a checkpoint of TF1's, of either version."""
    return os.path.isfile(prefix_of(path) + ENDING) or any(map(is_table, old_files(path)))


def opened(path: str, *, mapped: bool) -> Stored | None:
    """Open a checkpoint of TF1's; None where there is none.

    Raises:
        CheckpointError: It is not what its format says, or not all of it is there (code `damaged`).
        ImportError: A package for checksums, or for compressed blocks, is not installed.
    """
    prefix = prefix_of(path)
    if os.path.isfile(prefix + ENDING):
        return Bundle(prefix, mapped=mapped)
    if glob.glob(f"{glob.escape(prefix)}.data-?????-of-?????"):
        raise damaged(path, f"its index {prefix + ENDING!r} is not there")
    files = old_files(path)
    ends = list(map(is_table, files))
    if not any(ends):
        return None
    if not all(ends):
        raise damaged(files[ends.index(False)], "it does not end as a checkpoint of TF1 does")
    if files != [path]:
        counts = {int(file[-5:]) for file in files}
        if len(counts) > 1 or len(files) not in counts:
            raise damaged(path, f"of its files {sorted(counts)} there are {len(files)}")
    return Old(path, files)
