"""TF1's variables for JAX: named where they are used, shared by reuse, pure under every transform."""

import importlib
from typing import TYPE_CHECKING, Any

from jaxscope import errors, initializers, regularizers
from jaxscope.books import GraphKeys
from jaxscope.collections import add_to_collection, get_collection
from jaxscope.creating import Variable
from jaxscope.regularizers import no_regularizer
from jaxscope.request import get_local_variable, get_variable, set_variable
from jaxscope.scopes import AUTO_REUSE, VariableScope
from jaxscope.scoping import get_variable_scope, name_scope, variable_creator_scope, variable_scope
from jaxscope.specs import VariableSpec, VariableSpecs
from jaxscope.streams import next_key, random_keys
from jaxscope.templates import Template, make_template
from jaxscope.transform import Transformed, transform
from jaxscope.variables import Variables

if TYPE_CHECKING:
    from jaxscope import testing
    from jaxscope.depth import ensemble, scan_layers
    from jaxscope.jitting import jit
    from jaxscope.lifting import lift

__version__ = "0.1.0"

__all__ = [
    "AUTO_REUSE",
    "GraphKeys",
    "Template",
    "Transformed",
    "Variable",
    "VariableScope",
    "VariableSpec",
    "VariableSpecs",
    "Variables",
    "add_to_collection",
    "ensemble",
    "errors",
    "get_collection",
    "get_local_variable",
    "get_variable",
    "get_variable_scope",
    "initializers",
    "jit",
    "lift",
    "make_template",
    "name_scope",
    "next_key",
    "no_regularizer",
    "random_keys",
    "regularizers",
    "scan_layers",
    "set_variable",
    "testing",
    "transform",
    "variable_creator_scope",
    "variable_scope",
]


# What not every program uses is imported where it is used: name -> module.
_LATER = {
    "ensemble": "depth",
    "jit": "jitting",
    "lift": "lifting",
    "scan_layers": "depth",
    "testing": "testing",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'jaxscope' has no attribute {name!r}")
    module = importlib.import_module(f"jaxscope.{_LATER[name]}")
    return globals().setdefault(name, getattr(module, name, module))


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
