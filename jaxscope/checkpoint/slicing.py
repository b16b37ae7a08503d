"""Slices of a file's arrays, as arrays of their own: for variables that are parts of one there."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxscope.checkpoint.stored import Entry, OnHost, Stored, Wanted


class Sliced(OnHost):
    """An open file with more arrays: slices of those that it has.

    Args:
        stored: The file.
        slices: Name -> the array in the file, and which part of it.

    Attributes:
        sources: Name of a slice -> the array in the file.
    """

    def __init__(self, stored: Stored, slices: Mapping[str, tuple[str, tuple[slice, ...]]]) -> None:
        self._stored, self._slices = stored, slices
        self.sources = {name: of for name, (of, _) in slices.items()}
        self.path, self.facts, self.most, self.tf1 = stored.path, stored.facts, stored.most, stored.tf1
        self.mapped = getattr(stored, "mapped", False)
        parts = {
            name: Entry(
                tuple(one.stop - one.start for one in index),
                stored.entries[of].dtype,
                stored.entries[of].problem,
            )
            for name, (of, index) in slices.items()
        }
        self.entries = {**stored.entries, **parts}

    def _readers(self, wanted: Sequence[Wanted]) -> Iterable[Callable[[], jax.Array]]:
        others = iter(self._stored._readers([one for one in wanted if one.name not in self._slices]))
        for one in wanted:
            if one.name in self._slices:
                yield from super()._readers([one])
            else:
                yield next(others)

    def host(self, name: str) -> np.ndarray[Any, Any]:
        if name not in self._slices:
            return self._stored.host(name)
        return np.ascontiguousarray(self.view(name))

    def view(self, name: str) -> np.ndarray[Any, Any]:
        self.checked(name)
        of, index = self._slices[name]
        stored = self._stored
        whole: Any = stored.view(of) if isinstance(stored, OnHost) else stored.host(of)
        found: np.ndarray[Any, Any] = whole[index]
        return found
