"""The model of the rules gives every recorded outcome, so that random programs may be judged by it."""

import pytest

from tests.conformance import corpus, outcomes


@pytest.mark.parametrize("line", corpus.lines(), ids=lambda line: line.id)
def test_the_model_gives_the_recorded_outcome(line: corpus.Line):
    """Recording and replaying by the model are what was recorded."""
    assert not outcomes.difference(line.outcome, outcomes.record(line.program), line.program)
    if line.replay is not None:
        got = outcomes.replay(line.program, line.outcome)
        assert not outcomes.difference(line.replay, got, line.program)


def test_every_recorded_program_is_there():
    """No program has been lost: 179 cases and 400 random ones, each with a name of its own."""
    ids = [line.id for line in corpus.lines()]
    assert len(ids) == len(set(ids)) == 579
    assert sum(line.id.startswith("case-") for line in corpus.lines()) == 179


def test_a_program_reads_as_python():
    """Failures show programs as indented Python."""
    line = next(line for line in corpus.lines() if line.id == "case-112")
    assert corpus.pseudocode(line.program) == PSEUDOCODE


PSEUDOCODE = """\
t = make_template('t', body)
    # body of call 0
    get_variable('a', [1])
    raise UserError
    # body of call 1 and later
    get_variable('a', [1])
with expect_error():
    t()
with expect_error():
    t()"""
