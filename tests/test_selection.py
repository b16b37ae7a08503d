"""What is quick and what is slow is said by names that are there."""

from pathlib import Path

import pytest

from tests.conftest import QUICK, SLOW, share_of

ROOT = Path(__file__).parent.parent
FILES = [
    path.relative_to(ROOT).as_posix() for path in (*ROOT.glob("*.md"), *ROOT.glob("*/**/*")) if path.is_file()
]


@pytest.mark.parametrize("beginning", [*QUICK, *SLOW])
def test_each_beginning_is_that_of_a_file(beginning: str):
    """Or of a folder, and of a test in it: so nothing is left out by a name that is gone."""
    file, _, test = beginning.partition("::")
    found = [name for name in FILES if name.startswith(file)]
    assert found
    assert not test or f"def {test.partition('[')[0]}(" in (ROOT / file).read_text()


@pytest.mark.parametrize("beginning", QUICK)
def test_each_beginning_counts(beginning: str):
    """None stands behind a shorter one, which would be taken for all that it begins."""
    assert share_of(beginning, QUICK) == QUICK[beginning]
    assert not any(beginning.startswith(other) for other in list(QUICK)[: list(QUICK).index(beginning)])
