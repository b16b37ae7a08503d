"""Folders of orbax's: what several processes write and read together, each device its own part.

Ours have one item, `arrays`, a dict by name, and facts as custom metadata. Of others any tree is read: the
keys on the way to an array, joined by slashes, are its name.

Arrays of no elements, which orbax refuses, are facts.
"""

import os
import shutil
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jaxscope.checkpoint.stored import Entry
from jaxscope.errors import CheckpointError
from jaxscope.extras import library
from jaxscope.writing import sync_folder

NEEDING = "a folder of variables"
ITEM = "arrays"
OURS = "jaxscope"
EMPTY = "empty:"
DONE = "_CHECKPOINT_METADATA"  # the file that is written last
_BESIDE = (DONE, "commit_success.txt")


def orbax() -> Any:
    """Return the module `orbax.checkpoint`.

    Raises:
        ImportError: It is not installed.
    """
    return library("orbax.checkpoint", NEEDING)


def epath(path: str) -> Any:
    """Return a path as orbax's handlers take it."""
    return library("etils.epath", NEEDING).Path(path)


def arguments(arrays: Mapping[str, Any], facts: Mapping[str, str]) -> dict[str, Any]:
    """Return what orbax's `save` is to be given for arrays by name, and strings by strings."""
    ocp = orbax()
    empty = {
        EMPTY + name: str(Entry(tuple(one.shape), np.dtype(one.dtype)))
        for name, one in arrays.items()
        if not one.size
    }
    full = {name: _of_all(one) for name, one in arrays.items() if one.size}
    return {
        # orbax saves no empty tree either.
        "args": ocp.args.Composite(**{ITEM: ocp.args.PyTreeSave(full or {EMPTY: np.zeros(1, np.uint8)})}),
        "custom_metadata": {OURS: {**facts, **empty}},
    }


def _of_all(value: Any) -> Any:
    """Return an array as orbax takes it from several processes: what each has for itself is one."""
    if jax.process_count() > 1 and isinstance(value, jax.Array) and value.is_fully_addressable:
        return np.asarray(value)
    return value


def check_free(path: str) -> None:
    """Raise an error if a folder would take the place of one that has something else in it than a checkpoint.

    Raises:
        CheckpointError: It has (code `unknown_format`).
    """
    inside = os.listdir(path) if os.path.isdir(path) else []
    if inside and not (DONE in inside and all(name == ITEM or name in _BESIDE for name in inside)):
        raise CheckpointError(
            "there is a folder already, and it is not just a checkpoint of ours",
            code="unknown_format",
            file=path,
            inside=", ".join(sorted(inside)[:5]),
            fix="save under another name: the folder would have been replaced",
        )


def check_steps(path: str) -> None:
    """Raise an error if a folder has others, called by numbers, that are no checkpoints.

    Raises:
        CheckpointError: It has (code `unknown_format`).
    """
    inside = os.listdir(path) if os.path.isdir(path) else []
    numbers = [name for name in inside if name.isdigit() and os.path.isdir(os.path.join(path, name))]
    others = [name for name in numbers if not os.path.isfile(os.path.join(path, name, DONE))]
    if others:
        raise CheckpointError(
            "the folder has others in it, called by numbers, that are no checkpoints",
            code="unknown_format",
            file=path,
            inside=", ".join(sorted(others)[:5]),
            fix="use a folder of its own: they would be deleted as old steps",
        )


def write(path: str, arrays: Mapping[str, Any], facts: Mapping[str, str]) -> None:
    """Write arrays of any number of processes into a new folder that then takes the place of `path`.

    Each process calls it with the same names. Where there is a folder already, it is set aside under another
    name, the new one named, the old one removed; `found` knows what a crash between these steps leaves.
    """
    ocp = orbax()
    first = jax.process_index() == 0
    new, old = beside(path)
    if first:
        repair(path)
        _remove(new)
    _together("jaxscope:begin")
    handler = ocp.CompositeCheckpointHandler(**{ITEM: ocp.PyTreeCheckpointHandler()})
    with ocp.Checkpointer(handler) as checkpointer:
        checkpointer.save(new, **arguments(arrays, facts))
    if first:
        if os.path.isdir(path):
            os.rename(path, old)
        os.rename(new, path)
        sync_folder(os.path.dirname(path))
        _remove(old)
    _together("jaxscope:end")


def beside(path: str) -> tuple[str, str]:
    """Return the names that a new folder, and one set aside, have until the new one is in its place."""
    folder, base = os.path.split(path)
    return os.path.join(folder, f".{base}.new"), os.path.join(folder, f".{base}.old")


def found(path: str) -> str:
    """Return the folder that was saved last as a path, an absolute one: another where a crash left none."""
    if os.path.isdir(path):
        return path
    return next((other for other in beside(path) if os.path.isdir(other)), path)


def repair(path: str) -> None:
    """Finish what a crash interrupted: if there is no `path`, the folder that was saved last becomes it."""
    last = found(path)
    if last != path and os.path.isdir(last):
        os.rename(last, path)
    _remove(beside(path)[1])


def _remove(folder: str) -> None:
    if os.path.isdir(folder):
        shutil.rmtree(folder)


def _together(what: str) -> None:
    if jax.process_count() > 1:
        orbax().multihost.sync_global_processes(what)
