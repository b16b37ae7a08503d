"""The manager: a training's checkpoints by step, saved while it goes on, the last few kept and found."""

import os
import shutil
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import jax

import jaxscope as js
from jaxscope.checkpoint import contents, folders
from jaxscope.checkpoint.loaded import Loaded
from jaxscope.checkpoint.loading import load
from jaxscope.checkpoint.saving import Saving
from jaxscope.checkpoint.snapshot import held

_TRASH = ".deleted"


class Manager:
    """A folder with one checkpoint of orbax's for each step saved, and a context that waits for the last one.

    Saves go on in threads, each process writing what its devices have. A checkpoint has its name only when it
    is complete; what a killed process left unfinished is removed. Each is a folder that `js.checkpoint.load`
    reads.

    Args:
        folder: Where they are; made if it is not there. All processes must see it.
        keep: How many of the last ones stay; None for all.
        every: `save` does nothing at steps that are no multiple of this, unless it is forced.

    Raises:
        CheckpointError: A folder called by a number is no checkpoint, and would be deleted as one (code
            `unknown_format`).
        ImportError: orbax is not installed: `pip install 'jaxscope[checkpoint]'`.

    Example:
        >>> import tempfile
        >>> with js.checkpoint.Manager(tempfile.mkdtemp(), keep=2, every=10) as manager:
        ...     for step in range(31):
        ...         saved = manager.save(step, {"w": jnp.full(2, step)}, key=jax.random.key(step))
        ...     manager.wait()
        ...     manager.steps, manager.load()["w"], manager.load(step=20).key == jax.random.key(20)
        ([20, 30], Array([30, 30], dtype=int32...), Array(True, dtype=bool))
    """

    def __init__(self, folder: str | os.PathLike[str], *, keep: int | None = 3, every: int = 1) -> None:
        if every < 1 or (keep is not None and keep < 1):
            raise ValueError(f"keep and every must be 1 at least, not {keep} and {every}")
        ocp = folders.orbax()
        self._folder = os.path.abspath(os.fspath(folder))
        folders.check_steps(self._folder)
        self._every = int(every)
        self._saving: Saving | None = None
        self._sweep()
        self._manager = ocp.CheckpointManager(
            self._folder,
            options=ocp.CheckpointManagerOptions(
                save_interval_steps=every,
                preservation_policy=ocp.checkpoint_managers.LatestN(keep),  # None: all
                cleanup_tmp_directories=True,
                # A folder that is deleted file by file would look complete after a crash: it is renamed
                # first.
                todelete_subdir=_TRASH,
                enable_async_checkpointing=True,
            ),
        )

    def save(
        self,
        step: int,
        variables: Mapping[str, Any],
        *,
        opt_state: Any = None,
        key: Any = None,
        force: bool = False,
    ) -> bool:
        """Begin to save, if the step's turn has come; an earlier save that is going on is waited for.

        What is written are the values of now; the arrays may be donated at once.

        Args:
            step: The step's number, larger than the last one saved.
            variables: Full name -> array, or mappings inside mappings.
            opt_state: Any pytree of arrays.
            key: One typed or legacy key, or many.
            force: Save whatever `every` says: at the end, say.

        Returns:
            Whether it is being saved.

        Raises:
            CheckpointError: Something cannot be saved (code `unsupported`).
            Exception: What went wrong in the save before.
        """
        step = int(step)
        if step % self._every and not force:
            return False
        arrays, facts = contents.flat(variables, opt_state, step, key)
        holders, problems = held(arrays, spread=True)
        if problems:
            raise contents.unsupported(problems)
        self._finish()
        if not force and not self._manager.should_save(step):
            return False
        if jax.process_count() > 1 or not all(one.on_host for one in holders.values()):
            threading.Thread(target=self._sweep, daemon=True).start()
            # Orbax copies from accelerators, and keeps the processes together, before it lets the caller go
            # on.
            return bool(self._manager.save(step, force=force, **folders.arguments(arrays, facts)))
        for one in holders.values():
            one.pin()

        def work() -> None:
            there = {name: one.for_orbax() for name, one in holders.items()}
            self._manager.save(step, force=force, **folders.arguments(there, facts))
            self._manager.wait_until_finished()
            self._sweep()

        self._saving = Saving(os.path.join(self._folder, str(step)), work)
        return True

    def _sweep(self) -> None:
        """Delete what is no longer kept; not the folder of it, into which orbax may just move more."""
        trash = os.path.join(self._folder, _TRASH)
        if jax.process_index() == 0 and os.path.isdir(trash):
            for name in os.listdir(trash):
                shutil.rmtree(os.path.join(trash, name), ignore_errors=True)

    def _finish(self) -> None:
        saving, self._saving = self._saving, None
        if saving is not None:
            saving.wait()

    def load(self, specs: js.VariableSpecs | None = None, *, step: int | None = None, **how: Any) -> Loaded:
        """Open a checkpoint, the last one if no step is given.

        Args:
            specs: As of `js.checkpoint.load`.
            step: The step; None for the last one.
            **how: As of `js.checkpoint.load`: `opt_state`, `mesh`, `rename`, ...

        Raises:
            FileNotFoundError: There is none.
            VariablesMismatchError: As `js.checkpoint.load`.
        """
        self.wait()
        last = self.latest_step if step is None else int(step)
        if last is None or last not in self.steps:
            what = "any step" if last is None else f"step {last}"
            raise FileNotFoundError(
                f"there is no checkpoint of {what} in {self._folder!r}; steps: {self.steps}"
            )
        return load(os.path.join(self._folder, str(last)), specs, **how)

    @property
    def latest_step(self) -> int | None:
        """The last step that is completely saved; None where there is none."""
        found = self._manager.latest_step()
        return None if found is None else int(found)

    @property
    def steps(self) -> list[int]:
        """The steps that are completely saved, in order."""
        return sorted(int(step) for step in self._manager.all_steps())

    def wait(self) -> None:
        """Wait until what is being saved is on the disk.

        Raises:
            Exception: What went wrong.
        """
        self._finish()
        self._manager.wait_until_finished()

    def close(self) -> None:
        """Wait, and let go of the folder; leaving the context does it."""
        try:
            self._finish()
        finally:
            self._manager.close()
            self._sweep()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Manager {self._folder!r}, steps {self.steps}>"
