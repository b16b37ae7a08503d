"""Attempts: a pass is made and called until one comes to its end."""

from typing import Any

import pytest

from jaxscope._core.passes.learned import Memory
from jaxscope._core.passes.restarting import complete
from jaxscope._core.passes.traces import Restart, Traces, neutral_key, retire_neutral


class Run:
    """What `complete` knows of a pass."""

    made: list["Run"]

    def __init__(self, everywhere: bool) -> None:
        self.traces = Traces(Memory(), everywhere=everywhere)


@pytest.fixture
def made() -> list[Run]:
    return []


def maker(made: list[Run]) -> Any:
    def make(everywhere: bool) -> Run:
        made.append(Run(everywhere))
        return made[-1]

    return make


def everywhere(made: list[Run]) -> list[bool]:
    return [run.traces.everywhere for run in made]


def once(run: Run, made: list[Run]) -> str:
    """Abort the first pass."""
    if len(made) == 1:
        run.traces.restart()
    return "done"


def test_the_last_pass_and_its_result(made: list[Run]):
    """One pass is enough where none starts again; the next has the real key everywhere."""
    run, result = complete(maker(made), lambda _: "done")
    assert (run, result, everywhere(made)) == (made[0], "done", [False])
    made.clear()
    run, result = complete(maker(made), lambda run: once(run, made))
    assert (run, result, everywhere(made)) == (made[1], "done", [False, True])
    made.clear()
    complete(maker(made), lambda run: once(run, made), everywhere=True)
    assert everywhere(made) == [True, True]


def test_one_try(made: list[Run]):
    """Whoever makes other plans gets the restart."""
    with pytest.raises(Restart) as caught:
        complete(maker(made), lambda run: once(run, made), again=False)
    assert caught.value.traces is made[0].traces
    assert complete(maker(made), lambda _: "done", again=False)[1] == "done"


def test_restarts_of_passes_around_go_on(made: list[Run]):
    """A pass is not called again for another one."""
    outer = Run(False)
    with pytest.raises(Restart) as caught:
        complete(maker(made), lambda _: outer.traces.restart())
    assert caught.value.traces is outer.traces
    assert len(made) == 1


@pytest.mark.parametrize("how", ["swallowed", "another error"])
def test_a_caught_restart_gives_up_the_neutral_key(made: list[Run], how: str):
    """A trace may have been kept under it."""
    before = neutral_key()

    def call(run: Run) -> str:
        try:
            return once(run, made)
        except Restart:
            if how == "another error":
                raise ZeroDivisionError from None
            return "wrong"

    assert complete(maker(made), call)[1] == "done"
    assert neutral_key() != before
    assert everywhere(made) == [False, True]


def test_a_pass_inside_may_give_it_up(made: list[Run]):
    """Then the pass around may have taken a trace that was kept under it."""
    complete(maker(made), lambda _: retire_neutral() if len(made) == 1 else None)
    assert everywhere(made) == [False, True]


def test_errors_go_through(made: list[Run]):
    """Those of a pass that was not aborted."""
    with pytest.raises(ZeroDivisionError):
        complete(maker(made), lambda _: 1 // 0)
    assert len(made) == 1
