"""The layers of `tf.contrib.layers` (slim), by their own names, arguments and names of variables."""

from jaxscope.layers.contrib.convolutions import conv2d, conv2d_transpose, separable_conv2d
from jaxscope.layers.contrib.dense import bias_add, embed_sequence, fully_connected
from jaxscope.layers.contrib.norms import batch_norm, group_norm, instance_norm, layer_norm, unit_norm
from jaxscope.layers.contrib.plain import avg_pool2d, dropout, flatten, max_pool2d
from jaxscope.layers.contrib.repeating import repeat, stack

__all__ = [
    "avg_pool2d",
    "batch_norm",
    "bias_add",
    "conv2d",
    "conv2d_transpose",
    "dropout",
    "embed_sequence",
    "flatten",
    "fully_connected",
    "group_norm",
    "instance_norm",
    "layer_norm",
    "max_pool2d",
    "repeat",
    "separable_conv2d",
    "stack",
    "unit_norm",
]
