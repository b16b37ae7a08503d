"""Discharge of functions with derivative rules of their own, and what it refuses."""

from typing import Any

import jax
import jax.numpy as jnp
import pytest
from jax import lax
from jax.experimental import io_callback
from jax.sharding import AxisType, PartitionSpec

from jaxscope._core.passes.discharge import discharged
from jaxscope.errors import StateError
from tests.state.test_discharge import assert_same

X = jnp.asarray([0.5, -1.0, 2.0])


# --- custom rules ----------------------------------------------------------------------------------


def _jvp(f: Any) -> Any:
    ruled = jax.custom_jvp(f)
    ruled.defjvp(lambda p, t: (5 * p[0], 7 * t[0]))
    return ruled


def _vjp(f: Any) -> Any:
    ruled = jax.custom_vjp(f)
    ruled.defvjp(lambda x: (5 * x, None), lambda _, ct: (7 * ct,))
    return ruled


@pytest.mark.parametrize("rule", [_jvp, _vjp])
@pytest.mark.parametrize("mode", [lambda f: f, jax.jit])
def test_custom_rules(rule: Any, mode: Any):
    """A function with a rule of its own may write; the rule is its derivative; what it writes has none."""
    calls: list[int] = []

    def function(x: Any, w: Any) -> Any:
        mean, count = jax.new_ref(jnp.zeros(3)), jax.new_ref(0)

        def step(x: Any) -> Any:
            jax.debug.callback(lambda: calls.append(1))
            mean[...] = 0.5 * mean[...] + x
            count[...] += 1
            return 5 * x

        jax.jit(
            lambda: mean.__setitem__(..., w * mean[...] + w)
        )()  # what is carried in is differentiated, too
        y = rule(step)(x)
        y = y + jax.jit(rule(step))(x)
        return y, mean[...], count[...]

    w = jnp.full(3, 2.0)
    y, mean, count = mode(lambda x: discharged(function, x, w))(X)
    jax.effects_barrier()
    assert_same((y, mean, count), (10 * X, 0.25 * w + 1.5 * X, jnp.int32(2)))
    assert len(calls) == 2
    gradient = mode(jax.grad(lambda x, w: sum(o.sum() for o in discharged(function, x, w)[:2]), (0, 1)))
    assert_same(gradient(X, w), (jnp.full(3, 14.0), jnp.zeros(3)))
    rows = mode(jax.vmap(lambda x: discharged(function, x, w)))(jnp.stack([X, -X]))
    assert_same(rows[1][1], 0.25 * w - 1.5 * X)


@pytest.mark.parametrize("rule", [_jvp, _vjp])
def test_custom_rules_that_read(rule: Any):
    """A function with a rule of its own that only reads stays one equation."""

    def function(x: Any) -> Any:
        ref = jax.new_ref(jnp.ones(3))
        jax.jit(lambda: ref.__setitem__(..., 2 * ref[...]))()
        return rule(lambda x: x * ref[...])(x)

    names = [e.primitive.name for e in jax.make_jaxpr(lambda x: discharged(function, x))(X).eqns]
    assert [name for name in names if name.startswith("custom")] == [names[-1]]
    assert_same(discharged(function, X), 2 * X)
    assert_same(jax.grad(lambda x: discharged(function, x).sum())(X), jnp.full(3, 7.0))


@pytest.mark.skipif(jax.__version_info__ >= (0, 9), reason="newer JAX refuses it itself")
def test_shard_map_inside():
    """A Ref may be written under a shard_map, where it is whole on each device."""
    mesh = jax.make_mesh((1,), ("i",), axis_types=(AxisType.Auto,))

    def function(x: Any) -> Any:
        ref = jax.new_ref(jnp.ones(3))

        def step(x: Any) -> Any:
            ref[...] = 2 * ref[...] + x
            return 5 * x

        sharded = jax.shard_map(step, mesh=mesh, in_specs=PartitionSpec(), out_specs=PartitionSpec())
        return sharded(sharded(x)), ref[...]

    assert_same(discharged(function, X), (25 * X, 2 * (2 + X) + 5 * X))
    assert_same(jax.grad(lambda x: discharged(function, x)[1].sum())(X), jnp.full(3, 7.0))


# --- what is refused -------------------------------------------------------------------------------


def solves(x: Any) -> Any:
    ref = jax.new_ref(2 * jnp.eye(3))
    return lax.custom_linear_solve(lambda v: ref[...] @ v, x, lambda _, b: b / 2)


def counts(x: Any) -> Any:
    ref = jax.new_ref(0)

    def test(c: Any) -> Any:
        ref[...] += 1
        return c < ref[...]

    return lax.while_loop(test, lambda c: c + 1, 0)


def twice(x: Any) -> Any:
    ref = jax.new_ref(x)

    def step(x: Any) -> Any:
        ref[...] = io_callback(lambda x: x, jax.ShapeDtypeStruct((3,), "float32"), x)
        return x

    return _jvp(step)(x)


def views(x: Any) -> Any:
    ref = jax.new_ref(jnp.ones((2, 2)))
    return jax.jit(lambda: ref.bitcast(jnp.int32)[...])()


@pytest.mark.parametrize(
    ("function", "name", "why"),
    [
        (views, "get", "through a view that is no index"),
        (solves, "custom_linear_solve", "its value cannot go in or come out there"),
        (counts, "while", "the test of a loop cannot set one"),
        (twice, "custom_jvp_call", "what else happens there would happen twice"),
    ],
)
def test_refusals(function: Any, name: str, why: str):
    """What cannot be passed as a value is an error that says where, why, and what to write."""
    with pytest.raises(StateError) as caught:
        discharged(function, X)
    error = caught.value
    assert error.summary == f"a variable that is set inside JAX's transforms is used in {name!r}, and {why}"
    assert error.code == "write_in_transform"
    assert "test_discharge_rules.py:" in str(error)
    assert error.fix == (
        f"read the variable outside of {name!r}, and pass the value in;\n"
        "return the new value, and set the variable outside"
    )
