"""What `pip install jaxscope` puts on a machine is the whole package, and nothing else."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatchling", reason="the wheel is built offline, with what is installed")
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT))
    (path,) = folder.glob("jaxscope-*.whl")
    return path


def pip(*arguments: str):
    subprocess.run([sys.executable, "-m", "pip", "--quiet", *arguments], check=True, cwd=ROOT)


def test_contents(wheel: Path):
    """Every module, the typing marker, data and the licence are in it; pages, tests and examples are not."""
    files = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    package = ROOT / "jaxscope"
    expected = {path for ending in ("*.py", "*.txt", "py.typed") for path in package.rglob(ending)}
    assert package / "tf1" / "tf1_names.txt" in expected
    assert files == {path.relative_to(ROOT).as_posix() for path in expected}
    assert any(name.endswith("licenses/LICENSE") for name in zipfile.ZipFile(wheel).namelist())
    (scripts,) = [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith("entry_points.txt")]
    assert "jaxscope = jaxscope.command.main:main" in zipfile.ZipFile(wheel).read(scripts).decode()


USE = """
import sys
sys.path.insert(0, sys.argv[1])
import jax, jax.numpy as jnp
import jaxscope as js
assert js.__file__.startswith(sys.argv[1]), js.__file__
net = js.transform(lambda x: x @ js.get_variable("w", [x.shape[-1], 2]))
print(net.apply(net.init(jax.random.key(0), jnp.ones([1, 3])), jnp.ones([1, 3])).shape)
"""


def test_install(wheel: Path, tmp_path: Path):
    """Installed alone in a folder, it is imported from there and works."""
    pip("install", "--no-deps", "--target", str(tmp_path), str(wheel))
    run = subprocess.run(
        [sys.executable, "-I", "-c", USE, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout) == (0, "(1, 2)\n"), run.stderr
