"""`tf.nn.rnn_cell.DropoutWrapper` and its like: cells around cells."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

import jaxscope as js
from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.errors import TensorValueError, UnimplementedError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute
from jaxscope.tf1.ops.layers.lifting import argument
from jaxscope.tf1.ops.rnn.cells import RNNCell, Step, as_step, places
from jaxscope.tf1.ops.variables.adapting import arrays_of, on_arrays, tensors_of
from jaxscope.tf1.ops.variables.getting import get_variable
from jaxscope.tf1.ops.variables.scopes import variable_scope

__all__ = ["DropoutWrapper", "ResidualWrapper", "linear"]


class _Around(RNNCell):
    """A cell around another one, without a scope of its own."""

    def __init__(self, cell: Any) -> None:
        super().__init__()
        as_step(cell)
        self._cell = cell

    @property
    def wrapped_cell(self) -> Any:
        """The cell inside."""
        return self._cell

    @property
    def state_size(self) -> Any:
        """The size of the state, or of its parts."""
        return self._cell.state_size

    @property
    def output_size(self) -> Any:
        """The size of the output."""
        return self._cell.output_size

    def zero_state(self, batch_size: Any, dtype: Any) -> Any:
        """Return zeros for a state.

        Args:
            batch_size: How many sequences there are.
            dtype: The dtype of the zeros.
        """
        return self._cell.zero_state(batch_size, dtype)

    def __call__(self, inputs: Any, state: Any, scope: Any = None) -> Any:
        """Return the output and the next state.

        Args:
            inputs: `[batch, in]`.
            state: Like `zero_state(batch, dtype)`.
            scope: Another scope for the cell inside.
        """
        if scope is None:
            return self._through(self._cell, inputs, state)
        return self._through(lambda x, s: self._cell(x, s, scope=scope), inputs, state)

    def _through(self, cell: Callable[..., Any], inputs: Any, state: Any) -> Any:
        return cell(inputs, state)

    def _of_arrays(self, cell: Callable[..., Any]) -> js.layers.Cell:
        """Return the cell inside, or that in another scope, for the wrappers of `js.layers`."""
        return js.layers.Cell(Step(cell), self.state_size, self.output_size)


@export(*places("DropoutWrapper"))
class DropoutWrapper(_Around):
    """A cell with dropout around it, whose keys come from `js.random_keys`.

    Args:
        cell: The cell.
        input_keep_prob: The share of the input that is kept.
        output_keep_prob: The share of the output that is kept.
        state_keep_prob: The share of the next state that is kept; of an LSTM's, of h alone.
        variational_recurrent: Whether one mask is used at all times, which is not here.
        input_size: Without meaning here.
        dtype: Without meaning here.
        seed: Without meaning here: keys decide.
        dropout_state_filter_visitor: Must be None.

    Raises:
        TensorValueError: If a share is not above 0 and up to 1 (`tensor_value`).
        UnimplementedError: With `variational_recurrent` or a filter (`unimplemented`).
    """

    def __init__(
        self,
        cell: Any,
        input_keep_prob: Any = 1.0,
        output_keep_prob: Any = 1.0,
        state_keep_prob: Any = 1.0,
        variational_recurrent: bool = False,
        input_size: Any = None,
        dtype: Any = None,
        seed: Any = None,
        dropout_state_filter_visitor: Any = None,
    ) -> None:
        del input_size, dtype, seed
        super().__init__(cell)
        if variational_recurrent or dropout_state_filter_visitor is not None:
            raise UnimplementedError(
                "DropoutWrapper has a new mask at each time, of outputs, inputs and an LSTM's h",
                fix="multiply by a mask that is drawn before the loop",
            )
        keeps = [argument("keep", one) for one in (input_keep_prob, output_keep_prob, state_keep_prob)]
        for keep in keeps:
            if isinstance(keep, int | float) and not 0 < keep <= 1:
                raise TensorValueError(f"what is kept must be a share above 0 and up to 1, not {keep!r}")
        self._keeps = keeps

    def _through(self, cell: Callable[..., Any], inputs: Any, state: Any) -> Any:
        wrapped = js.layers.DropoutWrapper(self._of_arrays(cell), *self._keeps)
        return tensors_of(wrapped(arrays_of(inputs), arrays_of(state)))


@export(*places("ResidualWrapper"))
class ResidualWrapper(_Around):
    """A cell whose output is that of another one plus the input.

    Args:
        cell: The cell.
        residual_fn: A function of input and output, in the place of the sum.
    """

    def __init__(self, cell: Any, residual_fn: Callable[[Any, Any], Any] | None = None) -> None:
        super().__init__(cell)
        self._residual_fn = residual_fn

    def _through(self, cell: Callable[..., Any], inputs: Any, state: Any) -> Any:
        wrapped = js.layers.ResidualWrapper(self._of_arrays(cell), on_arrays(self._residual_fn))
        return tensors_of(wrapped(arrays_of(inputs), arrays_of(state)))


@export(*places("DeviceWrapper"))
class DeviceWrapper(_Around):
    """A cell as it is: JAX places programs as wholes.

    Args:
        cell: The cell.
        device: Without meaning here.
    """

    def __init__(self, cell: Any, device: Any) -> None:
        super().__init__(cell)


def linear(x: Any, size: int, use_bias: bool = True) -> Any:
    """Return `x @ kernel + bias` of variables in the current scope, as contrib's cells have them."""
    tensor = convert_to_tensor(x)
    kernel = get_variable("kernel", [tensor.shape[-1].value, size], tensor.dtype)
    y = compute("MatMul", jnp.matmul, tensor, convert_to_tensor(kernel))
    if not use_bias:
        return y
    bias = get_variable("bias", [size], tensor.dtype, js.initializers.zeros)
    return compute("BiasAdd", jnp.add, y, convert_to_tensor(bias))


@export("contrib.rnn.OutputProjectionWrapper")
class OutputProjectionWrapper(_Around):
    """A cell with a linear layer behind it.

    Args:
        cell: The cell.
        output_size: The size of the output.
        activation: A function of it; None for none.
        reuse: Without meaning here.
    """

    def __init__(self, cell: Any, output_size: int, activation: Any = None, reuse: Any = None) -> None:
        super().__init__(cell)
        self._size, self._activation = output_size, activation

    @property
    def output_size(self) -> int:
        """The size of the output."""
        return self._size

    def _through(self, cell: Callable[..., Any], inputs: Any, state: Any) -> Any:
        with variable_scope("output_projection_wrapper", reuse=js.AUTO_REUSE):
            output, after = cell(inputs, state)
            projected = linear(output, self._size)
        return projected if self._activation is None else self._activation(projected), after


@export("contrib.rnn.InputProjectionWrapper")
class InputProjectionWrapper(_Around):
    """A cell with a linear layer before it.

    Args:
        cell: The cell.
        num_proj: The size of what the cell gets.
        activation: A function of it; None for none.
        input_size: Without meaning here.
        reuse: Without meaning here.
    """

    def __init__(
        self, cell: Any, num_proj: int, activation: Any = None, input_size: Any = None, reuse: Any = None
    ) -> None:
        super().__init__(cell)
        self._size, self._activation = num_proj, activation

    def _through(self, cell: Callable[..., Any], inputs: Any, state: Any) -> Any:
        with variable_scope("input_projection_wrapper", reuse=js.AUTO_REUSE):
            projected = linear(inputs, self._size)
            if self._activation is not None:
                projected = self._activation(projected)
            return cell(projected, state)


@export("contrib.rnn.EmbeddingWrapper")
class EmbeddingWrapper(_Around):
    """A cell with a table before it, whose inputs are ids.

    Args:
        cell: The cell.
        embedding_classes: How many rows the table has.
        embedding_size: The size of a row.
        initializer: How it begins; uniformly in -sqrt(3) to sqrt(3) if left out.
        reuse: Without meaning here.
    """

    def __init__(
        self,
        cell: Any,
        embedding_classes: int,
        embedding_size: int,
        initializer: Any = None,
        reuse: Any = None,
    ) -> None:
        super().__init__(cell)
        self._shape, self._initializer = [embedding_classes, embedding_size], initializer

    def _through(self, cell: Callable[..., Any], inputs: Any, state: Any) -> Any:
        with variable_scope("embedding_wrapper", reuse=js.AUTO_REUSE):
            scope_has = js.get_variable_scope().initializer
            start = self._initializer or scope_has or js.initializers.random_uniform(-(3**0.5), 3**0.5)
            first = jax.tree.leaves(arrays_of(state))[0]
            table = get_variable("embedding", self._shape, first.dtype, start)
            ids = convert_to_tensor(inputs)
            rows = compute(
                "Gather", lambda t, i: jnp.asarray(t)[jnp.reshape(i, -1)], convert_to_tensor(table), ids
            )
            return cell(rows, state)


@export("contrib.rnn.HighwayWrapper")
class HighwayWrapper(_Around):
    """A cell whose output and input are weighed by a gate.

    Args:
        cell: The cell.
        couple_carry_transform_gates: Whether one gate decides both.
        carry_bias_init: The bias of the gate of the input.
    """

    def __init__(
        self, cell: Any, couple_carry_transform_gates: bool = True, carry_bias_init: float = 1.0
    ) -> None:
        super().__init__(cell)
        self._coupled, self._bias = couple_carry_transform_gates, carry_bias_init

    def _gate(self, x: Any, name: str, start: float) -> Any:
        tensor = convert_to_tensor(x)
        size = tensor.shape[-1].value
        weight = get_variable(f"{name}_w", [size, size], tensor.dtype)
        bias = get_variable(f"{name}_b", [size], tensor.dtype, js.initializers.constant(start))

        def gate(x: Any, w: Any, b: Any) -> Any:
            return jax.nn.sigmoid(x @ w + b)

        return compute("Sigmoid", gate, tensor, convert_to_tensor(weight), convert_to_tensor(bias))

    def _through(self, cell: Callable[..., Any], inputs: Any, state: Any) -> Any:
        output, after = cell(inputs, state)
        carry = self._gate(inputs, "carry", self._bias)
        through = 1 - carry if self._coupled else self._gate(inputs, "transform", -self._bias)
        return inputs * carry + output * through, after
