"""State: what set_variable writes comes out of apply_with_state, as if the function had returned it."""

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxscope as js
from tests.depth.same import assert_close
from tests.state import matrix

VERSION = tuple(map(int, jax.__version__.split(".")[:2]))
X = jnp.asarray([[1.0, 2.0], [3.0, 5.0], [0.5, -1.0]])


def expected_of(name: str, mode: str) -> str:
    """Return what the page says of a transform."""
    rows = dict(re.findall(r"^\| (.*?) \| (.* \| .* \| .*) \|$", matrix.PAGE.read_text(), re.MULTILINE))
    label = {"plain": "plain", "jax.jit, called twice": "`jax.jit`, called twice"}.get(name, f"`{name}`")
    return rows[label].split(" | ")[matrix.MODES.index(mode)]


@pytest.mark.parametrize("mode", matrix.MODES)
@pytest.mark.parametrize("name", matrix.TRANSFORMS)
def test_matrix(name: str, mode: str):
    """Each write is what docs/reference/state.md says: right, or an error at set_variable."""
    found, expected = matrix.outcome(name, mode), expected_of(name, mode)
    assert expected in {"right", "StateError", "JAX refuses"}
    assert found == expected
    assert found != "wrong"


@pytest.mark.parametrize("name", [name for name, (_, times) in matrix.TRANSFORMS.items() if not times])
def test_refusals(name: str):
    """A write that JAX would lose says where it stands, and what to write instead."""
    with pytest.raises(js.errors.StateError) as caught:
        matrix.run(name, "jit")
    assert caught.value.code == "write_in_transform"
    assert "return the new value from the function under" in str(caught.value)
    assert "matrix.py" in str(caught.value)


def test_plain_apply():
    """Plain apply writes nothing: the error names apply_with_state."""
    with pytest.raises(js.errors.StateError, match="apply_with_state") as caught:
        matrix.model(matrix.step).apply(
            {"w": jnp.ones(3), "n": jnp.int32(0), "sum": jnp.ones(3)}, jnp.ones(3)
        )
    assert caught.value.code == "write_in_apply"


def test_associative_scan():
    """JAX calls the function of an associative scan as often as it likes, so it may not write."""

    def add(a: Any, b: Any) -> Any:
        js.set_variable("n", js.get_variable("n") + 1)
        return a + b

    net = matrix.model(lambda x: jax.lax.associative_scan(add, jnp.stack([x, x, x]))[-1])
    with pytest.raises(js.errors.StateError):
        net.apply_with_state({"w": jnp.ones(3), "n": jnp.int32(0), "sum": jnp.zeros(3)}, jnp.ones(3))


def test_write_of_a_differentiated_value():
    """A write, inside jax.grad, of what is differentiated is right, or an error of ours."""

    @js.transform
    def net(x: Any) -> Any:
        def inner(x: Any) -> Any:
            js.get_variable("mean", [2], trainable=False)
            js.set_variable("mean", x)
            return x.sum()

        return jax.grad(inner)(x)

    try:
        _, state = net.apply_with_state({"mean": jnp.zeros(2)}, X[0])
    except js.errors.StateError:
        return
    assert_close(dict(state), {"mean": X[0]})


# --- small models, against functions written by hand ------------------------------------------------


def both(net: Any, by_hand: Any, given: Any, *args: Any) -> None:
    """Compare results, state and gradients, of plain code and under jit, in two steps."""
    params, state = given.trainable, given.non_trainable

    def loss(params: Any, state: Any, function: Any) -> Any:
        out, state = function(params, state)
        return jnp.sum(jnp.sin(out)), (out, dict(state))

    mine = lambda params, state: net.apply_with_state(
        params | js.Variables(state, non_trainable=state), *args
    )
    hand = lambda params, state: by_hand({**params, **state}, *args)
    for _ in range(2):
        (_, (out, after)), grads = jax.value_and_grad(loss, has_aux=True)(params, dict(state), mine)
        (_, (out_2, after_2)), grads_2 = jax.jit(jax.value_and_grad(loss, has_aux=True), static_argnums=2)(
            params, dict(state), mine
        )
        (_, (expected, after_hand)), grads_hand = jax.value_and_grad(loss, has_aux=True)(
            params, dict(state), hand
        )
        assert_close((out, after, dict(grads)), (expected, after_hand, dict(grads_hand)))
        assert_close((out_2, after_2, dict(grads_2)), (expected, after_hand, dict(grads_hand)))
        state = after


@pytest.mark.parametrize("around", [lambda f: f, jax.jit], ids=["plain", "jax.jit"])
def test_batch_norm(around: Any):
    """Batch norm's moving statistics, in two layers."""

    def block(x: Any) -> Any:
        x = x @ js.get_variable("k", [2, 2])
        mean = js.get_variable("mean", [2], initializer=js.initializers.zeros, trainable=False)
        js.set_variable("mean", 0.9 * mean + 0.1 * x.mean(0))
        return jnp.tanh(x - x.mean(0))

    @js.transform
    def net(x: Any) -> Any:
        for i in range(2):
            with js.variable_scope(f"l{i}"):
                x = around(block)(x)
        return x

    def by_hand(v: Any, x: Any) -> Any:
        state = {}
        for i in range(2):
            x = x @ v[f"l{i}/k"]
            state[f"l{i}/mean"] = 0.9 * v[f"l{i}/mean"] + 0.1 * x.mean(0)
            x = jnp.tanh(x - x.mean(0))
        return x, state

    both(net, by_hand, net.init(jax.random.key(0), X), X)


def test_spectral_norm():
    """The vector of the power iteration, in a loop."""

    @js.transform
    def net(x: Any) -> Any:
        w = js.get_variable("w", [2, 2])
        u = js.get_variable("u", [2], initializer=js.initializers.ones, trainable=False)
        v = jax.lax.stop_gradient(jax.lax.fori_loop(0, 3, lambda _, u: _unit(w @ _unit(w.T @ u)), u))
        js.set_variable("u", v)
        return x @ (w / (v @ w @ _unit(w.T @ v)))

    def by_hand(given: Any, x: Any) -> Any:
        w, u = given["w"], given["u"]
        v = jax.lax.stop_gradient(jax.lax.fori_loop(0, 3, lambda _, u: _unit(w @ _unit(w.T @ u)), u))
        return x @ (w / (v @ w @ _unit(w.T @ v))), {"u": v}

    both(net, by_hand, net.init(jax.random.key(0), X), X)


def _unit(x: Any) -> Any:
    return x / jnp.linalg.norm(x)


def test_kv_cache():
    """A cache that is written token by token, in a scan."""

    @js.transform
    def net(xs: Any) -> Any:
        k = js.get_variable("k", [2, 2])
        js.get_variable("cache", [3, 2], initializer=js.initializers.zeros, trainable=False)
        js.get_variable("at", [], "int32", trainable=False)

        def token(_: Any, x: Any) -> Any:
            with js.variable_scope("", reuse=True):
                at = js.get_variable("at")
                js.set_variable("cache", js.get_variable("cache").at[at].set(x @ k))
                js.set_variable("at", at + 1)
                return None, js.get_variable("cache").sum(0)

        return jax.lax.scan(token, None, xs)[1]

    values = net.init(jax.random.key(0), X)
    out, state = net.apply_with_state(values, X)
    assert_close(out, jnp.cumsum(X @ values["k"], 0), rtol=1e-4, atol=1e-5)
    assert_close(dict(state), {"at": jnp.int32(3), "cache": X @ values["k"]}, rtol=1e-4, atol=1e-5)


def test_average_and_counter():
    """A moving average with its counter, kept by js.Variable-like state of two scopes."""

    def average(x: Any) -> Any:
        n = js.get_variable("n", [], "int32", trainable=False)
        mean = js.get_variable("mean", [2], initializer=js.initializers.zeros, trainable=False)
        js.set_variable("n", n + 1)
        js.set_variable("mean", mean + (x - mean) / (n + 1).astype("float32"))
        return js.get_variable_scope()

    @js.transform
    def net(x: Any) -> Any:
        for name in ("a", "b"):
            with js.variable_scope(name, reuse=js.AUTO_REUSE):
                for row in range(3):
                    average(x[row])
        return x

    _, state = net.apply_with_state(net.init(jax.random.key(0), X), X)
    assert_close(state["a/mean"], X.mean(0))
    assert int(state["b/n"]) == 3


def test_own_variable():
    """js.Variable that is not trainable is among the state, and can be set by its full name."""

    @js.transform
    def net() -> Any:
        u = js.Variable(np.float32(3), trainable=False, name="u")
        js.set_variable("u", u + 1)
        return u

    values = net.init(jax.random.key(0))
    out, state = net.apply_with_state(values)
    assert (out, dict(state)) == (3, {"u": 4})


def test_what_comes_back():
    """The state holds every non-trainable variable, written or not, asked for or not; a dict will do."""

    @js.transform
    def net() -> Any:
        js.get_variable("w", [])
        js.get_variable("kept", [], trainable=False)
        js.get_variable("n", [], "int32", trainable=False)
        js.set_variable("n", 7)
        return js.get_variable_scope().name

    values = net.init(jax.random.key(0))
    out, state = net.apply_with_state(values)
    assert (out, list(state)) == ("", ["kept", "n"])
    assert list(net.apply_with_state(dict(values))[1]) == ["kept", "n"]
    other = js.Variables({"other": jnp.ones(1)}, non_trainable=["other"])
    assert list(net.apply_with_state(values | other)[1]) == ["kept", "n", "other"]
    assert list(values | state) == list(values)
    assert int((values | state)["n"]) == 7


def test_vmap_of_all():
    """Under vmap of the whole, each element has a state of its own."""
    net = matrix.model(lambda x: jax.lax.scan(lambda c, _: (matrix.step(c), None), x, length=2)[0])
    given = {"w": jnp.ones(3), "n": jnp.int32(0), "sum": jnp.zeros(3)}
    xs = jnp.arange(6.0).reshape(2, 3)
    out, state = jax.vmap(net.apply_with_state, (None, 0))(given, xs)
    for i, x in enumerate(xs):
        one, after = net.apply_with_state(given, x)
        assert_close((out[i], dict(jax.tree.map(lambda v, i=i: v[i], state))), (one, dict(after)))


def _set(name: str, value: Any, **options: Any) -> Any:
    def net() -> None:
        js.get_variable("v", [2], **options)
        js.set_variable(name, value)

    return js.transform(net)


@pytest.mark.parametrize(
    ("net", "error"),
    [
        (_set("v", [1.0, 2.0]), js.errors.StateError),
        (_set("u", [1.0, 2.0], trainable=False), js.errors.VariableNotFoundError),
        (_set("v", np.ones(3, "float32"), trainable=False), js.errors.ShapeMismatchError),
        (_set("v", np.ones(2, "int32"), trainable=False), js.errors.DtypeMismatchError),
    ],
    ids=["trainable", "name", "shape", "dtype"],
)
def test_wrong_writes(net: Any, error: Any):
    """What cannot be set is an error, in spec already."""
    with pytest.raises(error):
        net.spec()
