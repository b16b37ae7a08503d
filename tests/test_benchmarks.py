"""The benchmarks run to their end at tiny sizes and write their tables; no time is judged."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import plot
from benchmarks.report import Table
from tests.conftest import XLA_FLAGS

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The Markdown that a quick run over handwritten JAX and jaxscope writes."""
    pytest.importorskip("optax")
    out = tmp_path_factory.mktemp("benchmarks") / "benchmarks.md"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--frameworks", "handwritten,jaxscope", "--out"]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "PYTHONPATH": path, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": XLA_FLAGS}
    done = subprocess.run(
        [*command, str(out)], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return out.read_text()


@pytest.mark.parametrize(
    "title",
    [
        "Trace of apply: deep MLPs, us per variable above handwritten",
        "Trace of apply: real models, ms of CPU",
        "TensorFlow 1's source: trace of GPT-2, ms of CPU",
        "Trace of apply with each block in an inner transform, ms of CPU",
        "Blocks traced once, ms of CPU",
        "A scan over layers, compiled, s of CPU",
        "Abstract init",
        "Cold eager init",
        "First call of jax.jit(init), CPU (mostly XLA's compiler)",
        "Cold init of variables of different shapes, CPU",
        "Peak memory of a cold eager init",
        "Sharded init of a decoder, 1 x 16 on 8 devices",
        "Dispatch of a compiled step: variables in and out",
        "Tables of 8 variables, s of CPU",
        "Train step",
        "Own layers: trace and lower a train step",
        "Own layers: compile a train step",
        "Own layers: a train step",
        "Own layers: dispatch of a train step",
        "Own layers: lines of a train step's optimised HLO",
        "Own layers: optimised HLO of a train step, against handwritten",
        "First train step of a fresh process",
        "Files of variables: time",
        "Files of variables: memory",
        "Import",
    ],
)
def test_every_row_gives_its_table(report: str, title: str) -> None:
    """Each row's table is written, with a cell for jaxscope in each case."""
    table = report.split(f"## {title}\n", 1)[1].split("##", maxsplit=1)[0]
    lines = [line for line in table.splitlines() if line.startswith("|")]
    place = lines[0].split("|").index(" jaxscope ")
    assert len(lines) > 2
    assert all(line.split("|")[place].strip() not in ("", "-") for line in lines[2:])


@pytest.mark.parametrize("what", ["Canonical jaxpr", "Optimised HLO"])
def test_programs_are_those_of_handwritten_jax(report: str, what: str) -> None:
    """What jaxscope traces and compiles is, model for model, what hand-written JAX does."""
    table = report.split(f"## {what} of apply, against handwritten\n", 1)[1].split("##", maxsplit=1)[0]
    cases = [line.split("|")[1:3] for line in table.splitlines() if line.startswith("|")][2:]
    assert cases
    assert {case.strip(): found.strip() for case, found in cases if found.strip() != "identical"} == {}


def test_what_depth_costs(tmp_path: Path) -> None:
    """The table of explanation/depth.md is written, with a line for each way and a number in each cell."""
    page = tmp_path / "depth.md"
    page.write_text("before\n<!-- table -->\n<!-- end of table -->\nafter\n")
    command = [sys.executable, "-m", "benchmarks.depth", "--quick", "--out", str(page)]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "PYTHONPATH": path, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": XLA_FLAGS}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = [line for line in page.read_text().splitlines() if line.startswith("| ")]
    assert len(lines) == 11
    for line in lines[2:]:
        assert all(float(cell) >= 0 for cell in line.split("|")[2:-1])


def test_the_plot_is_drawn_from_a_page():
    """What a table writes is read again, a base's time as 1; the page has what each panel shows."""
    table = Table("Two, ms", ("handwritten", "jaxscope", "haiku"), note="A | in a note")
    table.put("mlp 10", "handwritten", "3.2 ms", 1.0)
    table.put("mlp 10", "jaxscope", "1.25 (1.20)", 1.25)
    page = plot.read(f"# Benchmarks\n\n{table.markdown()}\n## No table\n\nwords\n")
    assert [(one.title, one.columns, one.rows, one.series) for one in page] == [
        (table.title, table.columns, table.rows, table.series)
    ]
    titles = {one.title for one in plot.read((ROOT / "docs/reference/benchmarks.md").read_text())}
    assert titles >= {title for title, _ in plot.PANELS}
