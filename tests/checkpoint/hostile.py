"""Files made to do harm: each would run code, fill the memory, or pass for something that it is not."""

import io
import json
import pickle
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

#: What a pickle does when it is unpickled: it makes this file.
MARK = "pickle-was-run"


class Payload:
    """Makes `MARK` where it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (MARK, "w")


# --- safetensors -----------------------------------------------------------------------------------


def safetensors(header: Any, data: bytes = b"", *, length: int | None = None, pad: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text + pad) if length is None else length) + text + pad + data


def tensor(dtype: Any = "F32", shape: Any = (2,), offsets: Any = (0, 8), **more: Any) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets, **more}


EIGHT = bytes(8)
PLAIN = safetensors({"w": tensor()}, EIGHT)

SAFETENSORS = {
    "nothing at all": b"",
    "seven bytes": bytes(7),
    "a header of no bytes": bytes(8),
    "a header longer than the file": safetensors({"w": tensor()}, EIGHT, length=1000),
    "a header of 2**63 bytes": safetensors({"w": tensor()}, EIGHT, length=2**63),
    "a header of 2**64 - 1 bytes": safetensors({"w": tensor()}, EIGHT, length=2**64 - 1),
    "a header cut in the middle": safetensors({"w": tensor()}, EIGHT, length=20),
    "a header of brackets": safetensors(b"[" * 100_000),
    "a header of braces": safetensors(b'{"a":' * 50_000),
    "a deep value": safetensors(b'{"w":' + b"[" * 50_000 + b"]" * 50_000 + b"}"),
    "a header that is a list": safetensors([tensor()], EIGHT),
    "a header that is a number": safetensors(b"17"),
    "spaces before the header": safetensors(b"  " + json.dumps({"w": tensor()}).encode(), EIGHT),
    "a header in UTF-16": safetensors(json.dumps({"w": tensor()}).encode("utf-16")),
    "bytes that are no text": safetensors(b'{"\xff\xfe":{}}'),
    "half a character as a name": safetensors(
        b'{"\\ud800":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', EIGHT
    ),
    "a name twice": safetensors(
        b'{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},'
        b'"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}',
        EIGHT,
    ),
    "a key twice": safetensors(
        b'{"w":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}', EIGHT
    ),
    "a number of 5000 digits": safetensors(
        b'{"w":{"dtype":"F32","shape":[' + b"9" * 5000 + b'],"data_offsets":[0,8]}}', EIGHT
    ),
    "NaN as a size": safetensors(b'{"w":{"dtype":"F32","shape":[NaN],"data_offsets":[0,8]}}', EIGHT),
    "a fraction as a size": safetensors({"w": tensor(shape=[2.0])}, EIGHT),
    "true as a size": safetensors({"w": tensor("F64", [True])}, EIGHT),
    "a string as a size": safetensors({"w": tensor(shape=["2"])}, EIGHT),
    "a negative size": safetensors({"w": tensor(shape=[-2])}, EIGHT),
    "two negative sizes": safetensors({"w": tensor(shape=[-1, -2])}, EIGHT),
    "a size of 2**62": safetensors({"w": tensor(shape=[2**62])}, EIGHT),
    "sizes whose product is 2 in 64 bits": safetensors({"w": tensor(shape=[2**63 + 1, 2])}, EIGHT),
    "an empty array of huge axes": safetensors({"w": tensor(shape=[0, 2**62], offsets=[0, 0])}),
    "an empty array of many huge axes": safetensors({"w": tensor(shape=[2**20] * 20 + [0], offsets=[0, 0])}),
    "a thousand axes": safetensors({"w": tensor("F64", shape=[1] * 1000)}, EIGHT),
    "no shape": safetensors({"w": {"dtype": "F32", "data_offsets": [0, 8]}}, EIGHT),
    "a shape that is a number": safetensors({"w": tensor(shape=2)}, EIGHT),
    "something more": safetensors({"w": tensor(code="import os")}, EIGHT),
    "an array that is a string": safetensors({"w": "pickle"}, EIGHT),
    "an unknown type": safetensors({"w": tensor("O")}, EIGHT),
    "a type that is a list": safetensors({"w": tensor(["F32"])}, EIGHT),
    "three offsets": safetensors({"w": tensor(offsets=[0, 8, 8])}, EIGHT),
    "offsets that are fractions": safetensors({"w": tensor(offsets=[0.0, 8.0])}, EIGHT),
    "negative offsets": safetensors({"w": tensor(offsets=[-8, 0])}, EIGHT),
    "offsets that run backwards": safetensors({"w": tensor(offsets=[8, 0])}, EIGHT),
    "an end behind the file": safetensors({"w": tensor(shape=[4], offsets=[0, 16])}, EIGHT),
    "offsets of 2**70": safetensors({"w": tensor(offsets=[2**70, 2**70 + 8])}, EIGHT),
    "a begin behind the file": safetensors({"w": tensor(offsets=[8, 16])}, EIGHT),
    "two arrays over each other": safetensors({"a": tensor(), "b": tensor()}, EIGHT),
    "two arrays over each other by half": safetensors(
        {"a": tensor(), "b": tensor(offsets=[4, 12])}, bytes(12)
    ),
    "a thousand arrays of one place": safetensors({str(at): tensor() for at in range(1000)}, EIGHT),
    "a hole between arrays": safetensors({"a": tensor(), "b": tensor(offsets=[16, 24])}, bytes(24)),
    "bytes that nobody has": safetensors({"w": tensor()}, bytes(16)),
    "fewer bytes than its shape needs": safetensors({"w": tensor(shape=[100])}, EIGHT),
    "metadata that are a list": safetensors({"__metadata__": ["x"], "w": tensor()}, EIGHT),
    "metadata that are numbers": safetensors({"__metadata__": {"format": 1}, "w": tensor()}, EIGHT),
    "metadata in metadata": safetensors({"__metadata__": {"a": {"b": "c"}}, "w": tensor()}, EIGHT),
    "our step as a matrix": safetensors(
        {"__metadata__": {"jaxscope": "1"}, "jaxscope:step": tensor("F32", [2], [0, 8])}, EIGHT
    ),
    "keys of no kind": safetensors(
        {"__metadata__": {"jaxscope": "1", "key of:w": "os.system"}, "w": tensor("U32")}, EIGHT
    ),
    "keys that are fractions": safetensors(
        {"__metadata__": {"jaxscope": "1", "key of:w": "threefry2x32"}, "w": tensor()}, EIGHT
    ),
    "keys of three words": safetensors(
        {"__metadata__": {"jaxscope": "1", "key of:w": "threefry2x32"}, "w": tensor("U32", [3], [0, 12])},
        bytes(12),
    ),
    "a pickle": pickle.dumps(Payload()),
    "a zip": b"PK\3\4" + bytes(100),
}


# --- npz -------------------------------------------------------------------------------------------


def member(
    descr: Any = "<f4", shape: Any = (2,), data: bytes = EIGHT, *, version: bytes = b"\1\0", **how: Any
) -> bytes:
    text = how.get("header", f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape!r}, }}")
    text = text if isinstance(text, bytes) else text.encode("latin1")
    length = how.get("length", len(text))
    return b"\x93NUMPY" + version + length.to_bytes(2 if version == b"\1\0" else 4, "little") + text + data


def npz(*members: bytes | tuple[str, bytes], compress: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compress) as archive:
        for at, one in enumerate(members):
            name, content = one if isinstance(one, tuple) else (f"w{at}.npy", one)
            archive.writestr(zipfile.ZipInfo(name), content, compress)
    return file.getvalue()


def patched(content: bytes, local: int | None, central: int, new: bytes) -> bytes:
    """Return a zip of one member with other bytes at a place in both of its headers."""
    made = bytearray(content)
    at = made.index(b"PK\1\2")
    if local is not None:
        made[local : local + len(new)] = new
    made[at + central : at + central + len(new)] = new
    return bytes(made)


def objects() -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, np.array([Payload()], object), allow_pickle=True)
    return file.getvalue()


GOOD = npz(member())
ZEROS = bytes(2**24)

NPZ = {
    "nothing at all": b"",
    "no zip": b"PK\3\4" + bytes(100),
    "a pickle": pickle.dumps(Payload()),
    "a zip cut in the middle": GOOD[: len(GOOD) // 2],
    "a zip without its end": GOOD[:-10],
    "a pickled array": npz(objects()),
    "a pickled array, compressed": npz(objects(), compress=zipfile.ZIP_DEFLATED),
    "a pickle among arrays": npz(member(), objects()),
    "objects in a structure": npz(member([("a", "<f4"), ("b", "|O")])),
    "a structure": npz(member([("a", "<f4"), ("b", "<f4")], (1,))),
    "a member that is a bare pickle": npz(("w.npy", pickle.dumps(Payload()))),
    "a member that is no array": npz(("setup.py", b"import os")),
    "an empty member": npz(("w.npy", b"")),
    "a name twice": npz(("w.npy", member()), ("v.npy", member())).replace(b"v.npy", b"w.npy"),
    "a name twice, once without ending": npz(("w.npy", member()), ("w", member())),
    "a shape of 2**40": npz(member(shape=(2**40,))),
    "a shape of 2**62": npz(member(shape=(2**62,))),
    "sizes whose product is 2 in 64 bits": npz(member(shape=(2**63 + 1, 2))),
    "a negative size": npz(member(shape=(-2,))),
    "two negative sizes": npz(member(shape=(-1, -2))),
    "true as a size": npz(member("<f8", (True,))),
    "a fraction as a size": npz(member(shape=(2.0,))),
    "a thousand axes": npz(member("<f8", (1,) * 1000)),
    "an empty array of huge axes": npz(member(shape=(0, 2**62), data=b"")),
    "a type of a terabyte": npz(member("|V1000000000000", (1,))),
    "strings of a gigabyte": npz(member("<U250000000", (1,))),
    "strings": npz(member("<U1", (2,))),
    "dates": npz(member("<M8[s]", (1,))),
    "fractions of 16 bytes": npz(member("<f16", (1,), bytes(16))),
    "an unknown type": npz(member("wrong")),
    "less data than its shape needs": npz(member(shape=(100,))),
    "more data than its shape needs": npz(member(data=bytes(100))),
    "code as a header": npz(member(header="__import__('os').system('touch pickle-was-run')")),
    "code in a header": npz(
        member(header="{'descr': open('pickle-was-run','w'), 'fortran_order': False, 'shape': ()}")
    ),
    "a header of brackets": npz(member(header="(" * 9000)),
    "a header without a shape": npz(member(header="{'descr': '<f4', 'fortran_order': False}")),
    "a header that is cut": npz(member(length=5)),
    "a header longer than its member": npz(member(length=60_000)),
    "a header of 4 gigabytes": npz(member(version=b"\2\0", length=2**32 - 1)),
    "a header of 16 megabytes of spaces": npz(
        member(version=b"\2\0", length=2**24, header=b" " * 2**24, data=b""), compress=zipfile.ZIP_DEFLATED
    ),
    "a version that there is not": npz(member(version=b"\x09\0")),
    "16 megabytes of zeros": npz(member(shape=(2**22,), data=ZEROS), compress=zipfile.ZIP_DEFLATED),
    "ten times 2 megabytes of zeros": npz(
        *[member(shape=(2**19,), data=bytes(2**21))] * 10, compress=zipfile.ZIP_DEFLATED
    ),
    "a wrong checksum": patched(GOOD, 14, 16, b"\1\2\3\4"),
    "a size of 4 gigabytes": patched(GOOD, 22, 24, b"\xfe\xff\xff\xff"),
    "a compressed size of 4 gigabytes": patched(GOOD, 18, 20, b"\xfe\xff\xff\xff"),
    "a compression that there is not": patched(GOOD, 8, 10, b"\x63\0"),
    "encrypted": patched(GOOD, 6, 8, b"\1\0"),
    "a place behind the file": patched(GOOD, None, 42, b"\xff\xff\xff\x7f"),
    "facts that are no text": npz(("__jaxscope__.npy", member("|u1", (8,), b"\xff" * 8)), member()),
    "facts that are brackets": npz(("__jaxscope__.npy", member("|u1", (50_000,), b"[" * 50_000)), member()),
    "facts that are numbers": npz(("__jaxscope__.npy", member("|u1", (8,), b'{"a": 1}')), member()),
    "facts that are fractions": npz(("__jaxscope__.npy", member()), member()),
    "facts of 16 megabytes": npz(
        ("__jaxscope__.npy", member("|u1", (2**24,), ZEROS)), member(), compress=zipfile.ZIP_DEFLATED
    ),
    "deflate that is none": npz(member(), compress=zipfile.ZIP_DEFLATED).replace(
        zlib.compress(member(), 6)[2:-4], b"\xff" * (len(zlib.compress(member(), 6)) - 6)
    ),
}

ALL = [(".safetensors", name, content) for name, content in SAFETENSORS.items()]
ALL += [(".npz", name, content) for name, content in NPZ.items()]


def put(folder: Path, ending: str, content: bytes) -> Path:
    path = folder / f"hostile{ending}"
    path.write_bytes(content)
    return path
