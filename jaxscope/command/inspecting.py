"""`jaxscope inspect`: what is in a file or a net, by scope."""

import argparse
import contextlib
import math
from collections.abc import Generator, Sequence
from typing import Any

import jaxscope as js
from jaxscope.command.mistakes import MistakeError
from jaxscope.command.printing import show
from jaxscope.command.progress import Progress
from jaxscope.command.things import File, file_of, is_net, net_of
from jaxscope.inspect.tables import counted


def add_to(commands: Any) -> None:
    """Add the command."""
    made = commands.add_parser(
        "inspect", help="what is in a file or net, by scope", description="Show what is in a file or net."
    )
    made.add_argument("thing", metavar="THING", help="a file of variables, or module:net")
    made.add_argument("--depth", default="2", help="of the scopes to tell apart; 'all' for each variable (2)")
    made.add_argument("--values", action="store_true", help="read values: norms, extremes, NaN and Inf")
    add_inputs(made)
    made.add_argument(
        "--sharing", action="store_true", help="of a net: each line that asks for each variable"
    )
    made.add_argument("--json", action="store_true", help="print JSON")
    made.set_defaults(run=run)


def add_inputs(parser: argparse.ArgumentParser) -> None:
    """Add the option for inputs of nets."""
    parser.add_argument(
        "--input", action="append", default=[], metavar="F32[2,3]", help="an argument of a net; once for each"
    )


def run(asked: argparse.Namespace) -> bool:
    """Do it."""
    depth = depth_of(asked.depth)
    if is_net(asked.thing):
        if asked.values:
            raise MistakeError("a net has no values: --values is for files")
        specs, net, args, kwargs = net_of(asked.thing, asked.input)
        if asked.sharing:
            show(js.inspect.sharing(net, *args, **kwargs), as_json=asked.json)
        else:
            show(js.inspect.summary(specs, depth), as_json=asked.json)
        return False
    if asked.sharing:
        raise MistakeError("a file does not say who asks for what: --sharing is for nets")
    file = file_of(asked.thing)
    with followed([file], f"reading {asked.thing}"):
        found = js.inspect.summary(file, depth, values=asked.values)
    if not asked.json:
        show(head(file))
    show(found, as_json=asked.json)
    return False


@contextlib.contextmanager
def followed(files: Sequence[File], words: str, times: int = 1) -> Generator[None]:
    """Show how much of some files is read, each of them so many times."""
    total = times * sum(sum(leaf_bytes(file).values()) for file in files)
    with Progress(words, total) as progress:
        for file in files:
            file.progress = progress
        yield


def leaf_bytes(file: js.checkpoint.CheckpointReader) -> dict[str, int]:
    """Return the size of each array of a file, in bytes."""
    types = file.get_variable_to_dtype_map()
    shapes = file.get_variable_to_shape_map()
    return {name: types[name].itemsize * math.prod(shape) for name, shape in shapes.items()}


def head(file: File) -> str:
    """Return what is to be said of a file beside its variables."""
    parts = [f"{file.path}: {counted(len(file), 'variable')}"]
    if file.step is not None:
        parts.append(f"step {file.step:,}")
    if others := [name for name in file.along if "opt_state" in name]:
        parts.append(f"optimizer state of {counted(len(others), 'array')}")
    if any(name.endswith(":key") for name in file.along):
        parts.append("a random key")
    return ", ".join(parts)


def depth_of(word: str) -> int | None:
    """Return the depth that a word means; None for all."""
    if word == "all":
        return None
    if not word.isdigit():
        raise MistakeError(f"a depth is 0, 1, 2, ... or 'all', not {word!r}")
    return int(word)
