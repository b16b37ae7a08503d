"""`jaxscope convert`: a file as one of another format, names or types."""

import argparse
import os
import re
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxscope as js
from jaxscope.command.inspecting import leaf_bytes
from jaxscope.command.mistakes import MistakeError
from jaxscope.command.progress import Progress
from jaxscope.command.things import dtype_of
from jaxscope.inspect.renames import renamed
from jaxscope.inspect.tables import counted, human_bytes

_STEP = "global_step"  # in TF1


def add_to(commands: Any) -> None:
    """Add the command."""
    made = commands.add_parser(
        "convert",
        help="write a file of another format, names or types",
        description="Write variables into another file; by ending: .safetensors, .npz, .ckpt, or a folder.",
    )
    made.add_argument("source", metavar="IN", help="a file of variables")
    made.add_argument("target", metavar="OUT", help="the file to write")
    made.add_argument(
        "--rename",
        action="append",
        default=[],
        metavar="A=B",
        help="pattern of whole names = new names; \\1 for a group",
    )
    made.add_argument(
        "--select", action="append", default=[], metavar="PATTERN", help="take only these names"
    )
    made.add_argument("--drop", action="append", default=[], metavar="PATTERN", help="leave these names out")
    made.add_argument(
        "--dtype",
        action="append",
        default=[],
        metavar="[PATTERN=]BF16",
        help="cast fractions, all or of some names",
    )
    made.add_argument("--force", action="store_true", help="write over a file that is there")
    made.set_defaults(run=run)


def run(asked: argparse.Namespace) -> bool:
    """Do it."""
    source, target = asked.source, asked.target
    if (os.path.exists(target) or os.path.exists(f"{target}.index")) and not asked.force:
        raise MistakeError(f"{target!r} is there already; --force writes over it")
    reader = js.checkpoint.load_checkpoint(source)
    unreadable = reader.unreadable
    names = chosen([name for name in reader if name not in unreadable], asked.select, asked.drop)
    if _STEP in names and reader.step is not None and int(reader[_STEP]) == reader.step:
        names.remove(_STEP)  # it is written as the step, and called as the other format calls that
    new = renamed(names, renames(asked.rename))
    types = casts(asked.dtype, names)
    values: dict[str, Any] = {}
    sizes = leaf_bytes(reader)
    with Progress(f"reading {source}", sum(sizes[name] for name in new)) as progress:
        for name, to in new.items():
            values[to] = cast_to(name, reader[name], types.get(name))
            if impl := reader.key_impls.get(name):
                values[to] = jax.random.wrap_key_data(values[to], impl=impl)
            progress.add(int(values[to].nbytes))
    frozen = [to for name, to in new.items() if name in reader.non_trainable]
    variables = js.Variables(values, non_trainable=frozen)
    total = sum(int(value.nbytes) for value in values.values())
    with Progress(f"writing {target}", total) as progress:
        js.checkpoint.save(
            target, variables, step=reader.step, key=reader.key, progress=lambda done, _: progress.at(done)
        )
    print(f"wrote {target}: {counted(len(values), 'variable')}, {human_bytes(total)}")
    tell_left(reader)
    return False


def tell_left(reader: Any) -> None:
    """Say what of a file was not converted."""
    states = [name for name in reader.along if "opt_state" in name]
    if states:
        print(f"left: the optimizer state, {counted(len(states), 'array')}", file=sys.stderr)
    for name, why in reader.unreadable.items():
        print(f"left: {name}: {why}", file=sys.stderr)


def renames(words: list[str]) -> dict[str, str | None] | None:
    """Return what words like `A=B` say; None for none.

    Example:
        >>> renames(["lm/=gpt/", "n=step"])
        {'lm/': 'gpt/', 'n': 'step'}
    """
    found: dict[str, str | None] = {}
    for word in words:
        old, equals, new = word.rpartition("=")
        if not equals or not old:
            raise MistakeError(f"a rename is written A=B, not {word!r}")
        found[compiled(old).pattern] = new
    return found or None


def chosen(names: list[str], select: list[str], drop: list[str]) -> list[str]:
    """Return the names that are to be taken; a pattern that matches none is a mistake."""
    for pattern in (*select, *drop):
        if not any(compiled(pattern).match(name) for name in names):
            raise MistakeError(f"{pattern!r} matches no name in the file")
    kept = [name for name in names if not select or any(re.match(pattern, name) for pattern in select)]
    return [name for name in kept if not any(re.match(pattern, name) for pattern in drop)]


def casts(words: list[str], names: list[str]) -> dict[str, Any]:
    """Return the element types that words like `BF16` and `.*/kernel=BF16` give; the first counts."""
    found: dict[str, Any] = {}
    for word in words:
        pattern, _, kind = word.rpartition("=")
        dtype = dtype_of(kind.lower())
        matching = [name for name in names if compiled(pattern).match(name)]
        if not matching:
            raise MistakeError(f"{pattern!r} matches no name in the file")
        for name in matching:
            found.setdefault(name, dtype)
    return found


def cast_to(name: str, value: np.ndarray[Any, Any], dtype: Any) -> np.ndarray[Any, Any]:
    """Return fractions in another type; integers and the rest as they are."""
    if dtype is None or value.dtype == dtype or not _fractions(value.dtype):
        return value
    if not _fractions(dtype):
        raise MistakeError(f"{name} has fractions, and {dtype} has none")
    with np.errstate(over="ignore", invalid="ignore"):
        made = value.astype(dtype)
    lost = np.isfinite(value).sum() - np.isfinite(made.astype(value.dtype)).sum()
    if lost:
        raise MistakeError(f"{lost:,} elements of {name} do not fit {dtype}")
    return made


def _fractions(dtype: Any) -> bool:
    return bool(jnp.issubdtype(dtype, jnp.floating))


def compiled(pattern: str) -> re.Pattern[str]:
    """Return a pattern; one that is none is a mistake."""
    try:
        return re.compile(pattern)
    except re.error as problem:
        raise MistakeError(f"{pattern!r} is no pattern: {problem}") from None
