"""Other libraries, imported where they are used."""

import importlib
from typing import Any


def library(name: str, function: str) -> Any:
    """Return a module of another library.

    Raises:
        ImportError: It is not installed, or does not import with this JAX; the message has the line that
            installs it.
    """
    try:
        return importlib.import_module(name)
    except (ImportError, AttributeError) as problem:  # what it needs of JAX may be gone
        extra = name.partition(".")[0]
        raise ImportError(
            f"js.interop.{function} needs {extra}: pip install 'jaxscope[{extra}]'"
        ) from problem
