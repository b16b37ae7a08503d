"""Random programs come to the same by jaxscope and by the model of the rules."""

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.conformance import outcomes, runner
from tests.conformance.corpus import Node
from tests.conformance.themes import THEMES

EXAMPLES = os.environ.get("JAXSCOPE_MACHINE_EXAMPLES")


# The same examples in every normal run; other ones where somebody asks for many.
@pytest.mark.parametrize("theme", THEMES)
@settings(
    max_examples=int(EXAMPLES or 350) // len(THEMES),
    derandomize=EXAMPLES is None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_random_programs(theme: str, data: st.DataObject):
    """Steps, names, shapes, collections, losses and errors agree, recording and replaying."""
    program = data.draw(THEMES[theme].programs())
    expected = outcomes.record(program)
    assume("unsettled" not in expected)
    got = runner.record(program, expected, values=False)
    _agree("recording", expected, got, program)
    replayed = outcomes.replay(program, expected)
    assume("unsettled" not in replayed)
    _agree("replay", replayed, runner.replay(program, expected), program)


def _agree(which: str, expected: dict[str, Any], got: dict[str, Any], program: list[Node]) -> None:
    if difference := outcomes.difference(expected, got, program):
        pytest.fail(f"{which}, {difference}", pytrace=False)
