"""Import time: what a library adds to `import jax`, each in fresh processes."""

import statistics
from collections.abc import Iterator

from benchmarks import child
from benchmarks.report import Table
from benchmarks.setup import BASE, Setup


def run(setup: Setup) -> Iterator[Table]:
    names = tuple(name for name in setup.frameworks if name != BASE)
    note = "Over `import jax`, fresh processes taking turns: median (minimum)."
    table = Table("Import", names, note)
    packages = {name: setup.frameworks[name].PACKAGES[0] for name in names}
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for _ in range(1 + setup.sizes.import_repeats):
        for name, package in packages.items():
            runs[name].append(child.call("import", package))
    for name, found in runs.items():
        later = found[1:]  # the first may have had to read the files, or to compile them
        for field, case in (("cpu", "CPU, ms"), ("wall", "wall, ms")):
            taken = [1e3 * f[field] for f in later]
            table.put(
                case, name, f"{statistics.median(taken):.1f} ({min(taken):.1f})", statistics.median(taken)
            )
        share = statistics.median(100 * f["cpu"] / f["jax_cpu"] for f in later)
        table.put("CPU, percent of `import jax`", name, f"{share:.1f}", share)
        table.put("modules", name, f"{later[0]['modules']:.0f}")
        table.put("of them third-party", name, f"{later[0]['third_party']:.0f}")
    yield table
