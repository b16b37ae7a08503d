"""Damage TF1's checkpoints at random, and read what is left: `python -m tests.checkpoint.tf1.fuzz 20000 0`.

Two ways. Bytes of a file are changed, cut, moved: what is then read is what was there, or an error. Or blocks
and entries are changed, and all checksums made right again, so that what is behind them is reached: there is
an error, or something is read; nothing takes long, and no more memory than there is in the file.
"""

import json
import random
import sys
import tempfile
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

import jaxscope as js
from jaxscope.checkpoint import formats
from jaxscope.checkpoint.tf1.tables import MAGIC, entries
from jaxscope.checkpoint.tf1.wire import WrongError, to_varint
from jaxscope.errors import CheckpointError, DtypeMismatchError, VariablesMismatchError
from tests.checkpoint.tf1.tables import apart, copied, together

NAMES = [
    *("mixed.ckpt", "partitioned.ckpt", "v2_sharded.ckpt", "v1_sharded.ckpt", "v1_single.ckpt", "adam"),
    *("strings.ckpt", "v1_format.ckpt", "ours.ckpt"),
]
REFUSED = (CheckpointError, VariablesMismatchError, DtypeMismatchError, FileNotFoundError)
#: Numbers at which things go wrong.
EDGES = [
    0,
    1,
    2,
    3,
    7,
    8,
    127,
    128,
    255,
    2**14,
    2**31 - 1,
    2**31,
    2**32,
    2**40,
    2**62,
    2**63 - 1,
    2**63,
    2**64 - 1,
]
_SECONDS = 2.0


def ours(folder: Path) -> Path:
    js.checkpoint.save(
        folder / "ours.ckpt",
        {"a/w": np.ones((3, 4), "float32"), "b": np.int32(7)},
        step=3,
        key=jax.random.key(0),
    )
    return folder / "ours.ckpt"


def read(path: Path) -> dict[str, np.ndarray]:
    """Return all that is there."""
    stored = formats.opened(str(path), mapped=True)
    return {
        name: stored.numpy(name) for name, entry in stored.entries.items() if _readable(stored, name, entry)
    }


def _readable(stored: Any, name: str, entry: Any) -> bool:
    if entry.nbytes > stored.most:
        raise CheckpointError("more would come out of it than can be in it", code="damaged", file=stored.path)
    return not entry.problem or ("strings" in entry.problem and "in parts" not in entry.problem)


# --- damage ----------------------------------------------------------------------------------------


def damaged(draw: random.Random, data: bytes, other: bytes) -> bytes:
    """Return bytes that are not what they were."""
    made = bytearray(data)
    for _ in range(draw.choice([1, 1, 1, 2, 5])):
        at = draw.randrange(len(made) + 1)
        end = min(len(made), at + draw.choice([1, 2, 4, 16, 100, 1000]))
        kind = draw.randrange(8)
        if kind <= 1 and at < len(made):
            made[at] ^= 1 << draw.randrange(8)
        elif kind == 2:
            del made[at:]
        elif kind == 3:
            del made[at:end]
        elif kind == 4:
            made[at:at] = draw.randbytes(draw.choice([1, 3, 50]))
        elif kind == 5:
            made[at:end] = bytes(end - at)
        elif kind == 6 and other:
            start = draw.randrange(len(other))
            made[at:end] = other[start : start + end - at]
        elif kind == 7:
            made[at:at] = to_varint(draw.choice(EDGES))
    return bytes(made)


def repaired(draw: random.Random, data: bytes, other: bytes) -> bytes:
    """Return a table whose blocks are damaged, with checksums that are right."""
    blocks, bounds = apart(data)
    for _ in range(draw.choice([1, 1, 2, 4])):
        at = draw.randrange(len(blocks))
        way = draw.randrange(4)
        if way == 0:
            blocks[at] = damaged(draw, blocks[at], other)
        elif way == 1 and len(blocks) > 1:
            blocks[at] = draw.choice(blocks)
        else:
            blocks[at] = _entries_changed(draw, blocks[at])
    if draw.random() < 0.1:
        at = draw.randrange(len(blocks) + 1)
        blocks.insert(at, draw.choice(blocks))
        bounds.insert(at, draw.choice(bounds))
    return together(blocks, bounds, compress=draw.random() < 0.2)


def _entries_changed(draw: random.Random, block: bytes) -> bytes:
    try:
        rows = [(key, bytes(value)) for key, value in entries(block)]
    except WrongError:
        return block
    if not rows:
        return block
    at = draw.randrange(len(rows))
    key, value = rows[at]
    way = draw.randrange(7)
    if way == 0:
        del rows[at]
    elif way == 1:
        rows.insert(at, rows[at])
    elif way == 2:
        rows[at] = key, draw.choice(rows)[1]
    elif way == 3:
        rows[at] = damaged(draw, key, value), value
    elif way == 4 and value:  # a number is another: of a size, an offset, a length
        place = draw.randrange(len(value))
        rows[at] = key, value[:place] + to_varint(draw.choice(EDGES)) + value[place + 1 :]
    else:
        rows[at] = key, damaged(draw, value, key)
    if draw.random() < 0.7:
        rows.sort()
    made = b"".join(
        to_varint(0) + to_varint(len(key)) + to_varint(len(value)) + key + value for key, value in rows
    )
    return made + bytes(4) + (1).to_bytes(4, "little")


# --- the loop --------------------------------------------------------------------------------------


def case(draw: random.Random, path: Path, files: dict[Path, bytes], good: dict[str, bytes]) -> str:
    """Damage files, read, put them back; return what came of it, and raise where that must not be."""
    tables = [file for file, data in files.items() if data.endswith(MAGIC)]
    repair = draw.random() < 0.6
    file = draw.choice(tables if repair else list(files))
    how: Callable[..., bytes] = repaired if repair else damaged
    data = how(draw, files[file], draw.choice(list(files.values())))
    gone = not repair and draw.random() < 0.03
    if gone:
        file.unlink()
    else:
        file.write_bytes(data)
    size = sum(one.stat().st_size for one in path.parent.iterdir())
    shown = ""
    tracemalloc.start()
    start = time.monotonic()
    try:
        found = read(path)
        if draw.random() < 0.2:
            js.checkpoint.load(path, extra="ignore").variables  # noqa: B018 - read, and forgotten
        outcome = "read"
        if not repair:
            for name, value in found.items():
                assert name in good, f"{name} was not there"
                assert _bits(value) == good[name], f"{name} has other values"
            if gone:
                assert file.name.endswith((".npz",)), f"{file} is not there, and nobody cares"
    except REFUSED as error:
        outcome = type(error).__name__
        shown = str(error)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        took = time.monotonic() - start
        file.write_bytes(files[file])
    assert len(shown) < 3000, shown
    assert took < _SECONDS, f"{took:.1f} s"
    assert peak < 100 * size + 2**22, f"{peak:,} bytes of memory for {size:,}"
    return f"{'repaired' if repair else 'damaged'}: {outcome}"


def _bits(value: np.ndarray) -> bytes:
    return repr(value.tolist()).encode() if value.dtype == object else value.tobytes()


def run(count: int, seed: int) -> dict[str, int]:
    """Read so many damaged checkpoints; return how often what came of it."""
    told: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as base:
        there = []
        for name in NAMES:
            folder = Path(base, name)
            folder.mkdir()
            path = ours(folder) if name == "ours.ckpt" else copied(name, folder)
            files = {
                file: file.read_bytes() for file in sorted(folder.iterdir()) if file.name != "checkpoint"
            }
            good = {full: _bits(value) for full, value in read(path).items()}
            assert good
            there.append((path, files, good))
        for number in range(count):
            draw = random.Random(f"{seed} {number}")
            try:
                told[case(draw, *there[number % len(there)])] += 1
            except BaseException as problem:
                problem.add_note(f"case {number} of seed {seed}, {there[number % len(there)][0].name}")
                raise
    return dict(told)


if __name__ == "__main__":
    print(json.dumps(run(int(sys.argv[1]), int(sys.argv[2])), indent=1))
