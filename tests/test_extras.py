"""What is optional is imported when it is used, and whoever lacks it is told what to install."""

import ast
import importlib
import os
import re
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import optax
import pytest

import jaxscope as js
from jaxscope import extras

PACKAGE = Path(js.__file__).parent
EXTRAS = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["project"]["optional-dependencies"]
RECORDED = Path(__file__).parent / "checkpoint" / "tf1" / "recorded"
COMPRESSED = Path(tempfile.gettempdir()) / f"jaxscope-compressed-{os.getpid()}"
ALWAYS = {*sys.stdlib_module_names, "jax", "numpy", "jaxscope"}


def dotted(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").as_posix()


def at_run_time(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield what a module does, apart from what only type checkers see."""
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            yield node
            yield from at_run_time(node)


def imports() -> Iterator[tuple[str, str]]:
    """Yield (module of ours, module of others that it imports itself)."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in at_run_time(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [str(node.module)]
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
                names = [node.args[0].value] if isinstance(node.args[0], ast.Constant) else []
            yield from ((dotted(path), name) for name in names if name.partition(".")[0] not in ALWAYS)


def asked() -> set[str]:
    """Return who asks for libraries, as they say it in messages; where it is computed, the module."""
    found = set()
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in at_run_time(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "library":
                who = node.args[1]
                found.add(who.value if isinstance(who, ast.Constant) else dotted(path))
    return found


def test_imports_of_others():
    """Nothing but `library` imports them; rich alone is there to be left out."""
    # Without it the command prints without colours; the other is in what rich itself calls.
    assert set(imports()) == {
        ("command/printing", "rich.console"),
        ("inspect/tables", "rich.segment"),
        ("inspect/tables", "rich.style"),
    }


def test_names_are_those_of_the_project():
    """Each package is in the extra that the message names, and each extra's packages have a message."""
    packages = {name: re.match(r"[\w-]+", line)[0] for name, (line, *_) in EXTRAS.items()}
    for extra, package in extras._EXTRAS.values():
        assert package in [re.match(r"[\w-]+", line)[0] for line in EXTRAS[extra]]
    told = {extra for extra, _ in extras._EXTRAS.values()}
    assert told == packages.keys() - {"all", "examples", "rich", "test"}


def test_readme_has_a_table():
    """Each extra that users may want is in the README's table, and no other."""
    page = (PACKAGE.parent / "README.md").read_text()
    rows = page.partition("| extra | for |")[2].partition("\n\n")[0].splitlines()[2:]
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert sorted(named) == sorted(EXTRAS.keys() - {"all", "examples", "test"})


NET = js.transform(lambda x: x @ js.get_variable("w", [x.shape[-1], 2]))
W = js.Variables({"w": jnp.ones([3, 2])})


def save_a_folder(path: Path) -> None:
    js.checkpoint.save(path / "folder", W)


# (what is missing, who says so, the use)
USES: list[tuple[str, str, Callable[[Path], Any]]] = [
    ("orbax", "a folder of variables", save_a_folder),
    ("orbax", "a folder of variables", js.checkpoint.Manager),
    ("google_crc32c", "a checkpoint of TF1's", lambda path: js.checkpoint.save(path / "m.ckpt", W)),
    ("google_crc32c", "a checkpoint of TF1's", lambda _: js.checkpoint.load(RECORDED / "mixed.ckpt")),
    (
        "cramjam",
        "a compressed checkpoint of TF1's",
        lambda _: js.checkpoint.load(COMPRESSED / "mixed.ckpt"),
    ),
    ("optax", "js.optim.tf1_adam", lambda _: js.optim.tf1_adam(0.1)),
    ("optax", "js.optim.constrain", lambda _: js.optim.constrain(NET.spec(jnp.ones([1, 3])))),
    ("optax", "js.optim.tf1_slots", lambda _: js.optim.tf1_slots(optax.adam(0.1).init(W), W)),
    ("optax", "js.optim.from_tf1_slots", lambda _: js.optim.from_tf1_slots(optax.adam(0.1).init(W), W, {})),
    ("flax", "js.interop.linen", lambda _: js.interop.linen(None)),
    ("flax", "js.interop.nnx", lambda _: js.interop.nnx(None)),
    ("haiku", "js.interop.haiku", lambda _: js.interop.haiku(None)),
    ("equinox", "js.interop.equinox", lambda _: js.interop.equinox(None)),
    ("flax", "js.interop.as_linen", lambda _: js.interop.as_linen(NET)),
    ("flax", "js.interop.as_nnx", lambda _: js.interop.as_nnx(NET, jnp.ones([1, 3]), rngs=None)),
    ("haiku", "js.interop.as_haiku", lambda _: js.interop.as_haiku(NET)),
    ("equinox", "js.interop.as_equinox", lambda _: js.interop.as_equinox(NET, W)),
]


@pytest.fixture(scope="module", autouse=True)
def _compressed():
    """Put a checkpoint with a compressed index where the list above has it."""
    from tests.checkpoint.tf1.tables import apart, copied, together

    COMPRESSED.mkdir()
    index = Path(f"{copied('mixed.ckpt', COMPRESSED)}.index")
    index.write_bytes(together(*apart(index.read_bytes()), compress=True))
    yield
    shutil.rmtree(COMPRESSED)


def hide(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    """Let a package be none that is installed."""
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    for library in ("linen", "nnx", "haiku", "equinox"):  # classes of theirs, made once
        importlib.import_module(f"jaxscope.interop.to_{library}")._module.cache_clear()


@pytest.mark.parametrize(("package", "who", "use"), USES, ids=[who for _, who, _ in USES])
def test_without(package: str, who: str, use: Callable[[Path], Any], monkeypatch, tmp_path: Path):
    """Each use says who needs which package, and the line that installs it; nothing is left half done."""
    extra, name = extras._EXTRAS[package]
    hide(monkeypatch, package)
    with pytest.raises(ImportError) as caught:
        use(tmp_path)
    assert str(caught.value) == f"{who} needs {name}: pip install 'jaxscope[{extra}]'"
    assert list(tmp_path.iterdir()) == []


def test_every_use_is_tried():
    """What asks for a library is in the list above."""
    assert asked() <= {who for _, who, _ in USES} | {"checkpoint/folders", "optim/states"}


def test_without_rich(monkeypatch, capsys):
    """The command prints what it finds, without colours, on a terminal too."""
    from jaxscope.command import printing

    hide(monkeypatch, "rich")
    monkeypatch.setattr(printing, "colours", lambda: True)
    printing.show(js.inspect.summary(W))
    assert "in all" in capsys.readouterr().out


def test_a_library_that_does_not_import(monkeypatch, tmp_path: Path):
    """What is there but fails is not said to be missing."""
    hide(monkeypatch, "haiku")
    monkeypatch.delitem(sys.modules, "haiku")
    (tmp_path / "haiku.py").write_text("import jax\njax.gone_in_this_version\n")
    monkeypatch.syspath_prepend(tmp_path)
    message = (
        r"js\.interop\.haiku needs dm-haiku, which is there but does not import: .*gone_in_this_version.*; "
        r"another release of it may: pip install -U 'jaxscope\[haiku\]'"
    )
    with pytest.raises(ImportError, match=message):
        js.interop.haiku(lambda x: x)
