"""Variables are inputs of the program, and nothing of them is kept: constants, arrays, growing caches."""

import gc
import os
import tracemalloc
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxscope as js
from jaxscope import testing
from jaxscope._core.passes.learned import Memories
from tests.transforms import cases, wrappers

LONG = os.environ.get("JAXSCOPE_MATRIX") == "full"

X = np.asarray([0.5, -1.0, 2.0], np.float32)


@jax.jit
def jitted(x: Any) -> Any:
    return jnp.tanh(x * js.get_variable("w", [3]) + js.get_variable("b", [3]))


def model(x: Any) -> Any:
    """Three blocks of the module's jitted function, one of them in a scan."""
    with js.variable_scope("a"):
        x = jitted(x)
    with js.variable_scope("b"):
        x = jax.lax.scan(lambda carry, _: (jitted(carry), None), x, None, length=3)[0]
    with js.variable_scope("c"):
        return jax.checkpoint(jitted)(x)


# --- the program ----------------------------------------------------------------------------------

WRAPPERS = [w for w in wrappers.ALL if not w.repeats and w.name != "jax.eval_shape"]
CASES = [cases.default_names, cases.closure, cases.two_scopes, cases.made, cases.reused, cases.getters]


@pytest.mark.parametrize("wrapper", WRAPPERS, ids=str)
def test_every_variable_is_an_input(wrapper: wrappers.Wrapper):
    """After eager calls, the jaxpr of `apply` takes each variable, uses it, and holds none as a constant."""
    for case in CASES if LONG else CASES[:2]:
        net = js.transform(lambda x, case=case: case(wrapper.wrap, x))
        report = testing.check(net, jnp.asarray(X))
        assert sorted(report.used) == sorted(net.spec(X))


def test_the_jaxpr_is_that_of_the_function_by_hand():
    """Nothing is added: a dict in the place of scopes gives the same jaxpr."""

    def net(x: Any) -> Any:
        with js.variable_scope("a"):
            x = jnp.tanh(x @ js.get_variable("w", [3, 3]) + js.get_variable("b", [3]))
        with js.variable_scope("b"):
            return jax.nn.relu(x @ js.get_variable("w", [3, 3]) + js.get_variable("b", [3]))

    def by_hand(v: Any, x: Any) -> Any:
        x = jnp.tanh(x @ v["a/w"] + v["a/b"])
        return jax.nn.relu(x @ v["b/w"] + v["b/b"])

    transformed = js.transform(net)
    variables = dict(transformed.init(jax.random.key(0), X))
    assert str(jax.make_jaxpr(transformed.apply)(variables, X)) == str(jax.make_jaxpr(by_hand)(variables, X))


# --- the checker itself ---------------------------------------------------------------------------


def test_a_kept_value_is_found():
    """A value that the function keeps from an eager call is a constant of the next program."""
    kept: list[Any] = []

    @js.transform
    def net(x: Any) -> Any:
        w = js.get_variable("w", [3])
        if not kept and not isinstance(w, jax.core.Tracer):
            kept.append(w)
        return x * (kept[0] if kept else w)

    with pytest.raises(js.errors.VariablesMismatchError) as caught:
        testing.check(net, jnp.asarray(X))
    assert caught.value.code == "baked_variables"
    assert str(caught.value.facts["constant"]) == "w: float32[3]"


@pytest.mark.parametrize(
    "use",
    [
        lambda x, w: x + 0 * 1,
        lambda x, w: jax.jit(lambda x, w: (x, w))(x, w)[0],
        lambda x, w: jax.checkpoint(lambda x, w: (x * 2, w + 1))(x, w)[0],
        lambda x, w: jax.lax.scan(lambda c, _: ((c[0] * 2, c[1] + w), None), (x, w), None, length=2)[0][0],
        lambda x, w: jax.lax.while_loop(lambda c: c[0].sum() < 0, lambda c: (c[0] + 1, c[1] + w), (x, w))[0],
        lambda x, w: jax.lax.cond(x.sum() > 0, lambda x, w: (x, w), lambda x, w: (x, 2 * w), x, w)[0],
        lambda x, w: jax.vmap(lambda x, w: (x, w))(x, w)[0],
    ],
)
def test_unused_variables_are_found(use: Any):
    """Also where they go into a loop, a branch or a jitted function, and nothing comes of them."""
    net = js.transform(lambda x: use(x, js.get_variable("w", [3])))
    assert testing.examine(net, jnp.asarray(X)).unused == ("w",)
    with pytest.raises(js.errors.VariablesMismatchError, match="1 of 1 variables"):
        testing.check(net, jnp.asarray(X))


@pytest.mark.parametrize(
    "use",
    [
        # What a loop carries may matter a step later, or to whether there is another step.
        lambda x, w: jax.lax.scan(lambda c, _: ((c[1], c[1] + w), None), (x, x), None, length=2)[0][0],
        lambda x, w: jax.lax.while_loop(lambda c: c[1].sum() < 0, lambda c: (c[0] + 1, c[1] + w), (x, x))[0],
        lambda x, w: jax.lax.while_loop(lambda c: c[0].sum() < w.sum(), lambda c: (c[0] + 1,), (x,))[0],
        lambda x, w: jax.lax.cond(w.sum() > 0, lambda x: x, lambda x: 2 * x, x),
        lambda x, w: jax.lax.cond(x.sum() > 0, lambda x, w: x, lambda x, w: w, x, w),
        lambda x, w: (jax.debug.callback(lambda _: None, w), x)[1],
        lambda x, w: jax.lax.custom_linear_solve(
            lambda v: w * v, x, lambda m, b: b / m(b), lambda m, b: b / m(b)
        ),
    ],
)
def test_used_variables_are_not_reported(use: Any):
    """Anything that the result or an effect depends on counts as used."""
    net = js.transform(lambda x: use(x, js.get_variable("w", [3])))
    assert testing.check(net, jnp.asarray(X)).used == ("w",)


def test_state():
    """A counter is written and used; a variable that only comes back is neither."""

    @js.transform
    def net(x: Any, training: bool) -> Any:
        mean = js.get_variable("mean", [3], trainable=False, initializer=js.initializers.zeros)
        js.get_variable("idle", [3], trainable=False)
        if training:
            js.set_variable("mean", 0.9 * mean + 0.1 * x)
            return x
        return x - mean

    x = jnp.asarray(X)
    assert testing.examine(net, x, training=True) == testing.Report(("mean",), ("idle",), {}, ("mean",))
    assert testing.examine(net, x, training=False) == testing.Report(("mean",), ("idle",), {}, ())


def test_shapes_are_enough():
    """With `jax.ShapeDtypeStruct`s nothing is computed."""
    net = js.transform(lambda x: x @ js.get_variable("w", [x.shape[-1], 2**10]))
    assert testing.check(net, jax.ShapeDtypeStruct((2**20,), jnp.float32)).used == ("w",)


def test_every_dtype():
    """Integers, booleans, complex numbers and keys are variables, too."""
    dtypes = ["float16", "bfloat16", "float32", "int8", "int32", "uint32", "bool", "complex64"]

    @js.transform
    def net() -> Any:
        made = [js.get_variable(d, [4], d, initializer=js.initializers.zeros) for d in dtypes]
        return [~v if v.dtype == bool else v + v for v in made]

    assert sorted(testing.check(net).used) == sorted(dtypes)


# --- memory and time ------------------------------------------------------------------------------


def _compiled() -> list[str]:
    events: list[str] = []

    def note(event: str, duration: float, **_: Any) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            events.append(event)

    jax.monitoring.register_event_duration_secs_listener(note)
    return events


COMPILED = _compiled()  # JAX has no public way to take a listener back, so there is one


@pytest.mark.parametrize("net", [js.transform(model), js.transform(jitted)], ids=["model", "jitted"])
def test_eager_apply_compiles_once(net: Any):
    """From the second call on nothing is compiled, whatever the values."""
    variables = net.init(jax.random.key(0), X)
    x = jnp.asarray(X)
    values = [jax.tree.map(lambda v, n=n: v + n, variables) for n in range(4)]
    outputs = [net.apply(values[0], x)]
    del COMPILED[:]
    outputs += [net.apply(value, x) for value in values[1:]]
    assert not COMPILED
    assert len({float(y[0]) for y in outputs}) == 4
    with jax.checking_leaks():
        net.apply(values[0], x)


def test_eager_apply_keeps_no_arrays():
    """The number of live arrays is the same after a thousand calls as after two."""
    net = js.transform(model)
    variables = net.init(jax.random.key(0), X)
    x = jnp.asarray(X)

    def call(times: int) -> int:
        for number in range(times):
            changed = jax.tree.map(lambda v: v * (1 + number), variables)
            net.apply(changed, x)
            del changed
        gc.collect()
        return len(jax.live_arrays())

    before = call(2)
    assert call(1000 if LONG else 200) <= before


def test_gradients_keep_no_arrays():
    """Nor does training by eager gradients."""
    net = js.transform(model)
    x = jnp.asarray(X)
    variables = net.init(jax.random.key(0), X)
    step = jax.grad(lambda variables, x: net.apply(variables, x).sum())

    def call(times: int) -> int:
        nonlocal variables
        for _ in range(times):
            variables = jax.tree.map(lambda v, g: v - 0.1 * g, variables, step(variables, x))
        gc.collect()
        return len(jax.live_arrays())

    before = call(2)
    assert call(200 if LONG else 20) <= before


def _growth(run: Any, times: int) -> float:
    """Return by how many bytes memory grows with each run, once caches are warm."""
    for _ in range(10):
        run()
    gc.collect()
    tracemalloc.start()
    try:
        run()
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(times):
            run()
        gc.collect()
        return (tracemalloc.get_traced_memory()[0] - before) / times
    finally:
        tracemalloc.stop()


def test_eager_passes_keep_nothing():
    """Ten thousand eager calls, with and without inner transforms, leave memory where it was."""
    plain = js.transform(lambda x: x * js.get_variable("w", [3]))
    staged = js.transform(model)
    x = jnp.asarray(X)
    variables = dict(staged.init(jax.random.key(0), X)) | {"w": x}

    def run() -> None:
        plain.apply(variables, x)
        staged.apply(variables, x)

    assert _growth(run, 10_000 if LONG else 500) < 16


def test_plain_tracing_keeps_nothing():
    """Nor do recordings and traces of a function without inner transforms."""
    net = js.transform(lambda x: x * js.get_variable("w", [3]))
    variables = net.init(jax.random.key(0), X)

    def run() -> None:
        net.spec(X)
        jax.make_jaxpr(partial(net.apply))(variables, X)  # a new function, so that it is traced

    # JAX's own caches of jaxprs are bounded, but not small.
    run()
    assert _growth(run, 3000 if LONG else 100) < 4096


def test_own_caches_are_bounded():
    """What one net remembers does not grow with the calls, even where each is a program of its own."""
    net = js.transform(lambda x, scale: jitted(x) * scale)
    variables = net.init(jax.random.key(0), X, 1.0)
    for number in range(Memories.KINDS + 10):
        net.apply(variables, X, float(number))
    assert len(net._calls._programs) <= 64
    assert len(net._calls._memories._kinds) <= Memories.KINDS


def test_a_pass_is_freed():
    """Scope objects that a user keeps do not keep the pass, nor its arrays."""
    kept: list[Any] = []

    @js.transform
    def net(x: Any) -> Any:
        kept.append(js.get_variable_scope())
        return x * js.get_variable("w", [3])

    variables = {"w": jnp.ones(3)}
    net.apply(variables, X)
    gc.collect()
    before = len(jax.live_arrays())
    for _ in range(20):
        net.apply({"w": jnp.ones(3)}, X)
    gc.collect()
    assert len(jax.live_arrays()) <= before


def test_a_net_is_freed():
    """A transformed function that is dropped takes its programs along."""
    x = jnp.asarray(X)

    def use() -> int:
        net = js.transform(lambda x: jax.jit(lambda x: x * js.get_variable("w", [3]))(x))
        number = id(net)
        net.apply({"w": x}, x)
        return number

    def alive() -> int:
        gc.collect()
        return sum(isinstance(thing, js.Transformed) for thing in gc.get_objects())

    use()
    before = alive()
    for _ in range(5):
        use()
    assert alive() <= before
