"""Recurrent steps: functions of an input and a state that return an output and the next state."""

import itertools
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

import jaxscope as js
from jaxscope.layers.call import Activation, LayerCall, as_array, laid_out_as, promote, with_rank_of

#: What a step is: (input, state) to (output, next state).
Step = Callable[[Any, Any], tuple[Any, Any]]


class LSTMStateTuple(NamedTuple):
    """The state of an LSTM.

    Attributes:
        c: What it remembers, `[batch, units]`.
        h: What it gave last, `[batch, units]`, or the size of its projection.

    Source:
        `tf.nn.rnn_cell.LSTMStateTuple`.
    """

    c: Any
    h: Any


def basic_rnn(
    inputs: ArrayLike,
    state: ArrayLike,
    num_units: int,
    activation: Activation = None,
    reuse: Any = None,
    name: str | None = None,
    dtype: Any = None,
) -> tuple[jax.Array, jax.Array]:
    """Return `activation([inputs, state] @ kernel + bias)`, twice: as output and as next state.

    Args:
        inputs: `[batch, in]`, of a floating dtype.
        state: `[batch, num_units]`.
        num_units: The size of output and state.
        activation: A function of the result; None for tanh.
        reuse: Whether the scope shares variables: True, `js.AUTO_REUSE`, or None for what surrounds it.
        name: The scope's name, used as it is; None for `basic_rnn_cell`, `basic_rnn_cell_1`, ...
        dtype: The dtype of the variables; None for the input's.

    Returns:
        The output and the next state, `[batch, num_units]`.

    Raises:
        InvalidShapeError: Input or state has another shape.
        InvalidDtypeError: The input is of an integer dtype.

    Source:
        `tf.nn.rnn_cell.BasicRNNCell`.

    Example:
        >>> net = js.transform(lambda x, h: js.layers.basic_rnn(x, h, 4))
        >>> list(net.spec(jnp.ones([2, 3]), jnp.zeros([2, 4])))
        ['basic_rnn_cell/kernel', 'basic_rnn_cell/bias']
    """
    with LayerCall("basic_rnn_cell", inputs, name, reuse, dtype=dtype) as call:
        joined = _join(call, state, num_units)
        kernel = call.variable("kernel", [joined.shape[-1], num_units])
        bias = call.variable("bias", [num_units], js.initializers.zeros)
        output = (activation or jnp.tanh)(_linear(joined, kernel, bias))
        return output, output


def basic_lstm(
    inputs: ArrayLike,
    state: Any,
    num_units: int,
    forget_bias: float = 1.0,
    state_is_tuple: bool = True,
    activation: Activation = None,
    reuse: Any = None,
    name: str | None = None,
    dtype: Any = None,
) -> tuple[jax.Array, Any]:
    """Return output and next state of an LSTM without peepholes, whose gates lie i, j, f, o in one kernel.

    Args:
        inputs: `[batch, in]`, of a floating dtype.
        state: `LSTMStateTuple(c, h)`, each `[batch, num_units]`; else one array `[batch, 2 * num_units]`.
        num_units: The size of the output.
        forget_bias: What is added to the gate f; its bias begins at 0.
        state_is_tuple: Whether the state is a tuple.
        activation: A function for what is new, and for what is given out; None for tanh.
        reuse: Whether the scope shares variables: True, `js.AUTO_REUSE`, or None for what surrounds it.
        name: The scope's name, used as it is; None for `basic_lstm_cell`, `basic_lstm_cell_1`, ...
        dtype: The dtype of the variables; None for the input's.

    Returns:
        The output, `[batch, num_units]`, and the next state, like the state.

    Raises:
        InvalidShapeError: Input or state has another shape.
        InvalidDtypeError: The input is of an integer dtype.

    Source:
        `tf.nn.rnn_cell.BasicLSTMCell`.

    Example:
        >>> @js.transform
        ... def net(x):
        ...     state = js.layers.LSTMStateTuple(jnp.zeros([2, 4]), jnp.zeros([2, 4]))
        ...     return js.layers.basic_lstm(x, state, 4)
        >>> {name: v.shape for name, v in net.init(jax.random.key(0), jnp.ones([2, 3])).items()}
        {'basic_lstm_cell/bias': (16,), 'basic_lstm_cell/kernel': (7, 16)}
    """
    with LayerCall("basic_lstm_cell", inputs, name, reuse, dtype=dtype) as call:
        return _lstm_step(call, state, num_units, forget_bias, state_is_tuple, activation)


def lstm(
    inputs: ArrayLike,
    state: Any,
    num_units: int,
    use_peepholes: bool = False,
    cell_clip: float | None = None,
    initializer: Any = None,
    num_proj: int | None = None,
    proj_clip: float | None = None,
    num_unit_shards: int | None = None,
    num_proj_shards: int | None = None,
    forget_bias: float = 1.0,
    state_is_tuple: bool = True,
    activation: Activation = None,
    reuse: Any = None,
    name: str | None = None,
    dtype: Any = None,
) -> tuple[jax.Array, Any]:
    """Return output and next state of an LSTM, perhaps with peepholes, clips and a projection.

    The variables are `kernel`, `bias`, with peepholes `w_f_diag`, `w_i_diag`, `w_o_diag`, and with a
    projection `projection/kernel`. Gates lie i, j, f, o.

    Args:
        inputs: `[batch, in]`, of a floating dtype.
        state: `LSTMStateTuple(c, h)`, c `[batch, num_units]` and h like the output; else both in one array.
        num_units: The size of what is remembered.
        use_peepholes: Whether the gates see what is remembered.
        cell_clip: The largest absolute value in what is remembered.
        initializer: How all variables but the bias begin; None for the scope's, or Glorot uniform.
        num_proj: The size of the output, if it is projected.
        proj_clip: The largest absolute value in a projected output.
        num_unit_shards: None or 1: TF1 cut variables into pieces; here sharding does.
        num_proj_shards: Likewise.
        forget_bias: What is added to the gate f; its bias begins at 0.
        state_is_tuple: Whether the state is a tuple.
        activation: A function for what is new, and for what is given out; None for tanh.
        reuse: Whether the scope shares variables: True, `js.AUTO_REUSE`, or None for what surrounds it.
        name: The scope's name, used as it is; None for `lstm_cell`, `lstm_cell_1`, ...
        dtype: The dtype of the variables; None for the input's.

    Returns:
        The output, `[batch, num_proj or num_units]`, and the next state, like the state.

    Raises:
        InvalidShapeError: Input or state has another shape.
        InvalidDtypeError: The input is of an integer dtype.
        ValueError: There is to be more than one shard.

    Source:
        `tf.nn.rnn_cell.LSTMCell`.

    Example:
        >>> @js.transform
        ... def net(x):
        ...     cell = js.layers.LSTMCell(4, use_peepholes=True, num_proj=2)
        ...     return cell(x, cell.zero_state(2))
        >>> for name, v in net.init(jax.random.key(0), jnp.ones([2, 3])).items():
        ...     print(name, v.shape)
        lstm_cell/bias (16,)
        lstm_cell/kernel (5, 16)
        lstm_cell/projection/kernel (4, 2)
        lstm_cell/w_f_diag (4,)
        lstm_cell/w_i_diag (4,)
        lstm_cell/w_o_diag (4,)
    """
    if {num_unit_shards, num_proj_shards} - {None, 1}:
        raise ValueError("variables are not cut into shards; shard them over a mesh, with a partitioner")
    more = (use_peepholes, cell_clip, initializer, num_proj, proj_clip)
    with LayerCall("lstm_cell", inputs, name, reuse, dtype=dtype) as call:
        return _lstm_step(call, state, num_units, forget_bias, state_is_tuple, activation, *more)


def gru(
    inputs: ArrayLike,
    state: ArrayLike,
    num_units: int,
    activation: Activation = None,
    reuse: Any = None,
    kernel_initializer: Any = None,
    bias_initializer: Any = None,
    name: str | None = None,
    dtype: Any = None,
) -> tuple[jax.Array, jax.Array]:
    """Return output and next state of a GRU: `u * state + (1 - u) * candidate`, twice.

    The variables are `gates/kernel` and `gates/bias`, of the gates r and u, and `candidate/kernel` and
    `candidate/bias`. The gate r multiplies the state before the candidate's product.

    Args:
        inputs: `[batch, in]`, of a floating dtype.
        state: `[batch, num_units]`.
        num_units: The size of output and state.
        activation: A function of the candidate; None for tanh.
        reuse: Whether the scope shares variables: True, `js.AUTO_REUSE`, or None for what surrounds it.
        kernel_initializer: How the kernels begin; None for the scope's initializer, or Glorot uniform.
        bias_initializer: How the biases begin; None for 1 in the gates and 0 in the candidate.
        name: The scope's name, used as it is; None for `gru_cell`, `gru_cell_1`, ...
        dtype: The dtype of the variables; None for the input's.

    Returns:
        The output and the next state, `[batch, num_units]`.

    Raises:
        InvalidShapeError: Input or state has another shape.
        InvalidDtypeError: The input is of an integer dtype.

    Source:
        `tf.nn.rnn_cell.GRUCell`.

    Example:
        >>> net = js.transform(lambda x, h: js.layers.gru(x, h, 4))
        >>> for name in net.spec(jnp.ones([2, 3]), jnp.zeros([2, 4])):
        ...     print(name)
        gru_cell/gates/kernel
        gru_cell/gates/bias
        gru_cell/candidate/kernel
        gru_cell/candidate/bias
    """
    ones, zeros = js.initializers.ones, js.initializers.zeros
    if bias_initializer is not None:
        ones = zeros = bias_initializer
    with LayerCall("gru_cell", inputs, name, reuse, dtype=dtype) as call:
        joined = _join(call, state, num_units)
        width = joined.shape[-1]
        kernel = call.variable("gates/kernel", [width, 2 * num_units], kernel_initializer)
        bias = call.variable("gates/bias", [2 * num_units], ones)
        r, u = jnp.split(jax.nn.sigmoid(_linear(joined, kernel, bias)), 2, -1)
        kernel = call.variable("candidate/kernel", [width, num_units], kernel_initializer)
        bias = call.variable("candidate/bias", [num_units], zeros)
        h, r, u = promote(jnp.asarray(state), r, u)
        joined = _join(call, r * h, num_units)
        h, u, candidate = promote(h, u, (activation or jnp.tanh)(_linear(joined, kernel, bias)))
        output = u * h + (1 - u) * candidate
        return output, output


def multi_rnn(
    inputs: ArrayLike,
    state: Any,
    cells: Iterable[Step],
    state_is_tuple: bool = True,
    reuse: Any = None,
    name: str | None = None,
) -> tuple[jax.Array, Any]:
    """Return the output of several steps, each of which takes that of the one before, and their next states.

    Args:
        inputs: `[batch, in]`.
        state: A tuple with a state for each step; else all in one array, side by side.
        cells: The steps: cells such as `GRUCell(4)`, or functions of an input and a state. The i-th is called
            in the scope `cell_i`.
        state_is_tuple: Whether the state is a tuple.
        reuse: Whether the scope shares variables: True, `js.AUTO_REUSE`, or None for what surrounds it.
        name: The scope's name, used as it is; None for `multi_rnn_cell`, `multi_rnn_cell_1`, ...

    Returns:
        The last output, and the next states, like the state.

    Raises:
        InvalidShapeError: There are more or fewer states than steps.
        ValueError: There are no cells, or functions with one array for all states.

    Source:
        `tf.nn.rnn_cell.MultiRNNCell`.

    Example:
        >>> @js.transform
        ... def net(x):
        ...     cell = js.layers.MultiRNNCell([js.layers.BasicLSTMCell(4), js.layers.BasicLSTMCell(2)])
        ...     return cell(x, cell.zero_state(2))
        >>> for name, v in net.init(jax.random.key(0), jnp.ones([2, 3])).items():
        ...     print(name, v.shape)
        multi_rnn_cell/cell_0/basic_lstm_cell/bias (16,)
        multi_rnn_cell/cell_0/basic_lstm_cell/kernel (7, 16)
        multi_rnn_cell/cell_1/basic_lstm_cell/bias (8,)
        multi_rnn_cell/cell_1/basic_lstm_cell/kernel (6, 8)
    """
    steps = list(cells)
    if not steps:
        raise ValueError("multi_rnn needs at least one cell")
    if not state_is_tuple and not all(hasattr(step, "state_size") for step in steps):
        raise ValueError("state_is_tuple=False needs cells, which know the sizes of their states")
    with LayerCall("multi_rnn_cell", inputs, name, reuse) as call:
        if state_is_tuple:
            states = list(state)
        else:
            ends = itertools.accumulate(cast(Any, step).state_size for step in steps[:-1])
            states = jnp.split(jnp.asarray(state), list(ends), -1)
        if len(states) != len(steps):
            raise call.wrong_shape(
                f"has {len(steps)} steps and {len(states)} states", "pass a state for each step"
            )
        output: Any = call.inputs
        following: list[Any] = []
        for at, (step, before) in enumerate(zip(steps, states, strict=True)):
            with js.variable_scope(f"cell_{at}"):
                output, after = step(output, before)
            following.append(after)
        return output, tuple(following) if state_is_tuple else jnp.concatenate(following, -1)


def _lstm_step(
    call: LayerCall,
    state: Any,
    units: int,
    forget_bias: float,
    state_is_tuple: bool,
    activation: Activation,
    use_peepholes: bool = False,
    cell_clip: float | None = None,
    initializer: Any = None,
    num_proj: int | None = None,
    proj_clip: float | None = None,
) -> tuple[jax.Array, Any]:
    given = units if num_proj is None else num_proj
    c, h = _parts(call, state, units, given, state_is_tuple)
    joined, c = _join(call, h, given), as_array(c, f"the state of {call.kind}")
    if c.shape != (*call.inputs.shape[:-1], units):
        raise _wrong_state(call, c, units)
    kernel = call.variable("kernel", [joined.shape[-1], 4 * units], initializer)
    bias = call.variable("bias", [4 * units], js.initializers.zeros)
    act = activation or jnp.tanh
    sigmoid = jax.nn.sigmoid
    names = ("w_f_diag", "w_i_diag", "w_o_diag") if use_peepholes else ()
    peepholes = [call.variable(name, [units], initializer) for name in names]
    z, c, *peepholes = promote(_linear(joined, kernel, bias), c, *peepholes)
    i, j, f, o = jnp.split(z, 4, -1)
    f = f + forget_bias
    peepholes = [with_rank_of(peephole, c) for peephole in peepholes]
    if use_peepholes:
        f, i = f + peepholes[0] * c, i + peepholes[1] * c
    c = sigmoid(f) * c + sigmoid(i) * act(j)
    if cell_clip is not None:
        c = jnp.clip(c, -cell_clip, cell_clip)
    if use_peepholes:
        o = o + peepholes[2] * c  # which sees the new c
    h = sigmoid(o) * act(c)
    if num_proj is not None:
        projection = call.variable("projection/kernel", [units, num_proj], initializer)
        h, projection = promote(h, projection)
        h = h @ projection
        if proj_clip is not None:
            h = jnp.clip(h, -proj_clip, proj_clip)
    return h, LSTMStateTuple(c, h) if state_is_tuple else jnp.concatenate(promote(c, h), -1)


def _parts(call: LayerCall, state: Any, units: int, output: int, is_tuple: bool) -> tuple[Any, Any]:
    """Return what an LSTM remembers, and what it gave last."""
    if not is_tuple:
        flat = as_array(state, f"the state of {call.kind}")
        if flat.shape != (*call.inputs.shape[:-1], units + output):
            raise _wrong_state(call, flat, units + output)
        return flat[..., :units], flat[..., units:]
    if not isinstance(state, tuple | list) or len(state) != 2:
        raise call.wrong_shape("has a state that is no pair", "pass js.layers.LSTMStateTuple(c, h)")
    return state[0], state[1]


def _linear(x: jax.Array, kernel: jax.Array, bias: jax.Array) -> jax.Array:
    x, kernel, bias = promote(x, kernel, bias)
    outputs = x @ kernel
    return outputs + with_rank_of(bias, outputs)


def _join(call: LayerCall, h: ArrayLike, units: int) -> jax.Array:
    """Return input and state side by side."""
    h = as_array(h, f"the state of {call.kind}")
    if call.inputs.ndim < 2:
        raise call.wrong_shape("takes one step of a batch, [batch, in]", "pass one step, x[:, t]")
    if h.shape != (*call.inputs.shape[:-1], units):
        raise _wrong_state(call, h, units)
    return jnp.concatenate(promote(call.inputs, laid_out_as(h, call.inputs[None])), -1)


def _wrong_state(call: LayerCall, state: jax.Array, units: int) -> js.errors.InvalidShapeError:
    return call.wrong_shape(
        f"has a state of shape {list(state.shape)}", f"pass one of {[*call.inputs.shape[:-1], units]}"
    )
