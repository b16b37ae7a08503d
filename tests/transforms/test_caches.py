"""What JAX's caches, and what a function has learned from earlier passes, never change a result."""

import contextlib
import gc
import weakref
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxscope as js
from jaxscope._core.model.random_keys import Stream

X = np.asarray([0.5, -1.0, 2.0], np.float32)
KEY = jax.random.key(0)
ZEROS = js.initializers.zeros


def mean(x: jax.Array) -> jax.Array:
    return js.get_variable("mean", [3], initializer=ZEROS, trainable=False)


@pytest.mark.parametrize("stops", [False, True])
def test_several_writes_are_learned_at_once(stops: bool):
    """A call whose inner traces write variables not yet known to be written comes to its end."""

    @jax.jit
    def train(x):
        m = mean(x)
        js.set_variable("mean", 0.9 * m + 0.1 * x)
        return x - m

    evaluate = jax.jit(lambda x: x - mean(x))

    @js.transform
    def net(x, training=False):
        if stops:
            float(x.sum())  # where an abstract pass cannot go on
        for scope in "abc":
            with js.variable_scope(scope):
                x = (train if training else evaluate)(x)
        return x

    variables = js.Variables(
        {f"{s}/mean": jnp.zeros(3) for s in "abc"}, non_trainable=[f"{s}/mean" for s in "abc"]
    )
    context = pytest.warns(UserWarning, match="operation by operation") if stops else contextlib.nullcontext()
    with context:
        net.apply_with_state(variables, X)
    _, state = net.apply_with_state(variables, X, training=True)  # which warns no more
    assert np.allclose(state["a/mean"], 0.1 * X)
    assert not np.allclose(state["c/mean"], 0)


def test_a_trace_from_outside_is_not_taken():
    """A jitted function that handles having no pass is traced again inside of one."""

    @jax.jit
    def scaled(x):
        try:
            return x * js.get_variable("w", [3])
        except js.errors.NoPassError:
            return x

    assert np.array_equal(scaled(X), X)
    net = js.transform(scaled)
    assert list(net.spec(X)) == ["w"]
    assert np.array_equal(net.apply({"w": 2 * jnp.ones(3)}, X), 2 * X)


def opens(x: jax.Array) -> jax.Array:
    with js.variable_scope("a", reuse=js.AUTO_REUSE):
        return x * js.get_variable("w", [3])


def names(x: jax.Array) -> jax.Array:
    with js.name_scope("a"):
        return x


@pytest.mark.parametrize("body", [opens, names])
@pytest.mark.parametrize("calls", [1, 3, 5])
def test_scopes_in_cached_traces_count(body: Callable[..., Any], calls: int):
    """The name of a js.Variable is that of the bare function, however often JAX skipped a body."""

    def net(wrap):
        f = wrap(body)

        @js.transform
        def run(x):
            for _ in range(calls):
                x = f(x)
            with js.variable_scope("a"):
                return x * js.Variable(2.0, name="u")

        return run

    bare, jitted = net(lambda f: f), net(jax.jit)
    for _ in range(2):
        assert list(jitted.spec(X)) == list(bare.spec(X))
    assert np.array_equal(jitted.apply(bare.init(KEY, X), X), bare.apply(bare.init(KEY, X), X))


def test_a_scope_left_by_an_exception_counts():
    """Also where the body catches the exception, and asks for nothing else."""

    def body(x):
        with contextlib.suppress(ValueError), js.variable_scope("a"):
            raise ValueError
        return x * 2

    def net(wrap):
        f = wrap(body)

        @js.transform
        def run(x):
            for scope in "pq":
                with js.variable_scope(scope):
                    x = f(x)
                    with js.variable_scope(None, "a"):
                        x = x * js.get_variable("w", [3])
            return x

        return run

    assert list(net(jax.jit).spec(X)) == list(net(lambda f: f).spec(X)) == ["p/a_1/w", "q/a_1/w"]


def test_a_swallowed_restart_inside_loses_nothing_outside():
    """A function that catches BaseException in a pass of its own does no harm to the pass around it."""
    layer = jax.jit(lambda x: x * js.get_variable("w", [3]))

    @js.transform
    def inner(x):
        try:
            return jax.jit(lambda x: x * js.get_variable("q", [3]))(x)
        except BaseException:  # noqa: BLE001 - what users ought not to do
            return x

    @js.transform
    def outer(x):
        inner.spec(x)
        for scope in "ab":
            with js.variable_scope(scope):
                x = layer(x)
        return x

    assert list(outer.spec(X)) == ["a/w", "b/w"]


INNER = {
    "jit": jax.jit,
    "checkpoint": jax.checkpoint,
    "cond": lambda f: lambda x: jax.lax.cond(True, f, lambda x: x, x),
    "scan": lambda f: lambda x: jax.lax.scan(lambda c, _: (f(c), None), x, None, length=1)[0],
    "vmap": lambda f: lambda x: jax.vmap(f)(x[None])[0],
}


@pytest.mark.parametrize("first", INNER)
@pytest.mark.parametrize("second", INNER)
def test_losses_go_from_one_inner_trace_to_another(first: str, second: str):
    """A variable made in one inner trace has its loss in a sibling of it."""

    @js.transform
    def net(x):
        x = INNER[first](lambda x: x * js.get_variable("w", [3], regularizer=js.regularizers.l2(2.0)))(x)
        return INNER[second](lambda x: x + sum(js.get_collection("regularization_losses")))(x)

    expected = X * X + np.sum(X**2)
    assert list(net.spec(X)) == ["w"]
    assert np.allclose(net.apply({"w": X}, X), expected)
    assert np.allclose(jax.jit(net.apply)({"w": X}, X), expected)


def test_collections_keep_objects_and_refuse_dead_tracers():
    """An object that was added in an inner trace is there afterwards; a traced value is a clear error."""

    @js.transform
    def net(x, traced):
        def body(x):
            js.add_to_collection("seen", x if traced else "abc")
            return x * js.get_variable("w", [3])

        y = jax.jit(body)(x)
        return jax.jit(lambda y: y * len(js.get_collection("seen")))(y)

    assert np.array_equal(net.apply({"w": X}, X, False), X * X)
    with pytest.raises(js.errors.TraceError) as caught:
        net.spec(X, True)
    assert caught.value.code == "value_of_ended_trace"


def test_results_that_are_no_pytrees():
    """A closure over what an inner trace computed works in eager apply, as without the inner trace."""

    @js.transform
    def net(x):
        y = jax.jit(lambda x: js.get_variable("w", [3]) * x)(x)
        return lambda z: z * y

    for _ in range(2):
        with contextlib.suppress(UserWarning):
            net.apply({"w": X}, X)
    assert np.array_equal(net.apply({"w": X}, X)(X), X * X * X)


def test_what_is_learned_in_training_leaves_evaluation_alone():
    """A call that writes nothing holds its state in no reference, whatever other calls write."""

    def norm(x, training):
        m = mean(x)
        if training:
            js.set_variable("mean", x.mean(0))
        return (x - m) * js.get_variable("g", [3])

    jitted = jax.jit(norm, static_argnums=1)
    net = js.transform(lambda x, training: jnp.sin(jitted(x, training)))
    state = js.Variables({"mean": jnp.zeros(3)}, non_trainable=["mean"])
    x = jnp.ones((2, 3))

    def hessian():
        loss = lambda p: net.apply_with_state(p | state, x, False)[0].sum()
        return jax.hessian(loss)(js.Variables({"g": jnp.ones(3)}))["g"]["g"]

    before = hessian()
    net.spec(x, True)
    net.apply_with_state({"g": jnp.ones(3), **state}, x, True)
    assert np.array_equal(hessian(), before)


@pytest.mark.parametrize("text", [np.str_("relu"), np.array(["a", "b"]), np.array([None])])
def test_numpy_texts_are_python_values(text):
    """What JAX has no arrays of is passed on as it is."""

    @js.transform
    def net(x, kind):
        assert kind is text
        return x * js.get_variable("w", [3])

    assert len(net.init(KEY, X, text)) == 1


def test_the_signature_of_a_method():
    """A bound method's `self` is no argument any more: `static_argnames` finds the others."""

    class Net:
        @js.transform
        def run(self, x, training=False):
            return (2 * x if training else x) * js.get_variable("w", [3])

    net = Net()
    whole = js.transform(lambda x: jax.jit(net.run, static_argnames="training")(x, True))
    assert np.array_equal(whole.apply({"w": X}, X), 2 * X * X)


def test_an_argument_called_key():
    """`init` takes the function's own `key`, as `apply` does."""
    net = js.transform(lambda x, *, key: x * js.get_variable("w", [3]))
    assert len(net.init(KEY, X, key=KEY)) == 1


@pytest.mark.parametrize("wrap", [*INNER.values()], ids=list(INNER))
def test_no_trace_is_kept_alive(wrap):
    """Recording holds no tracer of an inner trace: JAX's own check of leaks agrees."""

    @js.transform
    def net(x):
        return wrap(lambda x: x * js.get_variable("w", [3], regularizer=js.regularizers.l2(1.0)))(x)

    with jax.checking_leaks():
        assert list(net.spec(X)) == ["w"]
        variables = net.init(KEY, X)
    assert np.allclose(jax.jit(net.apply)(variables, X), X * variables["w"])


def test_a_block_keeps_no_stream():
    """The program of a js.jit block holds no stream of the pass that traced it."""

    def streams() -> int:
        gc.collect()
        return sum(type(one) is Stream for one in gc.get_objects())

    before = streams()
    block = js.jit(lambda x: x + jax.random.normal(js.next_key()))

    @js.transform
    def net(x, key):
        with js.random_keys(key):
            return block(x)

    for apply in (net.apply, jax.jit(net.apply)):
        apply({}, jnp.float32(1), KEY)
    assert streams() == before


def test_a_kept_scope_keeps_nothing_of_the_scopes_around_it():
    """A scope object holds its own options; how it was entered is forgotten when it is left."""

    class Holds:
        def __init__(self, value: Any) -> None:
            self.value = value

        def __call__(self, key: Any, shape: Any, dtype: Any) -> jax.Array:
            return jnp.zeros(shape, dtype)

    kept: list[Any] = []

    @js.transform
    def net(x):
        with (
            js.variable_scope("a", initializer=Holds(x), regularizer=lambda w: w * x.sum()),
            js.variable_scope("b", initializer=ZEROS, regularizer=js.no_regularizer) as inner,
        ):
            kept.append(inner)
            return x * js.get_variable("w", [])

    x = jnp.asarray(X)
    seen = weakref.ref(x)
    net.apply({"a/b/w": jnp.float32(1)}, x)
    del x
    gc.collect()
    assert seen() is None
    with jax.checking_leaks():
        jax.jit(net.apply)({"a/b/w": jnp.float32(1)}, X)


# --- weak types ------------------------------------------------------------------------------------


WAYS: dict[str, Callable[[Any, Any], Any]] = {
    "eager": lambda f, w: f(w),
    "jit": lambda f, w: jax.jit(f)(w),
    "grad": lambda f, w: jax.grad(lambda w: f(w).sum())(w),
    "vmap": lambda f, w: jax.vmap(f)(w[None])[0],
}


@pytest.mark.parametrize("stacked", [False, True])
@pytest.mark.parametrize(
    "inner", [jax.jit, lambda f: lambda x: jax.lax.scan(lambda c, _: (f(c), None), x, length=2)[0]]
)
@pytest.mark.parametrize("way", WAYS)
def test_weak_values_first_asked_for_inside(way: str, inner: Any, stacked: bool):
    """Given values with a weak type are cast where they were given, for all who ask."""

    def ask(scope: str) -> Any:
        with js.variable_scope(scope, reuse=js.AUTO_REUSE):
            w = js.get_variable("w", [])
        assert not w.weak_type
        return w

    net = js.transform(lambda: inner(lambda x: x * ask("layer_1"))(jnp.float32(2)) + ask("layer_1"))
    given = jnp.full((3,) if stacked else (), 3.0)
    assert given.weak_type
    name = "layer_{}/w" if stacked else "layer_1/w"
    found = WAYS[way](lambda w: net.apply({name: w}), given)
    strong = WAYS[way](lambda w: net.apply({name: w}), given.astype(jnp.float32))
    assert jnp.array_equal(found, strong)
