"""A wrong argument is an error in the editor: the signature of a function survives its transform."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "tests" / "typing").glob("*.py"))


def pyright() -> set[tuple[str, int]]:
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson"]
    run = subprocess.run([*command, *map(str, FILES)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode in (0, 1), run.stdout + run.stderr
    return {
        (Path(found["file"]).name, found["range"]["start"]["line"] + 1)
        for found in json.loads(run.stdout)["generalDiagnostics"]
    }


def mypy() -> set[tuple[str, int]]:
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--hide-error-context"]
    run = subprocess.run([*command, *map(str, FILES)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode in (0, 1), run.stdout + run.stderr
    # It also reports what it finds in jaxscope, which depends on the types of this version of JAX.
    found = re.findall(r"^.*\btyping[/\\](.+\.py):(\d+): error:", run.stdout, re.MULTILINE)
    return {(name, int(line)) for name, line in found}


def marked() -> set[tuple[str, int]]:
    return {
        (path.name, number)
        for path in FILES
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if line.endswith("# error")
    }


@pytest.mark.parametrize("checker", [pyright, mypy])
def test_checker_reports_the_marked_lines(checker):
    """Both type checkers, both strict, report every line marked `# error`, and no other."""
    if importlib.util.find_spec(checker.__name__) is None:
        pytest.skip(f"{checker.__name__} is not installed")
    assert checker() == marked()
