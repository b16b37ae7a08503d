"""Recurrent steps: functions of an input and a state that return an output and the next state."""

import itertools
from collections.abc import Iterable
from typing import Any, cast

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

import jaxscope as js
from jaxscope.layers.arrays import promote
from jaxscope.layers.call import Activation, LayerCall
from jaxscope.layers.steps import Step, join, linear


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
        both = join(call, state, num_units)
        kernel = call.variable("kernel", [both.shape[-1], num_units])
        bias = call.variable("bias", [num_units], js.initializers.zeros)
        output = (activation or jnp.tanh)(linear(both, kernel, bias))
        return output, output


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
        both = join(call, state, num_units)
        width = both.shape[-1]
        kernel = call.variable("gates/kernel", [width, 2 * num_units], kernel_initializer)
        bias = call.variable("gates/bias", [2 * num_units], ones)
        r, u = jnp.split(jax.nn.sigmoid(linear(both, kernel, bias)), 2, -1)
        kernel = call.variable("candidate/kernel", [width, num_units], kernel_initializer)
        bias = call.variable("candidate/bias", [num_units], zeros)
        h, r, u = promote(jnp.asarray(state), r, u)
        both = join(call, r * h, num_units)
        h, u, candidate = promote(h, u, (activation or jnp.tanh)(linear(both, kernel, bias)))
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
