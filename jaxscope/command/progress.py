"""Progress: one line on a terminal that says how far a long work is; nothing elsewhere."""

import sys
import time
from typing import Self

from jaxscope.inspect.tables import human_bytes

_FIRST, _EACH = 0.5, 0.1  # seconds


class Progress:
    """A line that is written again and again, and taken away at the end.

    Args:
        what: What is going on: `"reading a.npz"`.
        total: How many bytes there are to do.
    """

    def __init__(self, what: str, total: int) -> None:
        self._what, self._total, self._done = what, total, 0
        self._next = time.monotonic() + _FIRST
        self._shown = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def add(self, count: int) -> None:
        """Note that so many bytes more are done."""
        self.at(self._done + count)

    def at(self, done: int) -> None:
        """Note how many bytes are done."""
        self._done = done
        now = time.monotonic()
        if now < self._next or not sys.stderr.isatty():
            return
        self._next, self._shown = now + _EACH, True
        part = f"{min(100, 100 * done // self._total)}%" if self._total else ""
        line = f"{self._what}: {human_bytes(done)} of {human_bytes(self._total)} {part}"
        print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
