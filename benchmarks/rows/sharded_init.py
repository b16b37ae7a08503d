"""Sharded init: a decoder made on eight devices, the memory of each and of the process."""

import dataclasses
import statistics
from collections.abc import Iterator

from benchmarks import child
from benchmarks.report import Table
from benchmarks.setup import Setup

OURS = {"specs": "jaxscope", "jaxscope": "jaxscope in jax.jit"}
#: Measure -> how it is told.
MEASURES = {
    "trace": ("trace and lower, CPU s", 1.0),
    "compile": ("compile, CPU s", 1.0),
    "run": ("run, CPU s", 1.0),
    "temporaries": ("temporaries a device, MiB", 2.0**20),
    "peak": ("peak growth over parameters", 1.0),
}


def run(setup: Setup) -> Iterator[Table]:
    model = setup.sizes.sharded
    columns: dict[str, str] = {}
    for name in setup.frameworks:
        columns |= OURS if name == "jaxscope" else {name: name}
    table = Table(
        f"Sharded init of {model.name} on 8 devices", tuple(columns.values()),
        "Fresh processes, eight devices made of one processor, matrices split 4 by 2. jaxscope is "
        "`specs.init(key, mesh=mesh)`, the others are one `jax.jit(init, out_shardings=)`. No ratios.",
    )  # fmt: skip
    for way, column in columns.items():
        print(f"  {table.title} / {column}", flush=True)
        sizes = repr(dataclasses.astuple(model))
        found = [child.call(way, sizes, module="benchmarks.sharded") for _ in range(setup.sizes.cold_repeats)]
        for measure, (title, unit) in MEASURES.items():
            value = statistics.median(one[measure] for one in found) / unit
            table.put(title, column, f"{value:.2f}", value)
    yield table
