"""TensorFlow 1's source: what its names add to the trace of GPT-2 by the formulas of its published file."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import jaxscope as js

from benchmarks.models import gpt2
from benchmarks.net import Net
from benchmarks.report import Table
from benchmarks.rows.trace import tracing
from benchmarks.setup import BASE, Setup
from benchmarks.timing import interleaved

NOTE = (
    "First column: CPU time. Others: median ratio (ratio of minima). `jaxscope.tf1`: a file written for "
    "TensorFlow 1, as it is; `jaxscope`: its formulas in jax.numpy over `js.get_variable`. All trace the "
    "same operations."
)


def handwritten(size: gpt2.Published) -> Net:
    shapes = size.shapes()

    def init(key: jax.Array, *_: Any) -> dict[str, jax.Array]:
        return {name: jnp.zeros(shape) for name, shape in shapes.items()}

    return Net(init, lambda w, tokens: gpt2.forward(w, tokens, size), lambda *_: shapes)


def norm(x: jax.Array, name: str) -> jax.Array:
    with js.variable_scope(name):
        g = js.get_variable("g", [x.shape[-1]], initializer=js.initializers.ones)
        b = js.get_variable("b", [x.shape[-1]], initializer=js.initializers.zeros)
    return gpt2.norm(x, g, b)


def linear(x: jax.Array, units: int, name: str) -> jax.Array:
    with js.variable_scope(name):
        w = js.get_variable("w", [1, x.shape[-1], units], initializer=js.initializers.random_normal(0, 0.02))
        b = js.get_variable("b", [units], initializer=js.initializers.zeros)
    return gpt2.linear(x, w, b)


def by_jaxscope(size: gpt2.Published) -> Net:
    width = size.n_embd

    def model(tokens: jax.Array) -> dict[str, jax.Array]:
        with js.variable_scope("model"):
            wpe, wte = (
                js.get_variable("wpe", [size.n_ctx, width]),
                js.get_variable("wte", [size.n_vocab, width]),
            )
            h = gpt2.embed(tokens, wpe, wte)
            presents: list[jax.Array] = []
            for i in range(size.n_layer):
                with js.variable_scope(f"h{i}"):
                    x = norm(h, "ln_1")
                    with js.variable_scope("attn"):
                        a, present = gpt2.attend(linear(x, 3 * width, "c_attn"), size.n_head)
                        h = h + linear(a, width, "c_proj")
                    presents.append(present)
                    x = norm(h, "ln_2")
                    with js.variable_scope("mlp"):
                        h = h + linear(gpt2.gelu(linear(x, 4 * width, "c_fc")), width, "c_proj")
            return gpt2.outputs(norm(h, "ln_f"), wte, presents)

    net = js.transform(model)
    return Net(net.init, net.apply, net.spec)


def by_tf1(size: gpt2.Published) -> Net:
    from tests.tf1.loading import program

    source = program("gpt2")
    names = ("n_vocab", "n_ctx", "n_embd", "n_head", "n_layer")
    hparams = source.HParams(**{name: getattr(size, name) for name in names})
    model = source.model
    net = js.transform(js.tf1.function(lambda tokens: model(hparams, tokens)))
    return Net(net.init, net.apply, net.spec)


def run(setup: Setup) -> Iterator[Table]:
    columns = (BASE, "jaxscope", "jaxscope.tf1")
    table = Table("TensorFlow 1's source: trace of GPT-2, ms of CPU", columns, NOTE)
    if "jaxscope" in setup.frameworks:
        for size in setup.sizes.published:
            nets = dict(zip(columns, (handwritten(size), by_jaxscope(size), by_tf1(size)), strict=True))
            prepare = {name: tracing(net, size) for name, net in nets.items()}
            table.put_samples(size.name, interleaved(prepare, setup.sizes.effort), "ms")
    yield table
