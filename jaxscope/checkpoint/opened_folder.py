"""Reading folders of orbax's, ours and others': any whose trees' leaves are arrays."""

import contextlib
import errno
import functools
import json
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import SingleDeviceSharding

from jaxscope.checkpoint import converting
from jaxscope.checkpoint.folders import DONE, EMPTY, OURS, epath, found, orbax
from jaxscope.checkpoint.stored import Entry, Stored, Wanted, bad_shape, damaged
from jaxscope.errors import CheckpointError

_TREE = "_METADATA"  # the file that a folder with a tree of orbax's has
_MOST_WORDS = 160  # of a message of orbax's, behind which is all that it was asked to read


class Folder(Stored):
    """An open folder of orbax's, any of whose trees' leaves are arrays.

    Args:
        path: The folder.

    Raises:
        CheckpointError: It is no such folder (code `unknown_format`), or damaged (code `damaged`).
    """

    def __init__(self, path: str) -> None:
        self.path = path
        there = found(os.path.abspath(path))
        ocp = orbax()
        self._items = _items(there)
        self._trees: dict[str, Any] = {}
        facts: Any = _facts(there)
        entries: dict[str, Entry] = {}
        self._leaves: dict[str, tuple[str, int]] = {}
        for item, folder in self._items.items():
            with _by_orbax(path), contextlib.closing(ocp.PyTreeCheckpointHandler()) as handler:
                self._trees[item] = handler.metadata(epath(folder)).tree
            for at, (name, leaf) in enumerate(_named(self._trees[item])):
                full = f"{item}/{name}" if len(self._items) > 1 else name
                if full in entries:
                    raise damaged(path, f"two arrays would be called {full!r}")
                entries[full] = _entry(leaf)
                self._leaves[full] = item, at
        entries.pop(EMPTY, None)
        self.facts = {name: fact for name, fact in facts.items() if not name.startswith(EMPTY)}
        for name, fact in facts.items():
            if name.startswith(EMPTY):
                entries[name.removeprefix(EMPTY)] = _empty(path, fact)
        self.entries = entries

    def _readers(self, wanted: Sequence[Wanted]) -> Iterable[Callable[[], jax.Array]]:
        ocp = orbax()
        default = None if jax.process_count() > 1 else SingleDeviceSharding(jax.devices()[0])
        ways: dict[str, Any] = {}
        for one in wanted:
            entry, place = self.entries[one.name], one.place or default
            if entry.dtype == one.dtype and place is not None:
                ways[one.name] = ocp.ArrayRestoreArgs(sharding=place, global_shape=entry.shape)
            else:  # orbax would cast what does not fit, and has no arrays of one process of many
                ways[one.name] = ocp.RestoreArgs(restore_type=np.ndarray)
        values = self._restored(ways)
        return (functools.partial(self._placed, one, values[one.name]) for one in wanted)

    def host(self, name: str) -> np.ndarray[Any, Any]:
        self.checked(name)
        return np.asarray(self._restored({name: orbax().RestoreArgs(restore_type=np.ndarray)})[name])

    def _placed(self, one: Wanted, value: Any) -> jax.Array:
        if isinstance(value, jax.Array):
            return value
        fitting = converting.converted(one.shown, value, one.dtype)
        if one.place is None:
            placed: jax.Array = jax.device_put(fitting)
            return placed
        return jax.make_array_from_callback(fitting.shape, one.place, lambda index: fitting[index])

    def _restored(self, ways: Mapping[str, Any]) -> dict[str, Any]:
        ocp = orbax()
        values: dict[str, Any] = {}
        for name in ways.keys() - self._leaves.keys():
            entry = self.entries[name]
            values[name] = np.zeros(entry.shape, entry.dtype)
        for item, folder in self._items.items():
            here = {
                at: name
                for name in ways
                if name in self._leaves
                for it, at in [self._leaves[name]]
                if it == item
            }
            if not here:
                continue
            leaves, tree = jax.tree.flatten(self._trees[item])
            asked = [leaf if at in here else ocp.PLACEHOLDER for at, leaf in enumerate(leaves)]
            how = [ways[here[at]] if at in here else ocp.RestoreArgs() for at in range(len(leaves))]
            with _by_orbax(self.path), contextlib.closing(ocp.PyTreeCheckpointHandler()) as handler:
                restored = handler.restore(
                    epath(folder),
                    args=ocp.args.PyTreeRestore(
                        item=jax.tree.unflatten(tree, asked), restore_args=jax.tree.unflatten(tree, how)
                    ),
                )
            made = jax.tree.leaves(restored)
            values |= {name: made[at] for at, name in here.items()}
        return values


@contextlib.contextmanager
def _by_orbax(path: str) -> Generator[None]:
    """Turn whatever orbax raises over a folder that it cannot read into one error."""
    try:
        yield
    except (CheckpointError, ImportError, OSError, jax.errors.JaxRuntimeError):  # which say what they are
        raise
    except Exception as problem:
        words = str(problem).strip().partition("\n")[0]
        if "PERMISSION_DENIED" in words:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path) from problem
        told = f"orbax cannot read it: {type(problem).__name__}: {words[:_MOST_WORDS]}"
        raise damaged(path, told) from problem


def _items(path: str) -> dict[str, str]:
    """Return the folders with trees that a checkpoint has, by name; "" for one that is a tree itself."""
    if os.path.isfile(os.path.join(path, _TREE)):
        return {"": path}
    inside = {name: os.path.join(path, name) for name in sorted(os.listdir(path))}
    items = {name: at for name, at in inside.items() if os.path.isfile(os.path.join(at, _TREE))}
    if items:
        return items
    steps = [name for name, at in inside.items() if name.isdigit() and os.path.isdir(at)]
    raise CheckpointError(
        "the folder is no checkpoint of orbax's",
        code="unknown_format",
        file=path,
        steps=", ".join(steps),
        fix=f"load {os.path.join(path, max(steps, key=int))!r}, say, or use js.checkpoint.Manager"
        if steps
        else "give the folder that has the checkpoint's _METADATA in it, or one level below",
    )


def _facts(path: str) -> dict[str, str]:
    try:
        with open(os.path.join(path, DONE), encoding="utf-8") as file:
            said = json.load(file)
    except FileNotFoundError:
        return {}  # a folder of others
    except (ValueError, RecursionError):
        raise damaged(path, f"its {DONE} is no JSON") from None
    try:
        facts = said["custom_metadata"][OURS]
    except (KeyError, TypeError):
        return {}  # likewise
    if not isinstance(facts, dict) or not all(isinstance(fact, str) for fact in facts.values()):
        raise damaged(path, "its facts are not strings")
    return facts


def _named(tree: Any) -> Iterator[tuple[str, Any]]:
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        yield "/".join(str(getattr(key, "key", getattr(key, "idx", key))) for key in path), leaf


def _entry(leaf: Any) -> Entry:
    shape, dtype = getattr(leaf, "shape", None), getattr(leaf, "dtype", None)
    if shape is None or dtype is None:
        return Entry((), np.dtype("V"), f"it is no array but {type(leaf).__name__}")
    return Entry(tuple(shape), np.dtype(dtype))


def _empty(path: str, said: str) -> Entry:
    name, _, sizes = said.removesuffix("]").partition("[")
    try:
        shape = tuple(int(size) for size in sizes.split(","))
        dtype = np.dtype(getattr(jax.numpy, name, name))
    except (ValueError, TypeError):
        shape, dtype = (-1,), np.dtype("V")
    if bad_shape(shape) or 0 not in shape:
        raise damaged(path, f"an empty array is said to be {said[:100]!r}")
    return Entry(shape, dtype)
