"""Other libraries, which are extras: imported where they are used, with the line that installs them."""

import importlib
from typing import Any

# By what is imported: the extra that brings it, and what indices of packages call it.
_EXTRAS = {
    "cramjam": ("tf1", "cramjam"),
    "equinox": ("equinox", "equinox"),
    "etils": ("checkpoint", "orbax-checkpoint"),  # which brings it
    "flax": ("flax", "flax"),
    "google_crc32c": ("tf1", "google-crc32c"),
    "haiku": ("haiku", "dm-haiku"),
    "optax": ("optim", "optax"),
    "orbax": ("checkpoint", "orbax-checkpoint"),
}


def library(module: str, needing: str) -> Any:
    """Return a module of a library that is an extra.

    Args:
        module: The module's full name.
        needing: Who needs it, for the message: `"js.optim.constrain"`.

    Raises:
        ImportError: It is not installed, and the message has the line that installs it; or it is, but does
            not import: with this JAX, say.

    Example:
        >>> library("optax", "js.optim.constrain").__name__
        'optax'
    """
    extra, package = _EXTRAS[module.partition(".")[0]]
    install = f"pip install 'jaxscope[{extra}]'"
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as problem:
        raise ImportError(f"{needing} needs {package}: {install}", name=module) from problem
    except (ImportError, AttributeError) as problem:  # what it needs of JAX may be gone
        raise ImportError(
            f"{needing} needs {package}, which is there but does not import: {problem}; "
            f"another release of it may: {install.replace('install', 'install -U')}",
            name=module,
        ) from problem
