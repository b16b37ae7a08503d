"""Real init: the first of a process, later ones, under `jax.jit`, and the memory at its peak."""

import dataclasses
import statistics
from collections.abc import Iterable, Iterator

from benchmarks import child
from benchmarks.models import mlp
from benchmarks.report import Table
from benchmarks.setup import BASE, Setup
from benchmarks.timing import Samples

OURS = (BASE, "jaxscope")  # where the others would take an hour, or have nothing of the sort


def described(model: object) -> tuple[str, str]:
    """Return a model's class and sizes as arguments for the child process."""
    assert dataclasses.is_dataclass(model)
    assert not isinstance(model, type)
    return type(model).__name__, repr(dataclasses.astuple(model))


def cold(names: Iterable[str], model: object, how: str, repeats: int) -> dict[str, list[dict[str, float]]]:
    """Measure in fresh processes, the libraries taking turns."""
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for _ in range(repeats):
        for name, found in runs.items():
            found.append(child.call("cold", name, *described(model), how))
    return runs


def run(setup: Setup) -> Iterator[Table]:
    sizes, columns = setup.sizes, tuple(setup.frameworks)
    note = "Fresh processes, taking turns. First column: CPU seconds; others: median ratio (ratio of minima)."
    times = Table("Cold eager init", columns, note)
    wall = Table("Cold eager init, wall clock", columns, note.replace("CPU seconds", "wall seconds"))
    counts = Table("Programs compiled by a cold eager init", columns)
    warm = Table("Warm eager init, CPU", columns, "Best of five in each of the same processes.")
    for model in (*(mlp.Mlp(depth) for depth in sizes.init_depths), sizes.tiny):
        runs = cold(setup.frameworks, model, "eager", sizes.cold_repeats)
        for table, field, unit in ((times, "cpu", "s"), (wall, "wall", "s"), (warm, "warm", "ms")):
            taken = {name: Samples(tuple(r[field] for r in found)) for name, found in runs.items()}
            table.put_samples(model.name, taken, unit)
        for name, found in runs.items():
            counts.put(model.name, name, f"{found[0]['compiles']:.0f}")
    yield times
    yield wall
    yield counts
    yield warm
    yield jitted(setup)
    yield many_shapes(setup)
    yield memory(setup)


def jitted(setup: Setup) -> Table:
    table = Table("First call of jax.jit(init), CPU (mostly XLA's compiler)", tuple(setup.frameworks))
    for model, names in ((setup.sizes.jit_init, setup.frameworks), (setup.sizes.deep_jit_init, OURS)):
        runs = cold([name for name in names if name in setup.frameworks], model, "jit", 1)
        taken = {name: Samples((found[0]["cpu"],)) for name, found in runs.items()}
        table.put_samples(model.name, taken, "s")
    return table


def many_shapes(setup: Setup) -> Table:
    model = setup.sizes.distinct
    columns = ("handwritten in jax.jit", "jaxscope", "handwritten")
    table = Table(
        "Cold init of variables of different shapes, CPU", columns,
        "jaxscope and handwritten eagerly, beside one jitted init. Others: median ratio (ratio of minima).",
    )  # fmt: skip
    jitted = cold([BASE], model, "jit", setup.sizes.cold_repeats)[BASE]
    runs = cold([name for name in OURS if name in setup.frameworks], model, "eager", setup.sizes.cold_repeats)
    taken = {name: Samples(tuple(r["cpu"] for r in found)) for name, found in runs.items()}
    base = Samples(tuple(r["cpu"] for r in jitted))
    table.put_samples(model.name, {columns[0]: base, **taken}, "s", base=base)
    return table


def memory(setup: Setup) -> Table:
    model = setup.sizes.large
    table = Table(
        "Peak memory of a cold eager init", tuple(setup.frameworks),
        "Growth of the resident set over the bytes of the variables, in every column.",
    )  # fmt: skip
    for name in setup.frameworks:
        found = [
            child.call("memory", name, *described(model), "eager") for _ in range(setup.sizes.cold_repeats)
        ]
        ratio = statistics.median(f["ratio"] for f in found)
        table.put(f"{model.depth} x {model.width} x {model.width}", name, f"{ratio:.2f}", ratio)
    return table
