"""Saving: all of a training's state into one file or folder, now or behind the caller's back."""

import os
import threading
from collections.abc import Callable, Mapping
from typing import Any

import jax

from jaxscope.checkpoint import contents, folders, formats
from jaxscope.checkpoint.snapshot import held, telling


class Saving:
    """A save that may go on in a thread of its own.

    The process does not end before it has. If it fails and nobody `wait`s, the next `save` raises the error.
    """

    def __init__(self, path: str, work: Callable[[], None] | None = None) -> None:
        self._path = path
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None
        if work is not None:
            # No daemon: the interpreter waits for it.
            self._thread = threading.Thread(target=self._run, args=[work], name=f"jaxscope saves {path}")
            self._thread.start()

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as problem:  # noqa: BLE001 - raised where somebody waits
            problem.add_note(f"in saving {self._path!r}")
            self._error = problem

    @property
    def done(self) -> bool:
        """Whether it has ended, well or not."""
        return self._thread is None or not self._thread.is_alive()

    def wait(self) -> None:
        """Wait until the file is on the disk.

        Raises:
            Exception: What went wrong, once; the last file is as it was.
        """
        if self._thread is not None:
            self._thread.join()
        problem, self._error = self._error, None
        if problem is not None:
            raise problem

    def __repr__(self) -> str:
        return f"<Saving {self._path!r}, {'done' if self.done else 'going on'}>"


_lock = threading.Lock()
_last: list[Saving] = []


def save(
    path: str | os.PathLike[str],
    variables: Mapping[str, Any],
    *,
    opt_state: Any = None,
    step: Any = None,
    key: Any = None,
    wait: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Saving:
    """Save variables, and what else a training needs; a crash leaves the last file, or the new one.

    The file is written under another name, brought to the disk, and renamed; who has the old one open or
    mapped keeps it.

    Args:
        path: By its ending: `.safetensors`, `.npz`, `.ckpt` (or `.ckpt-7`) for a checkpoint of TF1's, whose
            files' names begin so, or none for a folder of orbax's, into which any number of processes write
            together.
        variables: Full name -> array, or mappings inside mappings.
        opt_state: Any pytree of arrays, such as an optax state. It is stored by the paths of its leaves.
        step: An integer; in a checkpoint of TF1's it is `global_step`, unless a variable is.
        key: One typed or legacy key, or many.
        wait: False returns at once and writes in a thread. What is written are the values of now: arrays on
            the host are held, so that JAX copies those that are donated meanwhile; those of accelerators and
            NumPy's are copied before. One save goes on at a time; the next waits for it. Several processes
            that write a folder always wait.
        progress: Called as each array of a file is about to be written, in the thread that writes, with how
            many bytes are written, and of how many; at the end once more.

    Returns:
        The `Saving`, whose `wait()` waits and raises.

    Raises:
        CheckpointError: The ending is of no format (code `unknown_format`), or something cannot be saved
            (code `unsupported`); one error tells all of it, and nothing is written.
        ImportError: A folder needs orbax: `pip install 'jaxscope[checkpoint]'`; TF1's checkpoints need
            google-crc32c: `pip install 'jaxscope[tf1]'`.
        OSError: The file cannot be written; the last one is as it was.

    Example:
        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "model.safetensors")
        >>> saving = js.checkpoint.save(path, {"w": jnp.ones(3)}, step=7)
        >>> js.checkpoint.load(path).step
        7
    """
    path = os.fspath(path)
    arrays, facts = contents.flat(variables, opt_state, step, key)
    ending = formats.ending(path)
    apart = jax.process_count() > 1
    holders, problems = held(arrays, spread=not ending and apart)
    problems += formats.unheld(path, {name: one.dtype for name, one in holders.items()})
    if problems:
        raise contents.unsupported(problems)
    if not ending:
        folders.orbax()
        path = os.path.realpath(path)
        folders.check_free(path)
    path = os.path.abspath(path)  # a thread writes where this one is now
    if ending and not os.path.isdir(os.path.dirname(path)):
        raise FileNotFoundError(f"there is no folder {os.path.dirname(path)!r} to save into")
    if ending == formats.TF1:
        formats.FILES[ending].ready(path)
    now = wait or (apart and not ending)
    total = sum(one.nbytes for one in holders.values())

    def work() -> None:
        if ending:
            formats.FILES[ending].write(path, telling(holders, progress), facts)
        else:
            folders.write(path, {name: one.for_orbax() for name, one in holders.items()}, facts)
        if progress is not None:
            progress(total, total)

    with _lock:
        _await_last()
        if now:
            work()
            return Saving(path)
        for one in holders.values():
            one.start()
        for one in holders.values():
            one.pin()
        saving = Saving(path, work)
        _last.append(saving)
        return saving


def _await_last() -> None:
    while _last:
        _last.pop().wait()
