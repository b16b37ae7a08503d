"""Several `.safetensors` as one: the index that says in which file each array is, as hubs have it."""

import json
import os
from typing import Any

import numpy as np

from jaxscope.checkpoint.safetensors import Safetensors
from jaxscope.checkpoint.stored import Entry, OnHost, damaged

ENDING = ".safetensors.index.json"
_LONGEST = 100_000_000  # bytes, as of a header


class Indexed(OnHost):
    """The files that an index names, opened together.

    Args:
        path: The index: `model.safetensors.index.json`.
        mapped: As of `Safetensors`.

    Raises:
        CheckpointError: The index, or a file, is not what it should be (code `damaged`).
        OSError: One is not there, or may not be read.
    """

    def __init__(self, path: str, *, mapped: bool) -> None:
        self.path, self.mapped, self.facts = path, mapped, {}
        folder = os.path.dirname(path)
        files: dict[str, Safetensors] = {}
        entries: dict[str, Entry] = {}
        self._files: dict[str, Safetensors] = {}
        for name, file in _map(path).items():
            if file not in files:
                files[file] = Safetensors(os.path.join(folder, file), mapped=mapped)
            if name not in files[file].entries:
                raise damaged(path, f"{name!r} is said to be in {file!r}, and is not")
            entries[name], self._files[name] = files[file].entries[name], files[file]
        self.entries = entries

    def host(self, name: str) -> np.ndarray[Any, Any]:
        return self._files[name].host(name)

    def view(self, name: str) -> np.ndarray[Any, Any]:
        return self._files[name].view(name)


def _map(path: str) -> dict[str, str]:
    """Return the file of each array, after checking that it is beside the index."""
    if os.path.getsize(path) > _LONGEST:
        raise damaged(path, f"it has more than {_LONGEST:,} bytes")
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)["weight_map"]
    except (ValueError, KeyError, TypeError, RecursionError) as problem:
        raise damaged(path, f"it is no index: {str(problem)[:100]}") from None
    if not isinstance(found, dict):
        raise damaged(path, "it is no index of arrays")
    for name, file in found.items():
        if not isinstance(file, str) or file != os.path.basename(file) or not file.endswith(".safetensors"):
            raise damaged(path, f"{name!r} is said to be in {str(file)[:100]!r}, which is no file beside it")
    return found
