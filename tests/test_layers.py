"""The module map: every module imports only from rows below its own, and no import goes round in a circle."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

# Top imports from below. A folder is one name here.
ROWS = [
    "__init__",
    "testing",
    "depth templates transform",
    "jitting stacking",
    "lifting",
    "recipes",
    "request scoping",
    "creating getters",
    "collections recording replaying streams",
    "passes",
    "books initial specs",
    "drawing scopes staging tracing variables",
    "initializers tables",
    "counts names random regularizers sites",
    "compat errors values",
]

PACKAGE = Path(__file__).parent.parent / "jaxscope"
HEIGHT = {name: -row for row, names in enumerate(ROWS) for name in names.split()}


def dotted(path: Path) -> str:
    """Return what to write after `import` for a file of the package."""
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


FILES = {dotted(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def layer(module: str) -> str:
    """Return the name in the map of a module: `initializers` for `jaxscope.initializers.kinds`."""
    return [*module.split("."), "__init__"][1]


def imported(module: str) -> set[str]:
    """Return the modules of the package that a module imports, wherever in its file it does so."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(FILES[module].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}, line {node.lineno}: a relative import"
            # `from a import b` may mean the module a.b, or something in the module a.
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in FILES else str(node.module) for name in names}
    return found & set(FILES)


def test_every_module_is_in_the_map():
    """A new module gets a row, and no row has a module that is gone."""
    assert {layer(module) for module in FILES} == set(HEIGHT)


@pytest.mark.parametrize("module", FILES)
def test_imports_point_down(module: str):
    """No module imports from its own row or one above; the files of one folder may import each other."""
    here = layer(module)
    wrong = {name for name in imported(module) if layer(name) != here and HEIGHT[layer(name)] >= HEIGHT[here]}
    assert not wrong, f"{module} imports {sorted(wrong)}, which are not in a row below its own"


def test_no_circles():
    """Not inside a folder either (`CycleError` shows the circle)."""
    TopologicalSorter({module: imported(module) for module in FILES}).prepare()
