"""Equality of programs: is what a library traces and compiles what hand-written JAX does?"""

from collections.abc import Iterator
from typing import Any

from benchmarks.canonical import compare, program
from benchmarks.models import mlp
from benchmarks.net import Model, Net, abstract_variables
from benchmarks.report import Table
from benchmarks.setup import BASE, Setup


def run(setup: Setup) -> Iterator[Table]:
    note = "Texts compared, with inputs and outputs in canonical order and without source positions."
    columns = tuple(name for name in setup.frameworks if name != BASE)
    jaxprs = Table("Canonical jaxpr of apply, against handwritten", columns, note)
    hlos = Table("Optimised HLO of apply, against handwritten", columns, note)
    for model in (mlp.Mlp(setup.sizes.depths[0]), setup.sizes.tiny, *setup.sizes.real):
        nets = setup.nets(model)
        fill(jaxprs, hlos, model.name, nets, model)
        module: Any = setup.frameworks.get("jaxscope")
        if getattr(model, "scanned", False) and module is not None and module.HAS_SCAN_LAYERS:
            pair = {BASE: nets[BASE], "jaxscope": module.scan_layers_net(model)}
            fill(jaxprs, hlos, f"{model.name} by js.scan_layers", pair, model)
    yield jaxprs
    yield hlos


def fill(jaxprs: Table, hlos: Table, case: str, nets: dict[str, Net], model: Model) -> None:
    inputs = model.inputs()
    programs = {
        name: program(net.apply, abstract_variables(net, model), inputs) for name, net in nets.items()
    }
    base = programs.pop(BASE)
    for name, found in programs.items():
        jaxprs.put(case, name, compare(base.jaxpr, found.jaxpr))
        hlos.put(case, name, compare(base.hlo, found.hlo))
