"""Attempts: a pass is made and called, until one comes to its end."""

from collections.abc import Callable
from typing import Any, TypeVar

from jaxscope._core.passes.traces import Restart, neutral_key, retire_neutral

Run = TypeVar("Run", bound=Any)
T = TypeVar("T")


def complete(
    make: Callable[[bool], Run],
    call: Callable[[Run], T],
    *,
    everywhere: bool = False,
    again: bool = True,
) -> tuple[Run, T]:
    """Make passes and call each, until one comes to its end; return that one and what its call returned.

    A pass that has to start again leaves behind what it wrote into the trace around it. Where that matters,
    it is called off the record first, in a trace that is dropped.

    Args:
        make: Returns a new pass; called with whether it is to have the real key everywhere.
        call: Runs a pass, in whatever way.
        everywhere: Whether the first pass is to have the real key everywhere, as all later ones have.
        again: Whether to make another pass where the first has to start again.

    Raises:
        Restart: The pass has to start again, and `again` is false.
    """
    __tracebackhide__ = True
    while True:
        before = neutral_key()
        run = make(everywhere)
        try:
            result = call(run)
        except Restart as restart:
            if restart.traces is not run.traces:
                raise  # another pass's, around this one
        except Exception:
            if not run.traces.aborted:
                raise
            retire_neutral()  # the function caught the restart, as below
        else:
            if run.traces.aborted:
                # The function caught BaseException, and so let a trace finish under the neutral key.
                retire_neutral()
            elif everywhere or before == neutral_key():  # else a pass inside this one did so
                return run, result
        if not again:
            raise Restart(run.traces)
        everywhere = True
