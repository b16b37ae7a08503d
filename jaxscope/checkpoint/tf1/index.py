"""The index of a bundle, read: its header, its tensors, the parts of those that are split, facts of ours."""

import contextlib
import json
import os
from collections.abc import Generator, Mapping
from typing import NamedTuple

from jaxscope.checkpoint.stored import damaged, is_text
from jaxscope.checkpoint.tf1.entries import Header, Tensor, header, tensor
from jaxscope.checkpoint.tf1.tables import Table
from jaxscope.checkpoint.tf1.wire import WrongError

ENDING = ".index"
#: The name of the block beside the tensors that has what is ours.
FACTS = b"jaxscope"
_LONGEST = 100_000_000  # bytes


class Index(NamedTuple):
    """What an index says.

    Attributes:
        header: Of the bundle itself.
        tensors: Full name -> where it is; in order of names.
        parts: Key -> where that part of a variable is.
        facts: Strings by strings; {} in files of TF1's.
    """

    header: Header
    tensors: Mapping[str, Tensor]
    parts: Mapping[bytes, Tensor]
    facts: Mapping[str, str]


@contextlib.contextmanager
def told(path: str, what: str = "") -> Generator[None]:
    """Turn an error about bytes into one that names the file."""
    try:
        yield
    except WrongError as problem:
        raise damaged(path, f"{what}{problem}") from None


def read(path: str) -> Index:
    """Read the index of a bundle.

    Args:
        path: The index file.

    Raises:
        CheckpointError: It is not what the format says (code `damaged`).
        OSError: There is none, or it may not be read.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > _LONGEST:
            raise damaged(path, f"it has {size:,} bytes, and may have {_LONGEST:,}")
        data = file.read()
    tensors: dict[str, Tensor] = {}
    parts: dict[bytes, Tensor] = {}
    with told(path):
        table = Table(data)
        rows = table.entries()
        first, value = next(rows, (None, b""))
        if first != b"":
            raise WrongError("it does not begin with a header")
        said = header(value)
        for key, value in rows:
            with told(path, f"in the entry {key[:200]!r}: "):
                if key[:1] == b"\0":
                    parts[key] = tensor(value)
                else:
                    tensors[_name(key)] = tensor(value)
        facts = _facts(table)
    return Index(said, tensors, parts, facts)


def _name(key: bytes) -> str:
    try:
        return key.decode()
    except UnicodeDecodeError:
        raise WrongError("its name is no text") from None


def _facts(table: Table) -> dict[str, str]:
    raw = table.meta().get(FACTS)
    if raw is None:
        return {}
    try:
        facts = json.loads(bytes(raw))
    except (ValueError, RecursionError):
        raise WrongError("its facts cannot be read") from None
    if not isinstance(facts, dict) or not all(isinstance(one, str) for one in facts.values()):
        raise WrongError("its facts are not strings")
    if not all(is_text(one) for pair in facts.items() for one in pair):
        raise WrongError("its facts are no text")
    return facts
