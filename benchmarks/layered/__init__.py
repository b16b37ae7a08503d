"""Models of each library's own ready layers, with their train steps: one module for each library.

The maths is the same everywhere but for what a library's layers decide, which is what is compared: how a norm
is written, how variables are drawn and found. Attention is one function, called by all. Where a library lets
its users choose, initializers and epsilons are the same.
"""

import importlib
from collections.abc import Iterable
from types import ModuleType


def load(names: Iterable[str]) -> dict[str, ModuleType]:
    """Return the module of each library, whose `ways(model)` gives its trainings by name."""
    return {name: importlib.import_module(f"benchmarks.layered.{name}") for name in names}
