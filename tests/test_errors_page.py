"""The page of errors is complete, and each program on it fails with just the message below it.

`python -m tests.test_errors_page` writes the messages anew; read the difference before you keep it.
"""

import ast
import copy
import pickle
import re
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxscope as js
from jaxscope import errors
from jaxscope.errors import JaxscopeError

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "reference" / "errors.md"
HEADING = re.compile(r"^(#+) `?(\w+)`?$", re.MULTILINE)
CASE = re.compile(
    r"^```python fails\n(.*?)^```\n+```text\n(.*?)^```\n(.*?)^```python\n", re.MULTILINE | re.DOTALL
)


class Case(NamedTuple):
    """A program of the page, with what stands around it."""

    line: int
    kind: str
    code: str
    program: str
    message: str


def cases() -> list[Case]:
    text = PAGE.read_text()
    found = []
    for match in CASE.finditer(text):
        above = {len(level): name for level, name in HEADING.findall(text[: match.start()])}
        found.append(Case(text[: match.start()].count("\n") + 1, above[2], above[3], match[1], match[2]))
    return found


def fail(program: str) -> JaxscopeError:
    """Run a program as a file `net.py`, and return the error that it ends with."""
    names = {"__name__": "net", "jax": jax, "jnp": jnp, "np": np, "js": js}
    with pytest.raises(JaxscopeError) as caught:
        exec(compile(program, "net.py", "exec"), names)
    return caught.value


def shown(error: JaxscopeError) -> str:
    text = f"{type(error).__name__}: {error}\n"
    return re.sub(r"JitTracer<(.*?)>", r"JitTracer(\1)", text)  # as JAX 0.8 writes it


@pytest.mark.parametrize("case", cases(), ids=lambda case: f"{case.code}-{case.line}")
def test_program(case: Case):
    """Class, code and the whole message are those of the page, and survive a pickle and a copy."""
    error = fail(case.program)
    assert shown(error) == case.message
    assert (type(error).__name__, error.code) == (case.kind, case.code)
    for made in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(made) is type(error)
        assert (made.code, made.category, made.fix) == (error.code, error.category, error.fix)
        assert str(made) == str(error)


def test_every_program_has_a_message_and_a_repair():
    text = PAGE.read_text()
    assert len(cases()) == text.count("```python fails\n") == text.count("```text\n")


def test_every_class_is_on_the_page():
    headings = {name for level, name in HEADING.findall(PAGE.read_text()) if level == "##"}
    assert headings == set(errors.__all__) - {"JaxscopeError"}


def codes(source: str) -> set[str]:
    """Return the codes that a source's calls of error classes give, or mean by giving none."""
    tables = "InitializerError" in source  # from which those of initializers come
    found = set(re.findall(r'"(init_\w+)"', source)) if tables else set[str]()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Name(id=kind), keywords=keywords) if kind in errors.__all__:
                given: list[Any] = [word.value for word in keywords if word.arg == "code"]
                if not given:
                    found.add(getattr(errors, kind).default_code)
                elif isinstance(given[0], ast.Constant):
                    found.add(str(given[0].value))
    return found


def test_every_code_is_on_the_page():
    files = sorted((ROOT / "jaxscope").glob("**/*.py"))
    found = set().union(*(codes(file.read_text()) for file in files if file.name != "errors.py"))
    headings = {name for level, name in HEADING.findall(PAGE.read_text()) if level == "###"}
    assert not found - headings, "codes without a section"
    assert headings == {case.code for case in cases()}


def test_the_codes_of_tf1_are_in_its_table():
    """There are many operations, and few kinds of errors: a table has them, without programs."""
    from jaxscope.tf1.base import errors as kinds

    table = PAGE.read_text().partition("## Errors of jaxscope.tf1")[2]
    said = set(re.findall(r"`([a-z_0-9]+)`", table))
    sources = [file.read_text() for file in (ROOT / "jaxscope" / "tf1").glob("**/*.py")]
    given = {code for source in sources for code in re.findall(r'code="(\w+)"', source)}
    classes = [vars(kinds)[name] for name in kinds.__all__ if name[0].isupper()]
    assert {kind.__name__ for kind in classes} <= set(re.findall(r"`(\w+)`", table))
    own = {code for code in given if code not in PAGE.read_text().partition("## Errors of jaxscope.tf1")[0]}
    assert own | {kind.default_code for kind in classes} <= said


def _write() -> None:
    """Put the messages that the programs end with into the page."""

    def with_message(match: re.Match[str]) -> str:
        block = match[0]
        start = match.start(2) - match.start()
        return block[:start] + shown(fail(match[1])) + block[start + len(match[2]) :]

    PAGE.write_text(CASE.sub(with_message, PAGE.read_text()))


if __name__ == "__main__":
    _write()
