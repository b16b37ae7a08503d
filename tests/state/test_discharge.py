"""Discharge: a call that keeps its state in Refs is the hand-written one that takes and returns its state."""

import functools
import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxscope._core.passes.discharge import discharged

W = jnp.asarray([0.5, -1.0, 2.0])
X = jnp.asarray(
    [[1.0, 2.0, 3.0], [-4.0, 0.5, -1.0], [0.1, 0.2, -0.1], [-1.0, -2.0, 5.0]]
)  # sums of both signs
START = {"m": jnp.asarray([0.1, 0.2, 0.3]), "n": jnp.int32(0)}

# What the inner code reads, what it writes, and how: (state, w, x) -> (what it writes, result).
Step = tuple[str, Callable[[Any, Any, Any], tuple[dict[str, Any], Any]]]
STEPS: dict[str, Step] = {
    "reads": ("m", lambda s, w, x: ({}, jnp.tanh(x * w + s["m"]))),
    "overwrites": ("", lambda s, w, x: ({"m": x}, jnp.tanh(x * w))),
    "overwrites with what is differentiated": ("", lambda s, w, x: ({"m": jnp.sin(w) * x}, x * w)),
    "writes a constant": ("", lambda s, w, x: ({"m": jnp.ones(3)}, x * w)),
    "counts": ("n", lambda s, w, x: ({"n": s["n"] + 1}, x * w / (s["n"].astype("float32") + 1))),
    "averages": ("m", lambda s, w, x: ({"m": 0.9 * s["m"] + 0.1 * x}, jnp.tanh(x * w - s["m"]))),
    "does all": (
        "mn",
        lambda s, w, x: (
            {"m": 0.9 * s["m"] + 0.1 * jnp.sin(w * x), "n": s["n"] + 1},
            jnp.tanh(x * w + s["m"] / (s["n"].astype("float32") + 1)),
        ),
    ),
}


def _steps(n: int, loop: Callable[..., Any]) -> tuple[Any, Any]:
    """Return a loop over a step, with Refs and by hand; `loop` has the form of `lax.fori_loop`."""
    return (
        lambda f: lambda x: loop(0, n, lambda _, x: f(x), x),
        lambda f: lambda s, x: loop(0, n, lambda _, c: f(*c), (s, x)),
    )


def _while(start: Any, stop: Any, step: Any, x: Any) -> Any:
    return lax.while_loop(lambda c: c[0] < stop, lambda c: (c[0] + 1, step(c[0], c[1])), (start, x))[1]


def _scan(start: Any, stop: Any, step: Any, x: Any) -> Any:
    return lax.scan(lambda c, i: (step(i, c), None), x, jnp.arange(start, stop))[0]


def _both(around: Callable[..., Any]) -> tuple[Any, Any]:
    """Return a transform that takes a function of any arguments, with Refs and by hand."""
    return around, around


def _twice(f: Any) -> Any:
    return lambda *x: f(*y) if isinstance(y := f(*x), tuple) else f(y)


def _map(f: Any) -> Any:
    return lambda x: lax.map(f, jnp.stack([x, -x])).sum(0)


def _map_by_hand(f: Any) -> Any:
    def mapped(s: Any, x: Any) -> Any:
        s, ys = lax.scan(f, s, jnp.stack([x, -x]))
        return s, ys.sum(0)

    return mapped


#: Transforms inside the function: around a step with Refs, `x -> x`; and by hand, `state, x -> state, x`.
INNER: dict[str, tuple[Any, Any]] = {
    "none": _both(lambda f: f),
    "jit": _both(jax.jit),
    "jit in jit": _both(lambda f: jax.jit(jax.jit(f))),
    "jit twice": _both(lambda f: _twice(jax.jit(f))),
    "scan": _steps(3, _scan),
    "fori_loop": _steps(3, lax.fori_loop),
    "while": _steps(3, _while),
    "map": (_map, _map_by_hand),
    "cond": (
        lambda f: lambda x: lax.cond(x.sum() > 0, f, lambda x: 2 * x, x),
        lambda f: lambda s, x: lax.cond(x.sum() > 0, f, lambda s, x: (s, 2 * x), s, x),
    ),
    "switch": (
        lambda f: lambda x: lax.switch(x.sum().astype("int32"), [lambda x: -x, f, lambda x: f(f(x))], x),
        lambda f: (
            lambda s, x: lax.switch(
                x.sum().astype("int32"), [lambda s, x: (s, -x), f, lambda s, x: f(*f(s, x))], s, x
            )
        ),
    ),
    "checkpoint": _both(jax.checkpoint),
    "checkpoint with a policy": _both(
        functools.partial(jax.checkpoint, policy=jax.checkpoint_policies.dots_saveable, prevent_cse=False)
    ),
}


def _chain(*names: str) -> tuple[Any, Any]:
    def around(version: int) -> Any:
        return lambda f: functools.reduce(lambda f, name: INNER[name][version](f), reversed(names), f)

    return around(0), around(1)


INNER |= {
    " of ".join(names): _chain(*names)
    for names in [
        ("scan", "cond"),
        ("scan", "while"),
        ("checkpoint", "scan"),
        ("scan", "checkpoint"),
        ("jit", "cond", "scan", "jit"),
        ("scan", "scan"),
        ("cond", "switch"),
    ]
}


def with_refs(inner: str, step: str) -> Callable[[Any, Any], Any]:
    """Return `w, x -> (result, state)`, whose state is in Refs inside."""
    reads, body = STEPS[step]

    def function(w: Any, x: Any) -> Any:
        refs = {name: jax.new_ref(value) for name, value in START.items()}

        def once(x: Any) -> Any:
            written, y = body({name: refs[name][...] for name in reads}, w, x)
            for name, value in written.items():
                refs[name][...] = value
            return y

        y = INNER[inner][0](once)(x)
        return y, {name: ref[...] for name, ref in refs.items()}

    return function


def by_hand(inner: str, step: str) -> Callable[[Any, Any], Any]:
    """Return the same function, which hands its state on."""
    _, body = STEPS[step]

    def function(w: Any, x: Any) -> Any:
        def once(state: Any, x: Any) -> Any:
            written, y = body(state, w, x)
            return {**state, **written}, y

        state, y = INNER[inner][1](once)(START, x)
        return y, state

    return function


def loss(f: Any) -> Callable[[Any, Any], Any]:
    """Return a loss that depends on the state, too."""

    def lost(w: Any, x: Any) -> Any:
        y, state = f(w, x)
        return jnp.sin(y).sum() + (state["m"] ** 2).sum(), state

    return lost


def value(f: Any) -> Callable[[Any, Any], Any]:
    return lambda w, x: loss(f)(w, x)[0]


def floats(f: Any) -> Callable[[Any, Any], Any]:
    def results(w: Any, x: Any) -> Any:
        y, state = f(w, x)
        return y, state["m"]

    return results


#: What is around the function, as a user would have it.
OUTER: dict[str, Callable[[Any], Any]] = {
    "nothing": lambda f: f(W, X[0]),
    "jit": lambda f: jax.jit(f)(W, X[0]),
    "grad": lambda f: jax.grad(value(f), (0, 1))(W, X[0]),
    "value_and_grad with aux": lambda f: jax.value_and_grad(loss(f), has_aux=True)(W, X[0]),
    "grad of jit": lambda f: jax.grad(jax.jit(value(f)))(W, X[0]),
    "jvp": lambda f: jax.jvp(floats(f), (W, X[0]), (X[2], X[1])),
    "linearize": lambda f: jax.linearize(floats(f), W, X[0])[1](X[1], X[2]),
    "jacfwd": lambda f: jax.jacfwd(floats(f))(W, X[0]),
    "vmap": lambda f: jax.vmap(f, (None, 0))(W, X),
    "vmap of the other": lambda f: jax.vmap(f, (0, None))(X, X[0]),
    "vmap of both": lambda f: jax.vmap(f)(X, X[::-1]),
    "vmap of grad": lambda f: jax.vmap(jax.grad(value(f)), (None, 0))(W, X),
    "grad of vmap": lambda f: jax.grad(lambda w, x: jax.vmap(value(f), (None, 0))(w, x).sum())(W, X),
    "scan": lambda f: lax.scan(f, W, X),
    "grad of scan": lambda f: jax.grad(lambda w: lax.scan(f, w, X)[0].sum())(W),
    "grad of checkpoint": lambda f: jax.grad(jax.checkpoint(value(f)))(W, X[0]),
    "cond under vmap": lambda f: jax.vmap(lambda x: lax.cond(x[0] > 0, lambda: f(W, x), lambda: f(x, W)))(X),
    "hessian": lambda f: jax.hessian(value(f))(W, X[0]),
}
# Slow to compile, and made of the others.
SLOW = {"hessian", "jacfwd", "linearize", "cond under vmap", "vmap of grad"}
SLOW |= {name for name in OUTER if name.startswith("grad of")}
REVERSE = {name for name in OUTER if "grad" in name or name == "hessian"}


def assert_same(found: Any, expected: Any, atol: float = 1e-6) -> None:
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=atol)


def of(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda w, x: discharged(function, w, x)


def refs_in(jaxpr: Any) -> list[Any]:
    """Return the variables of a jaxpr, and of those inside it, that are Refs."""
    atoms = [*jaxpr.invars, *jaxpr.constvars, *(a for e in jaxpr.eqns for a in (*e.invars, *e.outvars))]
    found = [atom for atom in atoms if isinstance(atom.aval, jax.ref.AbstractRef)]
    for param in jax.tree.leaves([eqn.params for eqn in jaxpr.eqns]):
        inner = getattr(param, "jaxpr", param)
        found += refs_in(inner) if hasattr(inner, "eqns") else []
    return found


def pairs(step: str, inner: Any = INNER) -> dict[str, tuple[Any, Any]]:
    return {name: (of(with_refs(name, step)), by_hand(name, step)) for name in inner}


def assert_all_same(outer: str, step: str, inner: list[str]) -> None:
    """Compare, in one program, each inner transform's function with the one that is written by hand."""

    @jax.jit
    def program() -> Any:
        return {
            name: [OUTER[outer](f) for f in (of(with_refs(name, step)), by_hand(name, step))]
            for name in inner
        }

    for name, (found, expected) in program().items():
        try:
            assert_same(found, expected)
        except AssertionError as problem:
            problem.add_note(name)
            raise


def inner_for(outer: str) -> list[str]:
    """Return the inner transforms to test under an outer one, which may have no derivative of some."""
    if outer in SLOW:
        return ["jit", "map", "switch", "checkpoint with a policy", "jit of cond of scan of jit"]
    return [name for name in INNER if not ("while" in name and outer in REVERSE)]


@pytest.mark.parametrize("outer", OUTER)
def test_outer(outer: str):
    """Under each outer transform, and for each inner one, the result is that of the hand-written function."""
    assert_all_same(outer, "does all", inner_for(outer))


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("outer", ["value_and_grad with aux", "vmap"])
def test_steps(outer: str, step: str):
    """Whatever the inner code reads and writes, the result is that of the hand-written function."""
    inner = ["jit", "scan", "map", "cond", "checkpoint", "jit of cond of scan of jit"]
    assert_all_same(outer, step, inner)


@pytest.mark.parametrize("inner", ["jit twice", "scan", "cond", "checkpoint", "scan of cond"])
@pytest.mark.parametrize("outer", ["nothing", "value_and_grad with aux", "vmap"])
def test_eager(outer: str, inner: str):
    """The same holds where no jit is around."""
    found, expected = of(with_refs(inner, "does all")), by_hand(inner, "does all")
    assert_same(OUTER[outer](found), OUTER[outer](expected))


@pytest.mark.parametrize("inner", INNER)
def test_no_ref_is_left(inner: str):
    """What results holds no Ref, at any depth, and is a well-formed jaxpr."""
    function = with_refs(inner, "does all")
    assert refs_in(jax.make_jaxpr(function)(W, X[0]).jaxpr)
    with jax.enable_checks(True), jax.checking_leaks():
        closed = jax.make_jaxpr(of(function))(W, X[0])
    assert not refs_in(closed.jaxpr)
    assert not closed.effects


# --- the jaxpr is the one that is written by hand ------------------------------------------------


def text(function: Any) -> str:
    return str(jax.make_jaxpr(function)(X[0], X[1]))


def around_a_write(around: Any) -> Any:
    """Return a function of a state and an input, in which a transform is around a read and a write."""

    def function(m: Any, x: Any) -> Any:
        ref = jax.new_ref(m)

        def step(x: Any) -> Any:
            new = 2 * ref[...] + x
            ref[...] = new
            return x * new

        return around(step)(x), ref[...]

    return lambda m, x: discharged(function, m, x)


def step(m: Any, x: Any) -> Any:
    """What `around_a_write` does, by hand."""
    new = 2 * m + x
    return x * new, new


def turned(c: Any) -> Any:
    y, m = step(*c[::-1])
    return y, m


def inlines_writes() -> bool:
    """JAX 0.12 leaves a `jax.jit` where it is that uses a Ref, though it is told to write it inline."""
    write = jax.jit(lambda ref, x: ref.set(x), inline=True)
    return "jit" not in str(jax.make_jaxpr(lambda x: write(jax.new_ref(x), x))(X[0]))


POLICY = jax.checkpoint_policies.dots_saveable
EXACT = {
    "none": (lambda f: f, step),
    "jit": (jax.jit, jax.jit(step)),
    "inline": (functools.partial(jax.jit, inline=True), step if inlines_writes() else jax.jit(step)),
    "checkpoint": (
        functools.partial(jax.checkpoint, policy=POLICY, prevent_cse=False),
        jax.checkpoint(step, policy=POLICY, prevent_cse=False),
    ),
    "cond": (
        lambda f: lambda x: lax.cond(x[0] > 0, f, lambda x: x, x),
        lambda m, x: lax.cond(x[0] > 0, step, lambda m, x: (x, m), m, x),
    ),
    "switch": (
        lambda f: lambda x: lax.switch(1, [lambda x: x, f], x),
        lambda m, x: lax.switch(1, [lambda m, x: (x, m), step], m, x),
    ),
    "scan": (
        lambda f: lambda x: lax.scan(lambda c, _: (f(c), None), x, None, length=3, reverse=True, unroll=2)[0],
        lambda m, x: lax.scan(lambda c, _: (turned(c), None), (x, m), None, length=3, reverse=True, unroll=2)[
            0
        ],
    ),
    "while": (
        lambda f: lambda x: lax.while_loop(lambda x: x[0] < 3, f, x),
        lambda m, x: lax.while_loop(lambda c: c[0][0] < 3, turned, (x, m)),
    ),
}


@pytest.mark.parametrize("name", EXACT)
def test_jaxpr_of_a_write(name: str):
    """The jaxpr is, to the letter, that of the function that is written by hand."""
    around, expected = EXACT[name]
    assert text(around_a_write(around)) == text(expected)


def test_jaxpr_of_a_read():
    """A Ref that is only read is a constant of its loop, no carry; one that nobody reads is nowhere."""

    def with_refs(m: Any, x: Any) -> Any:
        read, unread = jax.new_ref(m), jax.new_ref(m)
        y = lax.scan(lambda c, _: (c * read[...], None), x, None, length=3)[0]
        y = lax.while_loop(lambda c: c[0] < read[0], lambda c: c + read[...], y)
        unread[...] = y
        return lax.cond(y[0] > 0, lambda: read[...], lambda: y)

    def by_hand(m: Any, x: Any) -> Any:
        y = lax.scan(lambda c, _: (c * m, None), x, None, length=3)[0]
        y = lax.while_loop(lambda c: c[0] < m[0], lambda c: c + m, y)
        return lax.cond(y[0] > 0, lambda: m, lambda: y)

    found = text(lambda m, x: discharged(with_refs, m, x))
    # A Ref's part is cut out with another operation than an array's.
    assert found.count("dynamic_slice") == 1
    for word in ("body_nconsts=1", "cond_nconsts=1"):
        assert found.count(word) == text(by_hand).count(word) == 1
    # What a scan carries is told in the jaxpr in other words from release to release.
    scans = [
        re.search(r"scan\[(.*?)jaxpr=.*?(length=.*?)\]", one, re.DOTALL) for one in (found, text(by_hand))
    ]
    assert scans[0]
    assert scans[1]
    assert scans[0].groups() == scans[1].groups()
