"""Snapshots: the values of one moment, held until they are written, whatever happens to the arrays."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jax.core import Tracer


class Held:
    """An array to be written.

    An array on the host's memory is held by a view: as long as there is one, JAX copies the array where a
    function would take its buffer over (`donate_argnums`), so nothing is copied here, and what is written are
    the values of the moment. An array of an accelerator is copied to the host when it is `pinned`, and so are
    NumPy's, which anyone may write into.

    Args:
        value: A `jax.Array`, or an array of NumPy's.
        spread: Whether it may be spread over several processes.

    Raises:
        ValueError: It is none that can be written; the message says why.
    """

    def __init__(self, value: Any, *, spread: bool = False) -> None:
        self._value = value
        if isinstance(value, Tracer):
            raise ValueError("is traced: save outside jax.jit, what the function returns")  # noqa: TRY004
        if isinstance(value, jax.Array):
            if value.is_deleted():
                raise ValueError("is deleted: it was donated to a function, whose result is to be saved")
            if not (spread or value.is_fully_addressable or value.is_fully_replicated):
                raise ValueError("is spread over several processes: save it into a folder")
        elif not isinstance(value, np.ndarray) or isinstance(value, np.ma.MaskedArray):
            raise ValueError(f"is no array but {type(value).__name__}")  # noqa: TRY004
        self.shape: tuple[int, ...] = tuple(value.shape)
        self.dtype = np.dtype(value.dtype)
        self.nbytes = int(value.size) * self.dtype.itemsize
        # Of NumPy's arrays a copy is held.
        self._in_memory = isinstance(value, jax.Array) and _in_memory(value)
        self.on_host = self._in_memory or isinstance(value, np.ndarray)
        self._parts: list[tuple[Any, np.ndarray[Any, Any]]] | None = None
        self._apart: list[tuple[Any, jax.Array]] | None = None
        self._copies: list[np.ndarray[Any, Any]] = []

    def start(self) -> None:
        """Let an accelerator begin to copy the array to the host."""
        if not self.on_host:
            self._apart = self._shards()
            for _, part in self._apart:
                part.copy_to_host_async()

    def pin(self) -> None:
        """Hold the values of this moment; waits until they are computed."""
        self._parts = self._read(copy=True)
        self._apart = None
        if not self._in_memory:
            self._value = None
        else:
            # Of what several devices have alike, orbax reads a share on each: no copy may be taken over.
            assert isinstance(self._value, jax.Array)
            self._copies = [np.asarray(shard.data) for shard in self._value.addressable_shards]

    def for_orbax(self) -> Any:
        """Return the array with its sharding where that is still at hand, else the values."""
        return self.host() if self._value is None else self._value

    def host(self) -> np.ndarray[Any, Any]:
        """Return the values as one array of NumPy's."""
        parts = self._read(copy=False) if self._parts is None else self._parts
        if len(parts) == 1 and parts[0][1].shape == self.shape:
            return parts[0][1]
        whole = np.empty(self.shape, self.dtype)
        for index, part in parts:
            whole[index] = part
        return whole

    def _read(self, *, copy: bool) -> list[tuple[Any, np.ndarray[Any, Any]]]:
        value = self._value
        if not isinstance(value, jax.Array):
            assert value is not None
            numbers: np.ndarray[Any, Any] = value
            return [(..., numbers.astype(numbers.dtype.newbyteorder("="), copy=copy))]
        return [(index, np.asarray(part)) for index, part in self._apart or self._shards()]

    def _shards(self) -> list[tuple[Any, jax.Array]]:
        """Return the parts of an array, each once, and where they are in it."""
        value = self._value
        assert isinstance(value, jax.Array)
        if value.is_fully_replicated:
            parts = [(..., value.addressable_data(0))]
        else:
            shards = value.addressable_shards
            parts = [(shard.index, shard.data) for shard in shards if shard.replica_id == 0]
        if self._in_memory:
            return parts
        # An array keeps the copy of it on the host: so the copy is made of another with the same buffer.
        return [
            (index, jax.make_array_from_single_device_arrays(part.shape, part.sharding, [part]))
            for index, part in parts
        ]


def _in_memory(value: jax.Array) -> bool:
    return all(device.platform == "cpu" for device in value.devices())


def held(arrays: Mapping[str, Any], *, spread: bool) -> tuple[dict[str, Held], list[str]]:
    """Return arrays by name as what can be written, and what is wrong with those that cannot."""
    made: dict[str, Held] = {}
    problems: list[str] = []
    for name, value in arrays.items():
        try:
            made[name] = Held(value, spread=spread)
        except ValueError as problem:
            problems.append(f"{name} {problem}")
    return made, problems


def telling(holders: Mapping[str, Held], progress: Callable[[int, int], None] | None) -> Mapping[str, Held]:
    """Return what can be written, telling before each of them how many bytes of all are written."""
    if progress is None:
        return holders
    total, done, tell = sum(one.nbytes for one in holders.values()), 0, progress

    class Telling(Held):
        def __init__(self, one: Held) -> None:
            self.__dict__.update(one.__dict__)

        def host(self) -> np.ndarray[Any, Any]:
            nonlocal done
            tell(done, total)
            done += self.nbytes
            return super().host()

    return {name: Telling(one) for name, one in holders.items()}
