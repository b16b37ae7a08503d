"""Loads a model file that was written for TensorFlow 1, as it is."""

import functools
import importlib.util
from pathlib import Path
from typing import Any

from jaxscope import tf1

FOLDER = Path(__file__).parent / "programs"


@functools.cache
def program(name: str) -> Any:
    """Return `programs/NAME.py` as a module; its `import tensorflow` gives `jaxscope.tf1`."""
    spec = importlib.util.spec_from_file_location(f"tf1_program_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with tf1.as_tensorflow():
        spec.loader.exec_module(module)
    return module
