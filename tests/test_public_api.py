"""What users see is listed, sorted and documented."""

import inspect
from pathlib import Path
from types import FunctionType

import pytest

import jaxscope as js

MODULES = [js, *(getattr(js, name) for name in js.__all__ if inspect.ismodule(getattr(js, name)))]
ERRORS_PAGE = Path(__file__).parent.parent / "docs" / "reference" / "errors.md"


def public(kind):
    """Return (dotted name, object) of every public object for which `kind(object)` holds."""
    found = (
        (f"{module.__name__}.{name}", getattr(module, name)) for module in MODULES for name in module.__all__
    )
    return [pytest.param(value, id=name) for name, value in found if kind(value)]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_all_is_sorted(module):
    """`__all__` is a table of contents: sorted, without doubles, of names that are there."""
    assert list(module.__all__) == sorted(set(module.__all__))
    assert all(hasattr(module, name) for name in module.__all__)


@pytest.mark.parametrize("function", public(inspect.isfunction))
def test_functions_have_examples(function):
    """Every public function shows how it is used, in a doctest."""
    assert ">>> " in inspect.getdoc(function)


@pytest.mark.parametrize("cls", public(inspect.isclass))
def test_classes_have_docstrings(cls):
    """Every public class says what it is, and each of its methods and properties what it does."""
    methods = {
        name: member
        for name, member in vars(cls).items()
        if not name.startswith("_")
        and isinstance(member, FunctionType | property | classmethod | staticmethod)
    }
    assert inspect.getdoc(cls)
    assert [name for name in methods if not inspect.getdoc(getattr(cls, name))] == []


def test_errors_have_a_page():
    """Every class of error is on the page of errors, with a program that raises it and its repair."""
    page = ERRORS_PAGE.read_text()
    assert [name for name in js.errors.__all__ if name not in page] == []
