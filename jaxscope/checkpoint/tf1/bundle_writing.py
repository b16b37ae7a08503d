"""Writing bundles, so that TF1's savers read them; a crash leaves the last one, or the new one.

The index is what counts, and takes its place last. The data of a bundle that is saved over stays until then:
the new one has another number of files in its name, of which TF1 opens those that the index speaks of.
"""

import contextlib
import glob
import json
import os
import re
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxscope.checkpoint import contents
from jaxscope.checkpoint.snapshot import Held
from jaxscope.checkpoint.stored import ALIGNED
from jaxscope.checkpoint.tf1 import state
from jaxscope.checkpoint.tf1.bundles import data_file
from jaxscope.checkpoint.tf1.checksums import checksum, crc
from jaxscope.checkpoint.tf1.dtypes import NUMBERS
from jaxscope.checkpoint.tf1.entries import Tensor, header_bytes, tensor_bytes
from jaxscope.checkpoint.tf1.index import ENDING, FACTS
from jaxscope.checkpoint.tf1.table_writing import table
from jaxscope.writing import write_array, written_anew

_DATA = re.compile(r"\.data-[0-9]{5}-of-([0-9]{5})")


def holds(dtype: np.dtype[Any]) -> bool:
    """Tell whether the format has an element type."""
    return dtype in NUMBERS


def ready(path: str) -> None:
    """Raise an error where a bundle could not be written.

    Raises:
        CheckpointError: The folder has something else called `checkpoint` (code `damaged`).
        ImportError: The package for checksums is not installed.
    """
    crc()
    state.read(os.path.dirname(path))


def write(path: str, arrays: Mapping[str, Held], facts: Mapping[str, str]) -> None:
    """Write arrays by name, and strings by strings, and note the bundle as the folder's last one.

    Args:
        path: What the names of the files begin with.
        arrays: What is to be written. Each begins at a multiple of 64 bytes, so that JAX takes it from the
            mapped file; TF1 reads it anywhere.
        facts: They are in the index, where TF1 does not look.
    """
    arrays, facts = _with_step(arrays, facts)
    order = sorted((name.encode(), name) for name in arrays)
    shards = _free(path)
    rows = [(b"", header_bytes(shards))]
    end = 0
    with written_anew(data_file(path, 0, shards)) as file:
        for key, name in order:
            value = _little(arrays[name].host())
            if value.size:
                file.write(bytes(-end % ALIGNED))
                end += -end % ALIGNED
                write_array(file, value)
            crc = checksum(value.reshape(-1).view(np.uint8) if value.size else b"")
            at = end if value.size else 0
            one = Tensor(NUMBERS[arrays[name].dtype], arrays[name].shape, 0, at, value.nbytes, crc, ())
            rows.append((key, tensor_bytes(one)))
            end += value.nbytes
    text = json.dumps(dict(facts), ensure_ascii=False, separators=(",", ":")).encode()
    with written_anew(path + ENDING) as file:
        write_array(file, np.frombuffer(table(rows, {FACTS: text}), np.uint8))
    for other, count in _data_files(path):
        if count != shards:
            with contextlib.suppress(PermissionError):  # Windows, while somebody has it open
                os.unlink(other)
    state.write(path)


def _with_step(
    arrays: Mapping[str, Held], facts: Mapping[str, str]
) -> tuple[Mapping[str, Held], Mapping[str, str]]:
    """Call the step what TF1 calls it, unless a variable is called so."""
    if contents.STEP not in arrays or contents.TF1_STEP in arrays:
        return arrays, facts
    value = np.asarray(arrays[contents.STEP].host(), np.int64)
    others = {name: one for name, one in arrays.items() if name != contents.STEP}
    return others | {contents.TF1_STEP: Held(value)}, {**facts, contents.STEP: contents.TF1_STEP}


def _data_files(path: str) -> list[tuple[str, int]]:
    """Return the files of data that are there, each with the number of files that its name says."""
    found = glob.glob(f"{glob.escape(path)}.data-?????-of-?????")
    matches = [(file, _DATA.fullmatch(file[len(path) :])) for file in found]
    return [(file, int(match[1])) for file, match in matches if match]


def _free(path: str) -> int:
    """Return a number of files of data that no file there says."""
    taken = {count for _, count in _data_files(path)}
    return next(count for count in range(1, 100_000) if count not in taken)


def _little(value: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.ascontiguousarray(value.byteswap() if sys.byteorder == "big" else value).reshape(value.shape)
