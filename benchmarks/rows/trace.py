"""Trace of apply: what a library adds to the tracing of the model itself."""

from collections.abc import Callable, Iterator
from typing import Any

import jax

from benchmarks.models import mlp
from benchmarks.net import Model, Net, abstract_variables
from benchmarks.report import Table
from benchmarks.setup import BASE, Setup
from benchmarks.timing import Samples, interleaved

NOTE = "First column: CPU time. Others: median ratio (ratio of minima)."


def tracing(net: Net, model: Model) -> Callable[[], Callable[[], object]]:
    """Return what makes a call that traces `apply` and hits no cache of an earlier trace."""
    inputs = model.inputs()
    variables = abstract_variables(net, model)

    def prepare() -> Callable[[], object]:
        jitted = jax.jit(lambda variables, *args: net.apply(variables, *args))
        return lambda: jitted.trace(variables, *inputs)

    return prepare


def traced(setup: Setup, model: Model) -> dict[str, Samples]:
    """Time the trace of one model in every library."""
    prepare = {name: tracing(net, model) for name, net in setup.nets(model).items()}
    return interleaved(prepare, setup.sizes.effort)


def run(setup: Setup) -> Iterator[Table]:
    columns = tuple(setup.frameworks)
    ratios = Table("Trace of apply: deep MLPs, us of CPU per variable", columns, NOTE)
    over = Table("Trace of apply: deep MLPs, us per variable above handwritten", columns)
    for depth in setup.sizes.depths:
        model = mlp.Mlp(depth)
        samples = traced(setup, model)
        ratios.put_samples(model.name, samples, "us", per=model.variables)
        for name, taken in samples.items():
            each = 1e6 * taken.over(samples[BASE]) / model.variables
            least = 1e6 * (taken.minimum - samples[BASE].minimum) / model.variables
            over.put(model.name, name, f"{each:.1f} ({least:.1f})", each)
    yield ratios
    yield over
    real = Table("Trace of apply: real models, ms of CPU", columns, NOTE)
    for model in setup.sizes.real:
        real.put_samples(model.name, traced(setup, model), "ms")
    add_scan_layers(setup, real)
    yield real


def add_scan_layers(setup: Setup, table: Table) -> None:
    """Add the case of `js.scan_layers`, next to the hand-written scan, if this jaxscope has it."""
    module: Any = setup.frameworks.get("jaxscope")
    if module is None or not module.HAS_SCAN_LAYERS:
        return
    for model in setup.sizes.real:
        if getattr(model, "scanned", False):
            nets = {BASE: setup.nets(model)[BASE], "jaxscope": module.scan_layers_net(model)}
            samples = interleaved({n: tracing(net, model) for n, net in nets.items()}, setup.sizes.effort)
            table.put_samples(f"{model.name} by js.scan_layers", samples, "ms")
