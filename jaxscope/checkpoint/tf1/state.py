"""The file `checkpoint`: which of a folder's checkpoints is the last, as TF1's savers write and read it.

Source:
    TensorFlow's `python/training/checkpoint_state.proto`, as text.
"""

import os
import re
from typing import NamedTuple

from jaxscope.checkpoint.tf1.finding import is_there
from jaxscope.errors import CheckpointError
from jaxscope.writing import written_anew

FILE = "checkpoint"
_LONGEST = 10_000_000  # bytes
_FIELD = re.compile(
    r"""\s*(\w+)\s*:\s*(?:"((?:[^"\\\n]|\\.)*)"|'((?:[^'\\\n]|\\.)*)'|([-+.\w]+))\s*[;,]?\s*"""
)
_ESCAPE = re.compile(rb"\\(?:([0-7]{1,3})|x([0-9a-fA-F]{1,2})|(.))", re.DOTALL)
_ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}
_LATEST, _ALL = "model_checkpoint_path", "all_model_checkpoint_paths"


class State(NamedTuple):
    """What the file says: the last checkpoint, and those that are there, the oldest first; as written."""

    latest: str
    all: tuple[str, ...]


def read(folder: str) -> State | None:
    """Read a folder's state; None where there is no such file.

    Raises:
        CheckpointError: It is there, and says no such thing (code `damaged`).
    """
    path = os.path.join(folder, FILE)
    if not os.path.isfile(path):
        return None
    with open(path, "rb") as file:
        raw = file.read(_LONGEST + 1)
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise _wrong(path, "it is no text") from None
    found: dict[str, list[str]] = {_LATEST: [], _ALL: []}
    at = 0
    while at < len(text):
        match = _FIELD.match(text, at)
        if match is None or len(raw) > _LONGEST:
            raise _wrong(path, f"it cannot be read at character {at:,}")
        quoted = match[2] if match[2] is not None else match[3]
        if match[1] in found:
            if quoted is None:
                raise _wrong(path, f"{match[1]} is no text")
            found[match[1]].append(_plain(path, quoted))
        at = match.end()
    if not found[_LATEST]:
        raise _wrong(path, f"it has no {_LATEST}")
    return State(found[_LATEST][-1], tuple(found[_ALL]))


def latest(folder: str) -> str | None:
    """Return the path of a folder's last checkpoint; None where nothing says which, or it is not there."""
    state = read(folder)
    if state is None:
        return None
    path = os.path.join(folder, state.latest)
    return path if is_there(path) else None


def write(path: str) -> None:
    """Note a checkpoint, which is there, as the last one of its folder.

    Those noted before stay noted as long as they are there.
    """
    folder, name = os.path.split(path)
    before = read(folder)
    others = [] if before is None else [one for one in before.all if one != name]
    paths = {one: os.path.join(folder, one) for one in others}
    kept = [one for one, there in paths.items() if there != path and is_there(there)]
    lines = [f"{_LATEST}: {_quoted(name)}", *(f"{_ALL}: {_quoted(one)}" for one in [*kept, name])]
    with written_anew(os.path.join(folder, FILE)) as file:
        file.write("".join(f"{line}\n" for line in lines).encode())


def _quoted(text: str) -> str:
    made = text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n").replace("\r", r"\r")
    return f'"{made}"'


def _plain(path: str, quoted: str) -> str:
    def plain(match: re.Match[bytes]) -> bytes:
        if match[3] is not None:
            return _ESCAPES.get(match[3], match[3])
        return bytes([int(match[1], 8) & 255 if match[1] is not None else int(match[2], 16)])

    try:
        return _ESCAPE.sub(plain, quoted.encode()).decode()
    except UnicodeDecodeError:
        raise _wrong(path, "a path in it is no text") from None


def _wrong(path: str, what: str) -> CheckpointError:
    return CheckpointError(
        f"the file does not say which checkpoint is the last: {what}",
        code="damaged",
        file=path,
        fix="give the checkpoint's own path; or move away what is no file of TF1's",
    )
