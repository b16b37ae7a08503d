"""TF1's classes of layers, by their names: each makes a `Layer` of one function."""

from functools import partial

from jaxscope.layers.attention import multi_head_attention
from jaxscope.layers.batch_norm import batch_normalization
from jaxscope.layers.convolutions import conv1d, conv2d, conv3d
from jaxscope.layers.dense_layer import dense
from jaxscope.layers.embedding_table import embedding
from jaxscope.layers.norms import group_norm, instance_norm, layer_norm, rms_norm
from jaxscope.layers.objects import Layer
from jaxscope.layers.pooling import (
    average_pooling1d,
    average_pooling2d,
    average_pooling3d,
    max_pooling1d,
    max_pooling2d,
    max_pooling3d,
)
from jaxscope.layers.separable import depthwise_conv2d, separable_conv1d, separable_conv2d
from jaxscope.layers.shaping import dropout, flatten
from jaxscope.layers.transposed import conv2d_transpose, conv3d_transpose

Dense = partial(Layer, dense, "dense")
Conv1D = partial(Layer, conv1d, "conv1d")
Conv2D = partial(Layer, conv2d, "conv2d")
Conv3D = partial(Layer, conv3d, "conv3d")
Conv2DTranspose = partial(Layer, conv2d_transpose, "conv2d_transpose")
Conv3DTranspose = partial(Layer, conv3d_transpose, "conv3d_transpose")
DepthwiseConv2D = partial(Layer, depthwise_conv2d, "depthwise_conv2d")
SeparableConv1D = partial(Layer, separable_conv1d, "separable_conv1d")
SeparableConv2D = partial(Layer, separable_conv2d, "separable_conv2d")
MaxPooling1D = partial(Layer, max_pooling1d, "max_pooling1d")
MaxPooling2D = partial(Layer, max_pooling2d, "max_pooling2d")
MaxPooling3D = partial(Layer, max_pooling3d, "max_pooling3d")
AveragePooling1D = partial(Layer, average_pooling1d, "average_pooling1d")
AveragePooling2D = partial(Layer, average_pooling2d, "average_pooling2d")
AveragePooling3D = partial(Layer, average_pooling3d, "average_pooling3d")
Embedding = partial(Layer, embedding, "embedding")
BatchNormalization = partial(Layer, batch_normalization, "batch_normalization")
LayerNorm = partial(Layer, layer_norm, "LayerNorm")
GroupNorm = partial(Layer, group_norm, "GroupNorm")
InstanceNorm = partial(Layer, instance_norm, "InstanceNorm")
RMSNorm = partial(Layer, rms_norm, "RMSNorm")
Dropout = partial(Layer, dropout, "dropout")
Flatten = partial(Layer, flatten, "flatten")
MultiHeadAttention = partial(Layer, multi_head_attention, "multi_head_attention")
