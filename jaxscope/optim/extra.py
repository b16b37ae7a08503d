"""optax, imported where it is used."""

import importlib
from typing import Any


def import_optax(function: str) -> Any:
    """Return the module `optax`.

    Raises:
        ImportError: It is not installed; the message has the line that installs it.
    """
    try:
        return importlib.import_module("optax")
    except ImportError as problem:
        raise ImportError(f"js.optim.{function} needs optax: pip install 'jaxscope[optim]'") from problem
