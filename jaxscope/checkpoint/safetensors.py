"""Safetensors: written so that JAX takes each array from the mapped file, read strictly, by our own code.

The `safetensors` package reads these files as they are, and we read its. Its reader copies every array, and
its writer puts them where JAX would have to, too: JAX takes a buffer on the host without a copy where it
begins at a multiple of 64 bytes. The format allows no holes, so arrays whose size is a multiple of 64 come
first.

Source:
    The format's description in https://github.com/huggingface/safetensors.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxscope.checkpoint.mapped import MappedFile
from jaxscope.checkpoint.snapshot import Held
from jaxscope.checkpoint.stored import ALIGNED, Entry, OnHost, bad_shape, damaged, is_text
from jaxscope.writing import write_array, written_anew

#: The format's names of element types, with JAX's.
DTYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype(bool),
    "U8": np.dtype("uint8"),
    "I8": np.dtype("int8"),
    "F8_E5M2": np.dtype(jnp.float8_e5m2),
    "F8_E4M3": np.dtype(jnp.float8_e4m3fn),
    "F8_E8M0": np.dtype(jnp.float8_e8m0fnu),
    "F8_E4M3FNUZ": np.dtype(jnp.float8_e4m3fnuz),
    "F8_E5M2FNUZ": np.dtype(jnp.float8_e5m2fnuz),
    "I16": np.dtype("int16"),
    "U16": np.dtype("uint16"),
    "F16": np.dtype("float16"),
    "BF16": np.dtype(jnp.bfloat16),
    "I32": np.dtype("int32"),
    "U32": np.dtype("uint32"),
    "F32": np.dtype("float32"),
    "C64": np.dtype("complex64"),
    "F64": np.dtype("float64"),
    "I64": np.dtype("int64"),
    "U64": np.dtype("uint64"),
}
#: Types of less than a byte, which JAX's arrays on the host do not have.
_PACKED = {"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6}
_CODES = {dtype: code for code, dtype in DTYPES.items()}
_LONGEST_HEADER = 100_000_000  # bytes; the format's own limit


def holds(dtype: np.dtype[Any]) -> bool:
    """Tell whether the format has an element type."""
    return dtype in _CODES


# --- writing ---------------------------------------------------------------------------------------


def write(path: str, arrays: Mapping[str, Held], facts: Mapping[str, str]) -> None:
    """Write arrays by name, and strings by strings, into a new file that then takes the place of `path`."""
    # Those that end at a multiple of 64 first; then the wider types, so that each begins at a multiple of
    # its own.
    order = sorted(arrays, key=lambda name: (arrays[name].nbytes % ALIGNED > 0, -arrays[name].dtype.itemsize))
    header: dict[str, Any] = {"__metadata__": dict(facts)} if facts else {}
    end = 0
    for name in order:
        one = arrays[name]
        offsets = [end, end := end + one.nbytes]
        header[name] = {"dtype": _CODES[one.dtype], "shape": list(one.shape), "data_offsets": offsets}
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % ALIGNED)
    with written_anew(path) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in order:
            write_array(file, _little(arrays[name].host()))


def _little(value: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return value.byteswap() if sys.byteorder == "big" else value


# --- reading ---------------------------------------------------------------------------------------


class Safetensors(OnHost):
    """An open file, mapped into memory.

    Args:
        path: The file.
        mapped: Whether arrays may stay in the file where JAX can take them from there.

    Raises:
        CheckpointError: The file is not what the format says (code `damaged`).
        OSError: There is no such file, or it may not be read.
    """

    def __init__(self, path: str, *, mapped: bool) -> None:
        self.path = path
        self.mapped = mapped
        self._file = MappedFile(path, mapped=mapped)
        header = self._header(self._file.size)
        self._begin = 8 + len(header)
        self.facts, self.entries, self._offsets = _parsed(path, header, self._file.size - self._begin)

    def _header(self, size: int) -> bytes:
        length = int.from_bytes(self._file.view(0, min(8, size)).tobytes(), "little")
        if size < 8 or length > size - 8:
            raise damaged(self.path, f"its header would end at {length + 8:,} of {size:,} bytes")
        if length > _LONGEST_HEADER:
            raise damaged(self.path, f"its header has {length:,} bytes, and may have {_LONGEST_HEADER:,}")
        return self._file.view(8, length).tobytes()

    def host(self, name: str) -> np.ndarray[Any, Any]:
        shape, dtype, _ = self.checked(name)
        raw = self._file.bytes(self._begin + self._offsets[name], self.entries[name].nbytes)
        return _little(raw.view(dtype).reshape(shape))

    def view(self, name: str) -> np.ndarray[Any, Any]:
        shape, dtype, _ = self.entries[name]
        raw = self._file.view(self._begin + self._offsets[name], self.entries[name].nbytes)
        return _little(raw.view(dtype).reshape(shape))


def _parsed(path: str, header: bytes, room: int) -> tuple[dict[str, str], dict[str, Entry], dict[str, int]]:
    """Return facts, entries and offsets, after checking that the arrays fill the file without a gap."""
    try:
        content = json.loads(header.decode(), object_pairs_hook=_once)
    except (ValueError, RecursionError) as problem:
        raise damaged(path, f"its header is no JSON of the format: {str(problem)[:200]}") from None
    if not isinstance(content, dict) or not header.startswith(b"{"):
        raise damaged(path, "its header is no JSON object")
    facts = content.pop("__metadata__", None) or {}
    if not isinstance(facts, dict) or not all(isinstance(fact, str) for fact in facts.values()):
        raise damaged(path, "its metadata are not strings")
    entries: dict[str, Entry] = {}
    offsets: dict[str, int] = {}
    pieces: list[tuple[int, int, str]] = []
    for name, said in content.items():
        entries[name], begin, end = _entry(path, name, said)
        offsets[name] = begin
        pieces.append((begin, end, name))
    filled = 0
    for begin, end, name in sorted(pieces):
        if begin != filled:
            raise damaged(
                path, f"{name!r} begins at byte {begin:,}, where the arrays before it end at {filled:,}"
            )
        filled = end
    if filled != room:
        raise damaged(path, f"its arrays would fill {filled:,} bytes, and there are {room:,}")
    return facts, entries, offsets


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a name is there twice")
    return made


def _entry(path: str, name: str, said: Any) -> tuple[Entry, int, int]:
    """Return what is said of one array, and where it begins and ends behind the header."""
    if not is_text(name):
        raise damaged(path, f"a name is no Unicode: {name!r}")
    if not isinstance(said, dict) or set(said) != {"dtype", "shape", "data_offsets"}:
        raise damaged(path, f"{name!r} has not just dtype, shape and data_offsets")
    code, shape, ends = said["dtype"], said["shape"], said["data_offsets"]
    if not isinstance(ends, list) or len(ends) != 2 or not all(type(end) is int for end in ends):
        raise damaged(path, f"the offsets of {name!r} are not two integers")
    begin, end = ends
    if bad_shape(shape):
        raise damaged(path, f"the shape of {name!r} is none")
    if not isinstance(code, str) or (code not in DTYPES and code not in _PACKED):
        raise damaged(path, f"{name!r} has an element type that the format has not")
    if code in _PACKED:
        bits, dtype, problem = _PACKED[code], np.dtype("uint8"), f"JAX has no {code} on the host"
    else:
        dtype, problem = DTYPES[code], ""
        bits = 8 * dtype.itemsize
    entry = Entry(tuple(shape), dtype, problem)
    count = entry.nbytes // dtype.itemsize
    if not 0 <= begin <= end or 8 * (end - begin) != bits * count:
        raise damaged(path, f"{name!r} is said to be {entry}, and to fill {end - begin:,} bytes")
    return entry, begin, end
