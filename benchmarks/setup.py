"""What one run of the benchmarks measures: the libraries, how large the models are, how long to repeat."""

import functools
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from benchmarks import layered
from benchmarks.layered.models import Gpt, ResNet
from benchmarks.layered.training import Training
from benchmarks.models import gpt2, mlp, resnet, shapes, transformer
from benchmarks.net import Model, Net
from benchmarks.timing import Effort

BASE = "handwritten"
DEEP = Gpt("24 layers, unrolled", 24, 128)
SCANNED = Gpt("24 layers, scanned", 24, 128, scanned=True)


@dataclass(frozen=True)
class Sizes:
    """The sizes of every row."""

    depths: tuple[int, ...] = (10, 100, 1000, 5000)
    real: tuple[Model, ...] = (
        transformer.Decoder("GPT-2 small"),
        resnet.ResNet(),
        transformer.Stack(96),
        transformer.Stack(96, scanned=True),
    )
    published: tuple[gpt2.Published, ...] = (gpt2.Published(),)
    tiny: transformer.Decoder = transformer.Decoder("decoder 4 x 64", 4, 64, 4, 256, 32, 4)
    init_depths: tuple[int, ...] = (10, 100, 1000)
    jit_init: mlp.Mlp = mlp.Mlp(100)
    deep_jit_init: mlp.Mlp = mlp.Mlp(1000)  # minutes of XLA for hand-written JAX
    distinct: shapes.Shapes = shapes.Shapes()
    scan_depths: tuple[int, ...] = (12, 96)
    large: mlp.Mlp = mlp.Mlp(30, 2048)
    sharded: transformer.Decoder = transformer.Decoder("a decoder of 203 M", 12, 1024, 16, 49152, 1024)
    leaves: tuple[int, ...] = (10, 100, 1000, 10_000)
    inner_depth: int = 24
    file_arrays: int = 100  # of each of three sizes
    layered: tuple[Gpt | ResNet, ...] = (Gpt(), ResNet(), DEEP, SCANNED)
    first_steps: tuple[Gpt | ResNet, ...] = (Gpt(), ResNet(), SCANNED)
    formulas: bool = True  # of hand-written norms, all three
    cold_repeats: int = 2
    import_repeats: int = 9
    effort: Effort = Effort()


QUICK = Sizes(
    depths=(2, 4),
    real=(
        transformer.Decoder("GPT-2, 1 x 16", 1, 16, 2, 32, 8),
        resnet.ResNet("ResNet, 2 blocks", (1, 1), 8, 16, 2, 10),
        transformer.Stack(2, 16, 2, 8),
        transformer.Stack(2, 16, 2, 8, scanned=True),
    ),
    published=(gpt2.Published("GPT-2, 1 x 16", 32, 8, 16, 2, 1),),
    tiny=transformer.Decoder("decoder 1 x 16", 1, 16, 2, 32, 8, 2),
    init_depths=(2,),
    jit_init=mlp.Mlp(2),
    deep_jit_init=mlp.Mlp(3),
    distinct=shapes.Shapes(3),
    scan_depths=(2,),
    large=mlp.Mlp(4, 128),
    sharded=transformer.Decoder("a decoder, 1 x 16", 1, 16, 2, 32, 8),
    leaves=(4,),
    inner_depth=2,
    file_arrays=2,
    layered=(
        ResNet("resnet, 2 blocks", (1, 1), 4, 16, 8),
        Gpt("2 layers, scanned", 2, 16, 2, 32, 8, scanned=True),
    ),
    first_steps=(Gpt("gpt, 1 layer", 1, 16, 2, 32, 8),),
    formulas=False,
    cold_repeats=1,
    import_repeats=1,
    effort=Effort(1, 1, 0.0),
)


@dataclass(frozen=True)
class Setup:
    """The libraries at hand, by name, and the sizes."""

    frameworks: dict[str, ModuleType]
    sizes: Sizes

    def builders(self, model: Model) -> dict[str, Any]:
        """Return, for each library that has this kind of model, a function that makes a fresh net of it."""
        return {
            name: functools.partial(module.BUILDERS[type(model)], model)
            for name, module in self.frameworks.items()
            if type(model) in module.BUILDERS
        }

    def nets(self, model: Model) -> dict[str, Net]:
        """Return one net for each library that has this kind of model."""
        return {name: make() for name, make in self.builders(model).items()}

    def trainings(self, model: Gpt | ResNet) -> dict[str, tuple[str, Training]]:
        """Return, by column, a library's name and how it trains a model of its own layers."""
        return {
            way: (library, training)
            for library, module in layered.load(self.frameworks).items()
            for way, training in module.ways(model).items()
            if self.sizes.formulas or not way.startswith(f"{BASE},")
        }
