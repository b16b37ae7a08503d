"""NumPy's `.npz`: a zip of arrays, as `numpy.savez` writes it, read without unpickling anything.

NumPy's own reader allocates what a header says before it looks at the data; here a header has to fit its
member.

Source:
    `numpy.lib.format` describes the members.
"""

import json
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from typing import IO, Any

import jax.numpy as jnp
import numpy as np

from jaxscope.checkpoint.snapshot import Held
from jaxscope.checkpoint.stored import Entry, OnHost, aligned, bad_shape, damaged, is_text, size_of
from jaxscope.errors import CheckpointError
from jaxscope.writing import write_array, written_anew

#: What Python's reader of zips raises about bad ones.
_BAD = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
)
#: JAX's own types, which NumPy's headers do not tell apart: their names are facts.
_OWN = "dtype:"
_OWN_TYPES: dict[str, np.dtype[Any]] = {
    name: np.dtype(getattr(jnp, name))
    for name in (
        *("bfloat16", "float8_e3m4", "float8_e4m3", "float8_e4m3b11fnuz", "float8_e4m3fn", "float8_e4m3fnuz"),
        *(
            "float8_e5m2",
            "float8_e5m2fnuz",
            "float8_e8m0fnu",
            "float4_e2m1fn",
            "int2",
            "int4",
            "uint2",
            "uint4",
        ),
    )
    if hasattr(jnp, name)
}
_FACTS = "__jaxscope__"
#: How many times the file's size may come out of it, and how many bytes more.
_MOST_TIMES, _MOST_MORE = 8, 2**20
_HEADER = 10_000  # bytes; NumPy's own limit
_NUMBERS = frozenset(map(np.dtype, ["?", *"bhilBHIL", "f2", "f4", "f8", "c8", "c16"]))
#: NumPy's header, as NumPy and others write it; nothing of it is evaluated.
_TEXT = re.compile(
    r"\{\s*'descr'\s*:\s*(?P<descr>'[^']*'|\[[^{}]*\])\s*,"
    r"\s*'fortran_order'\s*:\s*(?P<fortran>True|False)\s*,"
    r"\s*'shape'\s*:\s*\((?P<shape>(?:\s*[0-9]{1,20}\s*,)*(?:\s*[0-9]{1,20})?\s*)\)\s*,?\s*\}\s*"
)
_TYPE = re.compile(r"'[<>=|]?(?:[?]|b1|[iu][1248]|f[248]|c8|c16|V[12])'")
_KNOWN = _NUMBERS | {np.dtype("V1"), np.dtype("V2")}
_NO = np.dtype("V")


# --- writing ---------------------------------------------------------------------------------------


def holds(dtype: np.dtype[Any]) -> bool:
    """Tell whether the format has an element type."""
    return dtype in _NUMBERS or _OWN_TYPES.get(dtype.name) == dtype


def write(path: str, arrays: Mapping[str, Held], facts: Mapping[str, str]) -> None:
    """Write arrays by name, and strings by strings, into a new file that then takes the place of `path`."""
    own = {_OWN + name: one.dtype.name for name, one in arrays.items() if one.dtype not in _NUMBERS}
    told = {**facts, **own}
    with written_anew(path) as file, zipfile.ZipFile(file, "w") as archive:
        if told:
            _write_member(archive, _FACTS, np.frombuffer(json.dumps(told).encode(), np.uint8))
        for name, one in arrays.items():
            _write_member(archive, name, one.host())


def _write_member(archive: zipfile.ZipFile, name: str, array: np.ndarray[Any, Any]) -> None:
    descr = array.dtype.str if array.dtype in _NUMBERS else f"V{array.dtype.itemsize}"  # as numpy.savez does
    header = {"descr": descr, "fortran_order": False, "shape": array.shape}
    # The moment of saving is no part of what is saved: equal variables give equal files.
    member = zipfile.ZipInfo(f"{name}.npy")
    member.external_attr = 0o600 << 16
    with archive.open(member, "w", force_zip64=True) as file:
        np.lib.format.write_array_header_1_0(file, header)
        write_array(file, array)  # type: ignore[arg-type]


# --- reading ---------------------------------------------------------------------------------------


class Npz(OnHost):
    """An open `.npz`.

    Args:
        path: The file.

    Raises:
        CheckpointError: The file is not what the format says (code `damaged`).
        OSError: There is no such file, or it may not be read.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._file = open(path, "rb")  # noqa: SIM115 - open as long as this object is
        self._size = os.fstat(self._file.fileno()).st_size
        self.most = _MOST_TIMES * self._size + _MOST_MORE
        self._members: dict[str, zipfile.ZipInfo] = {}
        self._fortran: set[str] = set()
        self._begin: dict[str, int] = {}
        try:
            self._archive = zipfile.ZipFile(self._file)
            entries = dict(map(self._member, self._archive.infolist()))
        except BaseException as problem:
            self._file.close()
            if isinstance(problem, CheckpointError) or not isinstance(problem, _BAD):
                raise
            raise damaged(path, f"it is no zip of arrays: {str(problem)[:200]}") from None
        self.facts = self._facts(entries)
        self.entries = {name: self._typed(name, entry) for name, entry in entries.items() if name != _FACTS}

    def __del__(self) -> None:
        # An object that could not be made has no file.
        if (file := getattr(self, "_file", None)) is not None:
            file.close()

    def _member(self, member: zipfile.ZipInfo) -> tuple[str, Entry]:
        """Return the name and the entry of a member of the zip."""
        name = member.filename.removesuffix(".npy")
        if name in self._members or not is_text(name):
            raise damaged(self.path, f"a name is there twice, or is no Unicode: {name!r}")
        self._members[name] = member
        if name == member.filename:
            return name, Entry((), _NO, "it is no array of NumPy's")
        if member.flag_bits & 1:
            return name, Entry((), _NO, "it is encrypted")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            return name, Entry((), _NO, "it is compressed in a way that NumPy does not use")
        stored = member.compress_type == zipfile.ZIP_STORED
        if member.compress_size > self._size or (stored and member.file_size != member.compress_size):
            raise damaged(
                self.path, f"{name!r} would have {member.file_size:,} bytes, the file has {self._size:,}"
            )
        with self._archive.open(member) as file:
            return name, self._entry(name, file, member.file_size)

    def _entry(self, name: str, file: IO[bytes], size: int) -> Entry:
        start = file.read(8)
        version = start[6:8]
        if start[:6] != b"\x93NUMPY" or version not in (b"\1\0", b"\2\0"):
            raise damaged(self.path, f"{name!r} does not begin as an array of NumPy's")
        field = file.read(2 if version == b"\1\0" else 4)
        length = int.from_bytes(field, "little")
        if length > min(_HEADER, size):
            raise damaged(self.path, f"{name!r} has a header of {length:,} bytes")
        header = _TEXT.fullmatch(file.read(length).decode("latin1"))
        if header is None:
            raise damaged(self.path, f"{name!r} has no header of NumPy's")
        descr = header["descr"]
        if "O" in descr:
            return Entry((), _NO, "it is pickled Python, which could run code, and is never unpickled")
        if not _TYPE.fullmatch(descr) or _native(np.dtype(descr[1:-1])) not in _KNOWN:
            return Entry((), _NO, f"it is of {descr[:40]}, which JAX has not")
        dtype = np.dtype(descr[1:-1])
        shape = tuple(int(size) for size in header["shape"].split(",") if size.strip())
        if bad_shape(shape):
            raise damaged(self.path, f"{name!r} is said to be of shape {str(shape)[:200]}")
        entry = Entry(
            shape, dtype, "" if _native(dtype) in _NUMBERS else f"it is of {dtype}, which JAX has not"
        )
        begin = 8 + len(field) + length
        if entry.nbytes != size - begin:
            raise damaged(self.path, f"{name!r} is said to be {entry}, and has {size - begin:,} bytes")
        self._begin[name] = begin
        if header["fortran"] == "True":
            self._fortran.add(name)
        return entry

    def _facts(self, entries: Mapping[str, Entry]) -> dict[str, str]:
        entry = entries.get(_FACTS)
        if entry is None:
            return {}
        if entry.problem or entry.dtype != np.uint8 or entry.nbytes > self._size:
            raise damaged(self.path, "its facts are no bytes")
        try:
            facts = json.loads(self._read(_FACTS, entry).tobytes())
        except (ValueError, RecursionError):
            raise damaged(self.path, "its facts cannot be read") from None
        if not isinstance(facts, dict) or not all(isinstance(fact, str) for fact in facts.values()):
            raise damaged(self.path, "its facts are not strings")
        return facts

    def _typed(self, name: str, entry: Entry) -> Entry:
        """Return an entry with the type that NumPy's header could not say."""
        said = self.facts.get(_OWN + name)
        own = None if said is None else _OWN_TYPES.get(said)
        if own is not None and own.itemsize == entry.dtype.itemsize and entry.dtype not in _NUMBERS:
            return Entry(entry.shape, own)
        if said is None and entry.dtype == np.dtype("V2"):
            return Entry(entry.shape, np.dtype(jnp.bfloat16))  # the only one of two bytes
        return entry

    def host(self, name: str) -> np.ndarray[Any, Any]:
        return self._read(name, self.checked(name))

    def view(self, name: str) -> np.ndarray[Any, Any]:
        return self.host(name)

    def _read(self, name: str, entry: Entry) -> np.ndarray[Any, Any]:
        buffer = aligned(entry.nbytes)
        data = buffer.data
        try:
            with self._archive.open(self._members[name]) as file:
                file.read(self._begin[name])
                while data and (count := file.readinto(data[: 2**24])):  # type: ignore[attr-defined]
                    data = data[count:]
                if data or file.read(1):  # at its end the member's checksum is compared
                    raise zipfile.BadZipFile("it is not as long as it is said to be")
        except _BAD as problem:
            raise damaged(self.path, f"{name!r} cannot be read: {problem}") from None
        value = buffer.view(entry.dtype) if size_of(entry.shape) else np.empty(0, entry.dtype)
        native = value.astype(_native(entry.dtype), copy=False)
        return native.reshape(entry.shape[::-1]).T if name in self._fortran else native.reshape(entry.shape)


def _native(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return dtype.newbyteorder("=")
