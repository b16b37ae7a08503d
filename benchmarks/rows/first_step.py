"""From the start of a fresh process to the first finished train step, in each library's own layers."""

import dataclasses
import math
import tempfile
from collections.abc import Iterator

from benchmarks import child
from benchmarks.layered.models import Gpt, ResNet
from benchmarks.report import Table
from benchmarks.setup import Setup

LEFT_OUT = {"handwritten, square first"}  # as quick as the barrier's
CACHE = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1"}
# A GPU's memory is not for the first process alone.
MEMORY = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}


def run(setup: Setup) -> Iterator[Table]:
    repeats = setup.sizes.cold_repeats
    table = Table(
        "First train step of a fresh process", (),
        "CPU s (wall s), the least of all runs: imports, init as the library's pages show it, trace, compile "
        "and run. JAX's compilation cache is told to keep everything. No ratios.",
    )  # fmt: skip
    for model in setup.sizes.first_steps:
        ways = {way: lib for way, (lib, _) in setup.trainings(model).items() if way not in LEFT_OUT}
        table.columns = tuple(dict.fromkeys((*table.columns, *ways)))
        runs: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
        for _ in range(repeats):
            for way, library in ways.items():
                runs[way].append(first_step(library, way, model))
        for way, library in ways.items():
            print(f"  {table.title} / {model.name} / {way}", flush=True)
            fill(table, model.name, way, runs[way])
            with tempfile.TemporaryDirectory(prefix="benchmarks-cache-") as folder:
                cached = [first_step(library, way, model, folder) for _ in range(1 + repeats)]
            put(table, f"{model.name}, into an empty cache", way, cached[:1])
            put(table, f"{model.name}, out of the cache", way, cached[1:])
    yield table


def first_step(library: str, way: str, model: Gpt | ResNet, cache: str = "") -> dict[str, float]:
    """Run one process; return its numbers."""
    sizes = repr(dataclasses.astuple(model))
    more = {**MEMORY, **({"JAX_COMPILATION_CACHE_DIR": cache, **CACHE} if cache else {})}
    found = child.call(library, way, type(model).__name__, sizes, module="benchmarks.first_step", env=more)
    assert math.isfinite(found["loss"])
    return found


def fill(table: Table, case: str, way: str, runs: list[dict[str, float]]) -> None:
    put(table, case, way, runs)
    init = min(one["init"] for one in runs)
    table.put(f"{case}, of it init, CPU s", way, f"{init:.1f}", init)
    table.put(f"{case}, programs compiled before the step", way, f"{runs[0]['compiles']:.0f}")


def put(table: Table, case: str, way: str, runs: list[dict[str, float]]) -> None:
    cpu, wall = (min(one[clock] for one in runs) for clock in ("cpu", "wall"))
    table.put(case, way, f"{cpu:.1f} ({wall:.1f})", cpu)
