"""TF1's variables for JAX: named where they are used, shared by reuse, pure under every transform."""

import importlib
from typing import TYPE_CHECKING, Any

from jaxscope import errors
from jaxscope._core.base.public import publish
from jaxscope._core.base.returned import register_returned
from jaxscope._core.model.get_variable import get_local_variable, get_variable
from jaxscope._core.model.random_keys import next_key, random_keys
from jaxscope._core.model.set_variable import set_variable
from jaxscope._core.model.variable_scope import get_variable_scope, variable_scope
from jaxscope._core.requests.arguments import AUTO_REUSE
from jaxscope._core.requests.graph_keys import GraphKeys
from jaxscope._core.scopes.scope import VariableScope
from jaxscope._core.transform.transform import Transformed, transform
from jaxscope._core.variables.specs import VariableSpec, VariableSpecs
from jaxscope._core.variables.tree import Variables

if TYPE_CHECKING:
    from jaxscope import (
        checkpoint,
        getters,
        initializers,
        inspect,
        interop,
        layers,
        optim,
        regularizers,
        sharding,
        testing,
        tf1,
    )
    from jaxscope._core.blocks.ensemble import ensemble
    from jaxscope._core.blocks.jit import jit
    from jaxscope._core.blocks.lift import lift
    from jaxscope._core.blocks.remat import remat
    from jaxscope._core.blocks.scan_layers import scan_layers
    from jaxscope._core.model.collections import (
        add_to_collection,
        get_collection,
        global_variables,
        local_variables,
        model_variables,
        trainable_variables,
    )
    from jaxscope._core.model.name_scope import name_scope
    from jaxscope._core.model.new_variable import Variable
    from jaxscope._core.model.observe import observe
    from jaxscope._core.model.per_pass import per_pass
    from jaxscope._core.model.templates import Template, make_template
    from jaxscope._core.model.variable_creator_scope import variable_creator_scope
    from jaxscope.regularizers import no_regularizer

__version__ = "0.2.0"

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
    "checkpoint",
    "ensemble",
    "errors",
    "get_collection",
    "get_local_variable",
    "get_variable",
    "get_variable_scope",
    "getters",
    "global_variables",
    "initializers",
    "inspect",
    "interop",
    "jit",
    "layers",
    "lift",
    "local_variables",
    "make_template",
    "model_variables",
    "name_scope",
    "next_key",
    "no_regularizer",
    "observe",
    "optim",
    "per_pass",
    "random_keys",
    "register_returned",
    "regularizers",
    "remat",
    "scan_layers",
    "set_variable",
    "sharding",
    "testing",
    "tf1",
    "trainable_variables",
    "transform",
    "variable_creator_scope",
    "variable_scope",
]


# What not every program uses is imported where it is used: name -> module.
_LATER = {
    "Template": "_core.model.templates",
    "Variable": "_core.model.new_variable",
    "add_to_collection": "_core.model.collections",
    "checkpoint": "checkpoint",
    "ensemble": "_core.blocks.ensemble",
    "get_collection": "_core.model.collections",
    "getters": "getters",
    "global_variables": "_core.model.collections",
    "initializers": "initializers",
    "inspect": "inspect",
    "interop": "interop",
    "jit": "_core.blocks.jit",
    "layers": "layers",
    "lift": "_core.blocks.lift",
    "local_variables": "_core.model.collections",
    "make_template": "_core.model.templates",
    "model_variables": "_core.model.collections",
    "name_scope": "_core.model.name_scope",
    "no_regularizer": "regularizers",
    "observe": "_core.model.observe",
    "optim": "optim",
    "per_pass": "_core.model.per_pass",
    "regularizers": "regularizers",
    "remat": "_core.blocks.remat",
    "scan_layers": "_core.blocks.scan_layers",
    "sharding": "sharding",
    "testing": "testing",
    "tf1": "tf1",
    "trainable_variables": "_core.model.collections",
    "variable_creator_scope": "_core.model.variable_creator_scope",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'jaxscope' has no attribute {name!r}")
    module = importlib.import_module(f"jaxscope.{_LATER[name]}")
    together = [other for other, home in _LATER.items() if home == _LATER[name]]
    for other in together:
        globals().setdefault(other, getattr(module, other, module))
    publish(__name__, together, globals())
    return globals()[name]


def __dir__() -> list[str]:
    return [*__all__]


publish(__name__, [name for name in __all__ if name in globals()], globals())
