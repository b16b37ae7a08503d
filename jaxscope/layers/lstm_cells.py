"""Steps of LSTMs, which remember one array and give another."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

import jaxscope as js
from jaxscope.layers.arrays import promote, with_rank_of
from jaxscope.layers.call import Activation, LayerCall
from jaxscope.layers.checks import as_array
from jaxscope.layers.steps import join, linear, wrong_state


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
    joined, c = join(call, h, given), as_array(c, f"the state of {call.kind}")
    if c.shape != (*call.inputs.shape[:-1], units):
        raise wrong_state(call, c, units)
    kernel = call.variable("kernel", [joined.shape[-1], 4 * units], initializer)
    bias = call.variable("bias", [4 * units], js.initializers.zeros)
    act = activation or jnp.tanh
    sigmoid = jax.nn.sigmoid
    names = ("w_f_diag", "w_i_diag", "w_o_diag") if use_peepholes else ()
    peepholes = [call.variable(name, [units], initializer) for name in names]
    z, c, *peepholes = promote(linear(joined, kernel, bias), c, *peepholes)
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
            raise wrong_state(call, flat, units + output)
        return flat[..., :units], flat[..., units:]
    if not isinstance(state, tuple | list) or len(state) != 2:
        raise call.wrong_shape("has a state that is no pair", "pass js.layers.LSTMStateTuple(c, h)")
    return state[0], state[1]
