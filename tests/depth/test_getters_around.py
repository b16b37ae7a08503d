"""Custom getters around and inside blocks mean what they mean around the loop, state and losses included."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import pytest

import jaxscope as js
from tests.depth.lifts import Lift, as_it_is, ensemble, loop, scanned, side_by_side
from tests.depth.same import X, assert_close, assert_same, count_equations, outcome

LIFTS: dict[str, tuple[Lift, Lift]] = {
    "jit": (js.jit, as_it_is),
    "remat": (js.remat, as_it_is),
    "scan_layers": (scanned, loop),
    "ensemble": (ensemble, side_by_side),
    "remat and scan_layers": (lambda f: js.remat(scanned(js.remat(f))), loop),
}


def layer(x: jax.Array) -> jax.Array:
    w = js.get_variable("w", [3, 3], regularizer=js.regularizers.l2(0.5))
    return jnp.tanh(x @ w + js.get_variable("b", [3], initializer=js.initializers.ones))


# --- getters -------------------------------------------------------------------------------------------


def counter(getter: Any, name: str, **kwargs: Any) -> Any:
    """Has a count of its own for each variable, and adds something to a collection."""
    zero = {"initializer": js.initializers.zeros, "trainable": False, "regularizer": None}
    count = getter(f"{name}/count", [], "float32", **zero)
    js.set_variable(full_name=f"{name}/count", value=count + 1)
    value = getter(name, **kwargs) * (1 + count)
    js.add_to_collection("seen", jnp.sum(value))
    return value


def shared_counter(getter: Any, name: str, **kwargs: Any) -> Any:
    """Has one count for all variables of all layers, so that their order matters."""
    zero = {"initializer": js.initializers.zeros, "trainable": False, "reuse": js.AUTO_REUSE}
    count = getter("count", [], "float32", **zero)
    js.set_variable(full_name="count", value=count + 1)
    return getter(name, **kwargs) * (1 + count)


def first_layer(getter: Any, name: str, **kwargs: Any) -> Any:
    value = getter(name, **{**kwargs, "trainable": "layer_0" not in name})
    return 2 * value if "layer_1" in name else value


def noisy(getter: Any, name: str, **kwargs: Any) -> Any:
    value = getter(name, **kwargs)
    return value + 0.1 * jax.random.normal(js.next_key(), value.shape)


def own_rule(getter: Any, name: str, **kwargs: Any) -> Any:
    """Has a function with a derivative of its own, of which JAX keeps another one for each trace."""

    @jax.custom_vjp
    def rounded(x: Any) -> Any:
        return jnp.round(8 * x) / 8

    rounded.defvjp(lambda x: (rounded(x), None), lambda _, g: (g,))
    return rounded(getter(name, **kwargs))


def looking_around(getter: Any, name: str, **kwargs: Any) -> Any:
    """Reads what was set and added for all variables before."""
    zero = {"initializer": js.initializers.zeros, "trainable": False, "regularizer": None}
    count = getter(f"{name}/count", [], "float32", **zero)
    counts = [value for other, value in js.global_variables().items() if other.endswith("/count")]
    before = sum([jnp.sum(value) for value in (*counts, *js.get_collection("seen"))], jnp.float32(0))
    js.set_variable(full_name=f"{name}/count", value=count + 1 + jax.lax.stop_gradient(before))
    js.add_to_collection("seen", jnp.tanh(before))
    return getter(name, **kwargs) * (1 + 0.1 * before)


GETTERS = {
    "counter": counter,
    "looking around": looking_around,
    "shared counter": shared_counter,
    "first layer": first_layer,
    "noisy": noisy,
    "own rule": own_rule,
    "spectral norm": js.getters.spectral_norm(training=True),
    "lora": js.getters.lora(rank=2, alpha=4),
    "cast": js.getters.cast("float16"),
    "weight norm": js.getters.weight_norm(),
    "chain": js.getters.chain(js.getters.cast("float16"), js.getters.spectral_norm(training=True)),
}


#: Those that differ in how they are run, around and inside of all blocks; the others are theirs alike.
CASES = [(lift, name, True) for lift in LIFTS for name in ("counter", "shared counter", "noisy")]
CASES += [(lift, "counter", False) for lift in LIFTS] + [("scan_layers", name, False) for name in GETTERS]


@pytest.mark.parametrize(("lift", "name", "inside"), dict.fromkeys(CASES))
def test_as_around_the_loop(lift: str, name: str, inside: bool):
    """Names, values, gradients, state and losses are those of the loop."""
    block, bare = LIFTS[lift]
    assert_same(comes_to(block, name, inside), expected_of(bare, name, inside))


def comes_to(lift: Lift, name: str, inside: bool) -> Any:
    def block(x: Any) -> Any:
        if not inside:
            return layer(x)
        with js.variable_scope("s", custom_getter=GETTERS[name]):
            return layer(x)

    def net(x: Any) -> Any:
        half = "cast" in name or name == "chain"
        x = x.astype("float16") if half else x
        getter = None if inside else GETTERS[name]
        with js.random_keys(jax.random.key(1)), js.variable_scope("a", custom_getter=getter):
            y = lift(block)(x)
        losses = js.get_collection("regularization_losses"), js.get_collection("seen")
        return y, [sum((jnp.sum(loss.astype("float32")) for loss in one), jnp.float32(0)) for one in losses]

    found = outcome(net, eagerly=False)
    assert isinstance(found["spec"], dict), found
    found["spec"] = {name: (*facts[:4], facts[4] is None) for name, facts in found["spec"].items()}
    return found


expected_of = functools.cache(comes_to)


# --- the size of programs --------------------------------------------------------------------------------


def net_of(getter: Any, length: int) -> js.Transformed[..., Any]:
    def net(x: Any) -> Any:
        with js.variable_scope("a", custom_getter=getter):
            return js.scan_layers(lambda x: jnp.tanh(x @ js.get_variable("w", [3, 3])), length)(x)

    return js.transform(net)


@pytest.mark.parametrize("name", ["cast", "lora", "weight norm", "own rule"])
def test_size_in_depth(name: str):
    """A getter that surely does the same in all layers runs in the scan, whose program is of one size."""

    def size(length: int) -> int:
        net = net_of(GETTERS[name], length)
        x = jnp.ones(3, "float16" if name == "cast" else "float32")
        given = net.init(jax.random.key(0), x).stack("layer_{}")
        return count_equations(jax.make_jaxpr(jax.grad(lambda g: jnp.sum(net.apply(g, x))))(given).jaxpr)

    small, large = size(4), size(24)
    assert (small == large) == (name != "own rule")


def test_given_stacked():
    """Variables that are given stacked are scanned as they are, with gradients of the same form."""
    for name in ("cast", "spectral norm"):
        net = net_of(GETTERS[name], 3)
        x = jnp.ones(3, "float16" if name == "cast" else "float32")
        given = net.init(jax.random.key(0), x)

        def loss(params: js.Variables, state: js.Variables, net: Any = net, x: Any = x) -> Any:
            y, state = net.apply_with_state(params | state, x)
            return jnp.sum(y.astype("float32")), dict(state)

        one = jax.grad(loss, has_aux=True)(given.trainable, given.non_trainable)
        stacked = given.stack("layer_{}")
        gradients, state = jax.grad(loss, has_aux=True)(stacked.trainable, stacked.non_trainable)
        assert_close(dict(gradients.unstack()), dict(one[0]), rtol=1e-3, atol=1e-4)
        assert_close(dict(js.Variables(state).unstack()), one[1], rtol=1e-5)


def test_a_listener():
    """A listener is told of each variable of each layer, and of what the getter makes of it."""
    told: list[tuple[str, bool]] = []

    def net(x: Any) -> Any:
        with (
            js.variable_scope("a", custom_getter=js.getters.lora(rank=1, where=".*w")),
            js.observe(lambda answer: told.append((answer.name, answer.behind))),
        ):
            return scanned(layer)(x)

    js.transform(net).spec(X)
    names = {name for name, _ in told}
    assert {f"a/layer_{index}/{own}" for index in range(3) for own in ("w", "b", "w/lora_a")} <= names
    assert ("a/layer_2/w", False) in told
    assert ("a/layer_2/w/lora_a", False) not in told
