"""`tf.contrib.legacy_seq2seq`: encoders and decoders over Python lists of steps."""

import copy
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp

from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.errors import TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute
from jaxscope.tf1.base.tensor import Tensor
from jaxscope.tf1.ops.arrays.gathering import gather
from jaxscope.tf1.ops.nn.cross_entropies import sparse_softmax_cross_entropy_with_logits
from jaxscope.tf1.ops.rnn.loops import static_rnn
from jaxscope.tf1.ops.rnn.wrappers import EmbeddingWrapper, OutputProjectionWrapper
from jaxscope.tf1.ops.variables.getting import get_variable
from jaxscope.tf1.ops.variables.scopes import get_variable_scope, variable_scope

__all__ = ["rnn_decoder", "sequence_loss_by_example"]

_PLACE = "contrib.legacy_seq2seq"


@export(f"{_PLACE}.rnn_decoder")
def rnn_decoder(
    decoder_inputs: Iterable[Any],
    initial_state: Any,
    cell: Any,
    loop_function: Callable[..., Any] | None = None,
    scope: Any = None,
) -> tuple[list[Any], Any]:
    """Return a cell's outputs for a list of inputs, and its last state.

    Args:
        decoder_inputs: The inputs `[batch, in]`, one for each step.
        initial_state: The first state.
        cell: The cell.
        loop_function: What makes of an output, and of the number of the step, the input of the next one.
        scope: The scope; None for `rnn_decoder`.
    """
    with variable_scope(scope or "rnn_decoder"):
        state, outputs, before = initial_state, list[Any](), None
        for step, given in enumerate(decoder_inputs):
            x = given
            if loop_function is not None and before is not None:
                with variable_scope("loop_function", reuse=True):
                    x = loop_function(before, step)
            if step > 0:
                get_variable_scope().reuse_variables()
            output, state = cell(x, state)
            outputs.append(output)
            before = output
    return outputs, state


@export(f"{_PLACE}.basic_rnn_seq2seq")
def basic_rnn_seq2seq(
    encoder_inputs: list[Any], decoder_inputs: list[Any], cell: Any, dtype: Any = "float32", scope: Any = None
) -> tuple[list[Any], Any]:
    """Return a decoder's outputs and last state, which begins with an encoder's: two copies of a cell.

    Args:
        encoder_inputs: The inputs of the encoder, one for each step.
        decoder_inputs: The inputs of the decoder, one for each step.
        cell: The cell.
        dtype: The dtype of the first state.
        scope: The scope; None for `basic_rnn_seq2seq`.
    """
    with variable_scope(scope or "basic_rnn_seq2seq"):
        _, state = static_rnn(copy.deepcopy(cell), encoder_inputs, dtype=dtype)
        return rnn_decoder(decoder_inputs, state, cell)


@export(f"{_PLACE}.tied_rnn_seq2seq")
def tied_rnn_seq2seq(
    encoder_inputs: list[Any],
    decoder_inputs: list[Any],
    cell: Any,
    loop_function: Callable[..., Any] | None = None,
    dtype: Any = "float32",
    scope: Any = None,
) -> tuple[list[Any], Any]:
    """Do what `basic_rnn_seq2seq` does, with one cell for both.

    Args:
        encoder_inputs: The inputs of the encoder, one for each step.
        decoder_inputs: The inputs of the decoder, one for each step.
        cell: The cell.
        loop_function: As in `rnn_decoder`.
        dtype: The dtype of the first state.
        scope: The scope; None for `tied_rnn_seq2seq`.
    """
    with variable_scope("combined_tied_rnn_seq2seq"):
        name = scope or "tied_rnn_seq2seq"
        _, state = static_rnn(cell, encoder_inputs, dtype=dtype, scope=name)
        get_variable_scope().reuse_variables()
        return rnn_decoder(decoder_inputs, state, cell, loop_function, name)


@export(f"{_PLACE}.embedding_rnn_decoder")
def embedding_rnn_decoder(
    decoder_inputs: list[Any],
    initial_state: Any,
    cell: Any,
    num_symbols: int,
    embedding_size: int,
    output_projection: Any = None,
    feed_previous: bool = False,
    update_embedding_for_previous: bool = True,
    scope: Any = None,
) -> tuple[list[Any], Any]:
    """Do what `rnn_decoder` does, for whole numbers that are looked up.

    Args:
        decoder_inputs: Whole numbers `[batch]`, one tensor for each step.
        initial_state: The first state.
        cell: The cell.
        num_symbols: How many numbers there are.
        embedding_size: How long their vectors are.
        output_projection: Weights and biases that make scores of outputs, or None where outputs are scores.
        feed_previous: Whether the input of a step is what scored best in the one before.
        update_embedding_for_previous: Whether gradients go into the vectors of such inputs.
        scope: The scope; None for `embedding_rnn_decoder`.
    """
    with variable_scope(scope or "embedding_rnn_decoder"):
        table = convert_to_tensor(get_variable("embedding", [num_symbols, embedding_size]))

        def best(output: Any, _: int) -> Tensor:
            parts = [convert_to_tensor(one) for one in (output, *(output_projection or ()))]

            def argmax(x: Any, *projection: Any) -> Any:
                scores = x @ projection[0] + projection[1] if projection else x
                return jnp.argmax(scores, 1)

            found = gather(table, compute("ArgMax", argmax, *parts))
            if update_embedding_for_previous:
                return found
            return compute("StopGradient", jax.lax.stop_gradient, found)

        inputs = [gather(table, ids) for ids in decoder_inputs]
        return rnn_decoder(inputs, initial_state, cell, best if feed_previous else None)


@export(f"{_PLACE}.embedding_rnn_seq2seq")
def embedding_rnn_seq2seq(
    encoder_inputs: list[Any],
    decoder_inputs: list[Any],
    cell: Any,
    num_encoder_symbols: int,
    num_decoder_symbols: int,
    embedding_size: int,
    output_projection: Any = None,
    feed_previous: bool = False,
    dtype: Any = "float32",
    scope: Any = None,
) -> tuple[list[Any], Any]:
    """Do what `basic_rnn_seq2seq` does, for whole numbers that are looked up.

    Args:
        encoder_inputs: Whole numbers `[batch]`, one tensor for each step.
        decoder_inputs: The same for the decoder.
        cell: The cell.
        num_encoder_symbols: How many numbers the encoder knows.
        num_decoder_symbols: How many the decoder knows.
        embedding_size: How long their vectors are.
        output_projection: Weights and biases that make scores of outputs; None for a layer of its own.
        feed_previous: Whether the input of a step is what scored best in the one before.
        dtype: The dtype of the first state.
        scope: The scope; None for `embedding_rnn_seq2seq`.
    """
    with variable_scope(scope or "embedding_rnn_seq2seq"):
        encoder = EmbeddingWrapper(copy.deepcopy(cell), num_encoder_symbols, embedding_size)
        _, state = static_rnn(encoder, encoder_inputs, dtype=dtype)
        if output_projection is None:
            cell = OutputProjectionWrapper(cell, num_decoder_symbols)
        return embedding_rnn_decoder(
            decoder_inputs, state, cell, num_decoder_symbols, embedding_size, output_projection, feed_previous
        )


@export(f"{_PLACE}.sequence_loss_by_example")
def sequence_loss_by_example(
    logits: list[Any],
    targets: list[Any],
    weights: list[Any],
    average_across_timesteps: bool = True,
    softmax_loss_function: Callable[..., Any] | None = None,
    name: str | None = None,
) -> Tensor:
    """Return the weighed cross entropy of each sequence.

    Args:
        logits: Scores `[batch, classes]`, one tensor for each step.
        targets: Whole numbers `[batch]`, one tensor for each step.
        weights: Weights `[batch]`, one tensor for each step.
        average_across_timesteps: Whether to divide by the sum of the weights.
        softmax_loss_function: A function of `labels` and `logits`, in the place of the cross entropy.
        name: A name for the result.

    Raises:
        TensorValueError: If there are not as many of each (`tensor_value`).
    """
    if not len(logits) == len(targets) == len(weights):
        raise TensorValueError("logits, targets and weights must be lists of the same length")
    losses, shares = list[Tensor](), [convert_to_tensor(one) for one in weights]
    for scores, ids in zip(logits, targets, strict=True):
        flat = compute("Reshape", lambda i: jnp.reshape(i, [-1]), convert_to_tensor(ids))
        function = softmax_loss_function or sparse_softmax_cross_entropy_with_logits
        losses.append(convert_to_tensor(function(labels=flat, logits=scores)))

    def weighed(*arrays: Any) -> Any:
        count = len(losses)
        total = sum(loss * weight for loss, weight in zip(arrays[:count], arrays[count:], strict=True))
        return total / (sum(arrays[count:]) + 1e-12) if average_across_timesteps else total

    return compute("SequenceLoss", weighed, *losses, *shares, name=name)


@export(f"{_PLACE}.sequence_loss")
def sequence_loss(
    logits: list[Any],
    targets: list[Any],
    weights: list[Any],
    average_across_timesteps: bool = True,
    average_across_batch: bool = True,
    softmax_loss_function: Callable[..., Any] | None = None,
    name: str | None = None,
) -> Tensor:
    """Return the weighed cross entropy of all sequences.

    Args:
        logits: Scores `[batch, classes]`, one tensor for each step.
        targets: Whole numbers `[batch]`, one tensor for each step.
        weights: Weights `[batch]`, one tensor for each step.
        average_across_timesteps: Whether to divide by the sum of the weights.
        average_across_batch: Whether to divide by the number of sequences.
        softmax_loss_function: A function of `labels` and `logits`, in the place of the cross entropy.
        name: A name for the result.
    """
    losses = sequence_loss_by_example(
        logits, targets, weights, average_across_timesteps, softmax_loss_function
    )
    return compute("SequenceLoss", jnp.mean if average_across_batch else jnp.sum, losses, name=name)
