"""Keys: next_key never hands out one key twice, and code elsewhere does not shift it."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxscope as js

KEY = jax.random.key(7)
X = jnp.ones(3)


def data() -> jax.Array:
    return jax.random.key_data(js.next_key())


def scoped(name: str) -> jax.Array:
    with js.variable_scope(name):
        return data()


def opened(body: Any) -> js.Transformed[..., Any]:
    """Return a model whose second argument is the key of the stream around the body."""

    def net(x: Any, key: Any) -> Any:
        with js.random_keys(key):
            return body(x)

    return js.transform(net)


def rows(found: Any) -> list[tuple[int, ...]]:
    return [tuple(row) for leaf in jax.tree.leaves(found) for row in np.asarray(leaf).reshape(-1, 2).tolist()]


def dropout(x: Any) -> Any:
    return data()


def twice(x: Any) -> Any:
    return [data(), data(), scoped("a"), scoped("a"), scoped("b"), data()]


def jitted(x: Any) -> Any:
    f = jax.jit(dropout)
    return [f(x), f(x), jax.jit(f)(x), data()]


def jitted_in_scopes(x: Any) -> Any:
    f, found = jax.jit(dropout), []
    for name in ("a", "b", "a"):
        with js.variable_scope(name):
            found += [f(x), data()]
    return found


def retraced(x: Any) -> Any:
    f = jax.jit(dropout)
    return [f(x), f(jnp.ones(4)), f(jnp.ones(5)), f(x)]


def checkpointed(x: Any) -> Any:
    return [jax.checkpoint(dropout)(x), jax.checkpoint(dropout)(x)]


def branches(x: Any) -> Any:
    return [jax.lax.cond(x[0] > 0, dropout, dropout, x), jax.lax.cond(x[0] < 0, dropout, dropout, x)]


def blocks(x: Any) -> Any:
    block = js.jit(dropout)
    return [block(x), block(x), scoped("a"), data()]


PROGRAMS = [twice, jitted, jitted_in_scopes, retraced, checkpointed, branches, blocks]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_never_twice(program: Any):
    """No key is handed out twice, and they are the same outside jit, under it, and in a second call."""
    net = opened(program)
    first = rows(jax.jit(net.apply)({}, X, KEY))
    assert len(set(first)) == len(first)
    assert rows(net.apply({}, X, KEY)) == first
    assert rows(net.apply({}, X, KEY)) == first
    assert not set(rows(net.apply({}, X, jax.random.key(8)))) & set(first)
    assert len(net.spec(X, KEY)) == 0


def in_scan(x: Any) -> Any:
    return jax.lax.scan(lambda c, _: (c, data()), x, length=3)[1]


def in_while(x: Any) -> Any:
    return jax.lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, data()), (0, data()))


LOOPS = {
    "scan": in_scan,
    "while": in_while,
    "fori": lambda x: jax.lax.fori_loop(0, 3, lambda i, c: data(), data()),
    "map": lambda x: jax.lax.map(dropout, x),
    "jit in scan": lambda x: jax.lax.scan(lambda c, _: (c, jax.jit(dropout)(c)), x, length=3)[1],
    "scan in jit": jax.jit(in_scan),
    "cond in scan": lambda x: jax.lax.scan(
        lambda c, _: (c, jax.lax.cond(c[0] > 0, dropout, dropout, c)), x, length=3
    )[1],
    "js.jit in scan": lambda x: jax.lax.scan(lambda c, _: (c, js.jit(dropout)(c)), x, length=3)[1],
}


@pytest.mark.parametrize("body", LOOPS.values(), ids=LOOPS)
def test_in_a_loop(body: Any):
    """In the body of a loop it is an error that says how to pass keys through it."""
    net = opened(body)
    for way in (net.spec, lambda *args: net.apply({}, *args), lambda *args: jax.jit(net.apply)({}, *args)):
        with pytest.raises(js.errors.KeyStreamError) as caught:
            way(X, KEY)
        assert caught.value.code == "key_in_loop"
        assert "keys = jax.random.split(js.next_key(), steps)" in str(caught.value)


def rekeyed(x: Any) -> Any:
    def body(carry: Any, key: Any) -> Any:
        with js.random_keys(key):
            return carry, jnp.stack([data(), jax.jit(dropout)(carry)])

    return jax.lax.scan(body, x, jax.random.split(js.next_key(), 4))[1]


def apply_in_a_scan(x: Any) -> Any:
    net = opened(dropout)
    return jax.lax.scan(lambda c, key: (c, net.apply({}, c, key)), x, jax.random.split(js.next_key(), 4))[1]


QUIET = {
    "jit": jax.jit(dropout),
    "remat": jax.checkpoint(dropout),
    "grad": lambda x: jax.grad(lambda x: (x * data()[0].astype("float32")).sum())(x).astype("uint32")[:2],
    "cond": lambda x: jax.lax.cond(x[0] > 0, dropout, dropout, x),
    "rekeyed": rekeyed,
    "apply in a scan": apply_in_a_scan,
}


@pytest.mark.parametrize("body", QUIET.values(), ids=QUIET)
def test_no_false_alarm(body: Any):
    """Elsewhere there is no alarm, and no two steps get one key."""
    found = rows(opened(body).apply({}, X, KEY))
    assert len(found) in {1, 4, 8}
    assert len(set(found)) == len(found) or body is QUIET["grad"]


def test_vmap():
    """Under vmap the elements share a key, as they share what is closed over; no alarm."""
    found = rows(opened(jax.vmap(dropout)).apply({}, X, KEY))
    assert len(set(found)) == 1


def test_a_stream_inside_a_scanned_apply():
    """A loop around the whole of apply alarms nobody, when the key is that of the step."""
    net = opened(twice)
    keys = jax.random.split(KEY, 3)
    found = rows(jax.lax.map(lambda key: net.apply({}, X, key), keys))
    assert len(set(found)) == 18


def test_code_elsewhere():
    """A key depends on (key, scope, count) alone: dropout in one layer shifts no other layer's mask."""

    def model(*names: str) -> dict[str, Any]:
        net = opened(lambda x: {name: scoped(name) for name in names})
        return {name: tuple(value.tolist()) for name, value in net.apply({}, X, KEY).items()}

    small, large = model("a", "c"), model("x", "a", "b", "c", "d")
    assert {name: large[name] for name in small} == small


def test_nested():
    """An inner stream has counts of its own; the outer one goes on after it."""

    def body(x: Any) -> Any:
        first = data()
        with js.random_keys(jax.random.key(1)):
            inner = data()
        return [first, inner, data()]

    found = rows(opened(body).apply({}, X, KEY))
    assert len(set(found)) == 3
    assert found[::2] == rows(opened(lambda x: [data(), data()]).apply({}, X, KEY))


def test_none():
    """random_keys(None) is no source, inside another stream too."""

    def body(x: Any) -> Any:
        with js.random_keys(None):
            return data()

    for net in (opened(body), opened(dropout)):
        with pytest.raises(js.errors.KeyStreamError) as caught:
            net.apply({}, X, None)
        assert caught.value.code == "no_key_stream"
    with pytest.raises(js.errors.KeyStreamError):
        opened(body).apply({}, X, KEY)


def test_legacy_keys():
    """A legacy key gives the bits of the typed one; what comes out is typed."""
    net = opened(lambda x: js.next_key())
    typed, legacy = net.apply({}, X, jax.random.key(3)), net.apply({}, X, jax.random.PRNGKey(3))
    assert bool(typed == legacy)
    assert jnp.issubdtype(legacy.dtype, jax.dtypes.prng_key)


@pytest.mark.parametrize("key", [3, X, "key", jax.random.split(KEY, 2)], ids=["int", "float", "str", "batch"])
def test_no_key(key: Any):
    """What is no key, or more than one, is an error."""
    with pytest.raises(js.errors.KeyStreamError):
        opened(dropout).apply({}, X, key)


@pytest.mark.parametrize(
    "key",
    [jax.ShapeDtypeStruct((), KEY.dtype), jax.ShapeDtypeStruct((2,), "uint32")],
    ids=["typed", "legacy"],
)
def test_spec_of_shapes(key: Any):
    """Specs need no real key."""

    def body(x: Any) -> Any:
        keep = jax.random.bernoulli(js.next_key(), 0.5, x.shape)
        return jnp.where(keep, x, 0.0) * js.get_variable("w", [3])

    assert list(opened(body).spec(jax.ShapeDtypeStruct((3,), "float32"), key)) == ["w"]


def test_in_a_derivative_rule():
    """In a rule that JAX runs by itself it is an error: the rule would take another key than the function."""

    def body(x: Any) -> Any:
        f = jax.custom_vjp(lambda x: x * 2)
        f.defvjp(lambda x: (x * 2, data()), lambda key, ct: (ct * 2,))
        return jax.grad(lambda x: jax.jit(f)(x).sum())(x)

    with pytest.raises(js.errors.KeyStreamError) as caught:
        opened(body).apply({}, X, KEY)
    assert caught.value.code == "key_in_rule"


def test_outside_a_pass():
    """Outside a transformed function there is no stream."""
    with pytest.raises(js.errors.NoPassError):
        js.next_key()
