"""`tf.contrib.layers.conv2d` and the other layers of contrib and slim, over `js.layers.contrib`."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jaxscope as js
from jaxscope.tf1.base.exporting import export_constant
from jaxscope.tf1.ops.contrib.outputs import collect_named_outputs
from jaxscope.tf1.ops.contrib.scoping import add_arg_scope
from jaxscope.tf1.ops.layers.lifting import lifted
from jaxscope.tf1.ops.variables.adapting import reuse_of
from jaxscope.tf1.ops.variables.scopes import js_scope

__all__ = ["EXPORTED_LAYERS", "export_layer"]

#: What was exported, by name.
EXPORTED_LAYERS: dict[str, Callable[..., Any]] = {}

#: Function -> the default name of its scope, and further names of TensorFlow's for it.
_LAYERS = {
    "avg_pool2d": ("AvgPool2D", ""),
    "batch_norm": ("BatchNorm", ""),
    "bias_add": ("BiasAdd", ""),
    "conv2d": ("Conv", "convolution2d"),
    "conv2d_transpose": ("Conv2d_transpose", "convolution2d_transpose"),
    "dropout": ("Dropout", ""),
    "flatten": ("Flatten", ""),
    "fully_connected": ("fully_connected", ""),
    "group_norm": ("GroupNorm", ""),
    "instance_norm": ("InstanceNorm", ""),
    "layer_norm": ("LayerNorm", ""),
    "max_pool2d": ("MaxPool2D", ""),
    "separable_conv2d": ("SeparableConv2d", "separable_convolution2d"),
    "unit_norm": ("UnitNorm", ""),
    "embed_sequence": ("EmbedSequence", ""),
}
#: What TensorFlow's have more.
_UNUSED = ("batch_weights", "zero_debias_moving_mean", "mode")


def export_layer(name: str, function: Callable[..., Any], *aliases: str) -> Callable[..., Any]:
    """Put a layer under its names in contrib and slim; it takes defaults from `arg_scope`."""
    scoped = EXPORTED_LAYERS[name] = add_arg_scope(function)
    for alias in (name, *aliases):
        export_constant(scoped, f"contrib.layers.{alias}", f"contrib.slim.{alias}")
    return scoped


def _not_trained(collections: Any) -> Any:
    """Return collections for variables, without that of trainable ones: it has those that are trained."""
    if isinstance(collections, Mapping):
        return {key: _not_trained(one) for key, one in collections.items()}
    if isinstance(collections, list | tuple | set):
        return [one for one in collections if one != js.GraphKeys.TRAINABLE_VARIABLES]
    return collections


def _collecting(name: str, function: Callable[..., Any], default: str) -> Callable[..., Any]:
    """Return a layer that adds its result to `outputs_collections` under the name of its scope."""
    call = lifted(function, f"contrib.layers.{name}", _UNUSED)
    signature = inspect.signature(function)

    def layer(*args: Any, **kwargs: Any) -> Any:
        updates = kwargs.get("updates_collections")
        if isinstance(updates, list | tuple):
            kwargs["updates_collections"] = updates[0] if updates else None
        if "variables_collections" in kwargs:
            kwargs["variables_collections"] = _not_trained(kwargs["variables_collections"])
        known = {key: one for key, one in kwargs.items() if key in signature.parameters}
        given = signature.bind_partial(*args, **known).arguments
        wanted = given.get("outputs_collections")
        if not wanted:
            return call(*args, **kwargs)
        rest = {key: one for key, one in kwargs.items() if key not in known}
        inside = {**given, **rest, "outputs_collections": None, "scope": ""}
        reuse = reuse_of(inside.pop("reuse", None))
        with js.variable_scope(js_scope(given.get("scope")), default, reuse=reuse) as scope:
            return collect_named_outputs(wanted, scope.name, call(**inside))

    layer.__name__ = layer.__qualname__ = name
    layer.__doc__ = call.__doc__
    layer.__kwdefaults__ = None
    return layer


def _exported() -> None:
    for name, (default, aliases) in _LAYERS.items():
        function = getattr(js.layers.contrib, name)
        if "outputs_collections" in inspect.signature(function).parameters:
            layer = _collecting(name, function, default)
        else:
            layer = lifted(function, f"contrib.layers.{name}", _UNUSED)
        export_layer(name, layer, *aliases.split())


_exported()
