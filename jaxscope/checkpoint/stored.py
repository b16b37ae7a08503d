"""What a file of arrays offers whoever loads from it, whatever its format."""

import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Sharding

from jaxscope.checkpoint import converting
from jaxscope.errors import CheckpointError, DtypeMismatchError

#: Where an array is to live; None for JAX's default device.
Place = Sharding | None


class Entry(NamedTuple):
    """What a file says about one of its arrays.

    Attributes:
        shape: Axis lengths, in elements.
        dtype: The element type in the file, 64 bits also where JAX holds 32.
        problem: Why it cannot be read; "" where it can.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    problem: str = ""

    @property
    def nbytes(self) -> int:
        """The size of the array in the file, not compressed, in bytes."""
        return size_of(self.shape) * self.dtype.itemsize

    def __str__(self) -> str:
        return f"{self.dtype.name}[{','.join(map(str, self.shape))}]"


class Wanted(NamedTuple):
    """One array to be read.

    Attributes:
        name: Its name in the file.
        shown: What it is called in messages.
        dtype: The element type to have.
        place: Where to put it.
    """

    name: str
    shown: str
    dtype: np.dtype[Any]
    place: Place


class Stored(ABC):
    """An open file of arrays, of which nothing is read but names, shapes and types.

    Attributes:
        path: The file or folder.
        entries: Name in the file -> what it says about the array.
        facts: Strings by strings, beside the arrays; {} in files of others.
        most: How many bytes may come out of it where nobody says what shapes to expect.
        tf1: Whether it is of TF1, which keeps what optimizers know beside the variables.
    """

    path: str
    most: float = math.inf
    tf1 = False
    entries: Mapping[str, Entry]
    facts: Mapping[str, str]

    def fetch(self, wanted: Sequence[Wanted]) -> list[jax.Array]:
        """Read arrays, each straight to where it is to live.

        Raises:
            CheckpointError: The file is damaged, or holds something that is no array of numbers.
            DtypeMismatchError: Values do not fit their element types; the one error lists all.
        """
        for one in wanted:
            self.checked(one.name)
        made: list[jax.Array] = []
        problems: list[DtypeMismatchError] = []
        for read in self._readers(wanted):
            try:
                made.append(read())
            except DtypeMismatchError as problem:
                problems.append(problem)
        if len(problems) > 1:
            raise DtypeMismatchError(
                f"the values of {len(problems)} arrays do not fit their types here",
                code=problems[0].code,
                file=self.path,
                values="\n".join(f"{one.summary}: {one.facts['range']}" for one in problems),
                fix=problems[0].fix,
            )
        if problems:
            problems[0].add(file=self.path)
            raise problems[0]
        return made

    @abstractmethod
    def _readers(self, wanted: Sequence[Wanted]) -> Iterable[Callable[[], jax.Array]]:
        """Yield a function that reads it for each array."""

    @abstractmethod
    def host(self, name: str) -> np.ndarray[Any, Any]:
        """Read an array as NumPy's."""

    def numpy(self, name: str) -> np.ndarray[Any, Any]:
        """Read an array as NumPy's, one of strings too if the format has them."""
        return self.host(name)

    def checked(self, name: str) -> Entry:
        """Return what is said of an array that can be read.

        Raises:
            CheckpointError: It cannot (code `unsupported`).
        """
        entry = self.entries[name]
        if entry.problem:
            raise CheckpointError(
                f"{name!r} cannot be read: {entry.problem}",
                code="unsupported",
                file=self.path,
                fix='leave it, by extra="ignore" or rename={...: None}, or save it as an array of numbers',
            )
        return entry


class OnHost(Stored):
    """A file that is read by the host."""

    mapped = False  # whether arrays may stay in the file

    @abstractmethod
    def view(self, name: str) -> np.ndarray[Any, Any]:
        """Return an array of which, if the format allows, only what is used is read."""

    def _readers(self, wanted: Sequence[Wanted]) -> Iterable[Callable[[], jax.Array]]:
        return (functools.partial(self._placed, one) for one in wanted)

    def _placed(self, one: Wanted) -> jax.Array:
        shape = self.entries[one.name].shape
        if one.place is None or len(one.place.device_set) == 1:
            value = converting.converted(one.shown, self.host(one.name), one.dtype)
            placed: jax.Array = jax.device_put(value, one.place)
            return placed
        whole = self.view(one.name)

        def part(index: Any) -> np.ndarray[Any, Any]:
            value = converting.converted(one.shown, whole[index], one.dtype)
            return value if self.mapped else value.copy()

        return jax.make_array_from_callback(shape, one.place, part)


#: Where JAX takes a buffer on the host as it is: at multiples of so many bytes.
ALIGNED = 64


def aligned(nbytes: int) -> np.ndarray[Any, Any]:
    """Return new bytes that JAX takes over without a copy."""
    whole = np.empty(nbytes + ALIGNED, np.uint8)
    start = -whole.ctypes.data % ALIGNED
    return whole[start : start + nbytes]


def size_of(shape: tuple[int, ...]) -> int:
    """Return the number of elements, of any size: Python's integers do not overflow."""
    count = 1
    for size in shape:
        count *= size
    return count


def bad_shape(shape: object) -> bool:
    """Tell whether something is no shape that an array can have."""
    if not isinstance(shape, list | tuple) or len(shape) > 32:
        return True
    # NumPy counts the elements of an empty array as if its empty axes had one.
    if not all(type(size) is int and 0 <= size < 2**40 for size in shape):
        return True
    return size_of(tuple(size or 1 for size in shape)) >= 2**48


def is_text(name: str) -> bool:
    """Tell whether a name can be printed and written: Python's strings may hold half a character."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def damaged(path: str, what: str, **facts: Any) -> CheckpointError:
    """Return the error for a file that is not what its format says."""
    return CheckpointError(
        f"the file is damaged, or made to do harm: {what}",
        code="damaged",
        file=path,
        fix="get the file anew from where it comes from; nothing of it was used",
        **facts,
    )
