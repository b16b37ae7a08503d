"""`tf.gfile`, `tf.io.gfile`: files of this machine, by Python's own functions."""

import glob
import os
import shutil
from collections.abc import Iterator
from typing import Any

from jaxscope.tf1.base.errors import NotFoundError
from jaxscope.tf1.base.exporting import export_constant

__all__: list[str] = []


def _path(name: Any) -> str:
    return os.fsdecode(os.fspath(name))


def _open(name: Any, mode: str = "r") -> Any:
    """Open a file, which reads and writes text as UTF-8.

    Raises:
        NotFoundError: If there is none to read (`not_found`).
    """
    try:
        return open(_path(name), mode, encoding=None if "b" in mode else "utf-8")
    except FileNotFoundError as error:
        raise NotFoundError(f"{_path(name)}; No such file or directory") from error


def _glob(filename: Any) -> list[str]:
    patterns = filename if isinstance(filename, list | tuple) else [filename]
    return sorted(found for pattern in patterns for found in glob.glob(_path(pattern)))


def _listed(dirname: Any) -> list[str]:
    try:
        return sorted(os.listdir(_path(dirname)))
    except FileNotFoundError as error:
        raise NotFoundError(f"{_path(dirname)}; No such file or directory") from error


def _copy(oldpath: Any, newpath: Any, overwrite: bool = False) -> None:
    with open(_path(oldpath), "rb") as source, open(_path(newpath), "wb" if overwrite else "xb") as copy:
        shutil.copyfileobj(source, copy)


def _rename(oldname: Any, newname: Any, overwrite: bool = False) -> None:
    if not overwrite and os.path.exists(_path(newname)):
        raise FileExistsError(_path(newname))
    os.replace(_path(oldname), _path(newname))


def _walk(top: Any, in_order: bool = True) -> Iterator[tuple[str, list[str], list[str]]]:
    return os.walk(_path(top), topdown=in_order)


_FUNCTIONS: dict[tuple[str, ...], Any] = {
    ("GFile", "Open", "FastGFile"): _open,
    ("Exists", "exists"): lambda path: os.path.exists(_path(path)),
    ("IsDirectory", "isdir"): lambda dirname: os.path.isdir(_path(dirname)),
    ("Glob", "glob"): _glob,
    ("ListDirectory", "listdir"): _listed,
    ("MkDir", "mkdir"): lambda dirname: os.mkdir(_path(dirname)),
    ("MakeDirs", "makedirs"): lambda dirname: os.makedirs(_path(dirname), exist_ok=True),
    ("Remove", "remove"): lambda filename: os.remove(_path(filename)),
    ("DeleteRecursively", "rmtree"): lambda dirname: shutil.rmtree(_path(dirname)),
    ("Copy", "copy"): _copy,
    ("Rename", "rename"): _rename,
    ("Stat", "stat"): lambda filename: os.stat(_path(filename)),
    ("Walk", "walk"): _walk,
}
for _names, _function in _FUNCTIONS.items():
    for _name in _names:
        export_constant(
            _function, f"io.gfile.{_name}" if _name.islower() or _name == "GFile" else f"gfile.{_name}"
        )
export_constant(_open, "gfile.GFile")
