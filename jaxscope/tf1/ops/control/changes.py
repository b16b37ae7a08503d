"""What a branch gives to trainable variables: it leaves the branch as a result of it."""

import contextlib
from collections.abc import Callable, Generator
from typing import Any

import jax.numpy as jnp

from jaxscope.tf1.ops.control.steps import again
from jaxscope.tf1.ops.variables.finding import read
from jaxscope.tf1.ops.variables.variable import changed_values

__all__ = ["Changes"]


class _More(Exception):  # noqa: N818 - it never leaves this module
    """A branch changes a variable of which that was not known."""


class _Block:
    """One run of a branch.

    Attributes:
        values: The values, at its end, of the variables that some branch changes.
    """

    def __init__(self, names: list[str], before: dict[str, Any]) -> None:
        self._names, self._before = names, before
        self.values: list[Any] = []

    def note(self) -> None:
        """Note the values; `_More` if there are others than was known."""
        now = changed_values() or {}
        more = [name for name in now if name not in self._names and now[name] is not self._before.get(name)]
        if more:
            self._names.extend(more)
            raise _More
        self.values = [jnp.asarray(now[name] if name in now else read(name)) for name in self._names]


class Changes:
    """What the branches of one choice change of trainable variables.

    The names are found out while the branches are traced: where one changes more than was known, all are
    traced once more.
    """

    def __init__(self) -> None:
        self._names: list[str] = []

    @contextlib.contextmanager
    def undone(self) -> Generator[_Block]:
        """Let a branch change variables; behind it they are what they were."""
        before = dict(changed_values() or {})
        try:
            yield _Block(self._names, before)
        finally:
            now = changed_values()
            if now is not None:
                now.clear()
                now.update(before)

    def traced(self, trace: Callable[[], Any]) -> Any:
        """Return what is traced, once all changes are known."""
        try:
            return trace()
        except _More:
            with again():
                return self.traced(trace)

    def kept(self, arrays: list[Any]) -> list[Any]:
        """Keep the values that the branches returned behind their results, and return these."""
        count = len(arrays) - len(self._names)
        now = changed_values()
        if now is not None:
            now.update(zip(self._names, arrays[count:], strict=True))
        return arrays[:count]
