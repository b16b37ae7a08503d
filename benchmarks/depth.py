"""What depth costs, by each way to run it: `python -m benchmarks.depth --out docs/explanation/depth.md`."""

import argparse
import gc
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import jaxscope as js

DEPTHS = (4, 16, 64)
QUICK = (2, 3)
TABLE = re.compile(r"(<!-- table -->\n).*?(<!-- end of table -->)", re.DOTALL)

Block = Callable[[jax.Array], jax.Array]


class Way(NamedTuple):
    """One way to run layers.

    Attributes:
        name: As a user writes it.
        run: Makes a net of a block and a depth.
        stacked: Whether the variables are given stacked.
        getter: What the model is surrounded with, or None.
    """

    name: str
    run: Callable[[Block, int], Block]
    stacked: bool = False
    getter: Any = None


def loop(block: Block, depth: int) -> Block:
    """Return the loop over the scopes of layers."""

    def net(x: jax.Array) -> jax.Array:
        for index in range(depth):
            with js.variable_scope(f"layer_{index}"):
                x = block(x)
        return x

    return net


def ways() -> list[Way]:
    """Return all ways, each with what it is compared with above it."""
    half = js.getters.cast("bfloat16")
    return [
        Way("Python loop", loop),
        Way("loop of `js.jit`", lambda block, depth: loop(js.jit(block), depth)),
        Way("loop of `js.remat`", lambda block, depth: loop(js.remat(block), depth)),
        Way("loop of `js.jit` of `js.remat`", lambda block, depth: loop(js.jit(js.remat(block)), depth)),
        Way("`js.scan_layers`", js.scan_layers),
        Way("`js.scan_layers`, given stacked", js.scan_layers, stacked=True),
        Way("given stacked, `remat=True`", lambda b, n: js.scan_layers(b, n, remat=True), stacked=True),
        Way("given stacked, in bfloat16", js.scan_layers, stacked=True, getter=half),
        Way("Python loop, in bfloat16", loop, getter=half),
    ]


def block(x: jax.Array) -> jax.Array:
    """Run one layer of a decoder."""
    h = js.layers.layer_norm(x, begin_norm_axis=-1)
    x = x + js.layers.multi_head_attention(h, 4, causal=True)
    h = js.layers.dense(js.layers.layer_norm(x, begin_norm_axis=-1), 4 * x.shape[-1], activation=jax.nn.gelu)
    return x + js.layers.dense(h, x.shape[-1])


class Cost(NamedTuple):
    """What one program costs."""

    trace: float
    lines: int
    compile: float
    kept: float


def cost(way: Way, depth: int) -> Cost:
    """Measure one way at one depth."""

    def model(x: jax.Array) -> jax.Array:
        with js.variable_scope("", custom_getter=way.getter):
            return way.run(block, depth)(x)

    net = js.transform(model)
    x = jnp.ones((2, 32, 64), "float32" if way.getter is None else "bfloat16")
    variables = net.spec(x).init(jax.random.key(0))
    if way.stacked:
        variables = variables.stack("layer_{}")

    def loss(variables: js.Variables, x: jax.Array) -> jax.Array:
        return jnp.sum(net.apply(variables, x).astype("float32"))

    kept = jax.eval_shape(lambda v, x: jax.tree.leaves(jax.vjp(loss, v, x)[1]), variables, x)
    own = sum(value.nbytes for value in variables.values())
    lowered, trace = timed(lambda: jax.jit(jax.grad(loss)).lower(variables, x))
    text = lowered.as_text()
    _, compiling = timed(lowered.compile)
    size = sum(leaf.size * leaf.dtype.itemsize for leaf in kept)
    return Cost(trace, text.count("\n"), compiling, (size - own) / 1e6)


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """Return what some work returns, and the seconds of CPU that it takes."""
    gc.collect()
    start = time.process_time()
    result = work()
    return result, time.process_time() - start


def table(depths: tuple[int, ...]) -> Iterator[str]:
    """Yield the lines of the table, as they are measured."""
    columns = [f"{name} {depth}" for name in ("trace", "lines", "compile", "kept") for depth in depths]
    yield "| layers | " + " | ".join(columns) + " |"
    yield "| --- |" + " ---: |" * len(columns)
    for way in ways():
        cost(way, 1)  # what is traced and compiled once for all of JAX
        costs = [cost(way, depth) for depth in depths]
        cells = [
            *(f"{one.trace:.2f}" for one in costs),
            *(f"{one.lines}" for one in costs),
            *(f"{one.compile:.1f}" for one in costs),
            *(f"{max(one.kept, 0):.1f}" for one in costs),
        ]
        yield f"| {way.name} | " + " | ".join(cells) + " |"


def main() -> None:
    """Measure, and print the table; write it where that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.depth", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two small depths: does everything run?")
    parser.add_argument("--out", default="", help="Markdown file with a place for the table")
    asked = parser.parse_args()
    lines: list[str] = []
    for line in table(QUICK if asked.quick else DEPTHS):
        print(line, flush=True)
        lines.append(line)
    if asked.out:
        page, text = Path(asked.out), "\n".join(["", *lines, "", ""])
        page.write_text(TABLE.sub(lambda match: match[1] + text + match[2], page.read_text()))


if __name__ == "__main__":
    main()
