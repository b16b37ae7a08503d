"""`tf.nn.dynamic_rnn` and its like, over `js.layers.rnn`."""

from typing import Any

import jax.numpy as jnp

import jaxscope as js
from jaxscope.tf1.base.converting import as_array, convert_to_tensor
from jaxscope.tf1.base.errors import TensorTypeError, TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.tensor import is_tensor
from jaxscope.tf1.ops.arrays.joining import stack
from jaxscope.tf1.ops.arrays.moving import reverse_sequence
from jaxscope.tf1.ops.arrays.splitting import unstack
from jaxscope.tf1.ops.control.steps import loop_key
from jaxscope.tf1.ops.rnn.attention import alignments_in, with_history
from jaxscope.tf1.ops.rnn.cells import Step, as_step, side_by_side
from jaxscope.tf1.ops.variables.adapting import arrays_of, dtype_of, tensors_of
from jaxscope.tf1.ops.variables.scopes import js_scope, variable_scope

__all__ = ["bidirectional_dynamic_rnn", "dynamic_rnn", "static_rnn"]


def _lengths(given: Any) -> Any:
    if given is None:
        return None
    lengths = as_array(given)
    if not jnp.issubdtype(lengths.dtype, jnp.integer):
        raise TensorTypeError(f"lengths are whole numbers, not {lengths.dtype}")
    return lengths


class _Attending(Step):
    """A cell of tensors as a step of arrays, whose outputs have its shares of attention beside them."""

    def __call__(self, inputs: Any, state: Any) -> Any:
        output, after = super().__call__(inputs, state)
        return (output, alignments_in(after)), after


def _run(
    cell: Any,
    inputs: Any,
    lengths: Any,
    state: Any,
    dtype: Any,
    time_major: bool,
    name: Any,
    *,
    reverse: bool = False,
) -> Any:
    key = loop_key()  # behind which the program has nothing that no cell asks for
    (outputs, shares), last = js.layers.rnn(
        _Attending(cell),
        arrays_of(_tensors(inputs)),
        lengths,
        arrays_of(state),
        dtype,
        time_major,
        name,
        reverse=reverse,
        key=key,
    )
    last = tensors_of(last)
    if shares:
        last = with_history(last, shares if time_major else [jnp.swapaxes(one, 0, 1) for one in shares])
    return tensors_of(outputs), last


def _tensors(inputs: Any) -> Any:
    return convert_to_tensor(inputs) if is_tensor(inputs) or not isinstance(inputs, list | tuple) else inputs


def _begin(cells: list[Any], states: list[Any], dtype: Any) -> Any:
    """Check cells, and what their states begin with; return the dtype as NumPy's."""
    for cell in cells:
        as_step(cell)
    if dtype is None and any(state is None for state in states):
        raise TensorValueError("If there is no initial_state, you must give a dtype.")
    return dtype_of(dtype)


@export("nn.dynamic_rnn")
def dynamic_rnn(
    cell: Any,
    inputs: Any,
    sequence_length: Any = None,
    initial_state: Any = None,
    dtype: Any = None,
    parallel_iterations: Any = None,
    swap_memory: bool = False,
    time_major: bool = False,
    scope: Any = None,
) -> tuple[Any, Any]:
    """Return the outputs of a cell at all times, and the last state, by one `jax.lax.scan`.

    Args:
        cell: The cell.
        inputs: `[batch, time, ...]`, or `[time, batch, ...]` where `time_major`.
        sequence_length: `[batch]`, whole numbers: how many times of each sequence count.
        initial_state: The state before the first time; None for the cell's zeros.
        dtype: The dtype of these zeros.
        parallel_iterations: Without meaning here.
        swap_memory: Without meaning here.
        time_major: Whether time is the first axis.
        scope: The scope; None for `rnn`, which is not numbered.

    Raises:
        TensorValueError: If there is neither an initial state nor a dtype (`tensor_value`).
        TensorTypeError: If it is no cell, or lengths are no whole numbers (`tensor_type`).
        JaxscopeError: What `js.layers.rnn` raises.

    Example:
        >>> @js.transform
        ... def net(x):
        ...     cell = js.tf1.nn.rnn_cell.GRUCell(4)
        ...     return dynamic_rnn(cell, x, dtype=js.tf1.float32)[0]
        >>> list(net.spec(jnp.ones([2, 5, 3])))[0]
        'rnn/gru_cell/gates/kernel'
    """
    del parallel_iterations, swap_memory
    dtype = _begin([cell], [initial_state], dtype)
    lengths = _lengths(sequence_length)
    result: tuple[Any, Any] = _run(
        cell, inputs, lengths, initial_state, dtype, time_major, js_scope(scope) or "rnn"
    )
    return result


@export("nn.bidirectional_dynamic_rnn")
def bidirectional_dynamic_rnn(
    cell_fw: Any,
    cell_bw: Any,
    inputs: Any,
    sequence_length: Any = None,
    initial_state_fw: Any = None,
    initial_state_bw: Any = None,
    dtype: Any = None,
    parallel_iterations: Any = None,
    swap_memory: bool = False,
    time_major: bool = False,
    scope: Any = None,
) -> tuple[Any, Any]:
    """Return the outputs of two cells, one forward and one backward in time, and their last states.

    Args:
        cell_fw: The cell that goes forward, in the scope `fw`.
        cell_bw: The cell that goes backward from the end of each sequence, in the scope `bw`.
        inputs: `[batch, time, ...]`, or `[time, batch, ...]` where `time_major`.
        sequence_length: `[batch]`: how many times of each sequence count.
        initial_state_fw: The state before the first time; None for the cell's zeros.
        initial_state_bw: The state after the last time; None for the cell's zeros.
        dtype: The dtype of these zeros.
        parallel_iterations: Without meaning here.
        swap_memory: Without meaning here.
        time_major: Whether time is the first axis.
        scope: The scope; None for `bidirectional_rnn`, which is not numbered.

    Raises:
        TensorValueError: If there is neither an initial state nor a dtype (`tensor_value`).
        JaxscopeError: What `js.layers.rnn` raises.
    """
    del parallel_iterations, swap_memory
    dtype = _begin([cell_fw, cell_bw], [initial_state_fw, initial_state_bw], dtype)
    lengths = _lengths(sequence_length)
    with variable_scope(scope or "bidirectional_rnn"):
        forward = _run(cell_fw, inputs, lengths, initial_state_fw, dtype, time_major, "fw")
        back = _run(cell_bw, inputs, lengths, initial_state_bw, dtype, time_major, "bw", reverse=True)
    return (forward[0], back[0]), (forward[1], back[1])


@export("nn.static_rnn", "contrib.rnn.static_rnn")
def static_rnn(
    cell: Any,
    inputs: Any,
    initial_state: Any = None,
    dtype: Any = None,
    sequence_length: Any = None,
    scope: Any = None,
) -> tuple[list[Any], Any]:
    """Return the outputs of a cell for each input of a list, and the last state, without a loop.

    Args:
        cell: The cell.
        inputs: The inputs of all times, each `[batch, ...]`.
        initial_state: The state before the first time; None for the cell's zeros.
        dtype: The dtype of these zeros.
        sequence_length: `[batch]`: how many times of each sequence count.
        scope: The scope; None for `rnn`, which is not numbered.

    Raises:
        TensorValueError: If there is neither an initial state nor a dtype (`tensor_value`).
        JaxscopeError: What `js.layers.static_rnn` raises.
    """
    dtype = _begin([cell], [initial_state], dtype)
    result: tuple[list[Any], Any] = tensors_of(
        js.layers.static_rnn(
            as_step(cell),
            arrays_of(inputs),
            arrays_of(initial_state),
            dtype,
            _lengths(sequence_length),
            js_scope(scope) or "rnn",
        )
    )
    return result


@export("nn.static_bidirectional_rnn", "contrib.rnn.static_bidirectional_rnn")
def static_bidirectional_rnn(
    cell_fw: Any,
    cell_bw: Any,
    inputs: Any,
    initial_state_fw: Any = None,
    initial_state_bw: Any = None,
    dtype: Any = None,
    sequence_length: Any = None,
    scope: Any = None,
) -> tuple[list[Any], Any, Any]:
    """Return the joined outputs of two cells for each input of a list, and their last states.

    Args:
        cell_fw: The cell that goes forward.
        cell_bw: The cell that goes backward.
        inputs: The inputs of all times, each `[batch, in]`.
        initial_state_fw: The state before the first time.
        initial_state_bw: The state after the last time.
        dtype: The dtype of zeros.
        sequence_length: `[batch]`: how many times of each sequence count.
        scope: The scope; None for `bidirectional_rnn`.
    """
    with variable_scope(scope or "bidirectional_rnn"):
        forward, last_fw = static_rnn(cell_fw, inputs, initial_state_fw, dtype, sequence_length, "fw")
        turned = _turned(list(inputs), sequence_length)
        back, last_bw = static_rnn(cell_bw, turned, initial_state_bw, dtype, sequence_length, "bw")
    back = _turned(back, sequence_length)
    joined = [side_by_side(one, other) for one, other in zip(forward, back, strict=True)]
    return joined, last_fw, last_bw


def _turned(steps: list[Any], lengths: Any) -> list[Any]:
    """Return the inputs of all times from the last one to the first, each sequence within its length."""
    if lengths is None:
        return steps[::-1]
    return unstack(reverse_sequence(stack(steps), lengths, 0, 1))


@export("contrib.rnn.stack_bidirectional_dynamic_rnn")
def stack_bidirectional_dynamic_rnn(
    cells_fw: Any,
    cells_bw: Any,
    inputs: Any,
    initial_states_fw: Any = None,
    initial_states_bw: Any = None,
    dtype: Any = None,
    sequence_length: Any = None,
    parallel_iterations: Any = None,
    time_major: bool = False,
    scope: Any = None,
) -> tuple[Any, Any, Any]:
    """Return the outputs of several bidirectional layers, each of the one before, and all last states.

    Args:
        cells_fw: The cells that go forward, one a layer.
        cells_bw: The cells that go backward.
        inputs: `[batch, time, in]`.
        initial_states_fw: A state for each layer, or None.
        initial_states_bw: A state for each layer, or None.
        dtype: The dtype of zeros.
        sequence_length: `[batch]`: how many times of each sequence count.
        parallel_iterations: Without meaning here.
        time_major: Whether time is the first axis.
        scope: The scope; None for `stack_bidirectional_rnn`.
    """
    del parallel_iterations
    x = convert_to_tensor(inputs)
    states: tuple[list[Any], list[Any]] = ([], [])
    with variable_scope(scope or "stack_bidirectional_rnn"):
        for at, (forward, back) in enumerate(zip(cells_fw, cells_bw, strict=True)):
            with variable_scope(f"cell_{at}"):
                outputs, last = bidirectional_dynamic_rnn(
                    forward,
                    back,
                    x,
                    sequence_length,
                    initial_states_fw[at] if initial_states_fw else None,
                    initial_states_bw[at] if initial_states_bw else None,
                    dtype,
                    time_major=time_major,
                )
            x = side_by_side(*outputs)
            states[0].append(last[0])
            states[1].append(last[1])
    return x, tuple(states[0]), tuple(states[1])
