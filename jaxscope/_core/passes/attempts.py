"""Attempts: a pass is made and run, until one comes to its end."""

from collections.abc import Callable
from typing import Any

from jaxscope._core.passes.traces import Restart, neutral_key, retire_neutral

Attempt = Callable[[list[Any], bool], None]


def finished(attempt: Attempt, passes: list[Any], *, everywhere: bool) -> bool:
    """Make an attempt at a pass; tell whether it came to its end, or has to run again with what it learned.

    Args:
        attempt: Called with `passes`, to which it appends its pass, and `everywhere`.
        passes: Where the attempt puts its pass.
        everywhere: Whether the pass is to have the real key everywhere.
    """
    before = neutral_key()
    try:
        attempt(passes, everywhere)
    except Restart as restart:
        if not passes or restart.traces is not passes[-1].traces:
            raise  # another pass's, around this one
        return False
    except Exception:
        if not (passes and passes[-1].traces.aborted):
            raise
    if passes[-1].traces.aborted:
        # The function caught BaseException, and so let a trace finish under the neutral key.
        retire_neutral()
        return False
    # Else a pass inside this one did so.
    return everywhere or before == neutral_key()


def finish(attempt: Attempt, passes: list[Any], *, everywhere: bool = False) -> None:
    """Make attempts at a pass until one comes to its end; the arguments are those of `finished`."""
    while not finished(attempt, passes, everywhere=everywhere):
        everywhere = True
