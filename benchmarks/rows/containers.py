"""Flatten, unflatten and map: what the container costs wherever code walks over the variables."""

from collections.abc import Iterator

import jax

from benchmarks.report import Table
from benchmarks.rows.dispatch import containers
from benchmarks.setup import Setup
from benchmarks.timing import slices


def run(setup: Setup) -> Iterator[Table]:
    leaves = min(1000, max(setup.sizes.leaves))
    note = "Wall time. First column: one call; others: median ratio (ratio of minima)."
    table = Table(f"jax.tree functions over {leaves} leaves", tuple(setup.frameworks), note)
    made = containers(setup, leaves)
    flat = {name: jax.tree.flatten(variables) for name, variables in made.items()}
    calls = {
        "flatten": {name: lambda v=v: jax.tree.flatten(v) for name, v in made.items()},
        "unflatten": {name: lambda f=f: f[1].unflatten(f[0]) for name, f in flat.items()},
        "map over two": {name: lambda v=v: jax.tree.map(first, v, v) for name, v in made.items()},
    }
    for what, each in calls.items():
        table.put_samples(what, slices(each, setup.sizes.effort), "us")
    yield table


def first(one: object, other: object) -> object:
    """Return the first of two leaves, so that only the walk is timed."""
    return one
