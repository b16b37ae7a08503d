"""A train step of a tiny decoder: loss, gradient and adamw in one donated, compiled call."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import optax

from benchmarks.models import transformer
from benchmarks.net import Net, concrete
from benchmarks.report import Table
from benchmarks.setup import Setup
from benchmarks.timing import slices


def run(setup: Setup) -> Iterator[Table]:
    model = setup.sizes.tiny
    note = "Wall time of one step. First column: median; others: median ratio (ratio of minima)."
    table = Table("Train step", tuple(setup.frameworks), note)
    calls = {name: stepping(net, model) for name, net in setup.nets(model).items()}
    table.put_samples(model.name, slices(calls, setup.sizes.effort, target=1e-2), "ms")
    yield table


def stepping(net: Net, model: transformer.Decoder) -> Callable[[], object]:
    """Return a call that makes one step on its own, donated, variables."""
    (tokens,) = concrete(model.inputs())
    optimizer = optax.adamw(1e-3)

    def loss(variables: Any) -> jax.Array:
        return transformer.cross_entropy(net.apply(variables, tokens), tokens)

    def step(variables: Any, moments: Any) -> tuple[Any, Any, jax.Array]:
        value, slopes = jax.value_and_grad(loss)(variables)
        changes, moments = optimizer.update(slopes, moments, variables)
        return optax.apply_updates(variables, changes), moments, value

    jitted = jax.jit(step, donate_argnums=(0, 1))
    # A copy, since a library may hand out one array for several equal variables: not donatable twice.
    variables = jax.tree.map(lambda leaf: leaf + 0, net.init(jax.random.key(0), tokens))
    held = [(variables, optimizer.init(variables))]

    def call() -> object:
        variables, moments, value = jitted(*held[0])
        held[0] = variables, moments
        return value.block_until_ready()

    return call
