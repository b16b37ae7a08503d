"""Discharge on random programs and random indices."""

from typing import Any

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from jax import lax

from jaxscope._core.passes.discharge import discharged
from tests.state.test_discharge import assert_same, refs_in

ROWS = jnp.asarray([[0.5, -1.0], [-0.3, 0.8], [1.5, 0.2]])
NAMES = "ab"


def _programs() -> Any:
    """Return a strategy for programs: lists of statements, which may hold programs."""
    name = st.sampled_from(NAMES)
    simple = st.one_of(
        st.tuples(st.just("read"), name),
        st.tuples(st.just("write"), name),
        st.tuples(st.just("mix"), name, name),
        st.tuples(st.just("part"), name),
    )

    def nested(statement: Any) -> Any:
        body = st.lists(statement, min_size=1, max_size=3)
        return st.one_of(
            *(st.tuples(st.just(kind), body) for kind in ("jit", "scan", "while", "checkpoint", "twice")),
            st.tuples(st.just("cond"), body, st.lists(statement, max_size=2)),
        )

    return st.lists(st.recursive(simple, nested, max_leaves=8), min_size=1, max_size=4)


def with_refs(program: Any, refs: Any, x: Any) -> Any:
    """Run a program whose state is in Refs; return its result."""
    for kind, *parts in program:
        body = [lambda x, part=part: with_refs(part, refs, x) for part in parts]
        match kind:
            case "read":
                x = jnp.tanh(x + refs[parts[0]][...])
            case "write":
                refs[parts[0]][...] = jnp.sin(x)
            case "mix":
                refs[parts[0]][...] = 0.5 * refs[parts[1]][...] + x
            case "part":
                refs[parts[0]][1:] += x[:1]
            case "jit":
                x = jax.jit(body[0])(x)
            case "twice":
                f = jax.jit(body[0])
                x = f(f(x))
            case "checkpoint":
                x = jax.checkpoint(body[0])(x)
            case "cond":
                x = lax.cond(x[0] > 0, body[0], body[1], x)
            case "scan":
                x = lax.scan(lambda x, _, f=body[0]: (f(x), None), x, None, length=2)[0]
            case "while":
                x = lax.while_loop(lambda c: c[0] < 2, lambda c, f=body[0]: (c[0] + 1, f(c[1])), (0, x))[1]
    return x


def by_hand(program: Any, state: Any, x: Any) -> Any:
    """Run the same program, which hands its state on; return both."""
    for kind, *parts in program:
        body = [lambda s, x, part=part: by_hand(part, s, x) for part in parts]
        match kind:
            case "read":
                x = jnp.tanh(x + state[parts[0]])
            case "write":
                state = {**state, parts[0]: jnp.sin(x)}
            case "mix":
                state = {**state, parts[0]: 0.5 * state[parts[1]] + x}
            case "part":
                state = {**state, parts[0]: state[parts[0]].at[1:].add(x[:1])}
            case "jit" | "checkpoint":
                state, x = body[0](state, x)
            case "twice":
                state, x = body[0](*body[0](state, x))
            case "cond":
                state, x = lax.cond(x[0] > 0, body[0], body[1], state, x)
            case "scan" | "while":
                for _ in range(2):
                    state, x = body[0](state, x)
    return state, x


def has_while(program: Any) -> bool:
    return any(
        kind == "while" or any(map(has_while, parts)) for kind, *parts in program if kind not in SIMPLE
    )


SIMPLE = {"read", "write", "mix", "part"}
OUTER = {
    "jvp": lambda f: jax.jvp(f, (ROWS[0],), (ROWS[1],)),
    "vmap": lambda f: jax.vmap(f)(ROWS),
    "vmap of jvp": lambda f: jax.vmap(lambda x, t: jax.jvp(f, (x,), (t,)))(ROWS, ROWS[::-1]),
    "scan": lambda f: lax.scan(lambda c, x: f(c + x)[::-1], ROWS[0], ROWS),
    "grad": lambda f: jax.jacrev(f)(ROWS[2]),
    "vmap of grad": lambda f: jax.vmap(jax.jacrev(f))(ROWS),
    "grad of checkpoint": lambda f: jax.jacrev(jax.checkpoint(f))(ROWS[0]),
}
FORWARD = ["jvp", "vmap", "vmap of jvp", "scan"]


@given(program=_programs(), data=st.data())
@settings(max_examples=25, deadline=None)
def test_programs(program: Any, data: Any):
    """Any nesting of transforms inside, under any outer one, is the program that hands its state on."""
    outer = OUTER[data.draw(st.sampled_from(FORWARD if has_while(program) else list(OUTER)))]

    def run(x: Any) -> Any:
        refs = {name: jax.new_ref(x * n) for n, name in enumerate(NAMES)}
        y = with_refs(program, refs, x)
        return {name: ref[...] for name, ref in refs.items()}, y

    def found(x: Any) -> Any:
        return discharged(run, x)

    def expected(x: Any) -> Any:
        return by_hand(program, {name: x * n for n, name in enumerate(NAMES)}, x)

    with jax.enable_checks(True):
        closed = jax.make_jaxpr(found)(ROWS[0])
    assert not refs_in(closed.jaxpr)
    assert not closed.effects
    one, other = jax.jit(lambda: (outer(found), outer(expected)))()
    # Each rounds in its own way, and what nearly cancels is as far off as its parts are.
    largest = max(
        float(jnp.where(jnp.isfinite(leaf), jnp.abs(leaf), 0).max()) for leaf in jax.tree.leaves(other)
    )
    assert_same(one, other, atol=1e-5 * max(1.0, largest))


SHAPE = (4, 3, 2)


def _indices() -> Any:
    """Return a strategy for indices of an array of this shape; what is in a list is traced."""

    def of(size: int, arrays: bool) -> Any:
        part = st.slices(size).filter(lambda part: part.step is None or part.step > 0)
        inside = st.integers(-size, size - 1)
        if arrays:  # among them, JAX moves no index inside
            several = st.lists(st.integers(0, size - 1), min_size=2, max_size=2, unique=True)
            return st.one_of(inside, part, several)
        return st.one_of(inside, part, st.integers(-size - 2, size + 2).map(lambda index: [index]))

    def tuples(arrays: bool) -> Any:
        axes = [of(size, arrays) for size in SHAPE]
        return st.integers(0, len(SHAPE)).flatmap(lambda count: st.tuples(*axes[:count]))

    return st.booleans().flatmap(tuples)


def _inside(index: Any, size: int) -> Any:
    """Return what NumPy is to be given for an index: a traced one that is out of bounds is moved inside."""
    if not (isinstance(index, list) and len(index) == 1):
        return index
    (at,) = index
    return min(max(at + size if at < 0 else at, 0), size - 1)


@pytest.mark.parametrize("operation", ["get", "set", "swap", "addupdate"])
@given(indices=_indices())
@settings(max_examples=30, deadline=None)
def test_indices(operation: str, indices: Any):
    """A part of a Ref is read and written as NumPy reads and writes it."""
    traced = [jnp.asarray(i[0] if len(i) == 1 else i) for i in indices if isinstance(i, list)]
    expected = np.arange(24.0, dtype="float32").reshape(SHAPE)
    at = tuple(map(_inside, indices, SHAPE))
    old = expected[at].copy()
    new = np.arange(100.0, 100.0 + old.size, dtype="float32").reshape(old.shape)

    def function(x: Any, traced: Any) -> Any:
        ref = jax.new_ref(x)

        @jax.jit
        def inner() -> Any:
            moving = iter(traced)
            at = tuple(next(moving) if isinstance(i, list) else i for i in indices)
            return getattr(jax.ref, operation)(ref, at, *([] if operation == "get" else [new]))

        return inner(), ref[...]

    found, after = jax.jit(lambda *args: discharged(function, *args))(expected, traced)
    if operation != "get":
        expected[at] = old + new if operation == "addupdate" else new
    if operation in {"get", "swap"}:
        np.testing.assert_array_equal(found, old)
    np.testing.assert_array_equal(after, expected)
