"""optax.adamw: tracing its update, and running the compiled update with donated arguments."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import optax

from benchmarks.report import Table
from benchmarks.rows.dispatch import containers
from benchmarks.setup import Setup
from benchmarks.timing import interleaved, slices


def update(variables: Any, moments: Any) -> Any:
    """Return the variables and moments after one step, with the variables as their own gradients."""
    changes, moments = optax.adamw(1e-3).update(variables, moments, variables)
    return optax.apply_updates(variables, changes), moments


def run(setup: Setup) -> Iterator[Table]:
    note = "First column: time; others: median ratio (ratio of minima)."
    table = Table("optax.adamw over scalar leaves", tuple(setup.frameworks), note)
    for leaves in (n for n in setup.sizes.leaves if n <= 1000):
        made = containers(setup, leaves)
        prepare = {name: tracing(variables) for name, variables in made.items()}
        table.put_samples(f"trace, {leaves} leaves, CPU", interleaved(prepare, setup.sizes.effort), "ms")
        if leaves <= 100:
            calls = {name: stepping(variables) for name, variables in made.items()}
            table.put_samples(f"run, {leaves} leaves, wall", slices(calls, setup.sizes.effort), "us")
    yield table


def tracing(variables: Any) -> Callable[[], Callable[[], object]]:
    def prepare() -> Callable[[], object]:
        jitted = jax.jit(lambda variables, moments: update(variables, moments))
        moments = optax.adamw(1e-3).init(variables)
        return lambda: jitted.trace(variables, moments)

    return prepare


def stepping(variables: Any) -> Callable[[], object]:
    """Return a call that replaces its own, donated, variables and moments."""
    jitted = jax.jit(update, donate_argnums=(0, 1))
    mine = jax.tree.map(lambda leaf: leaf + 0, variables)
    held = [(mine, optax.adamw(1e-3).init(mine))]

    def call() -> object:
        held[0] = jitted(*held[0])
        return held[0][1][0].count.block_until_ready()

    return call
