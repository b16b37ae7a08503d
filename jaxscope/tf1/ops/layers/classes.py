"""`tf.layers.Dense` and the other classes, each over the function of `js.layers`."""

import inspect
from collections.abc import Callable
from typing import Any

import jaxscope as js
from jaxscope.tf1.base.errors import TensorValueError
from jaxscope.tf1.base.exporting import export_constant
from jaxscope.tf1.ops.layers.layer import Layer
from jaxscope.tf1.ops.layers.lifting import lifted

__all__ = ["FunctionLayer"]


class FunctionLayer(Layer):
    """A layer that a function of `js.layers` computes.

    Args:
        *args: The function's arguments after its inputs.
        **kwargs: These by keyword; `name` and `dtype` are the layer's.
    """

    _function: Callable[..., Any]
    _signature: inspect.Signature

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        own = {key: kwargs.pop(key) for key in ("_reuse", "_scope") if key in kwargs}
        for unused in ("input_shape", "input_dim", "batch_size", "weights"):
            kwargs.pop(unused, None)
        given = dict(self._signature.bind_partial(None, *args, **kwargs).arguments)
        given.pop(next(iter(self._signature.parameters)))
        own.setdefault("_reuse", given.pop("reuse", None))
        name = given.pop("name", None)
        super().__init__(given.get("trainable", True), name, given.get("dtype"), **own)
        self._given = given
        defaults = self._signature.parameters.items()
        self._settings = {key: given.get(key, one.default) for key, one in list(defaults)[1:]}

    def call(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Return what the function computes, in the scope that is open.

        Args:
            inputs: The inputs.
            *args: `training`, where the layer has it.
            **kwargs: Further arguments of the function.
        """
        if args:
            kwargs["training"] = args[0]
        return self._function(inputs, **{**self._given, **kwargs, "name": ""})

    def _weight(self, name: str) -> Any:
        found = [one for one in self.variables if one.op.name == f"{self.scope_name}/{name}"]
        if not found and "_scope" not in self.__dict__:
            raise TensorValueError(f"layer {self._base_name} has no weights before its first call")
        return found[0] if found else None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or "_settings" not in self.__dict__:
            raise AttributeError(name)
        if name in _WEIGHTS:
            return self._weight(name)
        if name in self._settings:
            return self._settings[name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")


_WEIGHTS = (
    "kernel",
    "bias",
    "gamma",
    "beta",
    "moving_mean",
    "moving_variance",
    "depthwise_kernel",
    "pointwise_kernel",
    "embeddings",
)
#: Class -> function.
CLASSES = {
    "AveragePooling1D": "average_pooling1d",
    "AveragePooling2D": "average_pooling2d",
    "AveragePooling3D": "average_pooling3d",
    "BatchNormalization": "batch_normalization",
    "Conv1D": "conv1d",
    "Conv2D": "conv2d",
    "Conv2DTranspose": "conv2d_transpose",
    "Conv3D": "conv3d",
    "Conv3DTranspose": "conv3d_transpose",
    "Dense": "dense",
    "DepthwiseConv2D": "depthwise_conv2d",
    "Dropout": "dropout",
    "Flatten": "flatten",
    "MaxPooling1D": "max_pooling1d",
    "MaxPooling2D": "max_pooling2d",
    "MaxPooling3D": "max_pooling3d",
    "SeparableConv1D": "separable_conv1d",
    "SeparableConv2D": "separable_conv2d",
}


def _class(name: str, function: str) -> type[FunctionLayer]:
    made = getattr(js.layers, function)
    members = {
        "__doc__": f"TensorFlow 1's `tf.layers.{name}`: a layer as an object, by `js.layers.{function}`.",
        "__module__": __name__,
        "_function": staticmethod(lifted(made, f"layers.{function}")),
        "_signature": inspect.signature(made),
    }
    return type(name, (FunctionLayer,), members)


for _name, _function in CLASSES.items():
    _made = _class(_name, _function)
    globals()[_name] = _made
    if _name == "DepthwiseConv2D":
        export_constant(_made, f"keras.layers.{_name}")
    else:
        export_constant(_made, f"layers.{_name}", f"keras.layers.{_name}")
