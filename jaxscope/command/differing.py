"""`jaxscope diff`: in what two files or nets differ."""

import argparse
from typing import Any

import jaxscope as js
from jaxscope.command.converting import renames
from jaxscope.command.inspecting import add_inputs, followed
from jaxscope.command.printing import show
from jaxscope.command.things import File, opened


def add_to(commands: Any) -> None:
    """Add the command."""
    made = commands.add_parser(
        "diff",
        help="in what two files or nets differ",
        description="Compare names, shapes, types and values. Exit status 1 where anything differs.",
    )
    made.add_argument("a", metavar="A", help="a file of variables, or module:net")
    made.add_argument("b", metavar="B", help="likewise")
    add_comparison(made)
    made.add_argument("--no-values", action="store_true", help="compare names, shapes and types alone")
    add_inputs(made)
    made.add_argument("--json", action="store_true", help="print JSON")
    made.set_defaults(run=run)


def add_comparison(parser: argparse.ArgumentParser) -> None:
    """Add the options for how two things are compared."""
    parser.add_argument(
        "--rename", action="append", default=[], metavar="A=B", help="pattern of names in A = names in B"
    )
    parser.add_argument("--rtol", type=float, default=0.0, help="relative difference that is none (0)")
    parser.add_argument("--atol", type=float, default=0.0, help="absolute difference that is none (0)")


def run(asked: argparse.Namespace) -> bool:
    """Do it; return whether anything differs."""
    things = [opened(thing, asked.input) for thing in (asked.a, asked.b)]
    files = [thing for thing in things if isinstance(thing, File)]
    with followed(files, "comparing"):
        a, b = things
        found = js.inspect.diff(
            a, b, renames(asked.rename), rtol=asked.rtol, atol=asked.atol, values=not asked.no_values
        )
    show(found, as_json=asked.json)
    return bool(found)
