"""Discharge at its edges: what goes in and comes out, Refs from outside, effects, rules, refusals."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.experimental import io_callback
from jax.extend import source_info_util
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jaxscope._core.passes.discharge import discharged
from tests.state.test_discharge import assert_same, refs_in

X = jnp.asarray([0.5, -1.0, 2.0])


def equations(jaxpr: Any) -> list[Any]:
    """Return the equations of a jaxpr and of those inside it."""
    found = list(jaxpr.eqns)
    for param in jax.tree.leaves([eqn.params for eqn in jaxpr.eqns]):
        inner = getattr(param, "jaxpr", param)
        found += equations(inner) if hasattr(inner, "eqns") else []
    return found


# --- what goes in and comes out ------------------------------------------------------------------


def test_arguments_and_results_that_are_no_arrays():
    """Arrays go in as tracers and come out as values; all else is the very object."""
    array, thing = np.ones(3), object()

    def function(x: Any, static: Any) -> Any:
        assert isinstance(x["x"], jax.core.Tracer)
        assert static == ("name", None, 3, [thing])
        assert static[3][0] is thing
        return {"ref": jax.new_ref(x["x"])[...], "rest": (array, *static, len, X)}

    found = discharged(function, {"x": X}, ("name", None, 3, [thing]))
    assert_same(found["ref"], X)
    assert found["rest"][0] is array
    assert found["rest"][1:4] == ("name", None, 3)
    assert found["rest"][-2] is len
    assert found["rest"][-1] is X


def test_values_of_the_trace_around():
    """What a function closes over may be traced; what it returns untouched comes back as the same tracer."""

    @jax.jit
    def around(x: Any) -> Any:
        @functools.partial(jax.vmap, axis_name="rows")
        def row(y: Any) -> Any:
            found, untouched = discharged(lambda: (jax.jit(lambda: jax.new_ref(x)[...] * y)(), y))
            assert untouched is y
            return found

        return row(x)

    assert_same(around(X), jnp.outer(X, X))


@pytest.mark.parametrize("weak", [True, False])
def test_constants(weak: bool):
    """A state that is a number of the program comes out as an array of its dtype."""

    def function() -> Any:
        ref = jax.new_ref(1.0 if weak else jnp.float32(1))
        first = ref[...]
        jax.jit(lambda: ref.__setitem__(..., 2.0))()
        return first, ref[...]

    for found in (discharged(function), jax.jit(lambda: discharged(function))()):
        assert_same(found, (jnp.float32(1), jnp.float32(2)))
        assert isinstance(found[0], jax.Array)


def test_weak_types():
    """A state that starts from a weakly typed number is well-typed in each loop and branch."""

    def function(w: Any) -> Any:
        ref = jax.new_ref(0.0)

        @jax.jit
        def step(x: Any) -> Any:
            ref[...] = ref[...] * w + x
            return x

        lax.scan(lambda c, _: (step(c), None), w, None, length=3)
        lax.cond(w > 0, lambda: step(w), lambda: w)
        lax.while_loop(lambda n: n < 2, lambda n: (step(w), n + 1)[1], 0)
        return ref[...]

    w = jnp.asarray(2.0)
    with jax.enable_checks(True):
        found, slope = jax.jit(jax.jvp, static_argnums=0)(
            lambda w: discharged(function, w), (w,), (jnp.ones_like(w),)
        )
        rows = jax.vmap(lambda w: discharged(function, w))(jnp.stack([w, -w]))
    expected = sum(2.0**n for n in range(1, 7))
    assert float(found) == expected
    assert float(slope) == sum(n * 2.0 ** (n - 1) for n in range(1, 7))
    assert rows.tolist() == [expected, sum((-2.0) ** n for n in range(1, 6))]


def test_random_keys():
    """A Ref may hold a random key."""

    def function(key: Any) -> Any:
        ref = jax.new_ref(key)

        @jax.jit
        def draw() -> Any:
            ref[...], key = jax.random.split(ref[...])
            return jax.random.normal(key)

        return lax.scan(lambda _, __: (None, draw()), None, None, length=2)[1]

    def by_hand(key: Any) -> Any:
        found = []
        for _ in range(2):
            key, one = jax.random.split(key)
            found.append(jax.random.normal(one))
        return jnp.stack(found)

    keys = jax.random.split(jax.random.key(0), 2)
    assert_same(jax.vmap(lambda key: discharged(function, key))(keys), jax.vmap(by_hand)(keys))


def test_a_result_that_is_a_ref():
    """JAX refuses to return a Ref, as it does under jit."""
    with pytest.raises(ValueError, match="mutable array"):
        discharged(lambda: jax.new_ref(X))


# --- what an equation keeps ----------------------------------------------------------------------


def test_what_jit_was_told():
    """An inner jit keeps its name, its sharding, what it donates, and its place in scopes and lines."""
    sharding = NamedSharding(jax.make_mesh((1,), ("i",), axis_types=(AxisType.Auto,)), PartitionSpec())

    def function(x: Any) -> Any:
        ref = jax.new_ref(x)

        @functools.partial(
            jax.jit, donate_argnums=0, keep_unused=True, in_shardings=sharding, out_shardings=sharding
        )
        def layer(x: Any) -> Any:
            ref[...] += x
            return x * 2

        with jax.named_scope("outer"):
            return layer(x), ref[...]

    (before,) = (e for e in jax.make_jaxpr(function)(X).eqns if e.primitive.name == "jit")
    closed = jax.make_jaxpr(lambda x: discharged(function, x))(X)
    (after,) = (e for e in closed.eqns if e.primitive.name == "jit")
    lists = {"out_shardings": 1, "out_layouts": 1}  # one more result
    for name, value in before.params.items():
        kept = after.params[name][: -lists[name]] if name in lists else after.params[name]
        assert name == "jaxpr" or kept == value
    assert after.params["name"] == "layer"
    assert str(after.source_info.name_stack) == "outer"
    one, other = (source_info_util.summarize(eqn.source_info) for eqn in (before, after))
    assert "test_discharge_edges.py:" in one
    assert one == other
    assert_same(jax.jit(lambda x: discharged(function, x))(X), (2 * X, 2 * X))


def test_a_function_called_twice_is_compiled_once():
    """Two calls of one jitted function share one jaxpr, as they did."""

    def function(x: Any) -> Any:
        ref = jax.new_ref(x)
        step = jax.jit(lambda x: (ref.__setitem__(..., ref[...] + x), x)[1])
        return step(step(x)), ref[...]

    closed = jax.make_jaxpr(lambda x: discharged(function, x))(X)
    one, other = (e.params["jaxpr"] for e in closed.eqns if e.primitive.name == "jit")
    assert one is other


def test_what_touches_no_ref_is_left_alone():
    """Equations without Refs are the same objects' parameters, to any depth."""
    plain = jax.jit(lambda x: lax.scan(lambda c, _: (jnp.sin(c), None), x, None, length=2)[0])

    def function(x: Any) -> Any:
        ref = jax.new_ref(x)
        return plain(ref[...])

    (before,) = (e for e in jax.make_jaxpr(function)(X).eqns if e.primitive.name == "jit")
    (after,) = jax.make_jaxpr(lambda x: discharged(function, x))(X).eqns
    assert before.params["jaxpr"] is after.params["jaxpr"]


# --- Refs from outside, and other effects ----------------------------------------------------------


def mixed(outside: Any, x: Any) -> Any:
    """Use a Ref from outside beside one of its own, in each kind of inner trace."""
    own = jax.new_ref(x)

    @jax.jit
    def step(x: Any) -> Any:
        outside[...] = outside[...] * 2 + x
        own[...] = own[...] + outside[...]
        return x

    def body(c: Any, i: Any) -> Any:
        own[...] = own[...] + i
        outside[...] = outside[...] - own[...]
        return step(c), own[...]

    y, ys = lax.scan(body, step(x), jnp.arange(3.0))
    lax.cond(y[0] > 0, lambda: outside.__setitem__(0, 7.0), lambda: own.__setitem__(..., x))
    lax.while_loop(
        lambda n: n < 2, lambda n: (outside.__setitem__(1, own[0]), own.__setitem__(2, 9.0), n + 1)[-1], 0
    )
    jax.checkpoint(lambda: outside.__setitem__(2, own[1]))()
    return y, ys, own[...]


def test_a_ref_from_outside():
    """A Ref that the function did not make is written and read as it would be, argument or not."""

    def run(call: Any) -> Any:
        outside = jax.new_ref(jnp.ones(3))
        return call(outside), outside[...]

    expected = run(lambda ref: jax.jit(mixed)(ref, X))
    assert_same(run(lambda ref: discharged(mixed, ref, X)), expected)
    assert_same(run(lambda ref: discharged(lambda x: mixed(ref, x), X)), expected)
    assert_same(run(lambda ref: jax.jit(lambda x: discharged(mixed, ref, x))(X)), expected)
    assert_same(run(lambda ref: jax.jit(lambda ref: discharged(mixed, ref, X))(ref)), expected)


def test_only_the_ref_from_outside_is_left():
    """The jaxpr around has the effects on the Ref from outside, and no other Ref."""
    outside = jax.new_ref(jnp.ones(3))
    with jax.enable_checks(True):
        closed = jax.make_jaxpr(lambda x: discharged(mixed, outside, x))(X)
    plain = jax.make_jaxpr(lambda x: outside.__setitem__(..., outside[...] + x))(X)
    assert refs_in(closed.jaxpr)
    assert len(closed.effects) == len(plain.effects) == 2
    made = {"new_ref", "freeze"}
    assert not made & {eqn.primitive.name for eqn in equations(closed.jaxpr)}


def test_freezing():
    """A frozen Ref is its value, be it the function's own or one from outside."""

    @jax.jit
    def around(x: Any) -> Any:
        outside = jax.new_ref(x)

        def function() -> Any:
            own = jax.new_ref(x)
            jax.jit(lambda: own.__setitem__(..., own[...] * 3))()
            return jax.freeze(own) + jax.freeze(outside)

        return discharged(function)

    assert_same(around(X), 4 * X)


@pytest.mark.skipif(not hasattr(jax.ref, "empty_ref"), reason="not in JAX 0.8")
def test_empty_and_freed_refs():
    """A Ref that is made empty holds what is written first; one may be freed."""

    def function(x: Any) -> Any:
        ref = jax.ref.empty_ref(jax.typeof(x))
        jax.jit(lambda: ref.__setitem__(..., x))()
        jax.ref.free_ref(jax.new_ref(x))
        return jax.freeze(ref)

    closed = jax.make_jaxpr(lambda x: discharged(function, x))(X)
    assert not refs_in(closed.jaxpr)
    assert_same(discharged(function, X), X)


@pytest.mark.parametrize("mode", [lambda f: f, jax.jit])
def test_effects_keep_their_order(mode: Any):
    """Ordered effects happen once, in order, and see the state as it was then."""
    log: list[tuple[str, float]] = []

    def see(name: str, x: Any) -> None:
        io_callback(lambda x: log.append((name, float(x))), None, x, ordered=True)

    def function(x: Any) -> Any:
        ref = jax.new_ref(x)

        @jax.jit
        def step(c: Any, i: Any) -> Any:
            see("before", ref[...])
            ref[...] = ref[...] * 2
            see("after", ref[...])
            return c, i

        lax.scan(step, None, jnp.arange(2))
        jax.debug.callback(lambda x: log.append(("end", float(x))), ref[...], ordered=True)
        return ref[...]

    mode(lambda x: discharged(function, x))(jnp.float32(1)).block_until_ready()
    jax.effects_barrier()
    assert log == [("before", 1), ("after", 2), ("before", 2), ("after", 4), ("end", 4)]


# --- other transforms around, and meshes -----------------------------------------------------------


def summed(x: Any) -> Any:
    total = jax.new_ref(jnp.zeros_like(x))

    @jax.jit
    def add(x: Any) -> Any:
        total[...] += x
        return lax.psum(x, "i")

    lax.scan(lambda c, _: (c, add(x)), None, None, length=2)
    y = add(x)
    return total[...], y


def test_named_axes():
    """Collectives inside see the axis of the vmap around."""
    found = jax.vmap(lambda x: discharged(summed, x), axis_name="i")(X)
    assert_same(found, (3 * X, jnp.full(3, X.sum())))


def test_shard_map():
    """It may stand in a shard_map."""
    mesh = jax.make_mesh((1,), ("i",), axis_types=(AxisType.Auto,))
    spec = PartitionSpec("i")
    sharded = jax.shard_map(
        lambda x: discharged(summed, x), mesh=mesh, in_specs=spec, out_specs=(spec, PartitionSpec())
    )
    assert_same(jax.jit(sharded)(X), (3 * X, X))
    assert_same(jax.jit(jax.grad(lambda x: sharded(x)[0].sum()))(X), jnp.full(3, 3.0))


def test_explicit_sharding():
    """A value keeps its sharding, where shardings are types."""
    mesh = jax.make_mesh((1,), ("i",), axis_types=(AxisType.Explicit,))
    with jax.set_mesh(mesh):
        x = jax.device_put(X, NamedSharding(mesh, PartitionSpec("i")))

        def function(x: Any) -> Any:
            ref = jax.new_ref(x)
            lax.scan(
                lambda _, __: (jax.jit(lambda: ref.__setitem__(..., 2 * ref[...]))(), None), None, None, 2
            )
            return ref[...]

        found = jax.jit(lambda x: discharged(function, x))(x)
        assert jax.typeof(found) == jax.typeof(x)
        assert_same(np.asarray(found), np.asarray(4 * X))


def test_errors_of_the_function():
    """What the function raises comes out, and the next call is not disturbed."""

    class MyError(BaseException):
        pass

    def function(x: Any, fail: bool) -> Any:
        ref = jax.new_ref(x)

        def step() -> None:
            if fail:
                raise MyError
            ref[...] += 1

        jax.jit(step)()
        return ref[...]

    with pytest.raises(MyError):
        discharged(function, X, True)
    assert_same(discharged(function, X, False), X + 1)
