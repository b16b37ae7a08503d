"""js.jit and js.scan_layers: a block that is traced once, and a program that does not grow with depth."""

from collections.abc import Callable, Iterator
from typing import Any

import jax

from benchmarks.models import transformer
from benchmarks.net import Net, abstract_variables
from benchmarks.report import Table
from benchmarks.rows.trace import tracing
from benchmarks.setup import BASE, Setup
from benchmarks.timing import interleaved

PLAIN = 4  # blocks that the hand-written model traces, to which it adds cached calls of one


def run(setup: Setup) -> Iterator[Table]:
    jaxscope: Any = setup.frameworks.get("jaxscope")
    if jaxscope is None:
        return
    model = next(m for m in setup.sizes.real if isinstance(m, transformer.Stack) and not m.scanned)
    yield traced_once(setup, model, jaxscope)
    yield by_depth(setup, jaxscope)


def traced_once(setup: Setup, model: transformer.Stack, jaxscope: Any) -> Table:
    plain = min(PLAIN, model.depth)
    table = Table(
        "Blocks traced once, ms of CPU", (BASE, "jaxscope"),
        f"Hand-written: {plain} blocks traced one by one, and {model.depth - plain} calls of one in "
        "`jax.jit` that are in its cache. jaxscope: all blocks in `js.jit`, `spec` asked first and "
        "`apply` after it.",
    )  # fmt: skip
    handwritten: Any = setup.frameworks[BASE]
    base = handwritten.partly_cached(model, plain)
    net = jaxscope.traced_once_net(model)
    variables = abstract_variables(net, model)

    def trace() -> Callable[[], object]:
        fresh = jaxscope.traced_once_net(model)
        fresh.spec(*model.inputs())
        jitted = jax.jit(lambda variables, *args: fresh.apply(variables, *args))
        return lambda: jitted.trace(variables, *model.inputs())

    def spec() -> Callable[[], object]:
        fresh = jaxscope.traced_once_net(model)
        return lambda: fresh.spec(*model.inputs())

    for case, mine in ((f"{model.depth} blocks, apply", trace), (f"{model.depth} blocks, spec", spec)):
        table.put_samples(case, interleaved({BASE: base, "jaxscope": mine}, setup.sizes.effort), "ms")
    return table


def by_depth(setup: Setup, jaxscope: Any) -> Table:
    table = Table(
        "A scan over layers, compiled, s of CPU", (BASE, "jaxscope"),
        "Trace and compile, by `js.scan_layers` with stacked variables, and hand-written.",
    )  # fmt: skip
    for depth in setup.sizes.scan_depths:
        model = transformer.Stack(depth, scanned=True)
        nets: dict[str, Net] = {BASE: setup.nets(model)[BASE], "jaxscope": jaxscope.scan_layers_net(model)}
        prepare = {name: compiling(net, model) for name, net in nets.items()}
        table.put_samples(f"{depth} layers", interleaved(prepare, setup.sizes.effort), "s")
    return table


def compiling(net: Net, model: transformer.Stack) -> Callable[[], Callable[[], object]]:
    """Return what makes a call that traces and compiles `apply`, and hits no cache."""
    traced = tracing(net, model)

    def prepare() -> Callable[[], object]:
        jax.clear_caches()
        trace: Any = traced()
        return lambda: trace().lower().compile()

    return prepare
