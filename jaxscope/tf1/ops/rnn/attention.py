"""`tf.contrib.seq2seq`'s attention: mechanisms over a memory, and the cell around a cell that uses them."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import jaxscope as js
from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.dtypes import canonical
from jaxscope.tf1.base.errors import TensorValueError
from jaxscope.tf1.base.exporting import EXPORTED, export
from jaxscope.tf1.base.operation import compute, static_int
from jaxscope.tf1.base.shapes import TensorShape
from jaxscope.tf1.base.tensor import Tensor, wrap
from jaxscope.tf1.ops.control.tensor_array import TensorArray
from jaxscope.tf1.ops.rnn.cells import RNNCell, as_step, side_by_side, zeros_of
from jaxscope.tf1.ops.variables.getting import get_variable
from jaxscope.tf1.ops.variables.scopes import variable_scope

__all__ = ["AlignmentHistory", "AttentionWrapper", "AttentionWrapperState", "alignments_in", "with_history"]


def _dense(units: Any, name: str, dtype: Any) -> Any:
    return EXPORTED["layers"]["Dense"](units, use_bias=False, name=name, dtype=dtype)


@export("contrib.seq2seq.AttentionMechanism")
class AttentionMechanism:
    """What attends to a memory: `mechanism(query, state)` returns shares and the next state.

    Args:
        memory: `[batch, time, size]`.
        memory_sequence_length: How long each memory is; the rest is zeros, and is not attended to.
        query_layer: A layer of queries, or None.
        memory_layer: A layer of the memory, or None.
        probability_fn: What makes shares of scores; the softmax if None.
        score_mask_value: What stands for scores of the rest.
    """

    def __init__(
        self,
        memory: Any,
        memory_sequence_length: Any,
        query_layer: Any,
        memory_layer: Any,
        probability_fn: Callable[..., Any] | None,
        score_mask_value: Any,
    ) -> None:
        self._lengths = None if memory_sequence_length is None else convert_to_tensor(memory_sequence_length)
        self.query_layer, self.memory_layer = query_layer, memory_layer
        self._probability_fn = probability_fn
        self._masked = -math.inf if score_mask_value is None else score_mask_value
        values = convert_to_tensor(memory)
        if self._lengths is not None:

            def within(x: Any, lengths: Any) -> Any:
                mask = jnp.arange(x.shape[1]) < jnp.asarray(lengths)[:, None]
                return x * mask.astype(x.dtype).reshape(*mask.shape, *(1,) * (x.ndim - 2))

            values = compute("Mul", within, values, self._lengths)
        self.values = values
        self.keys = values if memory_layer is None else convert_to_tensor(memory_layer(values))
        self.dtype = values.dtype

    @property
    def batch_size(self) -> int:
        """How many memories there are."""
        return int(self.keys.shape[0].value)

    @property
    def alignments_size(self) -> int:
        """How many places a memory has."""
        return int(self.keys.shape[1].value)

    @property
    def state_size(self) -> int:
        """The size of the state: that of the shares."""
        return self.alignments_size

    def initial_alignments(self, batch_size: Any, dtype: Any) -> Tensor:
        """Return the first shares: zeros.

        Args:
            batch_size: How many there are.
            dtype: Their dtype.
        """
        shape = [static_int(batch_size, "batch_size"), self.alignments_size]
        return wrap(jnp.zeros(shape, canonical(dtype).dtype), "zeros")

    def initial_state(self, batch_size: Any, dtype: Any) -> Tensor:
        """Return the first state: that of the shares.

        Args:
            batch_size: How many there are.
            dtype: Their dtype.
        """
        return self.initial_alignments(batch_size, dtype)

    def _shares(self, score: Tensor, state: Any) -> tuple[Tensor, Tensor]:
        if self._lengths is not None:

            def within(x: Any, lengths: Any) -> Any:
                return jnp.where(jnp.arange(x.shape[1]) < jnp.asarray(lengths)[:, None], x, self._masked)

            score = compute("Select", within, score, self._lengths)
        if self._probability_fn is None:
            shares = compute("Softmax", jax.nn.softmax, score)
        else:
            shares = convert_to_tensor(self._probability_fn(score))
        return shares, shares


@export("contrib.seq2seq.LuongAttention")
class LuongAttention(AttentionMechanism):
    """Attention by products of queries and keys.

    Source: Luong et al., Effective Approaches to Attention-based Neural Machine Translation, 2015.

    Args:
        num_units: The size of the keys, and of queries.
        memory: `[batch, time, size]`.
        memory_sequence_length: How long each memory is.
        scale: Whether scores are multiplied by a variable.
        probability_fn: What makes shares of scores; the softmax if None.
        score_mask_value: What stands for scores behind the end of a memory.
        dtype: The dtype of the variables.
        name: Without meaning here.
    """

    def __init__(
        self,
        num_units: Any,
        memory: Any,
        memory_sequence_length: Any = None,
        scale: bool = False,
        probability_fn: Callable[..., Any] | None = None,
        score_mask_value: Any = None,
        dtype: Any = None,
        name: str = "LuongAttention",
    ) -> None:
        layer = _dense(num_units, "memory_layer", dtype or "float32")
        super().__init__(memory, memory_sequence_length, None, layer, probability_fn, score_mask_value)
        self._num_units, self._scale = num_units, scale

    def __call__(self, query: Any, state: Any) -> tuple[Tensor, Tensor]:
        """Return shares and the next state.

        Args:
            query: `[batch, num_units]`.
            state: The state.

        Raises:
            TensorValueError: If a query has not the size of the keys (`tensor_value`).
        """
        asked = convert_to_tensor(query)
        if asked.shape[-1].value != self.keys.shape[-1].value:
            raise TensorValueError(
                f"queries {asked.shape} and keys {self.keys.shape} differ in their last size"
            )
        with variable_scope(None, "luong_attention"):
            score = compute("MatMul", lambda q, k: jnp.einsum("bd,btd->bt", q, k), asked, self.keys)
            if self._scale:
                scale = get_variable("attention_g", [], asked.dtype, js.initializers.ones)
                score = compute("Mul", jnp.multiply, convert_to_tensor(scale), score)
            return self._shares(score, state)


@export("contrib.seq2seq.BahdanauAttention")
class BahdanauAttention(AttentionMechanism):
    """Attention by a small network of queries and keys.

    Source: Bahdanau et al., Neural Machine Translation by Jointly Learning to Align and Translate, 2015;
    normalized: Salimans and Kingma, Weight Normalization, 2016.

    Args:
        num_units: The size of the network.
        memory: `[batch, time, size]`.
        memory_sequence_length: How long each memory is.
        normalize: Whether its weights are normalized.
        probability_fn: What makes shares of scores; the softmax if None.
        score_mask_value: What stands for scores behind the end of a memory.
        dtype: The dtype of the variables.
        name: Without meaning here.
    """

    def __init__(
        self,
        num_units: Any,
        memory: Any,
        memory_sequence_length: Any = None,
        normalize: bool = False,
        probability_fn: Callable[..., Any] | None = None,
        score_mask_value: Any = None,
        dtype: Any = None,
        name: str = "BahdanauAttention",
    ) -> None:
        of_query = _dense(num_units, "query_layer", dtype or "float32")
        of_memory = _dense(num_units, "memory_layer", dtype or "float32")
        super().__init__(
            memory, memory_sequence_length, of_query, of_memory, probability_fn, score_mask_value
        )
        self._num_units, self._normalize = static_int(num_units, "num_units"), normalize

    def __call__(self, query: Any, state: Any) -> tuple[Tensor, Tensor]:
        """Return shares and the next state.

        Args:
            query: `[batch, size]`.
            state: The state.
        """
        with variable_scope(None, "bahdanau_attention"):
            asked = convert_to_tensor(self.query_layer(query))
            shape, dtype = [self._num_units], asked.dtype
            v = convert_to_tensor(get_variable("attention_v", shape, dtype))
            if not self._normalize:

                def plain(q: Any, k: Any, v: Any) -> Any:
                    return jnp.sum(v * jnp.tanh(k + q[:, None]), 2)

                return self._shares(compute("Sum", plain, asked, self.keys, v), state)
            begin = js.initializers.constant(math.sqrt(1 / self._num_units))
            g = convert_to_tensor(get_variable("attention_g", [], dtype, begin))
            b = convert_to_tensor(get_variable("attention_b", shape, dtype, js.initializers.zeros))

            def normed(q: Any, k: Any, v: Any, g: Any, b: Any) -> Any:
                weights = g * v * jax.lax.rsqrt(jnp.sum(v**2))
                return jnp.sum(weights * jnp.tanh(k + q[:, None] + b), 2)

            return self._shares(compute("Sum", normed, asked, self.keys, v, g, b), state)


class AlignmentHistory:
    """Stands for the shares at all times, which the loop puts there when they are known."""


jax.tree_util.register_pytree_node(AlignmentHistory, lambda _: ((), None), lambda _, __: AlignmentHistory())


class AttentionWrapperState(NamedTuple):
    """The state of an `AttentionWrapper`.

    Attributes:
        cell_state: The state of the cell.
        attention: What was attended to last.
        time: The number of the step.
        alignments: The last shares, one tensor for each mechanism.
        alignment_history: The shares at all times.
        attention_state: The states of the mechanisms.
    """

    cell_state: Any
    attention: Any
    time: Any
    alignments: Any
    alignment_history: Any
    attention_state: Any

    def clone(self, **kwargs: Any) -> "AttentionWrapperState":
        """Return it with other parts.

        Args:
            **kwargs: The parts, by name.
        """
        return self._replace(**kwargs)


export("contrib.seq2seq.AttentionWrapperState")(AttentionWrapperState)


def _is_attending(state: Any) -> bool:
    return isinstance(state, AttentionWrapperState)


def alignments_in(state: Any) -> list[Any]:
    """Return the shares of attention in a state, where their history is asked for."""
    found = jax.tree.leaves(state, is_leaf=_is_attending)
    return [
        one.alignments
        for one in found
        if _is_attending(one) and isinstance(one.alignment_history, AlignmentHistory)
    ]


def with_history(state: Any, shares: list[Any]) -> Any:
    """Return the last state, with the shares of attention at all times in it."""
    left = iter(shares)

    def put(one: Any) -> Any:
        if not _is_attending(one) or not isinstance(one.alignment_history, AlignmentHistory):
            return one
        every = wrap(next(left))
        return one.clone(alignment_history=TensorArray(every.dtype, every.shape[0].value).unstack(every))

    return jax.tree.map(put, state, is_leaf=_is_attending)


@export("contrib.seq2seq.AttentionWrapper")
class AttentionWrapper(RNNCell):
    """A cell that attends to memories with its output, and takes in what it attended to before.

    Args:
        cell: The cell.
        attention_mechanism: A mechanism, or a list of such.
        attention_layer_size: The size of a layer behind each, or None for none.
        alignment_history: Whether a loop keeps the shares at all times, for one mechanism.
        cell_input_fn: A function of inputs and attention; if None they are put side by side.
        output_attention: Whether attention is the output, or else the cell's.
        initial_cell_state: The first state of the cell; zeros if None.
        name: The name of its scope.
        attention_layer: A layer, or a list of such, instead of those of `attention_layer_size`.

    Raises:
        TensorTypeError: If it is no cell (`not_a_cell`).
        TensorValueError: If there are not as many layers as mechanisms (`tensor_value`).
    """

    def __init__(
        self,
        cell: Any,
        attention_mechanism: Any,
        attention_layer_size: Any = None,
        alignment_history: bool = False,
        cell_input_fn: Callable[..., Any] | None = None,
        output_attention: bool = True,
        initial_cell_state: Any = None,
        name: str | None = None,
        attention_layer: Any = None,
    ) -> None:
        super().__init__(name=name)
        as_step(cell)
        self._many = isinstance(attention_mechanism, list | tuple)
        self._mechanisms = list(attention_mechanism) if self._many else [attention_mechanism]
        count = len(self._mechanisms)
        if attention_layer is not None:
            layers = list(attention_layer) if isinstance(attention_layer, list | tuple) else [attention_layer]
            sizes: list[Any] = [layer.units for layer in layers]
        elif attention_layer_size is not None:
            several = isinstance(attention_layer_size, list | tuple)
            sizes = list(attention_layer_size) if several else [attention_layer_size]
            names = ["attention_layer"] if count == 1 else [f"attention_layer_{at}" for at in range(count)]
            layers = [
                _dense(size, name, one.dtype)
                for size, name, one in zip(sizes, names, self._mechanisms, strict=False)
            ]
        else:
            layers = [None] * count
            sizes = [one.values.shape[-1].value for one in self._mechanisms]
        if len(layers) != count:
            raise TensorValueError(f"{len(layers)} attention layers for {count} mechanisms")
        self._layers, self._attention_size = layers, sum(int(size) for size in sizes)
        if alignment_history and count > 1:
            raise TensorValueError("alignment_history is kept of one mechanism")
        self._history, self._output_attention = bool(alignment_history), output_attention
        self._cell, self._input_fn, self._initial = cell, cell_input_fn, initial_cell_state

    def _of_all(self, parts: Any) -> Any:
        found = tuple(parts)
        return found if self._many else found[0]

    @property
    def output_size(self) -> Any:
        """The size of the output."""
        return self._attention_size if self._output_attention else self._cell.output_size

    @property
    def state_size(self) -> AttentionWrapperState:
        """The sizes of the parts of the state."""
        sizes = self._of_all(one.alignments_size for one in self._mechanisms)
        return AttentionWrapperState(
            cell_state=self._cell.state_size,
            attention=self._attention_size,
            time=TensorShape([]),
            alignments=sizes,
            alignment_history=AlignmentHistory() if self._history else (),
            attention_state=sizes,
        )

    def zero_state(self, batch_size: Any, dtype: Any) -> AttentionWrapperState:
        """Return the first state.

        Args:
            batch_size: How many sequences there are.
            dtype: The dtype of the zeros.
        """
        size = static_int(batch_size, "batch_size")
        begin = self._cell.zero_state(size, dtype) if self._initial is None else self._initial
        return AttentionWrapperState(
            cell_state=begin,
            attention=zeros_of(self._attention_size, size, dtype),
            time=wrap(jnp.zeros((), jnp.int32), "zeros"),
            alignments=self._of_all(one.initial_alignments(size, dtype) for one in self._mechanisms),
            alignment_history=AlignmentHistory() if self._history else (),
            attention_state=self._of_all(one.initial_state(size, dtype) for one in self._mechanisms),
        )

    def call(self, inputs: Any, state: AttentionWrapperState) -> tuple[Any, AttentionWrapperState]:
        """Return the output and the next state.

        Args:
            inputs: `[batch, in]`.
            state: Like `zero_state(batch, dtype)`.
        """
        join = self._input_fn or side_by_side
        output, cell_state = self._cell(join(inputs, state.attention), state.cell_state)
        before = state.attention_state if self._many else (state.attention_state,)
        attended, shares, after = list[Any](), list[Any](), list[Any]()
        for mechanism, layer, old in zip(self._mechanisms, self._layers, before, strict=True):
            share, new = mechanism(output, old)
            context = compute(
                "MatMul",
                lambda s, v: jnp.einsum("bt,btd->bd", s, v),
                share,
                convert_to_tensor(mechanism.values),
            )
            attended.append(context if layer is None else layer(side_by_side(output, context)))
            shares.append(share)
            after.append(new)
        attention = attended[0] if len(attended) == 1 else side_by_side(*attended)
        time = compute("Add", lambda t: t + 1, convert_to_tensor(state.time))
        following = AttentionWrapperState(
            cell_state=cell_state,
            attention=attention,
            time=time,
            alignments=self._of_all(shares),
            alignment_history=state.alignment_history,
            attention_state=self._of_all(after),
        )
        return (attention if self._output_attention else output), following
