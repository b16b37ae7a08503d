"""contrib's layers that are made of others, or of one operation."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

import jaxscope as js
from jaxscope.tf1.base.converting import as_array, convert_to_tensor
from jaxscope.tf1.base.errors import TensorValueError
from jaxscope.tf1.base.operation import compute, static_int
from jaxscope.tf1.base.tensor import Tensor, is_tensor, wrap
from jaxscope.tf1.ops.contrib.layer_functions import EXPORTED_LAYERS, export_layer
from jaxscope.tf1.ops.contrib.outputs import collect_named_outputs
from jaxscope.tf1.ops.layers.lifting import argument
from jaxscope.tf1.ops.variables.adapting import OnArrays, on_arrays, tensors_of
from jaxscope.tf1.ops.variables.getting import get_variable
from jaxscope.tf1.ops.variables.scopes import js_scope, variable_scope

__all__ = ["convolution", "repeat", "stack"]

_NAMES = {"kernel": "weights", "bias": "biases"}
_fully_connected = EXPORTED_LAYERS["fully_connected"]


def convolution(
    inputs: Any,
    num_outputs: Any,
    kernel_size: Any,
    stride: Any = 1,
    padding: str = "SAME",
    data_format: str | None = None,
    rate: Any = 1,
    activation_fn: Any = jax.nn.relu,
    normalizer_fn: Any = None,
    normalizer_params: Any = None,
    weights_initializer: Any = js.initializers.glorot_uniform,
    weights_regularizer: Any = None,
    biases_initializer: Any = js.initializers.zeros,
    biases_regularizer: Any = None,
    reuse: Any = None,
    variables_collections: Any = None,
    outputs_collections: Any = None,
    trainable: bool = True,
    scope: Any = None,
    conv_dims: int | None = None,
) -> Tensor:
    """Return a convolution of sequences, images or volumes, by the rank of the input.

    Args:
        inputs: `[batch, ..., channels]`.
        num_outputs: The number of filters.
        kernel_size: The size of a window.
        stride: From one window to the next.
        padding: "SAME" or "VALID".
        data_format: "NWC", "NHWC", "NDHWC" or the same with channels second.
        rate: The step between what a window sees.
        activation_fn: A function of the result; None for none.
        normalizer_fn: What normalizes the result before that, in the place of biases.
        normalizer_params: Its further arguments.
        weights_initializer: How `weights` begin.
        weights_regularizer: A loss on the weights.
        biases_initializer: How `biases` begin; None for no biases.
        biases_regularizer: A loss on the biases.
        reuse: Whether the scope shares variables.
        variables_collections: Further collections of the variables.
        outputs_collections: Collections to add the result to.
        trainable: Whether the variables are trainable.
        scope: The scope; None for `Conv`, `Conv_1`, ...
        conv_dims: How many axes the window must have.

    Raises:
        TensorValueError: If the input has another rank (`tensor_value`).
        JaxscopeError: As `js.layers.conv2d`.
    """
    tensor = convert_to_tensor(inputs)
    dims = len(tensor._held.shape) - 2
    if dims not in {1, 2, 3} or (conv_dims is not None and dims != conv_dims):
        raise TensorValueError(f"the input of a convolution has {dims + 2} axes", tensor=repr(tensor))
    function = (js.layers.conv1d, js.layers.conv2d, js.layers.conv3d)[dims - 1]
    first = data_format is not None and data_format.startswith("NC")

    def getter(getter: Any, name: str, **kwargs: Any) -> Any:
        path, slash, own = name.rpartition("/")
        own = _NAMES.get(own, own)
        further = variables_collections
        if isinstance(further, dict):
            further = further.get(own)
        keys = [
            *(kwargs.get("collections") or [js.GraphKeys.GLOBAL_VARIABLES]),
            js.GraphKeys.MODEL_VARIABLES,
            *(further or ()),
        ]
        return getter(path + slash + own, **{**kwargs, "collections": list(dict.fromkeys(keys))})

    with js.variable_scope(js_scope(scope), "Conv", reuse=reuse, custom_getter=getter) as inside:
        outputs = function(
            as_array(tensor),
            argument("filters", num_outputs),
            argument("kernel_size", kernel_size),
            argument("strides", stride),
            padding,
            "channels_first" if first else "channels_last",
            argument("dilation_rate", rate),
            None,
            normalizer_fn is None and biases_initializer is not None,
            argument("kernel_initializer", weights_initializer),
            argument("bias_initializer", biases_initializer),
            on_arrays(weights_regularizer),
            on_arrays(biases_regularizer),
            trainable=trainable,
            name="",
        )
        if normalizer_fn is not None:
            outputs = on_arrays(normalizer_fn)(outputs, **(normalizer_params or {}))
        if activation_fn is not None:
            outputs = on_arrays(activation_fn)(outputs)
        return collect_named_outputs(outputs_collections, inside.name, wrap(outputs, "Conv"))


_convolution = export_layer("convolution", convolution)


def _of_rank(name: str, dims: int) -> None:
    def conv(*args: Any, **kwargs: Any) -> Tensor:
        result: Tensor = _convolution(*args, **{**kwargs, "conv_dims": dims})
        return result

    conv.__name__ = conv.__qualname__ = name
    conv.__doc__ = f"Return a convolution along {dims} axes; arguments are those of `convolution`."
    export_layer(name, conv, name.replace("conv", "convolution"))


_of_rank("conv1d", 1)
_of_rank("conv3d", 3)


def _activated(name: str, activation: Callable[..., Any] | None) -> None:
    def layer(inputs: Any, num_outputs: Any, *args: Any, **kwargs: Any) -> Tensor:
        result: Tensor = _fully_connected(inputs, num_outputs, activation, *args, **kwargs)
        return result

    layer.__name__ = layer.__qualname__ = name
    layer.__doc__ = f"Return a fully connected layer with the activation {name}; arguments are as there."
    export_layer(name, layer)


_activated("relu", jax.nn.relu)
_activated("relu6", jax.nn.relu6)
_activated("elu", jax.nn.elu)
_activated("linear", None)


def repeat(inputs: Any, repetitions: Any, layer: Callable[..., Any], *args: Any, **kwargs: Any) -> Tensor:
    """Return what a layer makes of the input, of that again, and so on.

    Args:
        inputs: What the layer takes.
        repetitions: How many times.
        layer: A function with an argument `scope`.
        *args: Its further arguments.
        **kwargs: Its further arguments by keyword; `scope` is the scope around.
    """
    scope = js_scope(kwargs.pop("scope", None))
    times = static_int(repetitions, "repetitions")
    found = js.layers.contrib.repeat(as_array(inputs), times, OnArrays(layer), *args, scope=scope, **kwargs)
    return wrap(found, "Repeat")


export_layer("repeat", repeat)


def stack(inputs: Any, layer: Callable[..., Any], stack_args: Any, **kwargs: Any) -> Tensor:
    """Return what layers make of the input, each of the one before it, each with arguments of its own.

    Args:
        inputs: What the layer takes.
        layer: A function with an argument `scope`.
        stack_args: For each time, what comes after the input.
        **kwargs: Further arguments by keyword, for all; `scope` is the scope around.
    """
    scope = js_scope(kwargs.pop("scope", None))
    found = js.layers.contrib.stack(as_array(inputs), OnArrays(layer), stack_args, scope=scope, **kwargs)
    return wrap(found, "Stack")


export_layer("stack", stack)


def softmax(logits: Any, scope: Any = None) -> Tensor:
    """Return the softmax along the last axis.

    Args:
        logits: A tensor of fractions.
        scope: The scope, which has no variables.
    """
    with variable_scope(scope, "softmax"):
        return compute("Softmax", lambda x: jax.nn.softmax(x, -1), convert_to_tensor(logits))


export_layer("softmax", softmax)


def one_hot_encoding(
    labels: Any,
    num_classes: Any,
    on_value: float = 1.0,
    off_value: float = 0.0,
    outputs_collections: Any = None,
    scope: Any = None,
) -> Tensor:
    """Return labels as vectors with one 1.

    Args:
        labels: Whole numbers.
        num_classes: How many classes there are.
        on_value: What stands where the class is.
        off_value: What stands elsewhere.
        outputs_collections: Collections to add the result to.
        scope: The scope, which has no variables.
    """
    classes = static_int(num_classes, "num_classes")
    with variable_scope(scope, "OneHotEncoding") as inside:
        outputs = compute(
            "OneHot",
            lambda ids: jnp.where(jax.nn.one_hot(ids, classes, dtype=bool), on_value, off_value).astype(
                jnp.float32
            ),
            convert_to_tensor(labels),
        )
        return collect_named_outputs(outputs_collections, inside.name, outputs)


export_layer("one_hot_encoding", one_hot_encoding)


def maxout(inputs: Any, num_units: Any, axis: int = -1, scope: Any = None) -> Tensor:
    """Return the largest of groups of features.

    Args:
        inputs: A tensor.
        num_units: How many groups there are.
        axis: The axis of features.
        scope: The scope, which has no variables.

    Raises:
        TensorValueError: If the features are no multiple of the groups (`tensor_value`).
    """
    units = static_int(num_units, "num_units")
    tensor = convert_to_tensor(inputs)
    shape = list(tensor._held.shape)
    at = axis % len(shape)
    if shape[at] % units:
        raise TensorValueError(f"{shape[at]} features are no multiple of {units} units")
    with variable_scope(scope, "MaxOut"):
        parts = [*shape[:at], units, shape[at] // units, *shape[at + 1 :]]
        return compute("Max", lambda x: jnp.max(jnp.reshape(x, parts), at + 1), tensor)


export_layer("maxout", maxout)


def bow_encoder(
    ids: Any,
    vocab_size: int,
    embed_dim: int,
    sparse_lookup: bool = True,
    initializer: Any = None,
    regularizer: Any = None,
    trainable: bool = True,
    scope: Any = None,
    reuse: Any = None,
) -> Tensor:
    """Return the mean of the rows of a table that ids stand for.

    Args:
        ids: `[batch, length]`, whole numbers.
        vocab_size: The number of rows.
        embed_dim: The size of a row.
        sparse_lookup: Without meaning here.
        initializer: How `embeddings` begin.
        regularizer: A loss on the table.
        trainable: Whether the table is trainable.
        scope: The scope; None for `BowEncoder`.
        reuse: Whether the scope shares variables.
    """
    del sparse_lookup
    with variable_scope(scope, "BowEncoder", [ids], reuse=reuse):
        keys = [js.GraphKeys.GLOBAL_VARIABLES, js.GraphKeys.MODEL_VARIABLES]
        table = get_variable(
            "embeddings",
            [vocab_size, embed_dim],
            "float32",
            initializer,
            regularizer,
            trainable,
            keys,
        )
        rows = convert_to_tensor(ids)
        return compute("Mean", lambda t, i: jnp.mean(jnp.asarray(t)[i], 1), convert_to_tensor(table), rows)


export_layer("bow_encoder", bow_encoder)


def conv2d_in_plane(
    inputs: Any,
    kernel_size: Any,
    stride: Any = 1,
    padding: str = "SAME",
    activation_fn: Any = jax.nn.relu,
    normalizer_fn: Any = None,
    normalizer_params: Any = None,
    weights_initializer: Any = js.initializers.glorot_uniform,
    weights_regularizer: Any = None,
    biases_initializer: Any = js.initializers.zeros,
    biases_regularizer: Any = None,
    reuse: Any = None,
    variables_collections: Any = None,
    outputs_collections: Any = None,
    trainable: bool = True,
    scope: Any = None,
) -> Tensor:
    """Return one and the same convolution of each channel.

    Args:
        inputs: `[batch, height, width, channels]`.
        kernel_size: The size of a window.
        stride: From one window to the next.
        padding: "SAME" or "VALID".
        activation_fn: A function of the result; None for none.
        normalizer_fn: What normalizes the result before that, in the place of biases.
        normalizer_params: Its further arguments.
        weights_initializer: How `weights` `[height, width, 1, 1]` begin.
        weights_regularizer: A loss on the weights.
        biases_initializer: How `biases` begin; None for no biases.
        biases_regularizer: A loss on the biases.
        reuse: Whether the scope shares variables.
        variables_collections: Further collections of the variables.
        outputs_collections: Collections to add the result to.
        trainable: Whether the variables are trainable.
        scope: The scope; None for `ConvInPlane`.
    """
    tensor = convert_to_tensor(inputs)
    channels = tensor._held.shape[-1]
    size = argument("kernel_size", kernel_size)
    height, width = size if isinstance(size, list | tuple) else (size, size)
    steps = argument("stride", stride)
    steps = tuple(steps) if isinstance(steps, list | tuple) else (steps, steps)
    keys = [js.GraphKeys.GLOBAL_VARIABLES, js.GraphKeys.MODEL_VARIABLES, *(variables_collections or ())]
    with variable_scope(scope, "ConvInPlane", [inputs], reuse=reuse) as inside:
        weights = get_variable(
            "weights",
            [height, width, 1, 1],
            tensor.dtype,
            weights_initializer,
            weights_regularizer,
            trainable,
            keys,
        )

        def convolve(x: Any, w: Any) -> Any:
            return jax.lax.conv_general_dilated(
                x,
                jnp.tile(w, (1, 1, 1, channels)),
                steps,
                padding,
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
                feature_group_count=channels,
            )

        outputs = compute("ConvInPlane", convolve, tensor, convert_to_tensor(weights))
        if normalizer_fn is not None:
            outputs = normalizer_fn(outputs, **(normalizer_params or {}))
        elif biases_initializer is not None:
            biases = get_variable(
                "biases",
                [channels],
                tensor.dtype,
                biases_initializer,
                biases_regularizer,
                trainable,
                keys,
            )
            outputs = compute("BiasAdd", jnp.add, outputs, convert_to_tensor(biases))
        if activation_fn is not None:
            outputs = tensors_of(on_arrays(activation_fn)(as_array(outputs)))
        return collect_named_outputs(outputs_collections, inside.name, outputs)


export_layer("conv2d_in_plane", conv2d_in_plane, "convolution2d_in_plane")


def scale_gradient(inputs: Any, gradient_multiplier: float) -> Tensor:
    """Return a tensor as it is, of which gradients are multiplied by a number.

    Args:
        inputs: A tensor.
        gradient_multiplier: The number.
    """

    def scaled(x: Any) -> Any:
        x = jnp.asarray(x)
        share = jnp.asarray(gradient_multiplier, x.dtype)
        return x * share + jax.lax.stop_gradient(x * (1 - share))

    return compute("ScaleGradient", scaled, convert_to_tensor(inputs))


export_layer("scale_gradient", scale_gradient)


def recompute_grad(fn: Callable[..., Any], *_: Any, **__: Any) -> Callable[..., Any]:
    """Return a function whose inner values are computed again for gradients, by `js.remat`.

    Args:
        fn: A function of tensors.
        *_: Without meaning here.
        **__: Without meaning here.
    """
    again: Callable[..., Any] = js.remat(OnArrays(fn))

    def call(*args: Any) -> Any:
        arrays = [as_array(one) if is_tensor(one) else one for one in args]
        return tensors_of(again(*arrays))

    return call


export_layer("recompute_grad", recompute_grad)
