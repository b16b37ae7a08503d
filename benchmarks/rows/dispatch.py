"""Dispatch of a compiled step: what the container of the variables costs at each call."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.models import mlp
from benchmarks.net import concrete
from benchmarks.report import Table
from benchmarks.setup import Setup
from benchmarks.timing import slices

NOTE = "Wall time of a call that waits for its result; scalar leaves. Others: median ratio (ratio of minima)."
MOST_OUTPUTS = 1000  # XLA takes minutes to compile ten thousand outputs


def containers(setup: Setup, leaves: int) -> dict[str, Any]:
    """Return each library's variables of a deep MLP, with `leaves` scalar arrays."""
    model = mlp.Mlp(leaves // 2, width=1, batch=1)
    # One pool of arrays for all, each container in its own order: which arrays lie where must not matter.
    pool = [jnp.full((), float(i)) for i in range(2 * model.depth)]
    made: dict[str, Any] = {}
    for name, net in setup.nets(model).items():
        tree = jax.tree.structure(net.init(jax.random.key(0), *concrete(model.inputs())))
        made[name] = tree.unflatten(pool)
    return made


def run(setup: Setup) -> Iterator[Table]:
    columns = tuple(setup.frameworks)
    into = Table("Dispatch of a compiled step: variables in, one scalar out", columns, NOTE)
    both = Table("Dispatch of a compiled step: variables in and out", columns, NOTE)
    for leaves in setup.sizes.leaves:
        made = containers(setup, leaves)
        x = jnp.zeros(())
        step = jax.jit(lambda variables, x: (x + 1,), keep_unused=True)
        calls = {name: calling(step, variables, x) for name, variables in made.items()}
        into.put_samples(f"{leaves} leaves", slices(calls, setup.sizes.effort), "us")
        if leaves <= MOST_OUTPUTS:
            update = jax.jit(lambda variables, x: (jax.tree.map(lambda leaf: leaf + 1, variables), x + 1))
            calls = {name: calling(update, variables, x) for name, variables in made.items()}
            both.put_samples(f"{leaves} leaves", slices(calls, setup.sizes.effort), "us")
    yield into
    yield both


def calling(step: Callable[..., Any], variables: Any, x: jax.Array) -> Callable[[], object]:
    """Return a call that waits for the last result, which is there when all are."""
    return lambda: step(variables, x)[-1].block_until_ready()
