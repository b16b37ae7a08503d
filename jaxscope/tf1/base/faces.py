"""`tf` and `tf.nn` and `tf.contrib.layers`: made of what is exported, with an answer for all else."""

import functools
import importlib
import importlib.resources
import pkgutil
import sys
from types import ModuleType
from typing import Any

from jaxscope.errors import near
from jaxscope.tf1.base.absent import GRAPH_LIFE, stand_in
from jaxscope.tf1.base.errors import MissingNameError
from jaxscope.tf1.base.exporting import EXPORTED, LATER

__all__ = ["Face", "face", "look_up", "names_here", "register", "tf1_names"]

_ROOT = "jaxscope.tf1"


@functools.cache
def load() -> None:
    """Import each module of operations: they say by themselves what they bring."""
    package = importlib.import_module(f"{_ROOT}.ops")
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(found.name)


@functools.cache
def tf1_names() -> dict[str, frozenset[str]]:
    """Return the names that TensorFlow 1 has: namespace (`""`, `"nn"`) -> names; `*` for any."""
    table: dict[str, set[str]] = {}
    text = importlib.resources.files(_ROOT).joinpath("tf1_names.txt").read_text("utf-8")
    for line in text.splitlines():
        if line and not line.startswith("#"):
            space, _, names = line.partition(":")
            table.setdefault(space.strip(), set()).update(names.split())
    return {space: frozenset(names) for space, names in table.items()}


#: Namespace -> those whose names it has, too: TF-slim takes in all of contrib.layers.
_SLIM = ("contrib.layers", "contrib.framework", "contrib.losses")
_WITHIN = {
    "contrib.slim": _SLIM,
    "contrib.slim.layers": _SLIM,
    "contrib.slim.initializers": _SLIM,
    "contrib.slim.regularizers": _SLIM,
    "contrib.slim.variables": _SLIM,
    "contrib.slim.losses": _SLIM,
}


@functools.cache
def _spaces() -> frozenset[str]:
    """Return all namespaces of TensorFlow 1's, and those around them."""
    found = {*tf1_names(), *EXPORTED, *_WITHIN, *(name[:-1] for name in GRAPH_LIFE if name.endswith("."))}
    parts = [space.split(".") for space in found]
    return frozenset({".".join(one[:n]) for one in parts for n in range(1, len(one) + 1)} - {""})


class Face(ModuleType):
    """A namespace of TensorFlow's: `tf.nn`."""

    def __init__(self, space: str) -> None:
        super().__init__(f"{_ROOT}.{space}", f"TensorFlow 1's `tf.{space}`.")
        self.__path__ = []
        self.__file__ = __file__  # by which eager calls know that it is a library's, and does not change
        self._space = space

    def __getattr__(self, name: str) -> Any:
        thing = look_up(self._space, name)
        if not isinstance(thing, ModuleType):
            setattr(self, name, thing)
        return thing

    def __dir__(self) -> list[str]:
        return names_here(self._space)


@functools.cache
def face(space: str) -> Face:
    """Return the one module of a namespace."""
    return Face(space)


def names_here(space: str) -> list[str]:
    """Return the names of a namespace that are here."""
    load()
    inside = {other for other in EXPORTED if other.rpartition(".")[0] == space and other}
    return sorted({*EXPORTED.get(space, ()), *(other.rpartition(".")[2] for other in inside)})


def look_up(space: str, name: str) -> Any:
    """Return what `tf.SPACE.NAME` is.

    Raises:
        MissingNameError: If there is none, in TensorFlow 1 too or not (`missing_name`, `unknown_name`).
    """
    if name.startswith("__"):
        raise AttributeError(f"module 'tf.{space}' has no attribute {name!r}")
    load()
    full = f"{space}.{name}" if space else name
    if full == "compat.v1":  # under which TensorFlow 1.13 and later have all of it
        return sys.modules[_ROOT]
    if name in EXPORTED.get(space, ()):
        return EXPORTED[space][name]
    if full in _spaces() or full in EXPORTED:
        return face(full)
    if space in LATER:
        return LATER[space](name)
    if full == "python.ops.variable_scope":  # a module there, whose name is that of a class in it
        return face(full)
    if "python" in full.split("."):
        return _anywhere(full, name)  # TensorFlow's inner modules: what they have is public somewhere
    absent = stand_in(full)
    if absent is not None:
        return absent
    for other in _WITHIN.get(space, ()):
        if name in EXPORTED.get(other, ()):
            return EXPORTED[other][name]
    here = near(name, names_here(space))
    if name in tf1_names().get(space, ()):
        elsewhere = ", ".join(f"tf.{one}.{name}" for one in EXPORTED if one and name in EXPORTED[one])
        raise MissingNameError(
            f"TensorFlow 1 has tf.{full}, jaxscope.tf1 has not",
            fix="write that part with jax.numpy, which takes tensors; tf.convert_to_tensor leads back",
            here=elsewhere or here,
            page="docs/how_to/tf1.md",
        )
    if "*" in tf1_names().get(space, ()):
        raise MissingNameError(f"jaxscope.tf1 has nothing of tf.{space}", page="docs/how_to/tf1.md")
    raise MissingNameError(f"there is no tf.{full}, in TensorFlow 1 neither", code="unknown_name", near=here)


#: Part of an inner module's name -> the namespace where its functions are public.
_INNER = {
    "nest": "nest",
    "layers": "layers",
    "losses": "losses",
    "image_ops": "image",
    "nn": "nn",
    "nn_impl": "nn",
    "nn_ops": "nn",
    "rnn": "nn",
    "rnn_cell": "nn.rnn_cell",
    "rnn_cell_impl": "nn.rnn_cell",
    "training": "train",
}


def _anywhere(full: str, name: str) -> Any:
    parts = full.split(".")
    inner = [_INNER[part] for part in parts[parts.index("python") :] if part in _INNER]
    outer = [full.partition(".python")[0]] if ".python" in full else []  # contrib.layers.python.layers
    for space in (*outer, *inner, "", "nn", "layers", "nn.rnn_cell", "train", *EXPORTED):
        if name in EXPORTED.get(space, ()):
            return EXPORTED[space][name]
    raise MissingNameError(
        f"TensorFlow's inner tf.{full} is not here, and nothing public of that name",
        fix="the public name, if there is another one",
        near=near(name, [other for space in EXPORTED.values() for other in space]),
    )


def register(prefix: str) -> None:
    """Let the namespaces be importable below a name: `import jaxscope.tf1.nn`."""
    for space in _spaces():
        sys.modules.setdefault(f"{prefix}.{space}", face(space))
