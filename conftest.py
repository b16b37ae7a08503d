"""Every docstring and every page is a test: Sybil runs the pages, pytest's doctest the docstrings."""

from doctest import ELLIPSIS, NORMALIZE_WHITESPACE

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

import jaxscope as js

# The modules that examples may use without importing them, as a reader would understand them.
NAMES = {"jax": jax, "jnp": jnp, "np": np, "js": js}

pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(doctest_optionflags=ELLIPSIS | NORMALIZE_WHITESPACE), SkipParser()],
    patterns=["*.md"],
    setup=lambda namespace: namespace.update(NAMES),
).pytest()


@pytest.fixture(autouse=True)
def _names(doctest_namespace: dict[str, object]) -> None:
    doctest_namespace.update(NAMES)
