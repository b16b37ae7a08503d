"""What `pip install jaxscope` puts on a machine is the whole package and nothing else, and works there."""

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import jaxscope

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wheel_of(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    run("-m", "pip", "--quiet", "install", "--no-deps", "--target", str(folder), str(wheel))
    return folder


def wheel_of(clone: Path, folder: Path) -> Path:
    pytest.importorskip("hatchling", reason="packages are built offline, with what is installed")
    options = ["--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    run("-m", "pip", "--quiet", "wheel", *options, str(clone))
    (path,) = folder.glob("jaxscope-*.whl")
    return path


def run(*arguments: str, cwd: Path = ROOT, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def sources(clone: Path, part: str) -> set[Path]:
    """Return the programs and pages in a folder of a clone, without what the pages were built to."""
    found = {path.relative_to(clone) for path in (clone / part).rglob("*.*") if path.suffix in {".py", ".md"}}
    return {path for path in found if "_build" not in path.parts}


def contents(wheel: Path) -> dict[str, bytes]:
    archive = zipfile.ZipFile(wheel)
    return {name: archive.read(name) for name in archive.namelist()}


def test_contents(wheel: Path):
    """Every module, the typing marker, data and the licence are in it; pages, tests and examples are not."""
    found = contents(wheel)
    files = {path for path in (ROOT / "jaxscope").rglob("*") if path.is_file() and path.suffix != ".md"}
    expected = {path.relative_to(ROOT).as_posix() for path in files if "__pycache__" not in path.parts}
    assert {"jaxscope/py.typed", "jaxscope/tf1/tf1_names.txt"} <= expected
    assert {name for name in found if ".dist-info/" not in name} == expected
    about = {
        name.partition(".dist-info/")[2]: value.decode() for name, value in found.items() if "-info/" in name
    }
    assert {"licenses/LICENSE", "licenses/jaxscope/inspect/page/d3-hierarchy.LICENSE.txt"} <= about.keys()
    assert "jaxscope = jaxscope.__main__:run" in about["entry_points.txt"]
    assert f"\nVersion: {jaxscope.__version__}\n" in about["METADATA"]
    needed = re.findall(r"^Requires-Dist: ([^;\n]+)$", about["METADATA"], re.MULTILINE)
    assert needed == ["jax>=0.8"]


def test_sdist(wheel: Path, tmp_path: Path):
    """It has what the tests and the pages need, and the same wheel comes of it."""
    run("-m", "hatchling", "build", "--target", "sdist", "--directory", str(tmp_path))
    (path,) = tmp_path.glob("jaxscope-*.tar.gz")
    with tarfile.open(path) as archive:
        archive.extractall(tmp_path, filter="data")
    (clone,) = (one for one in tmp_path.iterdir() if one.is_dir())
    for part in ("tests", "docs", "examples", "benchmarks", "jaxscope"):
        assert sources(clone, part) == sources(ROOT, part)
    for name in (".ci/run", ".github/workflows/ci.yml", "CHANGELOG.md", "CITATION.cff", "conftest.py"):
        assert (clone / name).read_bytes() == (ROOT / name).read_bytes()
    assert contents(wheel_of(clone, tmp_path)) == contents(wheel)


# Whatever is installed beside it for the tests, this finds only what `pip install jaxscope` brings.
BARE = """
import re, sys
from importlib import metadata

def with_all_that_it_needs(name, found):
    if name not in found:
        found.add(name)
        for line in metadata.requires(name) or ():
            if "extra ==" not in line:
                needed = re.match(r"[\\w.-]+", line)[0].lower()
                try:
                    with_all_that_it_needs(needed, found)
                except metadata.PackageNotFoundError:  # of another platform
                    found.discard(needed)
    return found

normal = lambda name: re.sub(r"[-_.]+", "-", name).lower()
there = {normal(name) for name in with_all_that_it_needs("jax", set())}

class Bare:
    hidden = {
        module
        for module, homes in metadata.packages_distributions().items()
        if module != "jaxscope" and not there & set(map(normal, homes))
    }
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.hidden:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Bare())
sys.path.insert(0, sys.argv[1])
assert {"optax", "flax", "pytest", "rich"} & Bare.hidden
"""

USE = """
import jaxscope as js
from jaxscope.command.main import main
assert js.__file__.startswith(sys.argv[1]), js.__file__
with open(sys.argv[2]) as file:
    fifteen_lines, four_functions, *_ = re.findall(r"```python\\n(.*?)```", file.read(), re.DOTALL)
exec(fifteen_lines)
exec(four_functions)
js.checkpoint.save("m.npz", variables)
assert main(["inspect", "m.npz"]) == 0
assert main(["convert", "m.npz", "folder"]) == 2  # orbax's
try:
    js.optim.tf1_adam(0.1)
except ImportError as problem:
    print(problem)
"""


def test_use(installed: Path, tmp_path: Path):
    """In a bare environment the README's first lines run, and what needs an extra says which."""
    program = BARE + USE
    out = run("-I", "-c", program, str(installed), str(ROOT / "README.md"), cwd=tmp_path)
    assert "m.npz: 4 variables" in out
    assert "tower/embed" in out
    assert out.endswith("js.optim.tf1_adam needs optax: pip install 'jaxscope[optim]'\n")
    assert sorted(os.listdir(tmp_path)) == ["m.npz"]


def test_command(installed: Path):
    """The command that is installed runs."""
    assert run(str(installed / "bin/jaxscope"), "--version", PYTHONPATH=str(installed)) == (
        f"{jaxscope.__version__}\n"
    )
