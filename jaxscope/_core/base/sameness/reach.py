"""Reach: what a function's code takes by name from outside, and which code is the user's own."""

import dis
import functools
import importlib.util
import os
import sys
import sysconfig
from types import CodeType, ModuleType
from typing import Any, NamedTuple

from jaxscope._core.base.compat import JAX_FOLDER, OWN_FOLDER

__all__ = ["Reads", "is_library", "is_library_name", "reads_of"]


class Name(NamedTuple):
    """A global that code takes, with the attributes that it takes of it: `np.linalg.norm`."""

    name: str
    attributes: tuple[str, ...] = ()


class Import(NamedTuple):
    """An import in the body of a function, and the names that it takes; none: the module itself."""

    module: str
    level: int
    names: tuple[str, ...] | None

    def resolved(self, package: str) -> str:
        """Return the module's absolute name, for code of a package."""
        return importlib.util.resolve_name("." * self.level + self.module, package)


class Reads:
    """What one code object takes from outside; equal only to itself.

    Attributes:
        code: The code object, which is kept alive, so that its address stays its own.
        library: Whether its file belongs to Python, JAX, jaxscope or an installed package.
        standard: Whether it belongs to Python, which knows nothing of traces.
        names: The globals that it takes; of a library's code they are not looked for.
        imports: What it imports when it runs; likewise.
        shared: What it takes of variables of functions around it; likewise.
    """

    __slots__ = ("code", "imports", "library", "names", "shared", "standard")

    def __init__(self, code: CodeType) -> None:
        self.code = code
        self.library = _is_library_file(code.co_filename)
        self.standard = self.library and _is_standard_file(code.co_filename)
        names: dict[Name, None] = {}
        imports: dict[Import, None] = {}
        shared: dict[Name, None] = {}
        if not self.library:
            _collect(code, names, imports, shared)
        self.names = tuple(names)
        self.imports = tuple(imports)
        self.shared = tuple(name for name in shared if name.name in code.co_freevars)


_known: dict[int, Reads] = {}
_MOST = 8192


def reads_of(code: CodeType) -> Reads:
    """Return what a code object takes from outside.

    Example:
        >>> reads_of((lambda x: jnp.tanh(x)).__code__).names
        (Name(name='jnp', attributes=('tanh',)),)
    """
    reads = _known.get(id(code))  # a code object's own hash takes long
    if reads is None:
        if len(_known) >= _MOST:
            _known.clear()
        reads = _known.setdefault(id(code), Reads(code))
    return reads


_GLOBAL = frozenset(
    {"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS", "STORE_GLOBAL", "DELETE_GLOBAL"}
)
_SHARED = frozenset({"LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF"})
_ATTRIBUTE = frozenset({"LOAD_ATTR", "LOAD_METHOD"})
_BETWEEN = frozenset({"CACHE", "EXTENDED_ARG", "PUSH_NULL", "NOP"})


def _collect(
    code: CodeType, names: dict[Name, None], imports: dict[Import, None], shared: dict[Name, None]
) -> None:
    """Add what a code object, and those inside it, take from outside."""
    last: Name | None = None
    where = names
    level: Any = 0
    asked: Any = None
    for step in dis.get_instructions(code):
        if step.opname in _BETWEEN:
            continue
        if last is not None and step.opname in _ATTRIBUTE:
            last = Name(last.name, (*last.attributes, step.argval))
            continue
        if last is not None:
            where[last] = None
        where = shared if step.opname in _SHARED else names
        last = Name(step.argval) if step.opname in _GLOBAL or where is shared else None
        if step.opname == "IMPORT_NAME":  # which takes the level and the names from the stack
            imports[Import(step.argval, level, asked)] = None
        level, asked = asked, step.argval
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            _collect(constant, names, imports, shared)


@functools.lru_cache(maxsize=4096)
def is_library(module: ModuleType) -> bool:
    """Tell whether a module belongs to Python, JAX, jaxscope or an installed package.

    Example:
        >>> is_library(jnp), is_library(ModuleType("mine"))
        (True, False)
    """
    file = getattr(module, "__file__", None)
    return _is_library_module(module.__name__, file if isinstance(file, str) else None)


def is_library_name(name: object) -> bool:
    """Tell the same of the module that has a name."""
    module = sys.modules.get(name) if isinstance(name, str) else None
    return module is not None and is_library(module)


@functools.lru_cache(maxsize=4096)
def _is_library_module(name: str, file: str | None) -> bool:
    if file is not None:
        return _is_library_file(file)
    if name.partition(".")[0] in sys.stdlib_module_names:
        return True
    paths = list(getattr(sys.modules.get(name), "__path__", ()))  # a package without a file of its own
    return bool(paths) and all(_is_library_file(path + os.sep) for path in paths)


_STANDARD = tuple(
    {sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib") if sysconfig.get_path(name)}
)
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")


def _is_library_file(file: str) -> bool:
    if any(part in file for part in _INSTALLED):
        return True
    return file.startswith((JAX_FOLDER, OWN_FOLDER)) or _is_standard_file(file)


def _is_standard_file(file: str) -> bool:
    return not any(part in file for part in _INSTALLED) and file.startswith(("<frozen ", *_STANDARD))
