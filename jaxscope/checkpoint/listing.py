"""Looking into files: what is there, one array of it, and which checkpoint of a folder is the last."""

import os
from typing import Any

import numpy as np

from jaxscope.checkpoint import contents, formats, reads
from jaxscope.checkpoint.reader import load_checkpoint
from jaxscope.checkpoint.tf1 import state
from jaxscope.errors import near


def list_variables(path: str | os.PathLike[str]) -> list[tuple[str, list[int]]]:
    """Return the names and shapes of all arrays of a file or folder, as TF1's function of this name does.

    Args:
        path: As of `load`.

    Returns:
        Pairs of a full name and axis lengths, in order of names; what goes along, such as the step, is left
        out where it is not called as in TF1.

    Raises:
        CheckpointError: As of `load`.
        FileNotFoundError: There is none.

    Example:
        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "model.ckpt")
        >>> saving = js.checkpoint.save(path, {"a/w": jnp.ones([2, 3])}, step=7)
        >>> js.checkpoint.list_variables(path)
        [('a/w', [2, 3]), ('global_step', [])]
    """
    return sorted(load_checkpoint(path).get_variable_to_shape_map().items())


def load_variable(path: str | os.PathLike[str], name: str) -> np.ndarray[Any, Any]:
    """Read one array of a file or folder as it is there, as TF1's function of this name does.

    Args:
        path: As of `load`.
        name: Its name in the file; a TF1 name with `:0` behind it, too.

    Returns:
        An array of NumPy's, of the type in the file; of strings, which JAX has not, an array of `bytes`.

    Raises:
        KeyError: There is no such array; the message has near names.
        CheckpointError: As of `load`.
        FileNotFoundError: There is none.

    Example:
        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "model.ckpt")
        >>> saving = js.checkpoint.save(path, {"a/w": jnp.ones([2])}, step=7)
        >>> js.checkpoint.load_variable(path, "global_step")
        array(7)
    """
    stored = formats.opened(os.fspath(path), mapped=True)
    contents.check_version(stored)
    asked = name if name in stored.entries else name.removesuffix(":0")
    if asked not in stored.entries:
        close = near(asked, stored.entries)
        raise KeyError(f"no array {name!r} in {stored.path!r}" + (f"; near names: {close}" if close else ""))
    reads.check_expansion(stored, [asked])
    return stored.numpy(asked)


def latest_checkpoint(folder: str | os.PathLike[str]) -> str | None:
    """Return the path of a folder's last checkpoint, as its file `checkpoint` says.

    Args:
        folder: Where TF1's savers, or `save` with a name like `model.ckpt-7`, have saved.

    Returns:
        A path for `load`; None where no file says so, or what it says is not there.

    Raises:
        CheckpointError: The file `checkpoint` is no such file (code `damaged`).

    Example:
        >>> import os, tempfile
        >>> folder = tempfile.mkdtemp()
        >>> for step in (1, 2):
        ...     saving = js.checkpoint.save(os.path.join(folder, f"model.ckpt-{step}"), {"w": jnp.ones(2)})
        >>> os.path.basename(js.checkpoint.latest_checkpoint(folder))
        'model.ckpt-2'
    """
    return state.latest(os.fspath(folder))
