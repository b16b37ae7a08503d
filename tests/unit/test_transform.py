"""transform: what init, spec and apply promise of any function."""

import copy
import functools
import inspect
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxscope as js

KEY = jax.random.key(11)
few = settings(deadline=None, max_examples=30)


def same(one: Any, two: Any) -> None:
    assert jax.tree.structure(one) == jax.tree.structure(two)
    jax.tree.map(functools.partial(np.testing.assert_array_equal, strict=True), one, two)


# --- random models: trees of scopes and variables ----------------------------------------------

INITIALIZERS = {
    "glorot": None,
    "normal": js.initializers.random_normal(stddev=0.5),
    "jax": jax.nn.initializers.uniform(2.0),
    "ones": js.initializers.ones,
}
SHAPES = [(), (2,), (3, 2)]
variables_ = st.tuples(st.sampled_from(SHAPES), st.sampled_from(sorted(INITIALIZERS)), st.booleans())
leaf_names = st.sampled_from(["w", "b", "w_1", "w_10", "w_2"])
scope_names = st.sampled_from(["layer_1", "layer_2", "layer_10", "a", "a.b"])
trees = st.recursive(
    st.dictionaries(leaf_names, variables_, max_size=3),
    lambda inner: st.tuples(
        st.dictionaries(leaf_names, variables_, max_size=2), st.dictionaries(scope_names, inner, max_size=3)
    ).map(lambda pair: pair[0] | pair[1]),
    max_leaves=6,
)


def build(tree: dict[str, Any], order: Callable[[list[str]], list[str]]) -> None:
    """Make the variables of a tree, those of each scope in some order."""
    for name in order(sorted(tree)):
        if isinstance(tree[name], dict):
            with js.variable_scope(name):
                build(tree[name], order)
        else:
            shape, initializer, trainable = tree[name]
            js.get_variable(name, shape, initializer=INITIALIZERS[initializer], trainable=trainable)


def model(tree: dict[str, Any], order: Callable[[list[str]], list[str]] = list) -> js.Transformed[[], None]:
    return js.transform(lambda: build(tree, order))


def flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    names: dict[str, Any] = {}
    for name, below in tree.items():
        names |= flat(below, f"{prefix}{name}/") if isinstance(below, dict) else {prefix + name: below}
    return names


@few
@given(trees, st.randoms())
def test_the_order_of_layers_does_not_matter(tree: dict[str, Any], random: Any):
    """Same names, same structure, same bits, and the shapes and trainability that were asked for."""
    one = model(tree).init(KEY)
    two = model(tree, lambda names: random.sample(names, len(names))).init(KEY)
    same(one, two)
    expected = flat(tree)
    assert {name: value.shape for name, value in one.items()} == {n: v[0] for n, v in expected.items()}
    assert set(one.trainable) == {name for name, (_, _, trainable) in expected.items() if trainable}


@few
@given(trees, trees)
def test_another_layer_changes_no_value(tree: dict[str, Any], more: dict[str, Any]):
    before = model(tree).init(KEY)
    after = model({"a_new_layer": more} | tree).init(KEY)
    same(after.select(lambda name, _: not name.startswith("a_new_layer/")), before)


@few
@given(trees, trees)
def test_apart_or_together(left: dict[str, Any], right: dict[str, Any]):
    f, g = model({"f": left}), model({"g": right})
    both = js.transform(lambda: (f(), g()))
    same(f.init(KEY) | g.init(KEY), both.init(KEY))
    assert list(f.spec() | g.spec()) == list(both.spec())


@few
@given(trees)
def test_alone_or_among_others(tree: dict[str, Any]):
    specs = model(tree).spec()
    whole = specs.init(KEY)
    for name in specs:
        same(specs.select(lambda spec: spec.name == name).init(KEY)[name], whole[name])


@few
@given(trees, st.integers(0, 3))
def test_a_scope_is_only_a_prefix(tree: dict[str, Any], depth: int):
    """`b/v` in scope `a` is `v` in scope `a/b`, to the bit."""
    path = [f"s{level}" for level in range(depth)]
    nested = functools.reduce(lambda inner, name: {name: inner}, reversed(path), tree)

    def joined() -> None:
        with js.variable_scope("/".join(path)):
            build(tree, list)

    same(model(nested).init(KEY), js.transform(joined).init(KEY))


@few
@given(trees)
def test_apply_gives_each_request_its_leaf(tree: dict[str, Any]):
    names = flat(tree)
    given_ = {name: np.full(shape, at, np.float32) for at, (name, (shape, _, _)) in enumerate(names.items())}

    def read() -> dict[str, jax.Array]:
        return {name: js.get_variable(name, shape) for name, (shape, _, _) in names.items()}

    got = js.transform(read).apply(given_ | {"another": np.zeros(2)})
    jax.tree.map(np.testing.assert_array_equal, got, given_)


# --- init --------------------------------------------------------------------------------------


def dense(x: jax.Array, units: int, name: str) -> jax.Array:
    with js.variable_scope(name):
        kernel = js.get_variable("kernel", [x.shape[-1], units])
        bias = js.get_variable("bias", [units], initializer=js.initializers.zeros)
    return x @ kernel + bias


@js.transform
def linear(x: jax.Array) -> jax.Array:
    return dense(x, 3, "linear")


def test_keys_of_both_kinds_are_one():
    x = jnp.ones(2)
    same(linear.init(jax.random.key(3), x), linear.init(jax.random.PRNGKey(3), x))


def test_keys_and_names_make_the_difference():
    net = js.transform(lambda: [js.get_variable(name, [4]) for name in ("a", "b")])
    one, two = net.init(jax.random.key(0)), net.init(jax.random.key(1))
    assert len({tuple(np.asarray(v)) for tree in (one, two) for v in tree.values()}) == 4


def test_init_in_jit_and_vmap():
    x = jnp.ones(2)
    same(jax.jit(linear.init)(KEY, x), linear.init(KEY, x))
    keys = jax.random.split(KEY, 3)
    stacked = jax.vmap(lambda key: linear.init(key, x))(keys)
    for at in range(3):
        same(jax.tree.map(lambda v: v[at], stacked), linear.init(keys[at], x))


def test_values_from_the_inputs():
    """An initial value may be computed from the arguments, and from other variables."""

    @js.transform
    def net(x: jax.Array) -> jax.Array:
        w = js.get_variable("w", [3], initializer=js.initializers.ones)
        return js.get_variable("scale", initializer=1 / jnp.std(x * w)) * x

    x = jnp.array([1.0, 2.0, 3.0])
    variables = net.init(KEY, x)
    np.testing.assert_allclose(variables["scale"], 1 / np.std([1, 2, 3]), rtol=1e-6)
    np.testing.assert_allclose(jnp.std(net.apply(variables, x)), 1, rtol=1e-6)


# --- apply -------------------------------------------------------------------------------------


def test_apply_takes_any_mapping():
    x = jnp.ones(2)
    variables = linear.init(KEY, x)
    y = linear.apply(variables, x)
    for mapping in (dict(variables), variables | {"more": jnp.ones(1)}, variables.as_dict()):
        np.testing.assert_array_equal(linear.apply(mapping, x), y)
    np.testing.assert_array_equal(linear.apply({n: np.asarray(v) for n, v in variables.items()}, x), y)


def test_one_variable_is_one_object():
    @js.transform
    def net() -> tuple[bool, bool]:
        a = js.get_variable("a", [2])
        b = js.get_variable("b", [2])
        with js.variable_scope("", reuse=True):
            return js.get_variable("a") is a, b is a

    assert net.apply({"a": jnp.ones(2), "b": jnp.ones(2)}) == (True, False)


def test_gradient_of_a_shared_weight_is_the_sum():
    """Of those of two weights with the same value."""

    def net(x: jax.Array, first: str, second: str) -> jax.Array:
        with js.variable_scope("", reuse=js.AUTO_REUSE):
            h = jnp.tanh(x @ js.get_variable(first, [3, 3]))
            return jnp.sum(jnp.tanh(h @ js.get_variable(second, [3, 3])) ** 2)

    f = js.transform(net)
    x = jnp.linspace(-1.0, 1.0, 6).reshape(2, 3)
    shared = f.init(KEY, x, "w", "w")
    assert list(shared) == ["w"]
    separate = {"w1": shared["w"], "w2": shared["w"]}
    together = jax.grad(lambda v: f.apply(v, x, "w", "w"))(shared)
    apart = jax.grad(lambda v: f.apply(v, x, "w1", "w2"))(separate)
    np.testing.assert_allclose(together["w"], apart["w1"] + apart["w2"], rtol=1e-6)


def norm(x: jax.Array, scale: jax.Array) -> jax.Array:
    return x * jax.lax.rsqrt(jnp.mean(x * x, -1, keepdims=True) + 1e-6) * scale


def attend(q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
    scores = jnp.einsum("thd,shd->hts", q, k) / q.shape[-1] ** 0.5
    mask = jnp.tril(jnp.ones(scores.shape[-2:], bool))
    return jnp.einsum("hts,shd->thd", jax.nn.softmax(jnp.where(mask, scores, -1e9)), v)


BLOCKS, HEADS, WIDTH = 24, 2, 8


def transformer(x: jax.Array) -> jax.Array:
    def get(name: str, *shape: int) -> jax.Array:
        return js.get_variable(name, shape)

    for at in range(BLOCKS):
        with js.variable_scope(f"block_{at:02}"):
            with js.variable_scope("attention"):
                y = norm(x, get("scale", WIDTH))
                q, k, v = (jnp.einsum("tc,chd->thd", y, get(n, WIDTH, HEADS, 4)) for n in "qkv")
                x = x + jnp.einsum("thd,hdc->tc", attend(q, k, v), get("out", HEADS, 4, WIDTH))
            with js.variable_scope("mlp"):
                y = norm(x, get("scale", WIDTH))
                x = x + jax.nn.gelu(y @ get("up", WIDTH, 32)) @ get("down", 32, WIDTH)
    return norm(x, get("scale", WIDTH))


def transformer_by_hand(variables: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    for at in range(BLOCKS):
        of = f"block_{at:02}/attention/"
        y = norm(x, variables[of + "scale"])
        q, k, v = (jnp.einsum("tc,chd->thd", y, variables[of + n]) for n in "qkv")
        x = x + jnp.einsum("thd,hdc->tc", attend(q, k, v), variables[of + "out"])
        of = f"block_{at:02}/mlp/"
        y = norm(x, variables[of + "scale"])
        x = x + jax.nn.gelu(y @ variables[of + "up"]) @ variables[of + "down"]
    return norm(x, variables["scale"])


def test_the_jaxpr_is_that_of_the_function_over_a_dict():
    """For a transformer of 24 blocks: also of its gradient, and whether variables are a dict or not."""
    net = js.transform(transformer)
    x = jnp.ones((5, WIDTH))
    variables = net.spec(x).shape_dtypes()
    assert len(variables) == 24 * 8 + 1
    by_hand = str(jax.make_jaxpr(transformer_by_hand)(variables.as_dict(), x))
    assert str(jax.make_jaxpr(net.apply)(variables, x)) == by_hand
    assert str(jax.make_jaxpr(net.apply)(variables.as_dict(), x)) == by_hand

    def loss(apply: Any) -> Callable[..., Any]:
        return jax.grad(lambda variables, x: jnp.sum(apply(variables, x)))

    by_hand = str(jax.make_jaxpr(loss(transformer_by_hand))(variables.as_dict(), x))
    assert str(jax.make_jaxpr(loss(net.apply))(variables, x)) == by_hand


def test_profiles_show_scope_names():
    def double(x: jax.Array) -> jax.Array:
        with js.variable_scope("outer"), js.variable_scope("inner"):
            return x * js.get_variable("w", [])

    net = js.transform(lambda x: -double(x))
    jaxpr = jax.make_jaxpr(net.apply)({"outer/inner/w": jnp.ones([])}, jnp.ones([]))
    stacks = [str(equation.source_info.name_stack) for equation in jaxpr.eqns]
    assert stacks == ["outer/inner", ""]


def test_apply_bakes_nothing_in():
    net = js.transform(lambda x: x * js.get_variable("w", initializer=np.arange(3.0, dtype=np.float32)))
    variables = net.init(KEY, 1.0)
    jaxpr = jax.make_jaxpr(net.apply)(variables, 1.0)
    assert jaxpr.consts == []
    step = jax.jit(net.apply)
    np.testing.assert_array_equal(step(variables, 1.0), [0, 1, 2])
    np.testing.assert_array_equal(step(variables.replace({"w": jnp.zeros(3)}), 1.0), [0, 0, 0])


def test_state():
    @js.transform
    def net(x: jax.Array) -> jax.Array:
        w = js.get_variable("w", [])
        mean = js.get_variable("mean", [], trainable=False, initializer=js.initializers.zeros)
        js.get_variable("unused", [], trainable=False)
        js.set_variable("mean", 0.5 * mean + 0.5 * x.mean())
        return w * x

    x = jnp.array([2.0, 4.0])
    variables = net.init(KEY, x)
    _, state = net.apply_with_state(variables, x)
    assert list(state) == ["mean", "unused"]
    assert jax.tree.structure(variables | state) == jax.tree.structure(variables)
    assert state["mean"] == 1.5
    _, state = jax.jit(net.apply_with_state)(variables | state, x)
    assert state["mean"] == 2.25


# --- the object --------------------------------------------------------------------------------


def test_it_keeps_the_function_s_name_and_words():
    @js.transform
    def documented(x: Any) -> Any:
        """Say so."""
        return x

    assert documented.__name__ == "documented"
    assert documented.__doc__ == "Say so."
    assert "documented" in repr(documented)
    assert js.transform(documented) is documented


def test_called_inside_another_it_is_the_function():
    outer = js.transform(lambda x: linear(x) + dense(x, 3, "other"))
    assert list(outer.spec(jnp.ones(2))) == ["linear/kernel", "linear/bias", "other/kernel", "other/bias"]


@pytest.mark.parametrize("not_a_function", [None, 3, "f", [len]])
def test_only_functions_are_transformed(not_a_function: Any):
    with pytest.raises(TypeError, match=r"js\.transform takes a function, not"):
        js.transform(not_a_function)


PARTS = ("spec", "init", "apply", "apply_with_state")


def with_attributes(x: Any) -> Any:
    return x * js.get_variable("w", [])


for name in (*PARTS, "_fun", "_bound", "_calls", "__call__", "made_of"):
    setattr(with_attributes, name, "the user's")


class WithAttributes:
    """A callable object whose attributes are called like the methods of a transformed function."""

    def __init__(self) -> None:
        for name in (*PARTS, "_fun", "_bound", "_calls"):
            setattr(self, name, "the user's")

    def __call__(self, x: Any) -> Any:
        return with_attributes(x)


@pytest.mark.parametrize("fun", [with_attributes, WithAttributes()])
def test_the_methods_win_over_the_functions_own_attributes(fun: Any):
    net = js.transform(fun)
    assert list(net.spec(1.0)) == list(net.init(KEY, 1.0)) == ["w"]
    assert net.apply({"w": jnp.float32(2)}, 3.0) == 6
    assert not hasattr(net, "undefined")
    assert fun.spec == "the user's"


class Nets:
    @js.transform
    def method(self, x: Any) -> Any:
        return x * js.get_variable("w", [])


def plain(x: Any) -> Any:
    return x * js.get_variable("w", [])


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickled_by_name(protocol: int):
    """Where it has taken the function's place; else as what makes it. Its parts are pickled with it."""

    def again(thing: Any) -> Any:
        return pickle.loads(pickle.dumps(thing, protocol))

    assert again(linear) is linear
    assert again(linear.apply) == linear.apply
    if protocol >= 4:  # names with dots
        assert again(Nets.method) is Nets.method
    other = again(js.transform(plain))
    assert other.apply({"w": jnp.float32(2)}, 3.0) == 6
    assert again(js.transform(plain).apply)({"w": jnp.float32(2)}, 3.0) == 6
    assert again(functools.partial(linear.apply)).func == linear.apply
    with pytest.raises((pickle.PicklingError, AttributeError)):
        again(js.transform(lambda x: x))
    assert copy.copy(linear) is copy.deepcopy(linear) is linear


def test_parts_bear_the_functions_name():
    """In jaxprs, compiled programs and messages of JAX; also those that eager calls make."""
    variables, x = linear.init(KEY, jnp.ones(2)), jnp.ones(2)
    for name in PARTS:
        bound = getattr(linear, name)
        assert bound.__name__ == f"linear_{name}"
        assert bound.__qualname__ == f"linear.{name}"
        assert bound == getattr(linear, name)
        assert hash(bound) == hash(getattr(linear, name))
        assert bound != getattr(js.transform(plain), name)
        assert bound.__self__ is linear
        assert bound.__doc__ == bound.__func__.__doc__ == getattr(js.Transformed, name).__doc__
        assert repr(bound) == f"<linear.{name}>"
    assert "@jit_linear_apply" in jax.jit(linear.apply).lower(variables, x).as_text()
    assert "jit_linear_apply_with_state" in jax.jit(linear.apply_with_state).lower(variables, x).as_text()
    assert "@jit_linear_init" in jax.jit(linear.init).lower(KEY, x).as_text()
    assert Nets().method.apply.__name__ == "method_apply"
    assert js.transform(functools.partial(plain)).apply.__name__.endswith("_apply")


def test_parts_have_the_functions_parameters():
    """So `static_argnames` finds them, whether they are given by name or by position."""

    @js.transform
    def net(x: Any, training: bool = False, *, variables: int = 0) -> Any:
        return (2 * x if training else x) * js.get_variable("w", [])

    assert list(inspect.signature(net.apply).parameters) == ["variables_", "x", "training", "variables"]
    assert list(inspect.signature(net.spec).parameters) == ["x", "training", "variables"]
    apply = jax.jit(net.apply, static_argnames="training")
    w = {"w": jnp.float32(2)}
    assert apply(w, 3.0, True) == apply(w, 3.0, training=True) == 12
    assert "net_apply" in str(jax.make_jaxpr(jax.jit(net.apply))(w, 3.0))


def test_own_frames_are_hidden():
    """Of what lies between a user's call and a user's function, tools that hide frames show nothing."""

    @js.transform
    def net(x: Any) -> Any:
        raise ZeroDivisionError

    for call in (net.apply, jax.jit(net.apply), net.apply_with_state):
        with pytest.raises(ZeroDivisionError) as caught:
            call({}, 1.0)
        shown = caught.traceback.filter(caught)
        folder = str(Path(js.__file__).parent / "_core" / "transform")
        assert not [entry for entry in shown if str(entry.path).startswith(folder)]
