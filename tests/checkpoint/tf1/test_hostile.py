"""Damaged checkpoints, and those made to do harm, are one clear error at once, with file and place."""

import os
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import jaxscope as js
from jaxscope.checkpoint.tf1.checksums import checksum
from jaxscope.checkpoint.tf1.entries import Tensor, header_bytes, tensor_bytes
from jaxscope.checkpoint.tf1.ordered import key_of
from jaxscope.checkpoint.tf1.snappy import decompressed
from jaxscope.checkpoint.tf1.table_writing import table
from jaxscope.checkpoint.tf1.tables import FOOTER, MAGIC
from jaxscope.checkpoint.tf1.wire import WrongError, field, fixed32, to_varint
from jaxscope.errors import CheckpointError
from tests.checkpoint.tf1 import fuzz
from tests.checkpoint.tf1.tables import RECORDED, apart, bundle, copied, cramjam, strings, together

#: How many damaged checkpoints are read: `JAXSCOPE_FUZZ=25000` is a matter of minutes.
COUNT = int(os.environ.get("JAXSCOPE_FUZZ", "500"))
W = np.ones((2, 3), "float32")


def test_at_random():
    told = fuzz.run(COUNT, 0)
    assert sum(told.values()) == COUNT
    assert sum(count for what, count in told.items() if "CheckpointError" in what) > COUNT / 2


def entry(change: Callable[[Tensor], Tensor | bytes]) -> Callable[[Path], Path]:
    """Return what writes a bundle of one variable, whose entry is another."""

    def changed(_: str, one: Tensor) -> bytes:
        made = change(one)
        return made if isinstance(made, bytes) else tensor_bytes(made)

    return lambda folder: bundle(folder / "m.ckpt", {"w": W}, change=changed)


def rows(*given: tuple[bytes, bytes], data: bytes = bytes(64)) -> Callable[[Path], Path]:
    """Return what writes a bundle of these keys and values."""

    def write(folder: Path) -> Path:
        (folder / "m.ckpt.index").write_bytes(table(given, {}))
        (folder / "m.ckpt.data-00000-of-00001").write_bytes(data)
        return folder / "m.ckpt"

    return write


def raw(content: bytes) -> Callable[[Path], Path]:
    """Return what writes an index of these bytes."""

    def write(folder: Path) -> Path:
        (folder / "m.ckpt.index").write_bytes(content)
        return folder / "m.ckpt"

    return write


def single(content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / "m.ckpt").write_bytes(content)
        return folder / "m.ckpt"

    return write


def ends(*numbers: int) -> bytes:
    return b"".join(map(to_varint, numbers)).ljust(FOOTER - len(MAGIC), b"\0") + MAGIC


HEAD = (b"", header_bytes(1))
INDEX = table([HEAD], {})
MORE = [(2**16 + at, b"b", b"") for at in range(9999)]
PART = field(7, field(1, field(2, 1)))  # of one element from the first


def sized(*sizes: int) -> bytes:
    return field(2, b"".join(field(2, field(1, size)) for size in sizes))


def block(*rows: tuple[int, bytes, bytes], restarts: int = 1) -> bytes:
    made = b"".join(
        to_varint(shared) + to_varint(len(key)) + to_varint(len(value)) + key + value
        for shared, key, value in rows
    )
    return made + bytes(4 * restarts) + restarts.to_bytes(4, "little")


def parts(*extents: tuple[int, int], shape: tuple[int, ...] = (4,)) -> Callable[[Path], Path]:
    """Return what writes a vector in parts of these starts and lengths."""
    said = b"".join(field(7, field(1, field(1, start) + field(2, length))) for start, length in extents)
    keys = sorted({key_of("w", [one]): one for one in extents}.items())
    pieces = [
        (key, tensor_bytes(Tensor(4, (max(0, length),), 0, 8 * at, max(0, length), 0, ())))
        for at, (key, (_, length)) in enumerate(keys)
    ]
    return rows(HEAD, *pieces, (b"w", field(1, 4) + sized(*shape) + said))


CASES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "nothing": (raw(b""), "does not end as a table"),
    "no table": (raw(bytes(1000)), "does not end as a table"),
    "a footer alone": (raw(ends(0, 0, 0, 0)), "a block would be at byte 0"),
    "an index behind the file": (raw(bytes(100) + ends(0, 8, 2**40, 8)), "at byte 1,099,511,627,776"),
    "an index of 2**63 bytes": (raw(bytes(100) + ends(0, 8, 0, 2**63)), "of 9,223,372,036,854,775,808"),
    "an index that is its own block": (
        raw(INDEX[:-FOOTER] + ends(0, 8, 0, 2)),
        "the checksum of the block at byte 0",
    ),
    "a byte of the index": (raw(INDEX[:3] + b"x" + INDEX[4:]), "the checksum of the block at byte 0"),
    "numbers without end": (raw(bytes(100) + b"\xff" * 40 + MAGIC), "more than ten bytes"),
    "no header": (rows((b"w", tensor_bytes(Tensor(1, (), 0, 0, 4, 0, ())))), "does not begin with a header"),
    "no entries": (raw(together([], [])), "does not begin with a header"),
    "no files of data": (rows((b"", field(3, field(1, 1)))), "0 files of data"),
    "2**40 files of data": (rows((b"", field(1, 2**40))), "1,099,511,627,776 files of data"),
    "an order of bytes that there is not": (rows((b"", field(1, 1) + field(2, 2))), "the order 2 of bytes"),
    "a later version": (rows((b"", field(1, 1) + field(3, field(2, 7)))), "a reader of version 7"),
    "a name that is no text": (rows(HEAD, (b"\xff", b"")), "its name is no text"),
    "ten thousand names of a hundred kilobytes, in a hundred kilobytes": (
        raw(together([block((0, b"", HEAD[1]), (0, b"a" * 2**16, b""), *MORE)], [b"z"])),
        "keys of a block are longer",
    ),
    "more restarts than bytes": (raw(together([b"\xff\xff\xff\x7f"], [b"z"])), "more restarts than bytes"),
    "a shared key of nothing": (raw(together([block((5, b"x", b""))], [b"z"])), "longer than the block"),
    "keys out of order": (
        raw(together([block((0, b"", HEAD[1]), (0, b"b", b""), (0, b"a", b""))], [b"z"])),
        "out of order",
    ),
    "a key twice": (
        raw(together([block((0, b"", HEAD[1]), (0, b"b", b""), (0, b"b", b""))], [b"z"])),
        "out of order",
    ),
    "a block of the keys of the next": (
        raw(together([block((0, b"", HEAD[1]), (0, b"b", b""))], [b"a"])),
        "keys of the next one",
    ),
    "an unknown kind of field": (rows(HEAD, (b"w", b"\x0b")), "of kind 3"),
    "a field that is cut": (rows(HEAD, (b"w", b"\x12\x50")), "longer than its message"),
    "a number where a message is": (rows(HEAD, (b"w", b"\x0a\x01\x01")), "field 1 is of kind 2, not 0"),
    "a shard that there is not": (entry(lambda one: one._replace(shard=1)), "in file 1 of 1"),
    "a shard of 2**60": (entry(lambda one: one._replace(shard=2**60)), "there would be data in file"),
    "an offset behind the file": (
        entry(lambda one: one._replace(offset=2**40)),
        "not inside of its 24 bytes",
    ),
    "a negative offset": (entry(lambda one: one._replace(offset=-8)), "not inside of its 24 bytes"),
    "a size of 2**62": (entry(lambda one: one._replace(size=2**62)), "and to have 4,611,686,018,427,387,904"),
    "a shape of 2**62": (entry(lambda one: one._replace(shape=(2**62,))), "of shape (4611686018427387904,)"),
    "a product of 2 in 64 bits": (
        entry(lambda one: one._replace(shape=(2**39, 2**39))),
        "said to be of shape",
    ),
    "a negative axis": (entry(lambda one: one._replace(shape=(-2, -3))), "said to be of shape"),
    "300 axes": (entry(lambda one: one._replace(shape=(1,) * 300)), "more than 254 axes"),
    "an unknown number of axes": (
        entry(lambda _: field(1, 1) + field(2, field(3, 1))),
        "unknown number of axes",
    ),
    "a larger array than its bytes": (
        entry(lambda one: one._replace(shape=(200, 300))),
        "and to have 24 bytes",
    ),
    "a huge array of no bytes": (entry(lambda _: field(1, 1) + sized(2**30)), "and to have 0 bytes"),
    "two of one place": (
        rows(HEAD, *[(name, tensor_bytes(Tensor(1, (2,), 0, 4, 8, 0, ()))) for name in (b"a", b"b")]),
        "is over what is before it",
    ),
    "a hundred thousand strings in ten bytes": (
        rows(HEAD, (b"w", field(1, 7) + sized(100_000) + field(5, 10))),
        "100,000 strings, in 10 bytes",
    ),
    "a part that is not there": (rows(HEAD, (b"w", field(1, 1) + sized(1) + PART)), "its part"),
    "a part of nobody": (
        rows(HEAD, (key_of("w", [(0, 1)]), field(1, 4) + sized(1) + field(5, 1))),
        "parts of variables that it has not",
    ),
    "parts that leave a hole": (parts((0, 1), (2, 2)), "3 of 4 elements"),
    "parts over each other": (parts((0, 2), (1, 2)), "over each other"),
    "a part twice": (parts((0, 2), (0, 2)), "over each other"),
    "a part beyond the end": (parts((2, 3)), "not inside of 4"),
    "a part before the beginning": (parts((-1, 2)), "not inside of 4"),
    "a part of another number of axes": (parts((0, 4), shape=(4, 1)), "has 1 axes, and the variable 2"),
    "version 1 of nothing": (single(together([], [])), "has nothing in it"),
    "version 1 without contents": (single(together([block((0, b"a", b""))], [b"z"])), "table of contents"),
    "version 1 of a huge shape": (
        single(
            together(
                [block((0, b"", field(1, field(1, field(1, b"w") + sized(2**62) + field(3, 1)))))], [b"z"]
            )
        ),
        "of shape (4611686018427387904,)",
    ),
    "version 1, cut": (single(RECORDED.joinpath("v1_single.ckpt").read_bytes()[:-20]), "does not end as a"),
}


@pytest.mark.parametrize(("write", "message"), CASES.values(), ids=CASES)
def test_refused(tmp_path: Path, write: Callable[[Path], Path], message: str):
    path = write(tmp_path)
    js.checkpoint.load(RECORDED / "adam")  # what is imported at the first use is not counted
    size = sum(file.stat().st_size for file in tmp_path.iterdir())
    tracemalloc.start()
    start = time.monotonic()
    with pytest.raises(CheckpointError) as caught:
        js.checkpoint.load(path, extra="ignore").variables  # noqa: B018 - read, and forgotten
    took, peak = time.monotonic() - start, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert message in str(caught.value)
    assert caught.value.code == "damaged"
    assert caught.value.facts["file"].startswith(str(path))
    assert len(str(caught.value)) < 2000
    assert took < 1
    assert peak < 40 * size + 2**20


@pytest.mark.parametrize(
    ("way", "message"),
    [
        ("twice", "the block at byte 0 is over the one before it"),
        ("backwards", "the block at byte 0 is over the one before it"),
        ("itself", "does not begin with a header"),
    ],
)
def test_circles(tmp_path: Path, way: str, message: str):
    """Blocks follow each other in the file, so that none is read twice."""

    def closed(content: bytes) -> bytes:
        return content + b"\0" + checksum(content + b"\0").to_bytes(4, "little")

    first = closed(block((0, b"", HEAD[1])))
    inside = len(first) - 5

    def index(size: int) -> bytes:
        one, second, itself = (0, inside), (len(first), inside), (2 * len(first), size)
        handles = {"twice": [one, one], "backwards": [second, one], "itself": [itself]}[way]
        return block(
            *[(0, bytes([255, at]), b"".join(map(to_varint, one))) for at, one in enumerate(handles)]
        )

    content = index(len(index(0)))
    path = raw(first + first + closed(content) + ends(0, inside, 2 * len(first), len(content)))(tmp_path)
    with pytest.raises(CheckpointError, match=message):
        js.checkpoint.load(path)


def test_compressed_bombs():
    """A block says how long it will be; it cannot be more than 22 times what it is."""
    packed = bytes(cramjam.snappy.compress_raw(bytes(100)))
    assert bytes(decompressed(packed)) == bytes(100)
    for made, message in (
        (to_varint(2**40) + packed[1:], "would be 1,099,511,627,776"),
        (to_varint(90) + packed[1:], "cannot be read"),
        (to_varint(110) + packed[1:], "cannot be read|were compressed"),
        (to_varint(90) + b"\xff" * 9, "cannot be read"),
    ):
        with pytest.raises(WrongError, match=message):
            decompressed(made)


def test_version_1_that_repeats_a_value(tmp_path: Path):
    """A list of one number may be a whole array: not one larger than what may come out of the file."""
    file = copied("v1_single.ckpt", tmp_path)
    blocks, bounds = apart(file.read_bytes())
    for count, good in ((2**16, True), (2**30, False)):
        meta = field(1, field(1, field(1, b"w") + sized(count) + field(3, 1) + field(4, field(1, b""))))
        data = field(2, field(1, b"w") + field(3, field(5, np.float32(7).tobytes())))
        rows = sorted([(b"", meta), (key_of("w", [(0, -1)]), data)])
        file.write_bytes(together([block(*((0, key, value) for key, value in rows)), *blocks[1:]], [*bounds]))
        if good:
            assert set(js.checkpoint.load(file)["w"].tolist()) == {7.0}
            continue
        for read in (lambda: js.checkpoint.load(file), lambda: js.checkpoint.load_variable(file, "w")):
            with pytest.raises(CheckpointError, match="4,294,967,296 bytes would come out of it"):
                read()


def test_names_of_files_are_made_here(tmp_path: Path):
    """A bundle says how many files of data it has, not what they are called: no path leads elsewhere."""
    (tmp_path / "m.ckpt.index").write_bytes(table([(b"", header_bytes(3)), (b"../../w", b"")], {}))
    assert js.checkpoint.list_variables(tmp_path / "m.ckpt") == [("../../w", [])]


@pytest.mark.parametrize(
    ("name", "gone", "message"),
    [
        (
            "v2_sharded.ckpt",
            "v2_sharded.ckpt.data-00001-of-00003",
            "data-00001-of-00003', which it speaks of",
        ),
        ("v2_sharded.ckpt", "v2_sharded.ckpt.index", "its index"),
        ("v1_sharded.ckpt", "v1_sharded.ckpt-00001-of-00003", "of its files [3] there are 2"),
    ],
)
def test_files_that_are_missing(tmp_path: Path, name: str, gone: str, message: str):
    path = copied(name, tmp_path)
    (tmp_path / gone).unlink()
    with pytest.raises(CheckpointError) as caught:
        js.checkpoint.load(path)
    assert message in str(caught.value)


def test_strings_with_wrong_checksums(tmp_path: Path):
    data, row = strings([b"one", b"two"], (2,))
    path = rows(HEAD, (b"w", row), data=data)(tmp_path)
    assert js.checkpoint.load_variable(path, "w").tolist() == [b"one", b"two"]
    for at in range(len(data)):
        made = bytearray(data)
        made[at] ^= 1
        (tmp_path / "m.ckpt.data-00000-of-00001").write_bytes(made)
        with pytest.raises(CheckpointError, match="'w', from byte 0"):
            js.checkpoint.load_variable(path, "w")


def test_cut_while_it_is_open(tmp_path: Path):
    """Reading behind the end of a mapped file would end the process."""
    loaded = js.checkpoint.load(copied("adam", tmp_path))
    os.truncate(tmp_path / "adam.data-00000-of-00001", 10)
    with pytest.raises(CheckpointError, match="shorter since it was opened"):
        loaded.variables  # noqa: B018
    file = copied("v1_format.ckpt", tmp_path)
    blocks, bounds = apart(file.read_bytes())
    file.write_bytes(together([*blocks, block((0, b"\1", bytes(2**20)))], [*bounds[:-1], b"\0\xff", b"\2"]))
    loaded = js.checkpoint.load(file)
    loaded._stored._kept = None  # type: ignore[attr-defined] - as if others had been read
    os.truncate(file, 10)
    with pytest.raises(CheckpointError, match="shorter since it was opened"):
        loaded.variables  # noqa: B018


def test_strings_in_parts_are_left(tmp_path: Path):
    """They cannot be read, and the rest can."""
    part = field(1, 7) + sized(1) + field(5, 6)
    whole = field(1, 7) + sized(1) + PART
    write = rows(HEAD, (key_of("w", [(0, 1)]), part), (b"v", field(1, 4) + sized(0)), (b"w", whole))
    assert list(js.checkpoint.load(write(tmp_path), extra="ignore")) == ["v"]
    with pytest.raises(CheckpointError, match="it holds strings, which JAX has not, in parts"):
        js.checkpoint.load_variable(tmp_path / "m.ckpt", "w")


def test_odd_types_are_told(tmp_path: Path):
    """What JAX has not is named, and the rest is read."""
    odd = [(b"r", field(1, 20)), (b"t", field(1, 21) + field(5, 8)), (b"u", field(1, 99) + fixed32(6, 1))]
    path = rows(HEAD, *odd, (b"w", tensor_bytes(Tensor(4, (1,), 0, 8, 1, 0, ()))))(tmp_path)
    with pytest.raises(js.errors.VariablesMismatchError) as caught:
        js.checkpoint.load(path)
    assert caught.value.facts["value"].splitlines() == [
        "r: it is a resource, which JAX has not",
        "t: it is a variant, which JAX has not",
        "u: it is of type 99, which JAX has not",
    ]
    assert list(js.checkpoint.load(path, extra="ignore")) == ["w"]
