"""`tf.layers.dense` and all other functions of `tf.layers`."""

import jaxscope as js
from jaxscope.tf1.base.exporting import export_constant
from jaxscope.tf1.ops.layers.lifting import lifted

__all__ = ["NAMES"]

#: The functions, which `js.layers` has by the same names and arguments.
NAMES = (
    "average_pooling1d",
    "average_pooling2d",
    "average_pooling3d",
    "batch_normalization",
    "conv1d",
    "conv2d",
    "conv2d_transpose",
    "conv3d",
    "conv3d_transpose",
    "dense",
    "dropout",
    "flatten",
    "max_pooling1d",
    "max_pooling2d",
    "max_pooling3d",
    "separable_conv1d",
    "separable_conv2d",
)
for _name in NAMES:
    export_constant(lifted(getattr(js.layers, _name), f"layers.{_name}"), f"layers.{_name}")
