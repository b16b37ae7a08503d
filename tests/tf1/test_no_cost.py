"""What `jaxscope.tf1` traces is the program that one writes by hand, operation for operation."""

import re
from typing import Any

import jax
import jax.numpy as jnp

import jaxscope as js
from benchmarks.canonical import hlo_text
from benchmarks.models import gpt2
from jaxscope import tf1
from tests.tf1.flat import operations
from tests.tf1.loading import program

GPT2 = program("gpt2")
SIZE = gpt2.Published("small", n_vocab=97, n_ctx=300, n_embd=16, n_head=2, n_layer=2, batch=2)


def abstract(shapes: dict[str, Any]) -> dict[str, Any]:
    return {name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in shapes.items()}


def optimised(function: Any, *args: Any) -> str:
    return hlo_text(jax.jit(lambda *args: function(*args)).lower(*args).compile().as_text() or "")


class TestGpt2:
    sizes = GPT2.HParams(n_vocab=97, n_ctx=300, n_embd=16, n_head=2, n_layer=2)

    def both(self) -> tuple[Any, Any]:
        net = js.transform(tf1.function(lambda X: GPT2.model(self.sizes, X)))
        return net.apply, lambda w, tokens: gpt2.forward(w, tokens, SIZE)

    def test_the_same_model(self):
        net = js.transform(tf1.function(lambda X: GPT2.model(self.sizes, X)))
        assert {name: spec.shape for name, spec in net.spec(*SIZE.inputs()).items()} == SIZE.shapes()

    def test_operations(self):
        ours, by_hand = (operations(fun, abstract(SIZE.shapes()), *SIZE.inputs()) for fun in self.both())
        assert len(by_hand) > 200
        assert ours == by_hand

    def test_optimised_operations(self):
        ours, by_hand = (optimised(fun, abstract(SIZE.shapes()), *SIZE.inputs()) for fun in self.both())
        assert ours == by_hand

    def test_operations_of_gradients(self):
        def slopes(fun: Any) -> Any:
            def loss(w: Any, tokens: Any) -> Any:
                return jnp.sum(jnp.sin(fun(w, tokens)["logits"]))

            return lambda w, tokens: jax.grad(loss)(dict(w), tokens)

        ours, by_hand = (
            operations(slopes(fun), abstract(SIZE.shapes()), *SIZE.inputs()) for fun in self.both()
        )
        assert ours == by_hand

    def test_what_is_known_is_no_operation(self):
        """Positions and masks of a short text are constants, which one writes by NumPy by hand."""
        few = jax.ShapeDtypeStruct((2, 8), jnp.int32)
        ours, by_hand = (operations(fun, abstract(SIZE.shapes()), few) for fun in self.both())
        kinds = [[row.partition("[")[0] for row in rows] for rows in (ours, by_hand)]
        assert "iota" in kinds[1]
        assert "iota" not in kinds[0]
        assert len(ours) < len(by_hand)


class TestLstm:
    shapes = {"RNN/basic_lstm_cell/kernel": (9, 16), "RNN/basic_lstm_cell/bias": (16,)}  # noqa: RUF012

    def unrolled(self, x: Any) -> Any:
        cell = tf1.nn.rnn_cell.BasicLSTMCell(4)
        state, outputs = cell.zero_state(3, tf1.float32), []
        with tf1.variable_scope("RNN"):
            for time in range(2):
                if time > 0:
                    tf1.get_variable_scope().reuse_variables()
                h, state = cell(x[:, time, :], state)
                outputs.append(h)
        return tf1.concat(outputs, 1), tuple(state)

    def by_hand(self, w: Any, x: Any) -> Any:
        kernel, bias = (w[name] for name in self.shapes)
        c, h, outputs = jnp.zeros((3, 4)), jnp.zeros((3, 4)), []
        for time in range(2):
            gates = jnp.matmul(jnp.concatenate([x[:, time, :], h], 1), kernel) + bias.reshape(1, -1)
            i, j, f, o = jnp.split(gates, 4, 1)
            c = jax.nn.sigmoid(f + 1.0) * c + jax.nn.sigmoid(i) * jnp.tanh(j)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            outputs.append(h)
        return jnp.concatenate(outputs, 1), (c, h)

    def test_operations(self):
        """Cells of two steps, which share their weights."""
        net, x = js.transform(tf1.function(self.unrolled)), jax.ShapeDtypeStruct((3, 2, 5), jnp.float32)
        ours, by_hand = (operations(fun, abstract(self.shapes), x) for fun in (net.apply, self.by_hand))
        assert ours == by_hand


class TestResnet:
    def test_operations(self):
        """A bottleneck with batch normalization, which does not train."""
        resnet, slim = program("resnet_v1"), tf1.contrib.slim

        def block(x):
            with (
                slim.arg_scope(resnet.resnet_arg_scope()),
                slim.arg_scope([slim.batch_norm], is_training=False),
            ):
                return resnet.bottleneck(x, 8, 2, 2)

        def conv(w: Any, x: Any, name: str, stride: int, padding: Any) -> Any:
            at = f"bottleneck_v1/{name}"
            letters = ("NHWC", "HWIO", "NHWC")
            strides = (stride, stride)
            x = jax.lax.conv_general_dilated(
                x, w[f"{at}/weights"], strides, padding, dimension_numbers=letters
            )
            names = ("moving_mean", "moving_variance", "gamma", "beta")
            stretched = (w[f"{at}/BatchNorm/{one}"].reshape(1, 1, 1, -1) for one in names)
            mean, variance, gamma, beta = stretched
            inverse = jax.lax.rsqrt(variance + 1e-5)
            return (x - mean) * (inverse * gamma) + beta

        def by_hand(w: Any, x: Any) -> Any:
            shortcut = conv(w, x, "shortcut", 2, "SAME")
            y = jax.nn.relu(conv(w, x, "conv1", 1, "SAME"))
            y = jnp.pad(y, [(0, 0), (1, 1), (1, 1), (0, 0)])
            y = jax.nn.relu(conv(w, y, "conv2", 2, "VALID"))
            return jax.nn.relu(shortcut + conv(w, y, "conv3", 1, "SAME"))

        x = jax.ShapeDtypeStruct((2, 6, 6, 4), jnp.float32)
        net = js.transform(tf1.function(block))
        w = abstract({name: spec.shape for name, spec in net.spec(x).items()})
        ours, theirs = (operations(fun, w, x) for fun in (net.apply, by_hand))
        assert sorted(map(kind, ours)) == sorted(map(kind, theirs))
        assert optimised(net.apply, w, x) == optimised(by_hand, w, x)


def kind(row: str) -> str:
    """Return an operation without the operands' numbers: what makes them may stand in another order."""
    return re.sub(r"#[0-9.]+", "#", row)
