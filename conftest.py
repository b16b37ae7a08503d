"""Every docstring and every page is a test: Sybil runs the pages, pytest's doctest the docstrings."""

import importlib
import warnings
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

import jaxscope as js


def missing(library: str) -> bool:
    """Tell whether a library is not installed, or does not import with this JAX: pages skip what needs it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            importlib.import_module(library)
        except (ImportError, AttributeError):
            return True
    return False


# The modules that examples may use without importing them, as a reader would understand them.
NAMES = {"jax": jax, "jnp": jnp, "np": np, "js": js, "missing": missing}

# The site's own code needs Sphinx, and what Sphinx made of the pages is no page.
collect_ignore = ["docs/conf.py", "docs/_site", "docs/_build"]

#: What docstrings' examples import, by module: not each JAX has all of it, or has it without warnings.
NEEDED = {"haiku": "haiku", "nnx": "flax.nnx", "linen": "flax.linen", "equinox": "equinox"}

pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(doctest_optionflags=ELLIPSIS | NORMALIZE_WHITESPACE), SkipParser()],
    patterns=["*.md"],
    setup=lambda namespace: namespace.update(NAMES),
).pytest()


@pytest.fixture(autouse=True)
def _names(request: pytest.FixtureRequest, doctest_namespace: dict[str, object]) -> None:
    library = NEEDED.get(request.path.stem.rpartition("_")[2])
    if library is not None and missing(library):
        pytest.skip(f"{library} is not installed, or does not import with this JAX")
    doctest_namespace.update(NAMES)
