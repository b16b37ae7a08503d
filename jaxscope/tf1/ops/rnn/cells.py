"""`tf.nn.rnn_cell`: recurrent cells, the program's own too, over the steps of `js.layers`."""

import inspect
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

import jaxscope as js
from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.dtypes import canonical
from jaxscope.tf1.base.errors import TensorTypeError, TensorValueError
from jaxscope.tf1.base.exporting import export, export_constant
from jaxscope.tf1.base.operation import compute, static_int
from jaxscope.tf1.base.shapes import Dimension, TensorShape
from jaxscope.tf1.base.tensor import Tensor, wrap
from jaxscope.tf1.ops.layers.layer import Layer
from jaxscope.tf1.ops.layers.lifting import lifted
from jaxscope.tf1.ops.variables.adapting import arrays_of, tensors_of

__all__ = ["FunctionCell", "MultiRNNCell", "RNNCell", "Step", "as_step", "is_cell", "places", "side_by_side"]

LSTMStateTuple = export_constant(
    js.layers.LSTMStateTuple, "nn.rnn_cell.LSTMStateTuple", "contrib.rnn.LSTMStateTuple"
)


def places(name: str) -> list[str]:
    """Return the names that a cell has in TensorFlow."""
    return [f"nn.rnn_cell.{name}", f"contrib.rnn.{name}"]


def zeros_of(sizes: Any, batch: int, dtype: Any) -> Any:
    """Return zeros for a structure of sizes."""
    if isinstance(sizes, TensorShape):
        return wrap(np.zeros([batch, *sizes.as_list()], canonical(dtype).dtype), "zeros")
    if isinstance(sizes, tuple) and hasattr(sizes, "_fields"):
        return type(sizes)(*(zeros_of(one, batch, dtype) for one in sizes))
    if isinstance(sizes, list | tuple):
        return type(sizes)(zeros_of(one, batch, dtype) for one in sizes)
    size = sizes.value if isinstance(sizes, Dimension) else int(sizes)
    return wrap(jnp.zeros([batch, size], canonical(dtype).dtype), "zeros")


@export(*places("RNNCell"))
class RNNCell(Layer):
    """A recurrent cell; the program's own have `state_size`, `output_size`, and `call` or `__call__`."""

    def __call__(self, inputs: Any, state: Any, scope: Any = None) -> Any:
        """Return the output and the next state.

        Args:
            inputs: `[batch, in]`.
            state: Like `zero_state(batch, dtype)`.
            scope: Another scope than the cell's own.
        """
        if scope is not None:
            return super().__call__(inputs, state, scope=scope)
        return super().__call__(inputs, state)

    @property
    def state_size(self) -> Any:
        """The size of the state, or of its parts."""
        raise NotImplementedError("Abstract method")

    @property
    def output_size(self) -> Any:
        """The size of the output."""
        raise NotImplementedError("Abstract method")

    def zero_state(self, batch_size: Any, dtype: Any) -> Any:
        """Return zeros for a state.

        Args:
            batch_size: How many sequences there are.
            dtype: The dtype of the zeros.
        """
        return zeros_of(self.state_size, static_int(batch_size, "batch_size"), dtype)

    def get_initial_state(self, inputs: Any = None, batch_size: Any = None, dtype: Any = None) -> Any:
        """Return zeros for a state, by an input or by size and dtype.

        Args:
            inputs: An input.
            batch_size: How many sequences there are.
            dtype: The dtype of the zeros.
        """
        if inputs is not None:
            batch_size, dtype = inputs.shape[0], inputs.dtype
        return self.zero_state(batch_size, dtype)

    def build(self, input_shape: Any) -> None:
        """Make the weights; most cells do it in `call`.

        Args:
            input_shape: The shape of the inputs.
        """
        self.built = True


@export(*places("LayerRNNCell"))
class LayerRNNCell(RNNCell):
    """A recurrent cell that makes its weights in `build`."""


class FunctionCell(LayerRNNCell):
    """A cell that a step of `js.layers` computes.

    Args:
        *args: The step's arguments after input and state.
        **kwargs: These by keyword; `name` and `dtype` are the cell's.
    """

    _function: Callable[..., Any]
    _signature: inspect.Signature

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.pop("input_size", None)
        kwargs.pop("trainable", None)
        given = dict(self._signature.bind_partial(None, None, *args, **kwargs).arguments)
        for key in list(self._signature.parameters)[:2]:
            given.pop(key)
        super().__init__(
            name=given.pop("name", None), dtype=given.get("dtype"), _reuse=given.pop("reuse", None)
        )
        self._given = given
        self._settings = {
            key: given.get(key, one.default) for key, one in list(self._signature.parameters.items())[2:]
        }
        units = given.get("num_units")
        if units is None:
            raise TensorTypeError(f"{type(self).__name__} needs num_units")
        self._num_units = self._settings["num_units"] = static_int(units, "num_units")

    def call(self, inputs: Any, state: Any) -> Any:
        """Return the output and the next state.

        Args:
            inputs: `[batch, in]`.
            state: Like `zero_state(batch, dtype)`.
        """
        return self._function(inputs, arrays_of(state), **{**self._given, "name": ""})

    @property
    def _output(self) -> int:
        projected = self._settings.get("num_proj")
        return self._num_units if projected is None else static_int(projected, "num_proj")

    @property
    def state_size(self) -> Any:
        """The size of the state, or of its parts."""
        if "state_is_tuple" not in self._settings:
            return self._num_units
        if self._settings["state_is_tuple"]:
            return LSTMStateTuple(self._num_units, self._output)
        return self._num_units + self._output

    @property
    def output_size(self) -> int:
        """The size of the output."""
        return self._output


#: Class -> the step of `js.layers`.
CELLS = {"BasicRNNCell": "basic_rnn", "BasicLSTMCell": "basic_lstm", "LSTMCell": "lstm", "GRUCell": "gru"}


def _class(name: str, function: str, **more: Any) -> type[FunctionCell]:
    step = getattr(js.layers, function)
    members = {
        "__doc__": f"TensorFlow 1's `tf.nn.rnn_cell.{name}`, by `js.layers.{function}`.",
        "__module__": __name__,
        "_function": staticmethod(lifted(step, f"nn.rnn_cell.{name}")),
        "_signature": inspect.signature(step),
        **more,
    }
    return type(name, (FunctionCell,), members)


for _name, _step in CELLS.items():
    globals()[_name] = export_constant(_class(_name, _step), *places(_name))
# The fused ones compute the same; their names of variables are the plain ones', of another scope.
for _name, _step, _scope in (
    ("LSTMBlockCell", "basic_lstm", "lstm_cell"),
    ("GRUBlockCellV2", "gru", "gru_cell"),
):
    globals()[_name] = export_constant(_class(_name, _step, _default_name=_scope), f"contrib.rnn.{_name}")


def is_cell(cell: Any) -> bool:
    """Tell whether something is a cell: whatever can be called and knows its state's size."""
    return callable(cell) and (hasattr(cell, "state_size") or hasattr(type(cell), "state_size"))


def side_by_side(*parts: Any) -> Tensor:
    """Return tensors joined along their last axis."""
    tensors = [convert_to_tensor(part) for part in parts]
    return compute("ConcatV2", lambda *arrays: jnp.concatenate(arrays, -1), *tensors)


class Step:
    """A cell of tensors as a step of arrays, for `js.layers`.

    Args:
        cell: The cell.
    """

    def __init__(self, cell: Any) -> None:
        self._cell = cell

    @property
    def state_size(self) -> Any:
        """The size of the state, or of its parts."""
        return self._cell.state_size

    def zero_state(self, batch_size: int, dtype: Any) -> Any:
        """Return zeros for a state.

        Args:
            batch_size: How many sequences there are.
            dtype: The dtype of the zeros.
        """
        return arrays_of(self._cell.zero_state(batch_size, dtype))

    def __call__(self, inputs: Any, state: Any) -> Any:
        return arrays_of(self._cell(tensors_of(inputs), tensors_of(state)))


def as_step(cell: Any) -> Step:
    """Return a cell of tensors as a step of arrays.

    Raises:
        TensorTypeError: If it is no cell (`not_a_cell`).
    """
    if not is_cell(cell):
        raise TensorTypeError(f"an RNNCell is needed, not {cell!r}", code="not_a_cell")
    return Step(cell)


@export(*places("MultiRNNCell"))
class MultiRNNCell(RNNCell):
    """Several cells, each of which takes the output of the one before.

    Args:
        cells: The cells.
        state_is_tuple: Whether the state is a tuple of their states, or else all side by side.

    Raises:
        TensorValueError: If there are no cells (`tensor_value`).
        TensorTypeError: If they are in no list, or one is no cell (`tensor_type`).
    """

    def __init__(self, cells: Any, state_is_tuple: bool = True) -> None:
        super().__init__()
        if not isinstance(cells, list | tuple):
            raise TensorTypeError("cells must be a list or tuple")
        if not cells:
            raise TensorValueError("Must specify at least one cell for MultiRNNCell.")
        self._cells = list(cells)
        for cell in cells:
            as_step(cell)
        self._state_is_tuple = state_is_tuple
        if not state_is_tuple and any(isinstance(cell.state_size, tuple) for cell in cells):
            raise TensorValueError("Some cells return tuples of states, but state_is_tuple is False")

    @property
    def state_size(self) -> Any:
        """The sizes of the cells' states, or their sum."""
        sizes = tuple(cell.state_size for cell in self._cells)
        return sizes if self._state_is_tuple else sum(sizes)

    @property
    def output_size(self) -> Any:
        """The size of the last cell's output."""
        return self._cells[-1].output_size

    def zero_state(self, batch_size: Any, dtype: Any) -> Any:
        """Return zeros for a state.

        Args:
            batch_size: How many sequences there are.
            dtype: The dtype of the zeros.
        """
        if self._state_is_tuple:
            return tuple(cell.zero_state(batch_size, dtype) for cell in self._cells)
        return super().zero_state(batch_size, dtype)

    def call(self, inputs: Any, state: Any) -> Any:
        """Return the last output and the next states.

        Args:
            inputs: `[batch, in]`.
            state: Like `zero_state(batch, dtype)`.
        """
        steps = list(map(as_step, self._cells))
        made = js.layers.multi_rnn(arrays_of(inputs), arrays_of(state), steps, self._state_is_tuple, name="")
        return tensors_of(made)
