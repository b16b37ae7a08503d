"""Tables for people: what a model makes, and its values, as each library shows them."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from benchmarks.models import mlp
from benchmarks.net import Net
from benchmarks.report import Table
from benchmarks.setup import BASE, Setup
from benchmarks.timing import timed

NOTE = (
    "CPU time of one call; `made` is a table of what a model makes (the model is traced for it), `values` "
    "one of given variables, `summary` one by scope with norms and extremes. By hand: names and types joined "
    "by lines, and NumPy's norm, minimum and maximum of each array."
)


def run(setup: Setup) -> Iterator[Table]:
    model = mlp.Mlp(max(setup.sizes.depths))
    table = Table(f"Tables of {model.variables:,} variables, s of CPU", tuple(setup.frameworks), NOTE)
    cases: dict[str, dict[str, Callable[[], object]]] = {}
    for name, net in setup.nets(model).items():
        for case, call in calls(name, net, model).items():
            cases.setdefault(case, {})[name] = call
    for case, each in cases.items():
        for name, call in each.items():
            rounds = 3 if name in (BASE, "jaxscope") else 1  # others take a minute
            seconds = min(timed(call, time.process_time) for _ in range(rounds))
            table.put(case, name, f"{seconds:.3g} s")
    yield table


def calls(name: str, net: Net, model: mlp.Mlp) -> dict[str, Callable[[], object]]:
    """Return what a library is asked to show, by case."""
    x = np.zeros(model.inputs()[0].shape, np.float32)
    if name == BASE:
        values = filled(net.spec(x))
        return {
            "made": lambda: lines(jax.eval_shape(net.init, jax.random.key(0), x)),
            "values": lambda: lines(values),
            "summary": lambda: lines(jax.tree.map(numbers, values)),
        }
    if name == "jaxscope":
        import jaxscope as js

        values = filled(net.spec(x).shape_dtypes())
        return {
            "made": lambda: str(net.spec(x)),
            "values": lambda: str(values),
            "summary": lambda: str(js.inspect.summary(values)),
        }
    if name == "linen":
        from benchmarks.frameworks import linen

        module = linen.Mlp(model.depth)
        return {"made": lambda: module.tabulate(jax.random.key(0), x)}
    if name == "haiku":
        import haiku as hk

        from benchmarks.frameworks import haiku

        return {"made": lambda: hk.experimental.tabulate(haiku.mlp_function(model))(x)}
    return {}


def filled(tree: Any) -> Any:
    """Return a tree of arrays of ones like one of types."""
    return jax.tree.map(lambda one: jax.numpy.ones(one.shape, one.dtype), tree)


def numbers(value: jax.Array) -> tuple[float, float, float]:
    """Return norm, minimum and maximum of an array."""
    there = np.asarray(value)
    return float(np.linalg.norm(there)), float(there.min()), float(there.max())


def lines(tree: Any) -> str:
    """Return a line for each leaf."""
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return "\n".join(f"{jax.tree_util.keystr(path)} {getattr(leaf, 'shape', leaf)}" for path, leaf in leaves)
