"""Recurrent steps over all times of a sequence."""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, cast

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

import jaxscope as js
from jaxscope.layers.arrays import laid_out_as
from jaxscope.layers.call import LayerCall
from jaxscope.layers.steps import Step
from jaxscope.sites import users_line

#: They run the user's steps in a scan: eager calls ask for this.
RUNS_FUNCTIONS = True


def rnn(
    cell: Step,
    inputs: ArrayLike,
    sequence_length: ArrayLike | None = None,
    initial_state: Any = None,
    dtype: Any = None,
    time_major: bool = False,
    name: str | None = None,
    *,
    mask: ArrayLike | None = None,
    reverse: bool = False,
    key: jax.Array | None = None,
    unroll: int | bool = 1,
    scope: str | js.VariableScope | None = None,
) -> tuple[Any, Any]:
    """Return the outputs of a step at all times, and the last state, by one `jax.lax.scan`.

    Args:
        cell: The step: a cell such as `GRUCell(4)`, or a function of an input and a state.
        inputs: `[batch, time, ...]`, or `[time, batch, ...]` where `time_major`.
        sequence_length: `[batch]`, whole numbers: how many times of each sequence count. After them outputs
            are 0, and the state stays.
        initial_state: The state before the first time; None for the cell's zeros.
        dtype: The dtype of these zeros; needed where there is no initial state.
        time_major: Whether time is the first axis, of inputs and outputs.
        name: The scope's name, used as it is; None for `rnn`, which is not numbered: TF1 has it so.
        mask: `[batch, time]` (or `[time, batch]`), booleans: at which times there is something. Elsewhere
            outputs are 0, and the state stays.
        reverse: Whether to go from the last time to the first; with lengths, from the end of each sequence.
        key: A key for what is random in the cell; each time gets one of its own, from `js.next_key()`.
        unroll: As of `jax.lax.scan`.
        scope: TF1's word for `name`.

    Returns:
        The outputs, with the inputs' first two axes, and the last state.

    Raises:
        InvalidShapeError: The inputs have fewer than three axes, lengths are not one for each sequence, or a
            state changes its shape.
        InvalidDtypeError: The state begins with whole numbers, and a step makes others.
        ValueError: There is neither an initial state nor a dtype.
        JaxscopeError: What the cell raises.

    Source:
        `tf.nn.dynamic_rnn`.

    Example:
        >>> @js.transform
        ... def net(x, lengths):
        ...     return js.layers.rnn(js.layers.GRUCell(4), x, lengths, dtype="float32")
        >>> x, lengths = jnp.ones([2, 5, 3]), jnp.array([5, 2])
        >>> variables = net.init(jax.random.key(0), x, lengths)
        >>> list(variables)[:2]
        ['rnn/gru_cell/candidate/bias', 'rnn/gru_cell/candidate/kernel']
        >>> outputs, state = net.apply(variables, x, lengths)
        >>> outputs.shape, state.shape, bool((outputs[1, 2:] == 0).all())
        ((2, 5, 4), (2, 4), True)
    """
    with LayerCall("rnn", inputs, name or scope or "rnn", None) as call:
        if call.inputs.ndim < 3:
            raise call.wrong_shape("takes sequences: [batch, time, ...]", "give it an axis of features")
        x = _swapped(call.inputs, time_major)
        times, batch = x.shape[:2]
        begin = _begin(cell, initial_state, dtype, batch)
        begin = jax.tree.map(lambda part: laid_out_as(part, x), begin)
        counts, turned = _counts_and_order(call, (times, batch), sequence_length, mask, time_major, reverse)
        keys = None if key is None else jax.random.split(key, times)

        def step(state: Any, now: Any) -> tuple[Any, Any]:
            x, counts, key = now
            with contextlib.nullcontext() if key is None else js.random_keys(key):
                output, after = cell(x, state)
            after = _as_before(call, after, state)
            if counts is not None:
                after = _where(counts, after, state)
                output = _where(counts, output, jax.tree.map(jnp.zeros_like, output))
            return after, output

        last, outputs = lax.scan(step, begin, (turned(x), turned(counts), keys), unroll=unroll)
        return jax.tree.map(lambda array: _swapped(turned(array), time_major), outputs), last


def bidirectional_rnn(
    cell_fw: Step,
    cell_bw: Step,
    inputs: ArrayLike,
    sequence_length: ArrayLike | None = None,
    initial_state_fw: Any = None,
    initial_state_bw: Any = None,
    dtype: Any = None,
    time_major: bool = False,
    name: str | None = None,
    *,
    scope: str | js.VariableScope | None = None,
) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """Return the outputs of two steps, one forward and one backward in time, and their last states.

    Args:
        cell_fw: The step that goes forward, in the scope `fw`.
        cell_bw: The step that goes backward from the end of each sequence, in the scope `bw`.
        inputs: `[batch, time, ...]`, or `[time, batch, ...]` where `time_major`.
        sequence_length: `[batch]`: how many times of each sequence count.
        initial_state_fw: The state before the first time; None for the cell's zeros.
        initial_state_bw: The state after the last time; None for the cell's zeros.
        dtype: The dtype of these zeros.
        time_major: Whether time is the first axis.
        name: The scope's name, used as it is; None for `bidirectional_rnn`, which is not numbered.
        scope: TF1's word for `name`.

    Returns:
        The outputs, forward and backward, each at the time of its input; and the last states.

    Raises:
        JaxscopeError: As `js.layers.rnn`.

    Source:
        `tf.nn.bidirectional_dynamic_rnn`.

    Example:
        >>> @js.transform
        ... def net(x):
        ...     f, b = js.layers.GRUCell(4), js.layers.GRUCell(4)
        ...     outputs, states = js.layers.bidirectional_rnn(f, b, x, dtype="float32")
        ...     return jnp.concatenate(outputs, -1)
        >>> variables = net.init(jax.random.key(0), jnp.ones([2, 5, 3]))
        >>> list(variables)[0], net.apply(variables, jnp.ones([2, 5, 3])).shape
        ('bidirectional_rnn/bw/gru_cell/candidate/bias', (2, 5, 8))
    """
    with js.variable_scope(name or scope or "bidirectional_rnn"):
        forward = rnn(cell_fw, inputs, sequence_length, initial_state_fw, dtype, time_major, "fw")
        back = rnn(cell_bw, inputs, sequence_length, initial_state_bw, dtype, time_major, "bw", reverse=True)
    return (forward[0], back[0]), (forward[1], back[1])


def static_rnn(
    cell: Step,
    inputs: Sequence[ArrayLike],
    initial_state: Any = None,
    dtype: Any = None,
    sequence_length: ArrayLike | None = None,
    name: str | None = None,
    *,
    scope: str | js.VariableScope | None = None,
) -> tuple[list[Any], Any]:
    """Return the outputs of a step for each input of a list, and the last state, written out without a loop.

    Args:
        cell: The step: a cell such as `GRUCell(4)`, or a function of an input and a state.
        inputs: The inputs of all times, each `[batch, ...]`.
        initial_state: The state before the first time; None for the cell's zeros.
        dtype: The dtype of these zeros; needed where there is no initial state.
        sequence_length: `[batch]`: how many times of each sequence count.
        name: The scope's name, used as it is; None for `rnn`, which is not numbered.
        scope: TF1's word for `name`.

    Returns:
        A list of the outputs, and the last state.

    Raises:
        InvalidShapeError: Lengths are not one for each sequence, or a state changes its shape.
        InvalidDtypeError: The state begins with whole numbers, and a step makes others.
        ValueError: There are no inputs, or neither an initial state nor a dtype.
        TypeError: The inputs are no list.
        JaxscopeError: What the cell raises.

    Source:
        `tf.nn.static_rnn`.

    Example:
        >>> @js.transform
        ... def net(xs):
        ...     return js.layers.static_rnn(js.layers.BasicLSTMCell(4), xs, dtype="float32")
        >>> list(net.spec([jnp.ones([2, 3])] * 5))
        ['rnn/basic_lstm_cell/kernel', 'rnn/basic_lstm_cell/bias']
    """
    if not isinstance(inputs, list | tuple):
        raise TypeError("static_rnn takes a list with the input of each time; an array goes to js.layers.rnn")
    if len(inputs) == 0:
        raise ValueError("static_rnn needs at least one input")
    outputs: list[Any] = []
    with LayerCall("static_rnn", inputs[0], name or scope or "rnn", None) as call:
        batch = _batch(call)
        state = _begin(cell, initial_state, dtype, batch)
        lengths = None if sequence_length is None else _lengths(call, sequence_length, batch)
        for time, x in enumerate(inputs):
            if time:
                call.scope.reuse_variables()
            output, after = cell(x, state)
            after = _as_before(call, after, state)
            if lengths is not None:
                after = _where(lengths > time, after, state)
                output = _where(lengths > time, output, jax.tree.map(jnp.zeros_like, output))
            state = after
            outputs.append(output)
    return outputs, state


def _batch(call: LayerCall) -> int:
    if call.inputs.ndim < 1:
        raise call.wrong_shape("takes steps of a batch, each [batch, ...]", "give each a batch axis")
    return call.inputs.shape[0]


def _begin(cell: Any, initial_state: Any, dtype: Any, batch: int) -> Any:
    if initial_state is not None:
        return jax.tree.map(jnp.asarray, initial_state)
    if dtype is None:
        raise ValueError("pass initial_state, or dtype for the zeros that the cell begins with")
    if not hasattr(cell, "zero_state"):
        raise ValueError("pass initial_state: a function does not know its zeros, as cells do")
    return cell.zero_state(batch, dtype)


def _as_before(call: LayerCall, after: Any, before: Any) -> Any:
    """Return the next state in the dtype of the state before."""
    made, expected = (cast(object, jax.tree.structure(state)) for state in (after, before))
    if made != expected:
        raise call.wrong_shape(
            f"has a step that makes of a state {expected} one {made}",
            "return the next state in the structure of the state that the step gets",
        )

    def keep(new: Any, old: jax.Array) -> jax.Array:
        new = jnp.asarray(new)
        if new.shape != old.shape:
            raise call.wrong_shape(
                f"has a step that makes of a state of shape {list(old.shape)} one of {list(new.shape)}",
                "begin with a state of the shape that the steps return",
            )
        if jnp.issubdtype(new.dtype, jnp.inexact) and not jnp.issubdtype(old.dtype, jnp.inexact):
            raise js.errors.InvalidDtypeError(
                f"{call.kind} begins with a state of {old.dtype}, and a step makes one of {new.dtype}",
                code="layer_dtype",
                at=users_line(),
                scope=str(call.scope),
                fix='begin with fractions: jnp.zeros(shape, "float32")',
            )
        kept: jax.Array = new.astype(old.dtype)
        return kept

    return jax.tree.map(keep, after, before)


def _lengths(call: LayerCall, lengths: ArrayLike, batch: int) -> jax.Array:
    lengths = jnp.asarray(lengths)
    if not jnp.issubdtype(lengths.dtype, jnp.integer) and lengths.size:
        raise js.errors.InvalidDtypeError(
            f"{call.kind} takes lengths, which are whole numbers, not {lengths.dtype}",
            code="layer_dtype",
            at=users_line(),
            scope=str(call.scope),
            fix="convert them: lengths.astype(int); booleans for each time are mask=",
        )
    if lengths.shape != (batch,):
        raise call.wrong_shape(f"has lengths of shape {list(lengths.shape)}", f"pass {batch} lengths")
    return lengths


def _counts_and_order(
    call: LayerCall, shape: tuple[int, int], lengths: Any, mask: Any, time_major: bool, reverse: bool
) -> tuple[Any, Callable[[Any], Any]]:
    """Return at which (time, sequence) there is something, and what puts an array into the order of steps.

    The order is its own inverse.
    """
    times, batch = shape
    at = jnp.arange(times)[:, None]
    counts = None
    if mask is not None:
        counts = _swapped(jnp.asarray(mask, bool), time_major)
        if counts.shape != shape:
            raise call.wrong_shape(f"has a mask of shape {list(jnp.shape(mask))}", "pass one for each time")
    if lengths is not None:
        lengths = jnp.minimum(_lengths(call, lengths, batch).astype(at.dtype), times)[None, :]
        counts = at < lengths if counts is None else counts & (at < lengths)
    if not reverse:
        return counts, lambda array: array
    if lengths is None:
        return counts, lambda array: None if array is None else array[::-1]
    # A sequence's own times turned around, and what is after its end left where it is.
    order = jnp.where(at < lengths, lengths - 1 - at, at)

    def turned(array: Any) -> Any:
        return jnp.take_along_axis(array, order.reshape(order.shape + (1,) * (array.ndim - 2)), 0)

    return counts, turned


def _where(counts: jax.Array, new: Any, old: Any) -> Any:
    """Return `new` for the sequences that count, `old` for others; a scalar, as a count of steps, is new."""

    def choose(new: jax.Array, old: jax.Array) -> jax.Array:
        if not new.ndim:
            return new
        return jnp.where(counts.reshape(counts.shape + (1,) * (new.ndim - 1)), new, old)

    return jax.tree.map(choose, new, old)


def _swapped(array: jax.Array, time_major: bool) -> jax.Array:
    """Return an array with its first two axes swapped, unless time is the first."""
    return array if time_major else array.swapaxes(0, 1)
