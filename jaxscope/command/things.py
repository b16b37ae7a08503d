"""Things to look at: files, and nets with shapes of their inputs."""

import importlib
import importlib.util
import os
import re
import sys
from typing import Any

import jax
import numpy as np

import jaxscope as js
from jaxscope.command.mistakes import MistakeError, told
from jaxscope.command.progress import Progress

_SHORT = {"f": "float", "bf": "bfloat", "i": "int", "u": "uint", "c": "complex"}
_TYPE = re.compile(r"(?P<dtype>[a-z]+[0-9]*(?:_?[a-z0-9]+)*)\[(?P<shape>[0-9, ]*)\]")
_WORDS = {"true": True, "false": False, "none": None}
_NET = re.compile(r"(?P<module>[\w.]+|.+\.py):(?P<name>[\w.]+)")


class File(js.checkpoint.CheckpointReader):
    """An open file that shows how much of it was read."""

    progress: Progress | None = None

    def __getitem__(self, name: str) -> np.ndarray[Any, Any]:
        value = super().__getitem__(name)
        if self.progress is not None:
            self.progress.add(value.nbytes)
        return value


def is_net(thing: str) -> bool:
    """Tell whether a word means a net, and no file that is there."""
    return not os.path.exists(thing) and _NET.fullmatch(thing) is not None


def file_of(thing: str) -> File:
    """Open a file."""
    return File(thing)


def opened(thing: str, inputs: list[str]) -> Any:
    """Return a file, open, or the specs of a net."""
    return net_of(thing, inputs)[0] if is_net(thing) else file_of(thing)


def net_of(thing: str, inputs: list[str]) -> tuple[js.VariableSpecs, Any, list[Any], dict[str, Any]]:
    """Return the specs of a net, the net, and its arguments.

    Raises:
        MistakeError: There is no such module or net; or running either raised an error.
    """
    match = _NET.fullmatch(thing)
    assert match is not None
    args, kwargs = arguments(inputs)
    module = _imported(match["module"])
    net: Any = module
    for part in match["name"].split("."):
        if not hasattr(net, part):
            there = [name for name, value in vars(module).items() if isinstance(value, js.Transformed)]
            hint = f"; it has {', '.join(there)}" if there else ""
            raise MistakeError(f"there is no {match['name']!r} in {match['module']!r}{hint}")
        net = getattr(net, part)
    if not callable(net):
        raise MistakeError(f"{thing} is no net or function, but {type(net).__name__}")
    try:
        return js.transform(net).spec(*args, **kwargs), net, args, kwargs
    except js.errors.JaxscopeError:
        raise
    except Exception as problem:
        hint = "; say what it takes by --input, once for each argument" if not inputs else ""
        raise MistakeError(f"{thing} cannot be called with {inputs}: {told(problem)}{hint}") from problem


def _imported(name: str) -> Any:
    if name.endswith(".py") and not os.path.isfile(name):
        raise MistakeError(f"there is no file {name!r}")
    try:
        if name.endswith(".py"):
            spec = importlib.util.spec_from_file_location("_jaxscope_asked", name)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            sys.path.insert(0, os.path.dirname(os.path.abspath(name)))
            spec.loader.exec_module(module)
            return module
        sys.path.insert(0, os.getcwd())
        return importlib.import_module(name)
    except ModuleNotFoundError as problem:
        raise MistakeError(f"{name!r} is no file, and no module: {problem}") from problem
    except Exception as problem:
        raise MistakeError(f"importing {name!r} raised {told(problem)}") from problem


def arguments(inputs: list[str]) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments that words mean, by position and by name.

    Example:
        >>> arguments(["f32[2,3]", "training=true"])
        ([ShapeDtypeStruct(shape=(2, 3), dtype=float32)], {'training': True})
    """
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for word in inputs:
        name, equals, value = word.partition("=")
        if equals and name.isidentifier():
            kwargs[name] = _argument(value)
        else:
            args.append(_argument(word))
    return args, kwargs


def _argument(word: str) -> Any:
    if word.lower() in _WORDS:
        return _WORDS[word.lower()]
    if match := _TYPE.fullmatch(word):
        shape = tuple(int(size) for size in match["shape"].split(",") if size.strip())
        return jax.ShapeDtypeStruct(shape, dtype_of(match["dtype"]))
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    if re.fullmatch(r"'.*'|\".*\"", word):
        return word[1:-1]
    raise MistakeError(
        f"{word!r} is no input: write a type and shape like f32[8,128], true, false, none, a number, 'text'"
    )


def dtype_of(word: str) -> Any:
    """Return the element type that a word means: `f32`, `bf16`, `float32`.

    Example:
        >>> dtype_of("bf16"), dtype_of("float32")
        (dtype(bfloat16), dtype('float32'))
    """
    match = re.fullmatch(r"([a-z]+)([0-9]+)", word)
    full = _SHORT.get(match[1], match[1]) + match[2] if match else word
    try:
        return np.dtype(getattr(jax.numpy, full, full))
    except TypeError:
        raise MistakeError(
            f"{word!r} is no element type; there are f32, bf16, float32, i32, bool, ..."
        ) from None
