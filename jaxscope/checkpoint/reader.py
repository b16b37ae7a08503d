"""An open file as TF1's reader of checkpoints shows it: names, shapes, types, and values as they are."""

import functools
import os
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np

from jaxscope.checkpoint import along, contents, formats, reads
from jaxscope.errors import near


class CheckpointReader(Mapping[str, np.ndarray[Any, Any]]):
    """The arrays of an open file or folder, by their names there; each is read when it is asked for.

    It is a mapping, with the methods of TF1's class of this name beside. Values are NumPy's, of the types in
    the file; what goes along with variables under a name of ours (optimizer state, keys) is left out.

    Args:
        path: As of `load`.

    Attributes:
        path: The file or folder.
        non_trainable: The names of arrays that were saved as not trainable.
        key_impls: Name -> implementation, of arrays that are the data of typed keys.

    Raises:
        CheckpointError: As of `load`.
        FileNotFoundError: There is none.

    Example:
        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "model.npz")
        >>> saving = js.checkpoint.save(path, {"a/w": jnp.ones([2, 3])})
        >>> reader = js.checkpoint.CheckpointReader(path)
        >>> reader.get_variable_to_shape_map(), reader["a/w"].sum()
        ({'a/w': [2, 3]}, np.float32(6.0))
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._stored = formats.opened(os.fspath(path), mapped=True)
        contents.check_version(self._stored)
        self.path = self._stored.path
        names = [name for name in self._stored.entries if not reads.is_hidden(self._stored, name)]
        self._entries = {name: self._stored.entries[name] for name in names}
        self.non_trainable = frozenset(name for name in names if contents.FROZEN + name in self._stored.facts)

        self.key_impls = {
            name: self._stored.facts[contents.IMPL + name]
            for name in names
            if contents.IMPL + name in self._stored.facts
        }

    def __getitem__(self, name: str) -> np.ndarray[Any, Any]:
        if name not in self._entries:
            close = near(str(name), self._entries)
            raise KeyError(
                f"no array {name!r} in {self.path!r}" + (f"; near names: {close}" if close else "")
            )
        reads.check_expansion(self._stored, [name])
        return self._stored.numpy(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    __eq__ = object.__eq__
    __hash__ = object.__hash__  # pyright: ignore[reportAssignmentType] - Mapping says None

    def __repr__(self) -> str:
        return f"<CheckpointReader {self.path!r}: {len(self)} arrays>"

    def has_tensor(self, name: str) -> bool:
        """Tell whether there is an array of a name."""
        return name in self._entries

    def get_tensor(self, name: str) -> np.ndarray[Any, Any]:
        """Return an array, as `reader[name]` does."""
        return self[name]

    def get_variable_to_shape_map(self) -> dict[str, list[int]]:
        """Return the axis lengths of each array by name."""
        return {name: list(entry.shape) for name, entry in self._entries.items()}

    def get_variable_to_dtype_map(self) -> dict[str, np.dtype[Any]]:
        """Return the type in the file of each array by name; of what is no array of numbers, NumPy's `V`."""
        return {name: entry.dtype for name, entry in self._entries.items()}

    @property
    def unreadable(self) -> dict[str, str]:
        """Why arrays cannot be variables here, by name; strings can be read nevertheless."""
        return {name: entry.problem for name, entry in self._entries.items() if entry.problem}

    @functools.cached_property
    def step(self) -> int | None:
        """The step that was saved, in a TF1 file `global_step`; None for none."""
        return along.step_of(self._stored)

    @functools.cached_property
    def key(self) -> jax.Array | None:
        """The key or keys that were saved along, typed or legacy as they were; None for none."""
        return along.key_of(self._stored)

    @property
    def along(self) -> dict[str, str]:
        """What goes along under names of ours, by the name in the file: its type and shape as one word."""
        hidden = self._stored.entries.keys() - self._entries.keys()
        return {name: str(self._stored.entries[name]) for name in sorted(hidden)}


def load_checkpoint(path: str | os.PathLike[str]) -> CheckpointReader:
    """Open a file or folder to look into, as TF1's function of this name does.

    Args:
        path: As of `load`.

    Returns:
        The reader; nothing is read yet but names, shapes and types.

    Raises:
        CheckpointError: As of `load`.
        FileNotFoundError: There is none.

    Example:
        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "model.ckpt")
        >>> saving = js.checkpoint.save(path, {"a/w": jnp.ones([2])}, step=7)
        >>> reader = js.checkpoint.load_checkpoint(path)
        >>> list(reader), reader.step
        (['a/w', 'global_step'], 7)
    """
    return CheckpointReader(path)
