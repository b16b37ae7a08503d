"""`tf.contrib.rnn`'s cells that are written with TensorFlow's own operations."""

from typing import Any

import jax
import jax.numpy as jnp

import jaxscope as js
from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute, static_int
from jaxscope.tf1.base.tensor import Tensor
from jaxscope.tf1.ops.contrib.layer_functions import EXPORTED_LAYERS
from jaxscope.tf1.ops.nn.dropout import dropout
from jaxscope.tf1.ops.rnn.cells import LSTMStateTuple, RNNCell, side_by_side
from jaxscope.tf1.ops.rnn.wrappers import linear
from jaxscope.tf1.ops.variables.getting import get_variable
from jaxscope.tf1.ops.variables.scopes import variable_scope

__all__ = ["LayerNormBasicLSTMCell", "NASCell"]


def _tanh(x: Any) -> Tensor:
    return compute("Tanh", jnp.tanh, convert_to_tensor(x))


def _split(x: Tensor, count: int) -> list[Tensor]:
    size = x.shape[-1].value // count
    return [compute("Split", lambda a, at=at: a[..., at * size : (at + 1) * size], x) for at in range(count)]


@export("contrib.rnn.LayerNormBasicLSTMCell")
class LayerNormBasicLSTMCell(RNNCell):
    """An LSTM whose gates are normalized, with dropout of what is remembered anew.

    Source: Ba et al., Layer Normalization, 2016; Semeniuta et al., Recurrent Dropout without Memory
    Loss, 2016.

    Args:
        num_units: The size of the state.
        forget_bias: Added to the forget gate.
        input_size: Without meaning here.
        activation: The function of what is remembered.
        layer_norm: Whether gates are normalized; they have a bias if not.
        norm_gain: What gains begin with.
        norm_shift: What shifts begin with.
        dropout_keep_prob: The share that is kept.
        dropout_prob_seed: Without meaning here: noise is drawn from keys.
        reuse: Whether to share its variables.
    """

    def __init__(
        self,
        num_units: Any,
        forget_bias: float = 1.0,
        input_size: Any = None,
        activation: Any = _tanh,
        layer_norm: bool = True,
        norm_gain: float = 1.0,
        norm_shift: float = 0.0,
        dropout_keep_prob: Any = 1.0,
        dropout_prob_seed: Any = None,
        reuse: Any = None,
    ) -> None:
        super().__init__(_reuse=reuse)
        self._num_units = static_int(num_units, "num_units")
        self._forget_bias, self._activation = forget_bias, activation
        self._layer_norm, self._gain, self._shift = layer_norm, norm_gain, norm_shift
        self._keep_prob = dropout_keep_prob

    @property
    def state_size(self) -> Any:
        """The sizes of the parts of the state."""
        return LSTMStateTuple(self._num_units, self._num_units)

    @property
    def output_size(self) -> int:
        """The size of the output."""
        return self._num_units

    def _normal(self, x: Any, name: str) -> Any:
        if not self._layer_norm:
            return x
        with variable_scope(name):
            shape = [self._num_units]
            get_variable("gamma", shape, x.dtype, js.initializers.constant(self._gain))
            get_variable("beta", shape, x.dtype, js.initializers.constant(self._shift))
        return EXPORTED_LAYERS["layer_norm"](x, reuse=True, scope=name)

    def call(self, inputs: Any, state: Any) -> Any:
        """Return the output and the next state.

        Args:
            inputs: `[batch, in]`.
            state: Like `zero_state(batch, dtype)`.
        """
        memory, output = map(convert_to_tensor, state)
        gates = _split(linear(side_by_side(inputs, output), 4 * self._num_units, not self._layer_norm), 4)
        names = ("input", "transform", "forget", "output")
        i, j, f, o = (self._normal(gate, name) for gate, name in zip(gates, names, strict=True))
        new = self._activation(j)
        if not isinstance(self._keep_prob, int | float) or self._keep_prob < 1:
            new = dropout(new, self._keep_prob)

        def remember(memory: Any, i: Any, new: Any, f: Any) -> Any:
            return memory * jax.nn.sigmoid(f + self._forget_bias) + jax.nn.sigmoid(i) * new

        memory = self._normal(compute("Add", remember, memory, i, new, f), "state")
        shown = convert_to_tensor(self._activation(memory))
        output = compute("Mul", lambda a, o: a * jax.nn.sigmoid(o), shown, o)
        return output, LSTMStateTuple(memory, output)


@export("contrib.rnn.NASCell")
class NASCell(RNNCell):
    """A cell that was found by search.

    Source: Zoph and Le, Neural Architecture Search with Reinforcement Learning, 2017.

    Args:
        num_units: The size of the state.
        num_proj: The size of the output, if it is projected.
        use_biases: Whether there are biases.
        reuse: Whether to share its variables.
        **kwargs: `name`.
    """

    def __init__(
        self,
        num_units: Any,
        num_proj: Any = None,
        use_biases: bool = False,
        reuse: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(_reuse=reuse, **kwargs)
        self._num_units = static_int(num_units, "num_units")
        self._num_proj = None if num_proj is None else static_int(num_proj, "num_proj")
        self._use_biases = use_biases

    @property
    def state_size(self) -> Any:
        """The sizes of the parts of the state."""
        return LSTMStateTuple(self._num_units, self.output_size)

    @property
    def output_size(self) -> int:
        """The size of the output."""
        return self._num_proj or self._num_units

    def call(self, inputs: Any, state: Any) -> Any:
        """Return the output and the next state.

        Args:
            inputs: `[batch, in]`.
            state: Like `zero_state(batch, dtype)`.
        """
        x, memory, output = map(convert_to_tensor, (inputs, *state))
        width = 8 * self._num_units
        recurrent = get_variable("recurrent_kernel", [self.output_size, width], x.dtype)
        kernel = get_variable("kernel", [x.shape[-1].value, width], x.dtype)
        of_output = compute("MatMul", jnp.matmul, output, convert_to_tensor(recurrent))
        of_input = compute("MatMul", jnp.matmul, x, convert_to_tensor(kernel))
        if self._use_biases:
            bias = get_variable("bias", [width], x.dtype, js.initializers.zeros)
            of_output = compute("BiasAdd", jnp.add, of_output, convert_to_tensor(bias))
        memory = compute("NASCell", _nas_memory, memory, of_input, of_output)
        output = compute("NASCell", _nas_output, memory, of_input, of_output)
        if self._num_proj is not None:
            weights = get_variable("projection_weights", [self._num_units, self._num_proj], x.dtype)
            output = compute("MatMul", jnp.matmul, output, convert_to_tensor(weights))
        return output, LSTMStateTuple(memory, output)


def _nas_memory(memory: Any, of_input: Any, of_output: Any) -> Any:
    i, m = jnp.split(of_input, 8, -1), jnp.split(of_output, 8, -1)
    first = jnp.tanh(jax.nn.sigmoid(i[0] + m[0]) * jax.nn.relu(i[1] + m[1]))
    second = jnp.tanh(jax.nn.sigmoid(i[2] + m[2]) + jax.nn.relu(i[3] * m[3]))
    return jnp.tanh(first + memory) * second


def _nas_output(memory: Any, of_input: Any, of_output: Any) -> Any:
    i, m = jnp.split(of_input, 8, -1), jnp.split(of_output, 8, -1)
    third = jnp.tanh(jnp.tanh(i[4] + m[4]) * jax.nn.sigmoid(i[5] + m[5]))
    fourth = jax.nn.sigmoid(jnp.tanh(i[6] + m[6]) + jax.nn.sigmoid(i[7] + m[7]))
    return jnp.tanh(memory * jnp.tanh(third + fourth))
