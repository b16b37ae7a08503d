"""The pages keep together: every link leads somewhere, and the README's commands are those checked."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BUILT = ROOT / "docs" / "_build"
PAGES = sorted(
    page for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")) if not page.is_relative_to(BUILT)
)
LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path):
    """Every relative link leads to a file of the clone."""
    missing = {link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()}
    assert not missing


def test_commands():
    """The README gives one line for the example and one for the tests; `.ci/run` looks for the second."""
    commands = re.findall(r"^python3 -m venv .*$", (ROOT / "README.md").read_text(), re.MULTILINE)
    example, tests = commands
    assert example.endswith(".venv/bin/python examples/digits.py")
    assert re.search(r'pip install -q -e "\.\[test\]" && \.venv/bin/python -m pytest( -n \d)?$', tests)
