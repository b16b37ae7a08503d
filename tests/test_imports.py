"""The map of packages: imports point down, in no circle, and the core stands alone."""

import ast
import functools
import re
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import jaxscope

# Top imports from below. `core.x` is the package `jaxscope/_core/x`; wings are modules or folders beside it.
WINGS = "layers getters optim sharding checkpoint inspect interop tf1"
ROWS = [
    "__main__",
    "command",
    WINGS,
    "__init__",
    "extras initializers regularizers scans sites testing writing",
    "core.blocks",
    "core.model core.transform",
    "core.passes",
    "core.scopes core.variables",
    "core.drawing core.requests",
    "core.initializers",
    "core.base",
    "errors",
]

PACKAGE = Path(__file__).parent.parent / "jaxscope"
HEIGHT = {name: -row for row, names in enumerate(ROWS) for name in names.split()}
MOST_LINES = 500


def dotted(path: Path) -> str:
    """Return what to write after `import` for a file of the package."""
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


FILES = {dotted(path): path for path in sorted(PACKAGE.rglob("*.py"))}
CORE_FOLDERS = [PACKAGE / "_core", *sorted(path.parent for path in (PACKAGE / "_core").glob("*/__init__.py"))]
FOLDERS = [dotted(path / "__init__.py") for path in CORE_FOLDERS]  # empty files, which are no modules
MODULES = [module for module in FILES if module not in FOLDERS]
CORE = [module for module in MODULES if module.startswith("jaxscope._core.")]
OUTER = [module for module in MODULES if module.split(".")[1:2] and module.split(".")[1] in WINGS.split()]


def layer(module: str) -> str:
    """Return the name in the map of a module: `core.base` for `jaxscope._core.base.names`."""
    _, first, *rest = [*module.split("."), "__init__"]
    return f"core.{rest[0]}" if first == "_core" else first


def statements(module: str) -> Iterator[ast.AST]:
    """Yield what a module does, wherever in its file; what `jaxscope` gives on demand is not imported."""
    tree = ast.parse(FILES[module].read_text())
    if module == "jaxscope":
        tree.body = [node for node in tree.body if not ast.unparse(node).startswith("if TYPE_CHECKING:")]
    return ast.walk(tree)


@functools.cache
def imported(module: str) -> set[str]:
    """Return what a module imports: modules of ours, packages of others."""
    found: set[str] = set()
    for node in statements(module):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}, line {node.lineno}: a relative import"
            # `from a import b` may mean the module a.b, or something in the module a.
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in FILES else str(node.module) for name in names}
    return found


def ours(module: str) -> set[str]:
    """Return the modules of jaxscope that a module imports."""
    return imported(module) & set(FILES)


def test_every_module_is_in_the_map():
    """A new module gets a row, and no row below the wings has a module that is gone."""
    there = {layer(module) for module in MODULES}
    assert there - set(HEIGHT) == set()
    assert set(HEIGHT) - there <= set(WINGS.split())


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module: str):
    """No module imports from its own row or one above; the files of one package may import each other."""
    here = layer(module)
    wrong = {name for name in ours(module) if layer(name) != here and HEIGHT[layer(name)] >= HEIGHT[here]}
    assert not wrong, f"{module} imports {sorted(wrong)}, which are not in a row below its own"


def test_no_circles():
    """Not inside a package either (`CycleError` shows the circle)."""
    TopologicalSorter({module: ours(module) for module in MODULES}).prepare()


@pytest.mark.parametrize("module", OUTER)
def test_wings_stand_on_what_is_public(module: str):
    """A wing imports `jaxscope`, as a user would, and what serves all: nothing of the core, no other wing."""
    allowed = {"__init__", "errors", "extras", "scans", "sites", "writing", layer(module)}
    wrong = {name for name in ours(module) if layer(name) not in allowed}
    assert not wrong, f"{module} imports {sorted(wrong)}; what it needs of them has to be public"


@pytest.mark.parametrize("module", CORE)
def test_the_core_stands_alone(module: str):
    """Of jaxscope it imports itself and the errors, of others the standard library, JAX and NumPy."""
    outside = {name for name in ours(module) if not name.startswith("jaxscope._core.")}
    assert outside <= {"jaxscope.errors"}
    roots = {name.partition(".")[0] for name in imported(module)}
    assert roots - set(sys.stdlib_module_names) <= {"jax", "numpy", "jaxscope"}


@pytest.mark.parametrize("module", CORE)
def test_the_core_names_no_wing(module: str):
    """Neither in code nor in words: a wing may come and go, and the core stays as it is."""
    names = "|".join(WINGS.split())
    assert re.findall(rf"(?:\bjs|\bjaxscope)[./](?:{names})\b", FILES[module].read_text()) == []


@pytest.mark.parametrize("module", FOLDERS)
def test_folders_of_the_core_are_empty(module: str):
    """What is public is public in `jaxscope`; inside, each name has one home, and is imported from there."""
    assert FILES[module].read_text() == ""


@pytest.mark.parametrize("module", MODULES)
def test_no_module_is_long(module: str):
    """Beyond 400 lines look for a second idea; none has more than 500."""
    assert len(FILES[module].read_text().splitlines()) <= MOST_LINES


def test_dir_shows_what_is_public():
    """`dir(jaxscope)` is the public names alone, though its modules are reached through it, too."""
    assert sorted(dir(jaxscope)) == sorted(jaxscope.__all__)
    assert not any(name.startswith("_") for name in dir(jaxscope))
    assert [name for name in dir(jaxscope) if not hasattr(jaxscope, name)] == []


@pytest.mark.parametrize("folder", CORE_FOLDERS, ids=lambda path: path.name)
def test_each_package_of_the_core_has_a_page(folder: Path):
    """Five lines: what it is, each of its modules (or packages) once, in three words, what it may import."""
    lines = (folder / "README.md").read_text().splitlines()
    title, blank, _, read, imports = lines
    assert title == f"# {folder.relative_to(PACKAGE.parent).as_posix()}"
    assert blank == ""
    modules = [path.stem for path in folder.glob("*.py") if path.stem != "__init__"]
    packages = [path.parent.name for path in folder.glob("*/__init__.py")]
    assert sorted(re.findall(r"`(\w+)` \(", read)) == sorted(modules + packages)
    rows = [set(row.split()) for row in ROWS]
    below = [rows[at + 1] for at, row in enumerate(rows) if layer(dotted(folder / "x")) in row]
    named = re.findall(r"`(?:jaxscope\.)?(\w+)`", imports)
    assert set(named) == {name.removeprefix("core.") for name in (below[0] if below else {"errors"})}


@pytest.mark.parametrize(
    "wing",
    [
        *("getters", "optim", "checkpoint", "checkpoint/tf1", "sharding", "inspect", "inspect/page"),
        *("interop", "command"),
    ],
)
def test_wings_have_a_page(wing: str):
    """Likewise, for those that have grown."""
    lines = (PACKAGE / wing / "README.md").read_text().splitlines()
    assert lines[:2] == [f"# jaxscope/{wing}", ""]
    modules = [path.stem for path in (PACKAGE / wing).glob("*.py") if path.stem != "__init__"]
    packages = [path.parent.name for path in (PACKAGE / wing).glob("*/__init__.py")]
    assert sorted(re.findall(r"`(\w+)` \(", lines[3])) == sorted(modules + packages)
