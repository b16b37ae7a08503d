"""What `jaxscope.tf1` traces is the program that one writes by hand, operation for operation."""

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
