"""`jaxscope view`: what is in a file or a net, or in what two differ, as a page for a browser."""

import argparse
import os
import re
from typing import Any

import jaxscope as js
from jaxscope.command.converting import renames
from jaxscope.command.differing import add_comparison
from jaxscope.command.inspecting import add_inputs, followed
from jaxscope.command.mistakes import MistakeError
from jaxscope.command.things import File, file_of, is_net, net_of
from jaxscope.inspect.tables import human_bytes

_OURS = b'<meta name="generator" content="jaxscope">'
#: How often values are read: for statistics; and of two, once more to compare them.
_ALONE, _COMPARED = 1, 2


def add_to(commands: Any) -> None:
    """Add the command."""
    made = commands.add_parser(
        "view",
        help="a page for the browser: one file or net, or two compared",
        description="Write one HTML file that needs no network: a map by size, each variable, what differs.",
    )
    made.add_argument("a", metavar="THING", help="a file of variables, or module:net")
    made.add_argument("b", metavar="OTHER", nargs="?", help="likewise, to compare with")
    made.add_argument("-o", "--output", metavar="PAGE", help="the file to write (by the names of the things)")
    made.add_argument("--title", help="the page's title (the names of the things)")
    made.add_argument(
        "--values", action="store_true", help="read values: statistics, histograms, differences"
    )
    add_comparison(made)
    add_inputs(made)
    made.add_argument("--force", action="store_true", help="write over a file that is no page of ours")
    made.set_defaults(run=run)


def run(asked: argparse.Namespace) -> bool:
    """Do it."""
    words = [asked.a] if asked.b is None else [asked.a, asked.b]
    if asked.b is None and (asked.rename or asked.rtol or asked.atol):
        raise MistakeError("--rename, --rtol and --atol are about two things, and there is one")
    if asked.values and all(is_net(word) for word in words):
        raise MistakeError("a net has no values: --values is for files")
    target = asked.output or f"{'-'.join(_stem(word) for word in words)}.html"
    if os.path.exists(target) and not asked.force and not _is_ours(target):
        raise MistakeError(f"{target!r} is there already, and is no page of ours; --force writes over it")
    things: list[Any] = []
    sharing = None
    for word in words:
        if is_net(word):
            specs, net, args, kwargs = net_of(word, asked.input)
            things.append(specs)
            sharing = js.inspect.sharing(net, *args, **kwargs)
        else:
            things.append(file_of(word))
    files = [thing for thing in things if isinstance(thing, File)]
    times = _COMPARED if len(things) == 2 else _ALONE
    with followed(files, f"reading {' and '.join(file.path for file in files)}", times):
        made = js.inspect.page(
            *things,
            title=asked.title,
            labels=[_name(word) for word in words],
            sharing=sharing,
            rename=renames(asked.rename),
            rtol=asked.rtol,
            atol=asked.atol,
            values=asked.values,
        )
    made.save(target)
    print(f"wrote {target}: {human_bytes(os.path.getsize(target))}")
    return False


def _name(word: str) -> str:
    return word if is_net(word) else os.path.basename(os.path.normpath(word))


def _stem(word: str) -> str:
    """Return what a page about a thing is called.

    Example:
        >>> _stem("runs/model.safetensors"), _stem("my/nets.py:net"), _stem("model.ckpt-7")
        ('model', 'net', 'model.ckpt-7')
    """
    if is_net(word):
        return word.rpartition(":")[2]
    return re.sub(r"\.(safetensors|npz)$", "", _name(word))


def _is_ours(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return _OURS in file.read(200)
    except OSError:  # a folder, say
        return False
