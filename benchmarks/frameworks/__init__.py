"""The libraries, one module each, with a `BUILDERS` table from a model's class to its net."""

import importlib
from types import ModuleType

NAMES = ("handwritten", "jaxscope", "haiku", "linen", "nnx", "equinox")


def load(names: tuple[str, ...]) -> tuple[dict[str, ModuleType], list[str]]:
    """Return the modules of the libraries that can be imported, and a line for each that cannot."""
    found: dict[str, ModuleType] = {}
    missing: list[str] = []
    for name in names:
        try:
            found[name] = importlib.import_module(f"benchmarks.frameworks.{name}")
        except (ImportError, AttributeError) as error:  # AttributeError: too old for this JAX
            missing.append(f"{name} is left out: {type(error).__name__}: {error}")
    return found, missing
