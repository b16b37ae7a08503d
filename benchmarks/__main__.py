"""Run the benchmarks: `python -m benchmarks`, `--quick`, `--rows trace,spec`, `--frameworks jaxscope`."""

import argparse
import importlib
import importlib.metadata
import os
import platform
import sys
import time
from pathlib import Path

import jax

from benchmarks import frameworks, plot
from benchmarks.report import Table
from benchmarks.setup import BASE, QUICK, Setup, Sizes

ROWS = (
    "trace",
    "tf1",
    "inner",
    "blocks",
    "spec",
    "init",
    "sharded_init",
    "dispatch",
    "containers",
    "tables",
    "optim",
    "equality",
    "train",
    "layers",
    "first_step",
    "checkpoints",
    "imports",
)
HEAD = """# Benchmarks

The same models through several libraries, each by its raw way to ask for an array and with the same maths;
the base is hand-written JAX over a nested dict. Candidates take turns in one process. A ratio is the median
of the ratios within each round, and in brackets the ratio of the minima; lower is better.

The tables "Own layers" and "First train step" are about training with each library's own ready layers: a GPT
of 6 layers of width 256, a ResNet-18 with batch norm, and 24 layers of width 128, unrolled and in a scan.
Attention is one function for all. Hand-written norms have three formulas: two passes over an input behind an
optimization barrier, which is the base; one pass, with the square written before the mean; and two passes
without a barrier, in each of which XLA on CPU computes all residuals before it again.

Reproduce with

```
pip install optax matplotlib dm-haiku flax equinox orbax-checkpoint safetensors
python -m benchmarks --out docs/reference/benchmarks.md
```

(`--quick` checks in a minute that everything runs; `--rows` and `--frameworks` choose; a library that is not
installed is left out.)
"""


def main() -> None:
    """Run the rows that were asked for, print each table as it ends, and write them all."""
    asked = arguments()
    names = tuple(dict.fromkeys([BASE, *asked.frameworks.split(",")]))
    found, missing = frameworks.load(names)
    facts = [environment(), *missing]
    print("\n".join(facts), flush=True)
    setup = Setup(found, QUICK if asked.quick else Sizes())
    tables: list[Table] = []
    for row in asked.rows.split(","):
        start = time.perf_counter()
        for table in importlib.import_module(f"benchmarks.rows.{row}").run(setup):
            print(f"\n{table.markdown()}", flush=True)
            tables.append(table)
        print(f"{row}: {time.perf_counter() - start:.0f} s", flush=True)
    if asked.out:
        write(Path(asked.out), facts, tables)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny sizes, one round: does everything run?")
    parser.add_argument("--rows", default=",".join(ROWS), help="some of " + ",".join(ROWS))
    parser.add_argument("--frameworks", default=",".join(frameworks.NAMES))
    parser.add_argument("--out", default="", help="Markdown file to write; its plot goes beside it as .png")
    asked = parser.parse_args()
    unknown = [row for row in asked.rows.split(",") if row not in ROWS]
    if unknown:
        parser.error(f"no such rows: {', '.join(unknown)}; there are {', '.join(ROWS)}")
    return asked


def environment() -> str:
    """Return one line about versions and the machine."""
    versions: list[str] = []
    for package in ("jax", "dm-haiku", "flax", "equinox", "optax"):
        try:
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    python = platform.python_version()
    device = jax.devices()[0]
    kind = "CPU" if device.platform == "cpu" else f"{device.device_kind} beside a CPU"
    return f"{', '.join(versions)}; Python {python}, {platform.system()}, {kind}, {os.cpu_count()} cores."


def write(path: Path, facts: list[str], tables: list[Table]) -> None:
    """Write the tables as Markdown, and the plot beside them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = path.with_suffix(".png")
    line = plot.draw(tables, picture)
    parts = [HEAD, *(f"{fact}\n" for fact in facts)]
    parts += [f"![Ratios over the size of the model]({picture.name})\n"] if picture.exists() else []
    path.write_text("\n".join([*parts, *(table.markdown() for table in tables)]))
    print(f"{line}\nwrote {path}", file=sys.stderr)


if __name__ == "__main__":
    main()
