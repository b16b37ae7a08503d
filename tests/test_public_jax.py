"""jaxscope stands on public JAX alone, and importing it costs what importing JAX costs."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "jaxscope"
FILES = sorted(PACKAGE.rglob("*.py"))


def names(tree: ast.AST):
    """Yield (line, dotted name) for everything that a program imports or reaches by a dot."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Attribute):
            yield node.lineno, f".{node.attr}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_public_jax(path: Path):
    """No import of a private module of JAX, and no way to one through an attribute."""
    for line, name in names(ast.parse(path.read_text())):
        parts = name.split(".")
        private = (
            [part for part in parts[1:] if part.startswith("_")] if parts[0] in ("jax", "jaxlib") else []
        )
        assert not private, f"{path.name}:{line} imports {name}"
        assert "_src" not in parts, f"{path.name}:{line} uses {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_private_jax_in_strings(path: Path):
    """No `import_module("jax._src")` either."""
    assert "jax._src" not in path.read_text()


IMPORT = """
import json, sys
import jax
before = {name.partition(".")[0] for name in sys.modules}
import jaxscope
after = {name.partition(".")[0] for name in sys.modules}
print(json.dumps(sorted(after - before - set(sys.stdlib_module_names) - {"jaxscope"})))
"""


def test_import_needs_nothing_but_jax():
    """`import jaxscope` loads no third-party package that `import jax` did not, and starts no backend."""
    # A platform that does not exist: the first array that anyone makes is an error.
    environment = os.environ | {"JAX_PLATFORMS": "nowhere", "PYTHONPATH": str(PACKAGE.parent)}
    run = subprocess.run(
        [sys.executable, "-c", IMPORT], env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == []
