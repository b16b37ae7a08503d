"""contrib's dense layer, bias and embedding."""

from collections.abc import Mapping
from typing import Any

import jax
from jax.typing import ArrayLike

import jaxscope as js
from jaxscope.layers.arrays import promote
from jaxscope.layers.call import Activation, LayerCall, Regularizer
from jaxscope.layers.contrib.scope import Collections, Normalizer, data_format_of, finish, model_scope
from jaxscope.layers.dense_layer import dense
from jaxscope.layers.embedding_table import embedding


def fully_connected(
    inputs: ArrayLike,
    num_outputs: int,
    activation_fn: Activation = jax.nn.relu,
    normalizer_fn: Normalizer = None,
    normalizer_params: Mapping[str, Any] | None = None,
    weights_initializer: Any = js.initializers.glorot_uniform,
    weights_regularizer: Regularizer = None,
    biases_initializer: Any = js.initializers.zeros,
    biases_regularizer: Regularizer = None,
    reuse: Any = None,
    variables_collections: Collections = None,
    outputs_collections: Any = None,
    trainable: bool = True,
    scope: Any = None,
) -> jax.Array:
    """Return `activation_fn(inputs @ weights + biases)`, of the last axis.

    Args:
        inputs: `[..., in]`, two axes or more.
        num_outputs: The size of the result's last axis.
        activation_fn: A function of the result; None for none.
        normalizer_fn: What normalizes the result before that, in the place of biases.
        normalizer_params: Its further arguments.
        weights_initializer: How `weights` `[in, num_outputs]` begins.
        weights_regularizer: A loss on the weights.
        biases_initializer: How `biases` `[num_outputs]` begins; None for no biases.
        biases_regularizer: A loss on the biases.
        reuse: Whether the scope shares variables.
        variables_collections: Further collections of the variables.
        outputs_collections: Collections to add the result to.
        trainable: Whether the variables are trainable.
        scope: The scope; None for `fully_connected`, `fully_connected_1`, ...

    Returns:
        `[..., num_outputs]`.

    Raises:
        JaxscopeError: As `js.layers.dense`.

    Source:
        `tf.contrib.layers.fully_connected`.

    Example:
        >>> net = js.transform(lambda x: js.layers.contrib.fully_connected(x, 3))
        >>> list(net.spec(jnp.ones([2, 4])))
        ['fully_connected/weights', 'fully_connected/biases']
    """
    with model_scope(scope, "fully_connected", reuse, variables_collections):
        outputs = dense(
            inputs,
            num_outputs,
            None,
            normalizer_fn is None and biases_initializer is not None,
            weights_initializer,
            biases_initializer,
            weights_regularizer,
            biases_regularizer,
            trainable=trainable,
            name="",
        )
        return finish(outputs, normalizer_fn, normalizer_params, activation_fn, outputs_collections)


def bias_add(
    inputs: ArrayLike,
    activation_fn: Activation = None,
    initializer: Any = js.initializers.zeros,
    regularizer: Regularizer = None,
    reuse: Any = None,
    variables_collections: Collections = None,
    outputs_collections: Any = None,
    trainable: bool = True,
    data_format: str | None = "NHWC",
    scope: Any = None,
) -> jax.Array:
    """Return the input plus a number for each channel.

    Args:
        inputs: `[..., in]`, or `[batch, in, ...]` for NCHW.
        activation_fn: A function of the result; None for none.
        initializer: How `biases` `[in]` begins.
        regularizer: A loss on the biases.
        reuse: Whether the scope shares variables.
        variables_collections: Further collections of the biases.
        outputs_collections: Collections to add the result to.
        trainable: Whether the biases are trainable.
        data_format: "NHWC" or "NCHW".
        scope: The scope; None for `BiasAdd`, `BiasAdd_1`, ...

    Returns:
        An array like the input.

    Raises:
        InvalidShapeError: The input has one axis or none.

    Source:
        `tf.contrib.layers.bias_add`.

    Example:
        >>> list(js.transform(js.layers.contrib.bias_add).spec(jnp.ones([2, 4])))
        ['BiasAdd/biases']
    """
    first = data_format_of(data_format) == "channels_first"
    with (
        model_scope(scope, "BiasAdd", reuse, variables_collections),
        LayerCall("BiasAdd", inputs, "", None, trainable=trainable) as call,
    ):
        if call.inputs.ndim < 2:
            raise call.wrong_shape("takes an input of two axes or more", "give it a batch axis: x[None]")
        axis = 1 if first else call.inputs.ndim - 1
        biases = call.variable("bias", [call.inputs.shape[axis]], initializer, regularizer)
        x, biases = promote(call.inputs, biases)
        biases = biases.reshape([-1 if at == axis else 1 for at in range(x.ndim)])
        return finish(x + biases, None, None, activation_fn, outputs_collections)


def embed_sequence(
    ids: ArrayLike,
    vocab_size: int,
    embed_dim: int,
    unique: bool = False,  # noqa: ARG001
    initializer: Any = None,
    regularizer: Regularizer = None,
    trainable: bool = True,
    scope: Any = None,
    reuse: Any = None,
) -> jax.Array:
    """Return the rows of a table that ids stand for.

    Args:
        ids: Any shape, whole numbers.
        vocab_size: The number of rows.
        embed_dim: The size of a row.
        unique: Whether TF1 looked each id up once, which changes no result.
        initializer: How `embeddings` `[vocab_size, embed_dim]` begins.
        regularizer: A loss on the table.
        trainable: Whether the table is trainable.
        scope: The scope; None for `EmbedSequence`, `EmbedSequence_1`, ...
        reuse: Whether the scope shares variables.

    Returns:
        `[*ids.shape, embed_dim]`.

    Raises:
        JaxscopeError: As `js.layers.embedding`.

    Source:
        `tf.contrib.layers.embed_sequence`.

    Example:
        >>> net = js.transform(lambda ids: js.layers.contrib.embed_sequence(ids, 10, 4))
        >>> list(net.spec(jnp.array([1, 2])))
        ['EmbedSequence/embeddings']
    """
    with js.variable_scope(scope, "EmbedSequence", reuse=reuse):
        return embedding(ids, vocab_size, embed_dim, initializer, regularizer, trainable, name="")
