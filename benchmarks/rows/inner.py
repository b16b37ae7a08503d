"""Blocks inside a plain `jax.jit` or `jax.checkpoint`: what it costs that each may ask for variables."""

from collections.abc import Iterator
from typing import Any

from benchmarks.models import transformer
from benchmarks.report import Table
from benchmarks.rows.trace import tracing
from benchmarks.setup import BASE, Setup
from benchmarks.timing import interleaved

ONCE = "handwritten, traced once"


def run(setup: Setup) -> Iterator[Table]:
    handwritten: Any = setup.frameworks[BASE]
    names = [name for name in ("jaxscope",) if name in setup.frameworks]
    table = Table(
        "Trace of apply with each block in an inner transform, ms of CPU", (BASE, ONCE, *names),
        "In the first column each block closes over its variables, as one that asks for them by name must; "
        f"in `{ONCE}` one function of (variables, x) is traced for all blocks.",
    )  # fmt: skip
    for wrap in ("jit", "checkpoint"):
        model = transformer.Wrapped(setup.sizes.inner_depth, wrap=wrap)
        nets = setup.nets(model)
        prepare = {name: tracing(nets[name], model) for name in (BASE, *names)}
        prepare[ONCE] = tracing(handwritten.wrapped_by_arguments_net(model), model)
        table.put_samples(model.name, interleaved(prepare, setup.sizes.effort), "ms")
    plain = transformer.Stack(setup.sizes.inner_depth)
    nets = setup.nets(plain)
    prepare = {name: tracing(nets[name], plain) for name in (BASE, *names)}
    table.put_samples(f"{plain.depth} blocks, plain", interleaved(prepare, setup.sizes.effort), "ms")
    yield table
