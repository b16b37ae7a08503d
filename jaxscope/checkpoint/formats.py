"""Formats: which one a path means, by its ending."""

import contextlib
import os
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxscope.checkpoint import folders, indexed, npz, safetensors
from jaxscope.checkpoint.opened_folder import Folder
from jaxscope.checkpoint.stored import Stored, damaged
from jaxscope.checkpoint.tf1 import bundle_writing, finding, state
from jaxscope.errors import CheckpointError

#: The formats of single files, by ending. A format is a module with `holds` and `write`; `opened` opens it.
FILES: dict[str, Any] = {".safetensors": safetensors, ".npz": npz, ".ckpt": bundle_writing}
TF1 = ".ckpt"
_NUMBERED = re.compile(r"\.ckpt-[0-9]+")  # as TF1's savers add the step


def ending(path: str) -> str:
    """Return what a path's ending says: one of the formats of files, or "" for a folder.

    Args:
        path: The path.

    Raises:
        CheckpointError: No format has this ending (code `unknown_format`).

    Example:
        >>> ending("/tmp/model.npz"), ending("/tmp/run")
        ('.npz', '')
    """
    if os.path.isdir(path):
        return ""
    found = os.path.splitext(path)[1]
    if _NUMBERED.fullmatch(found):
        return TF1
    if found and found not in FILES:
        raise CheckpointError(
            f"no format of variables has the ending {found!r}",
            code="unknown_format",
            file=path,
            fix=f"use one of {', '.join(FILES)}, or no ending for a folder of orbax's",
        )
    return found


def opened(path: str, *, mapped: bool) -> Stored:
    """Open a file or folder, and read what it says about its arrays.

    Raises:
        CheckpointError: As the format's class.
        FileNotFoundError: There is nothing.
    """
    if os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path)):  # reading might never end
        raise CheckpointError(
            "it is no file or folder, but a pipe or device",
            code="unknown_format",
            file=path,
            fix="write what comes out of it into a file first",
        )
    if path.endswith(indexed.ENDING):
        return indexed.Indexed(path, mapped=mapped)
    if os.path.isdir(path):
        with contextlib.suppress(CheckpointError):  # what is called `checkpoint` may be another library's
            path = state.latest(path) or path
    elsewhere = os.path.isdir(path) or path.endswith((".safetensors", ".npz"))
    if not elsewhere and (there := finding.opened(path, mapped=mapped)):
        return there
    found = ending(path)
    if found == ".safetensors":
        return safetensors.Safetensors(path, mapped=mapped)
    if found == ".npz":
        return npz.Npz(path)
    if os.path.isfile(path):
        raise damaged(path, "it does not end as a checkpoint of TF1 does")
    if not os.path.isdir(folders.found(os.path.abspath(path))):
        raise FileNotFoundError(f"there is no file or folder {path!r}")
    return Folder(path)


def unheld(path: str, dtypes: Mapping[str, np.dtype[Any]]) -> list[str]:
    """Return what a file of this ending cannot hold, one line for each name."""
    form = FILES.get(ending(path), npz)  # orbax has all types that NumPy's files have
    there = ending(path) or "a folder"
    nameless = ["'' is no name for a variable there"] if ending(path) == TF1 and "" in dtypes else []
    return nameless + [
        f"{name} is {dtype.name}, which {there} has not"
        for name, dtype in dtypes.items()
        if not form.holds(dtype)
    ]
