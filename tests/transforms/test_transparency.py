"""A random program with transforms around random parts comes to what it comes to without them."""

import os
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import jaxscope as js
from jaxscope import Variables
from tests.depth import random_blocks, two_worlds
from tests.transforms import outcomes, random_programs, wrappers
from tests.transforms.outcomes import Failure

EXAMPLES = os.environ.get("JAXSCOPE_TRANSPARENCY_EXAMPLES")

X = jnp.asarray([0.5, -1.0, 2.0])
HALVES = jnp.full(3, 0.5)

# What JAX says of hand-written code, too, in which a `cond` in a `vmap` in a `shard_map` closes over a value.
REFUSED_BY_JAX = ("requires varying manual axes to match", "pvary")


class Anything(Mapping[str, Any]):
    """Variables of every name, for programs that end in an error and so have none of their own."""

    __hash__ = object.__hash__
    __eq__ = object.__eq__

    def __getitem__(self, name: str) -> Any:
        return HALVES  # one array, not one made in whatever trace asks for it

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def comes_to(program: random_programs.Program, *, wrapped: bool, eagerly: bool) -> dict[str, Any]:
    """Return what a program comes to: one thing after another, as a user would ask for it.

    Outside of jit only where that is asked for: it compiles each operation.
    """
    world = random_programs.World(program, wrapped=wrapped)
    net = js.transform(world.main)

    def elsewhere(x: jax.Array) -> jax.Array:
        with js.variable_scope("z"):
            return world.main(x)

    other = js.transform(elsewhere)
    found = {
        "spec": _facts(net),
        "init": _try(lambda: dict(net.init(jax.random.key(0), X))),
        "spec elsewhere": _facts(other),  # the same functions, and their caches, in another scope
    }
    given = found["init"]
    if isinstance(given, Failure):
        return found | {"apply": _try(lambda: net.apply(Anything(), X))}
    values = Variables(given, non_trainable=[n for n, s in net.spec(X).items() if not s.trainable])
    changed = jax.tree.map(lambda value: value + 0.25, values)
    moved = {f"z/{name}": value for name, value in given.items()}

    def loss(values: Any, x: jax.Array) -> jax.Array:
        return jnp.sum(jnp.sin(net.apply(values, x)))

    def staged(values: Any, x: jax.Array) -> Any:
        gradients = jax.value_and_grad(loss, argnums=(0, 1))(values, x)
        return gradients, jax.value_and_grad(jax.jit(loss), argnums=(0, 1))(values, x)

    found["jit"] = _try(lambda: jax.jit(staged, compiler_options=two_worlds.UNOPTIMIZED)(values, X))
    found["spec again"] = _facts(net)
    if not eagerly:
        return found
    found["apply"] = _try(lambda: net.apply(values, X))
    found["apply, other values"] = _try(lambda: net.apply(changed, X + 1))
    if not isinstance(found["spec elsewhere"], Failure) and set(found["spec elsewhere"]) == set(moved):
        found["apply elsewhere"] = _try(lambda: other.apply(moved, X))
    return found


def _facts(net: js.Transformed[Any, Any]) -> Any:
    return _try(lambda: {n: (s.shape, s.dtype, s.trainable, s.collections) for n, s in net.spec(X).items()})


def _try(way: Any) -> Any:
    try:
        return way()
    except KeyboardInterrupt:
        raise
    except BaseException as problem:  # noqa: BLE001 - what jaxscope uses inside must not come out
        return Failure(
            type(problem).__name__, f"{getattr(problem, 'code', '')} {getattr(problem, 'summary', problem)}"
        )


def _examples(usual: int) -> settings:
    """Return settings: the same examples in every normal run; other ones where somebody asks for many."""
    return settings(
        max_examples=int(EXAMPLES or 2 * usual) // 2,
        derandomize=EXAMPLES is None,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=tuple(p for p in Phase if EXAMPLES is None or p is not Phase.shrink),
    )


@_examples(80)
@given(program=random_programs.programs(), one_of_four=st.integers(0, 3))
def test_wrappers_change_nothing(program: random_programs.Program, one_of_four: int):
    """Names, initial bits, values, gradients and errors are those of the bare program."""
    bare = comes_to(program, wrapped=False, eagerly=one_of_four == 3)
    got = comes_to(program, wrapped=True, eagerly=one_of_four == 3)
    for mode, expected in bare.items():
        if isinstance(got[mode], Failure) and any(said in got[mode].code for said in REFUSED_BY_JAX):
            return  # in a program with `shard_map`: see below
        if difference := outcomes.difference(expected, got[mode]):
            pytest.fail(f"{mode}: {difference}\n{_listing(program)}", pytrace=False)


@_examples(70)
@given(program=random_blocks.programs(), one_of_four=st.integers(0, 3), stacked=st.booleans())
def test_blocks_mean_loops(program: random_blocks.Program, one_of_four: int, *, stacked: bool):
    """With blocks in the place of loops, a program comes to what it comes to with the loops."""
    eagerly = one_of_four == 3  # which compiles each operation
    bare = two_worlds.comes_to(program, wrapped=False, eagerly=eagerly)
    got = two_worlds.comes_to(program, wrapped=True, eagerly=eagerly, stacked=stacked)
    if difference := two_worlds.difference(bare, got):
        pytest.fail(f"{difference}\nstacked: {stacked}\n{_listing(program)}", pytrace=False)


def _listing(program: random_programs.Program) -> str:
    return "\n".join(f"{number}: {function}" for number, function in enumerate(program))


def test_what_jax_refuses_by_itself():
    """A `cond` in `vmap` in `shard_map` that closes over a value from outside: no variable is in it."""

    shard_map = wrappers.BY_NAME["jax.shard_map (Auto axes)"]
    for total in (jnp.sum, lambda w: jnp.sum(w) + jnp.float32(0)):

        def body(w: jax.Array, x: jax.Array, total: Any = total) -> jax.Array:
            return jax.lax.cond(jnp.sum(x) < 0, lambda: 0 * x, lambda: jnp.tanh(x + total(w)))

        outcome = _try(lambda: jax.jit(lambda w, x: shard_map.wrap(lambda x: body(w, x))(x))(X, X))
        if isinstance(outcome, Failure):
            assert any(said in outcome.code for said in REFUSED_BY_JAX)
