"""Printing: tables in colours on a terminal, plain in a pipe; or JSON."""

import os
import sys
from typing import Any

from jaxscope.inspect.tables import Shown


def show(thing: Shown | str, *, as_json: bool = False) -> None:
    """Print what was found.

    Args:
        thing: A line, or what shows itself as a table.
        as_json: Whether to print its `to_json()` instead.
    """
    if as_json:
        found: Any = thing
        print(found.to_json())
        return
    if isinstance(thing, Shown) and colours():
        try:
            from rich.console import Console
        except ImportError:  # an extra
            pass
        else:
            Console().print(thing, crop=False, end="")
            return
    print(thing)


def colours() -> bool:
    """Tell whether what is printed may have colours."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return sys.stdout.isatty()
