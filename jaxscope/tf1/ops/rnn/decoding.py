"""`tf.contrib.seq2seq`: decoders, helpers, and the loop that runs them, by one `jax.lax.scan`."""

import contextlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxscope as js
from jaxscope.tf1.base.converting import as_array, convert_to_tensor
from jaxscope.tf1.base.errors import NotStaticError, TensorTypeError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute, static_int
from jaxscope.tf1.base.tensor import Tensor, known_value, wrap
from jaxscope.tf1.ops.control.steps import Steps, loop_key, trips
from jaxscope.tf1.ops.nn.cross_entropies import sparse_softmax_cross_entropy_with_logits
from jaxscope.tf1.ops.rnn.attention import alignments_in, with_history
from jaxscope.tf1.ops.rnn.cells import is_cell
from jaxscope.tf1.ops.variables.adapting import arrays_of, tensors_of
from jaxscope.tf1.ops.variables.scopes import variable_scope

__all__ = ["BasicDecoder", "BasicDecoderOutput", "dynamic_decode", "sequence_loss", "tile_batch"]


@export("contrib.seq2seq.sequence_loss")
def sequence_loss(
    logits: Any,
    targets: Any,
    weights: Any,
    average_across_timesteps: bool = True,
    average_across_batch: bool = True,
    softmax_loss_function: Any = None,
    name: str | None = None,
) -> Tensor:
    """Return the weighed cross entropy of sequences.

    Args:
        logits: `[batch, time, classes]`.
        targets: `[batch, time]`, whole numbers.
        weights: `[batch, time]`.
        average_across_timesteps: Whether to take the mean over times, weighed.
        average_across_batch: Whether to take the mean over sequences, weighed.
        softmax_loss_function: A function of `labels` and `logits`, in the place of the cross entropy.
        name: A name for the result.
    """
    scores, ids, shares = convert_to_tensor(logits), convert_to_tensor(targets), convert_to_tensor(weights)
    if softmax_loss_function is None:
        crossent = sparse_softmax_cross_entropy_with_logits(labels=ids, logits=scores)
    else:
        shape = scores.shape.as_list()
        flat = wrap(jnp.reshape(as_array(scores), [-1, shape[-1]])), wrap(jnp.reshape(as_array(ids), [-1]))
        losses = softmax_loss_function(labels=flat[1], logits=flat[0])
        crossent = compute("Reshape", lambda x: jnp.reshape(x, shape[:2]), convert_to_tensor(losses))

    def weighed(x: Any, w: Any) -> Any:
        axes = tuple(
            axis for axis, mean in enumerate((average_across_batch, average_across_timesteps)) if mean
        )
        x = x * w
        return jnp.sum(x, axes) / (jnp.sum(w, axes) + 1e-12) if axes else x

    return compute("SequenceLoss", weighed, crossent, shares, name=name)


@export("contrib.seq2seq.tile_batch")
def tile_batch(t: Any, multiplier: int, name: str | None = None) -> Any:
    """Return tensors with each example as often as told, one after the other.

    Args:
        t: A tensor `[batch, ...]`, or a structure of such.
        multiplier: How often.
        name: Without meaning here.
    """
    times = static_int(multiplier, "multiplier")
    return tensors_of(jax.tree.map(lambda x: jnp.repeat(x, times, 0), arrays_of(t)))


class BasicDecoderOutput(NamedTuple):
    """What a decoder gives at each time.

    Attributes:
        rnn_output: The output of the cell, or of the layer behind it.
        sample_id: The ids that were chosen.
    """

    rnn_output: Any
    sample_id: Any


export("contrib.seq2seq.BasicDecoderOutput")(BasicDecoderOutput)


@export("contrib.seq2seq.Helper")
class Helper:
    """What a decoder asks for its inputs; one of the program's own has these three methods."""

    #: How many times there are at most, where that is known.
    _times: int | None = None

    def initialize(self, name: str | None = None) -> Any:
        """Return which sequences are finished, and the first inputs."""
        raise NotImplementedError

    def sample(self, time: Any, outputs: Any, state: Any, name: str | None = None) -> Any:
        """Return the ids that outputs stand for."""
        return compute("ArgMax", lambda x: jnp.argmax(x, -1).astype(jnp.int32), convert_to_tensor(outputs))

    def next_inputs(
        self, time: Any, outputs: Any, state: Any, sample_ids: Any = None, name: str | None = None
    ) -> Any:
        """Return which sequences are finished, the next inputs, and the state."""
        raise NotImplementedError


@export("contrib.seq2seq.TrainingHelper")
class TrainingHelper(Helper):
    """Gives a decoder the inputs that it is taught with.

    Args:
        inputs: `[batch, time, ...]`, or `[time, batch, ...]` where `time_major`.
        sequence_length: `[batch]`, whole numbers.
        time_major: Whether time is the first axis.
        name: Without meaning here.
    """

    def __init__(
        self, inputs: Any, sequence_length: Any, time_major: bool = False, name: str | None = None
    ) -> None:
        x = as_array(inputs)
        self._x = x if time_major else jnp.swapaxes(x, 0, 1)
        self._lengths = convert_to_tensor(sequence_length)._held
        self._times = self._x.shape[0]

    def initialize(self, name: str | None = None) -> Any:
        """Return which sequences are empty, and the first inputs."""
        return wrap(self._lengths == 0), wrap(self._x[0])

    def next_inputs(
        self, time: Any, outputs: Any, state: Any, sample_ids: Any = None, name: str | None = None
    ) -> Any:
        """Return which sequences are finished, the next inputs, and the state as it is."""
        following = as_array(time) + 1
        at = jnp.minimum(following, self._x.shape[0] - 1)
        finished = following >= self._lengths
        x = jax.lax.dynamic_index_in_dim(self._x, at, 0, keepdims=False)
        x = jnp.where(jnp.all(finished), jnp.zeros_like(x), x)
        return wrap(finished), wrap(x), state


@export("contrib.seq2seq.GreedyEmbeddingHelper")
class GreedyEmbeddingHelper(Helper):
    """Gives a decoder what it chose before: the likeliest id.

    Args:
        embedding: A table, or a function of ids.
        start_tokens: `[batch]`, the first ids.
        end_token: The id at which a sequence ends.
    """

    def __init__(self, embedding: Any, start_tokens: Any, end_token: Any) -> None:
        table = None if callable(embedding) else convert_to_tensor(embedding)
        self._embed = embedding
        if table is not None:
            self._embed = lambda ids: compute("Gather", lambda t, i: jnp.asarray(t)[i], table, ids)
        self._start = convert_to_tensor(start_tokens)
        self._end = as_array(end_token)

    def initialize(self, name: str | None = None) -> Any:
        """Return that no sequence is finished, and the first inputs."""
        return wrap(jnp.zeros(self._start.shape.as_list(), bool)), self._embed(self._start)

    def next_inputs(
        self, time: Any, outputs: Any, state: Any, sample_ids: Any = None, name: str | None = None
    ) -> Any:
        """Return which sequences are finished, the next inputs, and the state as it is."""
        ids = convert_to_tensor(sample_ids)
        return wrap(as_array(ids) == self._end), self._embed(ids), state


@export("contrib.seq2seq.SampleEmbeddingHelper")
class SampleEmbeddingHelper(GreedyEmbeddingHelper):
    """Gives a decoder what it drew before.

    Args:
        embedding: A table, or a function of ids.
        start_tokens: `[batch]`, the first ids.
        end_token: The id at which a sequence ends.
        softmax_temperature: What logits are divided by.
        seed: Without meaning here: keys decide.
    """

    def __init__(
        self,
        embedding: Any,
        start_tokens: Any,
        end_token: Any,
        softmax_temperature: float | None = None,
        seed: Any = None,
    ) -> None:
        super().__init__(embedding, start_tokens, end_token)
        self._temperature = softmax_temperature

    def sample(self, time: Any, outputs: Any, state: Any, name: str | None = None) -> Any:
        """Return ids that are drawn by their logits."""
        logits = as_array(outputs)
        if self._temperature is not None:
            logits = logits / self._temperature
        return wrap(jax.random.categorical(js.next_key(), logits).astype(jnp.int32))


@export("contrib.seq2seq.Decoder")
class Decoder:
    """What runs in `dynamic_decode`; one of the program's own has `initialize` and `step`."""

    _times: int | None = None
    tracks_own_finished = False

    def initialize(self, name: str | None = None) -> Any:
        """Return which sequences are finished, the first inputs, and the first state."""
        raise NotImplementedError

    def step(self, time: Any, inputs: Any, state: Any, name: str | None = None) -> Any:
        """Return outputs, the next state, the next inputs, and which sequences are finished."""
        raise NotImplementedError

    def finalize(self, outputs: Any, final_state: Any, sequence_lengths: Any) -> Any:
        """Return outputs and last state, when all is done."""
        return outputs, final_state


@export("contrib.seq2seq.BasicDecoder")
class BasicDecoder(Decoder):
    """A cell, a helper that gives it inputs, and perhaps a layer behind it.

    Args:
        cell: The cell.
        helper: The helper.
        initial_state: The first state.
        output_layer: A layer of the cell's outputs, or None.

    Raises:
        TensorTypeError: If it is no cell, or no helper (`tensor_type`).
    """

    def __init__(self, cell: Any, helper: Helper, initial_state: Any, output_layer: Any = None) -> None:
        if not is_cell(cell) or not hasattr(helper, "next_inputs"):
            raise TensorTypeError("BasicDecoder takes an RNNCell and a Helper")
        self._cell, self._helper, self._initial, self._layer = cell, helper, initial_state, output_layer
        self._times = getattr(helper, "_times", None)

    def initialize(self, name: str | None = None) -> Any:
        """Return which sequences are finished, the first inputs, and the first state."""
        return (*self._helper.initialize(), self._initial)

    def step(self, time: Any, inputs: Any, state: Any, name: str | None = None) -> Any:
        """Return outputs, the next state, the next inputs, and which sequences are finished.

        Args:
            time: The time.
            inputs: The inputs.
            state: The state.
            name: Without meaning here.
        """
        outputs, after = self._cell(inputs, state)
        if self._layer is not None:
            outputs = self._layer(outputs)
        ids = self._helper.sample(time=time, outputs=outputs, state=after)
        finished, following, after = self._helper.next_inputs(
            time=time, outputs=outputs, state=after, sample_ids=ids
        )
        return BasicDecoderOutput(outputs, ids), after, following, finished


@export("contrib.seq2seq.dynamic_decode")
def dynamic_decode(
    decoder: Any,
    output_time_major: bool = False,
    impute_finished: bool = False,
    maximum_iterations: Any = None,
    parallel_iterations: Any = None,
    swap_memory: bool = False,
    scope: Any = None,
) -> tuple[Any, Any, Tensor]:
    """Return a decoder's outputs at all times, its last state, and how long each sequence is.

    There are as many times as `maximum_iterations` says, or the helper's inputs have, since shapes are known
    while tracing; less where numbers that are known then tell when all sequences are finished. Where
    TensorFlow stops for other numbers, outputs are zeros from there on.

    Args:
        decoder: The decoder.
        output_time_major: Whether time is the first axis of the outputs.
        impute_finished: Whether the state of a finished sequence stays, and its outputs are zeros.
        maximum_iterations: How many times there are at most, known while tracing.
        parallel_iterations: Without meaning here.
        swap_memory: Without meaning here.
        scope: The scope; None for `decoder`.

    Raises:
        NotStaticError: If nothing says how many times there are (`not_static`).
    """
    del parallel_iterations, swap_memory
    with variable_scope(scope, "decoder"):
        times = getattr(decoder, "_times", None)
        if maximum_iterations is not None:
            limit = static_int(maximum_iterations, "maximum_iterations")
            times = limit if times is None else min(limit, times)
        first = decoder.initialize()
        begin = arrays_of(first)
        leaves, form = jax.tree.flatten((*begin, jnp.zeros(begin[0].shape, jnp.int32)))
        known = known_value(convert_to_tensor(first[0]))
        key = loop_key()
        forms: list[Any] = []

        def keep(rows: jax.Array, old: jax.Array, new: jax.Array) -> jax.Array:
            return jnp.where(rows.reshape(rows.shape + (1,) * (new.ndim - 1)), old, new.astype(old.dtype))

        def step(time: Any, *given: Any) -> list[Any]:
            finished, inputs, state, lengths = jax.tree.unflatten(form, given[: len(leaves)])
            with js.random_keys(given[-1]) if key is not None else contextlib.nullcontext():
                made = decoder.step(wrap(time), tensors_of(inputs), tensors_of(state))
            outputs, after, following, ended = arrays_of(made)
            all_done = jnp.broadcast_to(jnp.all(finished), finished.shape)
            stays = finished if impute_finished else all_done
            outputs = jax.tree.map(lambda new: keep(stays, jnp.zeros_like(new), new), outputs)
            after = jax.tree.map(lambda old, new: keep(stays, old, new) if old.ndim else new, state, after)
            lengths = jnp.where(finished, lengths, time + 1)
            if not decoder.tracks_own_finished:
                ended = ended | finished
            kept, kept_form = jax.tree.flatten((outputs, alignments_in(after)))
            forms.append(kept_form)
            return [*jax.tree.leaves((ended, following, after, lengths)), *given[len(leaves) :], *kept]

        start = leaves if key is None else [*leaves, key]
        traced = Steps(step, [np.int32(0), *start])
        goes_on = Steps(lambda _, finished, *__: [~jnp.all(finished)], [np.int32(0), *start])
        # TensorFlow stops when all are finished, which numbers that are known tell while tracing.
        stops = trips(goes_on, traced, start if known is None else [known, *start[1:]], times)
        times = stops if stops is not None else times
        if times is None:
            raise NotStaticError(
                "dynamic_decode does not know how many times there are at most",
                fix="pass maximum_iterations=, a number that is known while tracing",
            )
        keys = None if key is None else jax.random.split(key, times)

        def advance(carry: Any, now: Any) -> Any:
            time, key = now
            new = traced(time, *carry, *([] if key is None else [key]))
            return new[: len(leaves)], new[len(start) :]

        every = (jnp.arange(times, dtype=jnp.int32), keys)
        arrays, made = jax.lax.scan(advance, [jnp.asarray(one) for one in leaves], every)
        _, _, last, lengths = jax.tree.unflatten(form, arrays)
        outputs, shares = jax.tree.unflatten(forms[-1], made)
        last = with_history(tensors_of(last), shares)
        if not output_time_major:
            outputs = jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), outputs)
        found = (
            decoder.finalize(tensors_of(outputs), last, wrap(lengths))
            if hasattr(decoder, "finalize")
            else (tensors_of(outputs), last)
        )
        return found[0], found[1], wrap(lengths)
