"""`tf1.as_tensorflow`: published source that imports tensorflow gets `jaxscope.tf1` instead."""

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any, Self

from jaxscope.tf1.base.errors import TensorValueError
from jaxscope.tf1.base.faces import face, register

__all__ = ["Installed", "as_tensorflow"]


class _Inner(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds inner modules, `tensorflow.python.framework.ops`, while `tensorflow` is ours."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        first, *rest = fullname.split(".")
        if first == "tensorflow" and "python" in rest:
            return importlib.machinery.ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        module = face(spec.name.removeprefix("tensorflow."))
        module.__name__ = spec.name  # by which `from module import inner` looks for the inner module
        return module

    def exec_module(self, module: ModuleType) -> None:
        pass


class Installed:
    """`jaxscope.tf1` under the name of `tensorflow`, until it is undone; a context manager that undoes it.

    Attributes:
        undo: A method that takes the name away again.
    """

    def __init__(self, tf: ModuleType) -> None:
        self._finder = _Inner()
        sys.meta_path.insert(0, self._finder)
        sys.modules["tensorflow"] = tf
        sys.modules["tensorflow.compat.v1"] = tf
        register("tensorflow")

    def undo(self) -> None:
        """Take the name `tensorflow` away; what has imported it keeps what it has."""
        if self._finder in sys.meta_path:
            sys.meta_path.remove(self._finder)
            for name in [
                name for name in sys.modules if name == "tensorflow" or name.startswith("tensorflow.")
            ]:
                del sys.modules[name]
            vars(sys.modules["jaxscope.tf1"]).pop(
                "python", None
            )  # put there by the import of an inner module

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.undo()


def as_tensorflow() -> Installed:
    """Let `import tensorflow as tf`, and its submodules, give `jaxscope.tf1`: published source runs as it is.

    Returns:
        What undoes it, by `undo()` or at the end of a `with` block.

    Raises:
        TensorValueError: If a module of that name is imported already (`tensorflow_is_here`).

    Example:
        >>> with as_tensorflow():
        ...     import tensorflow as tf
        >>> tf.__name__
        'jaxscope.tf1'
    """
    if "tensorflow" in sys.modules:
        raise TensorValueError(
            "a module called tensorflow is imported already",
            code="tensorflow_is_here",
            fix="undo() of the earlier call; or a process that does not import TensorFlow",
        )
    tf: Any = sys.modules["jaxscope.tf1"]
    return Installed(tf)
