"""Cells: recurrent steps as objects, which know the state that they begin with."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer

import jaxscope as js
from jaxscope.layers.arrays import promote
from jaxscope.layers.cells import basic_rnn, gru, multi_rnn
from jaxscope.layers.lstm_cells import LSTMStateTuple, basic_lstm, lstm
from jaxscope.layers.objects import Layer
from jaxscope.layers.shaping import dropout
from jaxscope.layers.steps import Step
from jaxscope.sites import users_line


class Cell:
    """A recurrent step that knows the sizes of its state, so that `rnn` can begin with zeros.

    Args:
        step: A function of an input and a state that returns an output and the next state.
        state_size: The size of the state, or of each of its parts, in their structure.
        output_size: The size of the output.

    Source:
        `tf.nn.rnn_cell.RNNCell`.

    Example:
        >>> decay = js.layers.Cell(lambda x, state: (state, 0.9 * state + x), state_size=3, output_size=3)
        >>> outputs, last = js.transform(js.layers.rnn).apply({}, decay, jnp.ones([1, 2, 3]), dtype="float32")
        >>> last
        Array([[1.9, 1.9, 1.9]], dtype=float32)
    """

    def __init__(self, step: Step, state_size: Any, output_size: Any) -> None:
        self._step = step
        self.state_size = state_size
        self.output_size = output_size

    def __call__(self, inputs: Any, state: Any) -> tuple[Any, Any]:
        """Return the output and the next state.

        Args:
            inputs: `[batch, in]`.
            state: Like `zero_state(batch)`.
        """
        return self._step(inputs, state)

    def zero_state(self, batch_size: int, dtype: Any = jnp.float32) -> Any:
        """Return zeros for a state.

        Args:
            batch_size: How many sequences there are.
            dtype: The dtype of the zeros.
        """
        return jax.tree.map(lambda size: jnp.zeros([batch_size, size], dtype), self.state_size)

    def __repr__(self) -> str:
        return f"<cell of {self._step!r}>"


def _cell(
    function: Callable[..., Any],
    default_name: str,
    sizes: Callable[[dict[str, Any]], tuple[Any, Any]],
    *args: Any,
    name: str | None = None,
    **kwargs: Any,
) -> Cell:
    given = inspect.signature(function).bind(None, None, *args, **kwargs)
    given.apply_defaults()
    state_size, output_size = sizes(given.arguments)
    return Cell(Layer(function, default_name, *args, name=name, **kwargs), state_size, output_size)


def _plain_sizes(given: dict[str, Any]) -> tuple[Any, Any]:
    return given["num_units"], given["num_units"]


def _lstm_sizes(given: dict[str, Any]) -> tuple[Any, Any]:
    units = given["num_units"]
    output = units if given.get("num_proj") is None else given["num_proj"]
    return LSTMStateTuple(units, output) if given["state_is_tuple"] else units + output, output


def _multi_sizes(given: dict[str, Any]) -> tuple[Any, Any]:
    sizes = tuple(cell.state_size for cell in given["cells"])
    if not sizes:
        raise ValueError("MultiRNNCell needs at least one cell")
    return sizes if given["state_is_tuple"] else sum(sizes), given["cells"][-1].output_size


BasicRNNCell = functools.partial(_cell, basic_rnn, "basic_rnn_cell", _plain_sizes)
BasicLSTMCell = functools.partial(_cell, basic_lstm, "basic_lstm_cell", _lstm_sizes)
LSTMCell = functools.partial(_cell, lstm, "lstm_cell", _lstm_sizes)
GRUCell = functools.partial(_cell, gru, "gru_cell", _plain_sizes)
MultiRNNCell = functools.partial(_cell, multi_rnn, "multi_rnn_cell", _multi_sizes)


def ResidualWrapper(  # noqa: N802 - TF1's name
    cell: Cell, residual_fn: Callable[[Any, Any], Any] | None = None
) -> Cell:
    """Return a cell whose output is that of another one plus the input.

    Args:
        cell: The other cell.
        residual_fn: A function of input and output, in the place of the sum.

    Returns:
        A cell without a scope of its own.

    Raises:
        InvalidShapeError: When it is called, and input and output are of two shapes.

    Source:
        `tf.nn.rnn_cell.ResidualWrapper`.

    Example:
        >>> cell = js.layers.ResidualWrapper(js.layers.GRUCell(3))
        >>> net = js.transform(lambda x: js.layers.rnn(cell, x, dtype="float32"))
        >>> list(net.spec(jnp.ones([2, 4, 3])))[0]
        'rnn/gru_cell/gates/kernel'
    """

    def step(inputs: Any, state: Any) -> tuple[Any, Any]:
        output, after = cell(inputs, state)
        return residual_fn(inputs, output) if residual_fn else jax.tree.map(_sum, inputs, output), after

    return Cell(step, cell.state_size, cell.output_size)


def _sum(x: jax.Array, y: jax.Array) -> jax.Array:
    if x.shape != y.shape:
        raise js.errors.InvalidShapeError(
            f"a residual cell adds an input of shape {list(x.shape)} to an output of {list(y.shape)}",
            code="layer_input",
            at=users_line(),
            fix="let the cell have as many units as the input has features, or pass residual_fn=",
        )
    return jnp.add(*promote(x, y))


def DropoutWrapper(  # noqa: N802 - TF1's name
    cell: Cell,
    input_keep_prob: float | jax.Array = 1.0,
    output_keep_prob: float | jax.Array = 1.0,
    state_keep_prob: float | jax.Array = 1.0,
) -> Cell:
    """Return a cell with dropout around it.

    Args:
        cell: The cell.
        input_keep_prob: The share of the input that is kept.
        output_keep_prob: The share of the output that is kept.
        state_keep_prob: The share of the next state that is kept; of the state of an LSTM, of h alone.

    Returns:
        A cell that takes keys from `js.next_key()`; in `js.layers.rnn`, from its argument `key`.

    Raises:
        ValueError: A share is not above 0 and up to 1.

    Source:
        `tf.nn.rnn_cell.DropoutWrapper`, without its variational masks.

    Example:
        >>> cell = js.layers.DropoutWrapper(js.layers.GRUCell(3), output_keep_prob=0.5)
        >>> net = js.transform(lambda x, key: js.layers.rnn(cell, x, dtype="float32", key=key)[0])
        >>> x, key = jnp.ones([2, 4, 3]), jax.random.key(0)
        >>> bool((net.apply(net.init(key, x, key), x, key) == 0).any())
        True
    """
    for keep in (input_keep_prob, output_keep_prob, state_keep_prob):
        if not isinstance(keep, Tracer) and not 0 < keep <= 1:
            raise ValueError(f"what is kept must be a share above 0 and up to 1, not {keep!r}")

    def drop(values: Any, keep: float | jax.Array) -> Any:
        if not isinstance(keep, Tracer) and keep >= 1:
            return values
        return jax.tree.map(lambda array: dropout(array, 1 - keep, training=True), values)

    def drop_state(state: Any) -> Any:
        if isinstance(state, LSTMStateTuple):
            return LSTMStateTuple(state.c, drop(state.h, state_keep_prob))
        return tuple(map(drop_state, state)) if isinstance(state, tuple) else drop(state, state_keep_prob)

    def step(inputs: Any, state: Any) -> tuple[Any, Any]:
        output, after = cell(drop(inputs, input_keep_prob), state)
        return drop(output, output_keep_prob), drop_state(after)

    return Cell(step, cell.state_size, cell.output_size)
