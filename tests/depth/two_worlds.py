"""What a random program with blocks comes to, in one of two worlds, and how the two differ."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxscope as js
from tests.depth import random_blocks
from tests.depth.same import Failure, attempt, facts

X = np.asarray([0.5, -1.0, 2.0], np.float32)

#: What computes is the question here, and not how fast.
UNOPTIMIZED = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}

#: Errors by which the wrapped world may refuse what the bare one does: (class, code).
REFUSALS = {
    ("TraceError", "cannot_lift"),
    ("StateError", "write_in_transform"),
    ("StateError", "write_in_block"),
    ("KeyStreamError", "key_in_loop"),
    ("KeyStreamError", "key_in_rule"),
    ("TraceError", "value_of_ended_trace"),  # added to a collection inside a transform, and read outside
}
#: What JAX says of hand-written code, too (docs/reference/state.md, and a `cond` in `vmap` in `shard_map`).
REFUSED_BY_JAX = ("requires varying manual axes to match", "pvary", "differentiat", "has no attribute 'aval'")
if jax.__version_info__ < (0, 9):  # which cannot differentiate a `cond` of what is computed again
    REFUSED_BY_JAX += (
        "Cannot lower jaxpr with verifier errors: branch 0 and branch 1",
        "Effects not supported in partial-eval of `checkpoint`",
        "in _cond_partial_eval",  # a bare assertion
    )


class Initial(NamedTuple):
    """One initial value, by its bits."""

    shape: tuple[int, ...]
    dtype: str
    bits: bytes


class Everything(dict[str, Any]):
    """Variables of every name, for programs that end in an error and so have none of their own."""

    __hash__ = object.__hash__  # pyright: ignore - as an argument of a staged call
    __eq__ = object.__eq__

    def __missing__(self, name: str) -> Any:
        return np.full(3, 0.5, np.float32)

    def __contains__(self, name: object) -> bool:
        return "{}" not in str(name)

    def get(self, key: str, default: Any = None) -> Any:
        return super().get(key, default if "{}" in key else self[key])


def comes_to(
    program: random_blocks.Program, *, wrapped: bool, eagerly: bool = False, stacked: bool = False
) -> dict[str, Any]:
    """Return what a program comes to, one way of asking after another.

    Args:
        program: What runs.
        wrapped: Whether the wrappers stand in it.
        eagerly: Whether it is also run outside of jit.
        stacked: Whether variables are given stacked, where their names allow it.
    """
    world = random_blocks.World(program, wrapped=wrapped)
    net = js.transform(world.main)
    x, key = jnp.asarray(X), jax.random.key(7)

    def elsewhere(x: jax.Array, key: Any) -> jax.Array:
        with js.variable_scope("z"):
            return world.main(x, key)

    other = js.transform(elsewhere)

    def specs(net: Any) -> Any:
        return attempt(lambda: {name: facts(spec) for name, spec in net.spec(x, key).items()})

    found: dict[str, Any] = {"spec": specs(net)}
    values = attempt(lambda: net.init(jax.random.key(0), x, key))
    found["spec elsewhere"] = specs(other)
    if isinstance(values, Failure):
        found["init"] = values
        found["apply"] = attempt(lambda: net.apply_with_state(Everything(), x, key))
        return found
    found["init"] = {
        name: Initial(v.shape, str(v.dtype), np.asarray(v).tobytes()) for name, v in values.items()
    }

    floats = {n: v for n, v in values.trainable.items() if jnp.issubdtype(v.dtype, jnp.floating)}
    rest = {name: value for name, value in values.items() if name not in floats}

    def given(floats: Any, rest: Any) -> js.Variables:
        made = js.Variables({**rest, **floats}, non_trainable=list(values.non_trainable))
        if stacked:
            for pattern in ("layer_{}", "l{}", "member_{}"):
                one = attempt(lambda pattern=pattern, made=made: made.stack(pattern))
                made = made if isinstance(one, Failure) else one
        return made

    def together(floats: Any, rest: Any, x: Any, key: Any) -> Any:
        out, state = net.apply_with_state(given(floats, rest), x, key)
        state = state.unstack() if any("{}" in name for name in state) else state
        return out, dict(state)

    def loss(floats: Any, x: Any, rest: Any, key: Any) -> Any:
        out, state = together(floats, rest, x, key)
        return jnp.sum(jnp.sin(out)), (out, state)

    step = jax.value_and_grad(loss, (0, 1), has_aux=True)
    found["step"] = attempt(lambda: jax.jit(step, compiler_options=UNOPTIMIZED)(floats, x, rest, key))
    if eagerly:
        moved = jax.tree.map(lambda v: v + np.ones((), v.dtype) if v.dtype != bool else v, (floats, rest))
        found["eager"] = attempt(lambda: together(floats, rest, x, key))
        found["eager, other values"] = attempt(lambda: together(*moved, x + 1, key))
    return found


def refused(outcome: Any) -> bool:
    """Tell whether an outcome is one of the errors by which a world may refuse what the bare one does."""
    if not isinstance(outcome, Failure):
        return False
    told = " ".join(outcome.code.split())
    return (outcome.kind, outcome.code) in REFUSALS or any(said in told for said in REFUSED_BY_JAX)


def difference(bare: dict[str, Any], got: dict[str, Any]) -> str:
    """Return how two worlds differ; `""` if they do not, or the second one refuses the program."""
    for way, expected in bare.items():
        if refused(got.get(way)) and not refused(expected):
            return ""
        if way not in got:
            return f"{way}: not reached: {got}, not {expected}"
        if said := _difference(expected, got[way]):
            return f"{way}: {said}"
    return ""


def _difference(expected: Any, got: Any) -> str:
    if isinstance(expected, Failure) or isinstance(got, Failure):
        same = isinstance(expected, Failure) and isinstance(got, Failure) and expected == got
        return "" if same else f"{got}, not {expected}"
    if isinstance(expected, dict):
        if list(expected) != list(got):
            return f"names {list(got)}, not {list(expected)}"
        return next((f"{n}: {got[n]}, not {expected[n]}" for n in expected if got[n] != expected[n]), "")
    if jax.tree.structure(expected) != jax.tree.structure(got):
        return f"{jax.tree.structure(got)}, not {jax.tree.structure(expected)}"
    for (path, one), other in zip(jax.tree.leaves_with_path(expected), jax.tree.leaves(got), strict=True):
        if one.dtype != other.dtype or one.shape != other.shape or one.weak_type != other.weak_type:
            return f"{path}: {other.aval}, not {one.aval}"
        rough = one.dtype == jnp.bfloat16
        one, other = (np.asarray(v.astype("float32")) for v in (one, other))  # noqa: PLW2901
        near = {"rtol": 3e-2, "atol": 1e-2} if rough else {"rtol": 1e-4, "atol": 2e-5}
        if not np.allclose(one, other, equal_nan=True, **near):
            return f"{path}: {other}, not {one}"
    return ""
