"""Files of variables: how long saving and loading take, and the caller waits, and the memory they need."""

import importlib.util
import os
import shutil
import statistics
import tempfile
from collections.abc import Iterator

from benchmarks import files
from benchmarks.report import Table
from benchmarks.setup import BASE, Setup

CASES = {"save": "save, s", "begin": "the caller waits, ms", "load": "load, s", "one": "one array, ms"}


def there(package: str) -> bool:
    """Tell whether a package is installed, without importing it."""
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:  # not even what it is in
        return False


def run(setup: Setup) -> Iterator[Table]:
    count, repeats = setup.sizes.file_arrays, setup.sizes.cold_repeats
    alone = set(setup.frameworks) <= {BASE, "jaxscope"}  # no other library was asked for
    asked = ("raw", "jaxscope") if alone else tuple(files.WAYS)
    ways = [way for way in asked if there(files.NEEDS.get(way, "jax"))]
    mib = sum(files.SIZES) * count / 2**20
    note = (
        f"{3 * count} arrays of {mib:,.0f} MiB; fresh processes taking turns: medians, warm files. "
        "Saving ends when all is on the disk. Raw: the system's calls alone."
    )
    times = Table("Files of variables: time", tuple(ways), note)
    memory = Table(
        "Files of variables: memory", tuple(ways), "MiB at the peak, beyond the arrays that are saved."
    )
    taken: dict[tuple[str, str], list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory(prefix="benchmarks-files-") as top:
        for _ in range(repeats):
            for way in ways:
                print(f"  files / {way}", flush=True)
                for what, found in measured(way, count, os.path.join(top, "one")):
                    taken.setdefault((way, what), []).append(found)
    for (way, what), found in taken.items():
        seconds = statistics.median(one["seconds"] for one in found)
        scaled = 1e3 * seconds if CASES[what].endswith("ms") else seconds
        times.put(CASES[what], way, f"{scaled:.3g}", scaled)
        if what in ("save", "load"):
            most = statistics.median(one["mib"] for one in found)
            memory.put(f"{what}, MiB", way, f"{most:.0f}", most)
    yield times
    yield memory


def measured(way: str, count: int, folder: str) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield what a way takes for each case, in a folder that is deleted then."""
    os.mkdir(folder)
    kind = files.WAYS[way]
    yield "save", files.call(way, "save", count, folder)
    yield "load", files.call(way, "load", count, folder)
    if kind.one is not None:
        yield "one", files.call(way, "one", count, folder)
    if hasattr(kind, "begin"):
        shutil.rmtree(folder)
        os.mkdir(folder)
        yield "begin", files.call(way, "begin", count, folder)
    shutil.rmtree(folder)
