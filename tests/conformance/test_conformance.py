"""jaxscope gives the recorded outcome of every program, recording and replaying."""

from typing import Any

import pytest

from tests.conformance import corpus, outcomes, runner


def _cases(kind: str) -> list[Any]:
    return [pytest.param(line, id=f"{line.id}-{kind}") for line in corpus.lines()]


def _note(record_property: Any, line: corpus.Line, kind: str) -> None:
    """Tell the summary at the end of the run (conftest.py) what was tried."""
    record_property("conformance", {"kind": kind, "features": line.features, "category": line.category})


@pytest.mark.parametrize("line", _cases("record"))
def test_recording(line: corpus.Line, record_property: Any):
    """`spec` and `init` give the steps, names, initial values and errors of the outcome."""
    _note(record_property, line, "record")
    got = runner.record(line.program, line.outcome)
    if difference := outcomes.difference(line.outcome, got, line.program):
        pytest.fail(f"{line.title}\n{difference}", pytrace=False)


@pytest.mark.parametrize("line", _cases("replay"))
def test_replaying(line: corpus.Line, record_property: Any):
    """`apply` with the variables of the outcome gives what is recorded for it.

    A program that ends in an error has no variables: it is given those it had made by then. What it must
    come to is not recorded, so it is taken from the model, and the summary counts these programs apart.
    Most of them must give the steps and the error of the recording; the others (an initializer that fails,
    variables of failed first calls) are judged by the model alone.
    """
    expected = outcomes.expected_replay(line)
    kind = "replay"
    if line.replay is None:
        kind = "replay by the model alone"
        if outcomes.replays_alike(line.outcome):
            kind = "replay to the recorded error"
            assert not outcomes.difference(outcomes.repeated(line.outcome), expected, line.program)
    _note(record_property, line, kind)
    if difference := outcomes.difference(expected, runner.replay(line.program, line.outcome), line.program):
        pytest.fail(f"{line.title}\n{difference}", pytrace=False)


def test_exchanged_names_are_noticed():
    """That names agree is more than that the same names are there."""
    line = next(line for line in corpus.lines() if line.id == "case-6")
    first, second = line.outcome["vars"]
    exchanged = [{**first, "name": second["name"]}, {**second, "name": first["name"]}]
    outcome = {**line.outcome, "vars": exchanged}
    difference = outcomes.difference(outcome, runner.record(line.program, outcome), line.program)
    assert difference.startswith("variable 0:\n  expected {'name': 'n/w'")
    assert "'n/w, which is the name of [1]'" in difference
    assert "step 1" in outcomes.difference(line.replay, runner.replay(line.program, outcome), line.program)
