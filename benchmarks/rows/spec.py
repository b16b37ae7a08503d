"""Abstract init: names, shapes and dtypes, without values, over the hand-written *forward trace*."""

from collections.abc import Callable, Iterator

from benchmarks.models import mlp
from benchmarks.net import Model, Net
from benchmarks.report import Table
from benchmarks.rows.trace import tracing
from benchmarks.setup import BASE, Setup
from benchmarks.timing import Samples, interleaved

FORWARD = "forward"
NOTE = (
    "First column: CPU time of the hand-written forward trace, which any library that discovers variables by "
    "running the model must spend. Others: median ratio to it (ratio of minima); `own init` is handwritten's "
    "abstract init, which does not run the model."
)
PATIENCE = 2.0  # seconds of CPU for one sample, above which a library is left out at larger depths


def specs(setup: Setup, model: Model, without: set[str]) -> dict[str, Samples]:
    """Time the spec of one model in every library but `without`, and the hand-written forward trace."""

    def fresh(make: Callable[[], Net]) -> Callable[[], Callable[[], object]]:
        def prepare() -> Callable[[], object]:
            net = make()  # a new function each time: no cache by function is hit
            return lambda: net.spec(*model.inputs())

        return prepare

    prepare = {name: fresh(make) for name, make in setup.builders(model).items() if name not in without}
    prepare[FORWARD] = tracing(setup.nets(model)[BASE], model)
    return interleaved(prepare, setup.sizes.effort)


def run(setup: Setup) -> Iterator[Table]:
    others = tuple(name for name in setup.frameworks if name != BASE)
    table = Table("Abstract init", (FORWARD, "own init", *others), NOTE)
    slow: set[str] = set()
    for depth in setup.sizes.depths:
        model = mlp.Mlp(depth)
        samples = specs(setup, model, slow)
        fill(table, f"{model.name}, us/variable", samples, "us", model.variables)
        slow |= {name for name, taken in samples.items() if taken.minimum > PATIENCE and name != BASE}
    for model in setup.sizes.real:
        fill(table, f"{model.name}, ms", specs(setup, model, set()), "ms", 1)
    yield table


def fill(table: Table, case: str, samples: dict[str, Samples], unit: str, per: int) -> None:
    named = {"own init" if name == BASE else name: taken for name, taken in samples.items()}
    table.put_samples(case, named, unit, per=per, base=samples[FORWARD])
