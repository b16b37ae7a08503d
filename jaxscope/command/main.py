"""What is asked for, by whom it is done, and how it ends: 0, 1 (things differ), 2 (something is wrong)."""

import argparse
import os
import sys
from collections.abc import Sequence

import jax

from jaxscope.command import completion, converting, differing, inspecting, viewing
from jaxscope.command.mistakes import MistakeError, alone, told

#: Done; things differ; something is wrong; as shells call a process that was interrupted.
DONE, DIFFERS, WRONG, INTERRUPTED = 0, 1, 2, 130

_EPILOG = """\
A THING is a file of variables (.safetensors, .npz, a checkpoint of TF1's, a folder of orbax's), or a net:
module:net, or path/to/file.py:net, with --input for each argument (f32[8,128], true, 0.5, name=i32[]).

Exit status: 0 done, 1 the two differ, 2 something is wrong. NO_COLOR turns colours off."""


def parser() -> argparse.ArgumentParser:
    """Return the parser of arguments."""
    made = argparse.ArgumentParser(
        prog="jaxscope",
        description="Look into files of variables and nets, compare, convert and view them.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--version", action="store_true", help="print the version and end")
    made.add_argument(
        "--traceback", action="store_true", help="where something is wrong, show the traceback too"
    )
    commands = made.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    inspecting.add_to(commands)
    differing.add_to(commands)
    converting.add_to(commands)
    viewing.add_to(commands)
    completion.add_to(commands, parser)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments ask for.

    Args:
        arguments: As in `sys.argv[1:]`, which is the default.

    Returns:
        The exit status.

    Example:
        >>> main(["completion", "fish"])
        complete -c jaxscope ...
        0
    """
    parsing = parser()
    try:
        asked = parsing.parse_args(arguments)
    except SystemExit as end:  # of argparse, which has said what is wrong, or helped
        return int(end.code or 0)
    if asked.version:
        import jaxscope

        print(jaxscope.__version__)
        return DONE
    if asked.command is None:
        parsing.print_help(sys.stderr)
        return WRONG
    if arguments is None and "JAX_PLATFORMS" not in os.environ:
        # Nobody who looks into a file wants a GPU to be taken for it.
        jax.config.update("jax_platforms", "cpu")
    if arguments is None and not asked.traceback:
        alone()
    try:
        differs = asked.run(asked)
        sys.stdout.flush()
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except KeyboardInterrupt:
        print("jaxscope: interrupted; nothing was left half done", file=sys.stderr)
        return INTERRUPTED
    except MistakeError as mistake:
        print(f"jaxscope: {mistake}", file=sys.stderr)
        return WRONG
    except Exception as problem:
        if asked.traceback:
            raise
        print(f"jaxscope: {told(problem)}", file=sys.stderr)
        return WRONG
    return DIFFERS if differs else DONE
