"""The bare model, with folded variables, is the model with its getters; what cannot be folded is refused."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import jaxscope as js
from jaxscope.errors import GetterError, VariablesMismatchError
from tests.getters.small import KEY, L2, around, noise, two_layers, weight

G = js.getters
X = jnp.linspace(-1, 1, 6).reshape(2, 3)

ONES = st.sampled_from(
    [
        G.lora(2),
        G.lora(1, 4.0, where=r".*a/w", name="second"),
        G.weight_norm(),
        G.weight_norm(axis=0),
        G.spectral_norm(),
        G.ema(0.5),
        G.ema(0.5, training=True),
        G.int8(),
        G.int8(axis=(0, 1)),
        G.freeze(),
        G.scale(0.5),
        G.cast("float32"),
    ]
)


def _names(getter):
    """Return what two getters may not have in common, since they would ask for the same names."""
    return type(getter), getattr(getter, "name", None)


@st.composite
def models(draw: Any) -> tuple[Any, Any, Any]:
    """Return a model that asks for weights in several ways, around it a chain, and inside it a getter."""
    own = draw(st.booleans())
    shared, layers = draw(st.booleans()), draw(st.integers(1, 3))
    getters = draw(st.lists(ONES, min_size=1, max_size=3, unique_by=_names))
    blocks = draw(st.sampled_from(["loop", "jax.jit", "js.jit", "scan_layers", "js.remat"]))

    def doubled(getter, name, **kwargs):
        return 2 * getter(name, **kwargs)

    def layer(x):
        w = js.get_variable("w", [3, 3], regularizer=L2)
        return jnp.tanh(x @ w + js.get_variable("b", [3], initializer=js.initializers.ones))

    def stack(x):
        wrap = {"jax.jit": jax.jit, "js.jit": js.jit, "js.remat": js.remat}.get(blocks, lambda f: f)
        block = wrap(layer)
        for at in range(layers):
            with js.variable_scope(f"layer_{at}"):
                x = block(x)
        return x

    def model(x):
        with js.variable_scope("a", custom_getter=doubled if own else None):
            x = x @ js.get_variable("w", [3, 3])
        x = js.scan_layers(layer, layers)(x) if blocks == "scan_layers" else stack(x)
        with js.variable_scope("a", reuse=shared, custom_getter=doubled if own else None):
            x = x @ js.get_variable("w" if shared else "v", [3, 3])
        return x, sum(js.get_collection(js.GraphKeys.REGULARIZATION_LOSSES))

    return model, draw(st.permutations(getters)), draw(st.sampled_from(["chain", "scopes"]))


@given(models(), st.integers(0, 99))
@settings(max_examples=10)
def test_folding(drawn, seed):
    """Names, flags and dtypes of the bare model, its result and losses, for any chain around any model."""
    model, getters, how = drawn
    getter = G.chain(*getters)
    net, bare = around(getter, model), around(None, model)
    if how == "scopes":
        net = model
        for one in getters:
            net = around(one, net, "")
        net = around(None, net)
    specs = bare.spec(X)
    try:
        variables = noise(net.init(KEY, X), seed)
    except js.errors.VariableNotFoundError as problem:  # all weights are small numbers by then
        assume(problem.code != "nothing_matches")
        raise
    (y, loss), _ = net.apply_with_state(variables, X)
    folded = G.fold(net, variables, X)
    assert list(folded) == list(specs.shape_dtypes())
    assert list(folded.trainable) == [name for name in folded if specs[name].trainable]
    assert all(folded[name].dtype == spec.dtype for name, spec in specs.items())
    other, other_loss = bare.apply(folded, X)
    np.testing.assert_allclose(other, y, atol=2e-5)
    if G.ema(0.5) not in getters:  # whose losses are on the variables, not on their averages
        np.testing.assert_allclose(other_loss, loss, rtol=1e-4)


def test_chains_are_scopes():
    """`chain(a, b)` is `a` in a scope inside that of `b`: same variables, same values."""
    a, b = G.weight_norm(), G.lora(2)
    chained = around(G.chain(a, b), two_layers)
    nested = around(b, around(a, two_layers, ""))
    assert list(chained.spec(X).items()) == list(nested.spec(X).items())
    v = noise(chained.init(KEY, X))
    np.testing.assert_array_equal(chained.apply(v, X), nested.apply(v, X))


def test_stacks():
    """What is given in stacks is folded into stacks, and unfolded into stacks."""
    block = lambda x: jnp.tanh(x @ js.get_variable("w", [3, 3]))
    model = js.scan_layers(block, 3)
    net, bare = around(G.lora(2), model), around(None, model)
    plain = bare.init(KEY, X)
    v = noise(net.init(KEY, X))
    folded = G.fold(net, v.stack("layer_{}"), X)
    assert {name: value.shape for name, value in folded.items()} == {"m/layer_{}/w": (3, 3, 3)}
    np.testing.assert_allclose(bare.apply(folded, X), net.apply(v, X), atol=1e-6)
    again = G.unfold(net, plain.stack("layer_{}"), X, key=KEY)
    assert again["m/layer_{}/w/lora_a"].shape == (3, 3, 2)
    np.testing.assert_allclose(net.apply(again, X), bare.apply(plain, X), atol=1e-6)


def test_arguments_without_numbers():
    """Shapes and dtypes stand for arrays; Python values are passed on as they are."""

    def model(x, flag):
        return two_layers(x) if flag else x

    net = around(G.lora(2), model)
    v = noise(net.init(KEY, X, True))
    struct = jax.ShapeDtypeStruct(X.shape, X.dtype)
    for name, value in G.fold(net, v, X, True).items():
        np.testing.assert_array_equal(G.fold(net, v, struct, True)[name], value)


def test_a_cast_is_folded_where_the_bare_model_takes_it():
    """Where it asks for no dtype, or for the one that it computes in."""
    dtypes = (None, jnp.bfloat16)
    x = X.astype(jnp.bfloat16)
    with jax.numpy_dtype_promotion("standard"):
        for dtype in dtypes:
            model = lambda x: x @ js.get_variable("w", [3, 2], dtype=dtype)
            net, bare = around(G.cast("bfloat16"), model), around(None, model)
            v = net.init(KEY, x)
            folded = G.fold(net, v, x)
            assert folded["m/w"].dtype == jnp.bfloat16
            np.testing.assert_array_equal(bare.apply(folded, x), net.apply(v, x))


def refused(net, variables, *args):
    with pytest.raises(GetterError) as caught:
        G.fold(net, variables, *args)
    assert caught.value.code == "cannot_fold"
    return caught.value


def test_what_cannot_be_folded():
    """Each for its own reason, which the error says; one error lists all variables."""
    cast = around(G.cast("bfloat16"), lambda: js.get_variable("w", [2, 2], dtype="float32"))
    assert "m/w bfloat16, not float32" in refused(cast, cast.init(KEY)).facts["dtype"]

    @js.transform
    def two_ways():
        with js.variable_scope("m", custom_getter=G.scale(2.0)):
            one = js.get_variable("w", [2, 2])
        with js.variable_scope("m", reuse=True):
            return one + js.get_variable("w")

    assert refused(two_ways, two_ways.init(KEY)).facts["several"] == "m/w"

    net = around(G.lora(1), lambda x, more: two_layers(x) if more else x @ js.get_variable("w", [3, 2]))
    problem = refused(net, net.init(KEY, X, True) | net.init(KEY, X, False), X, False)
    assert problem.facts["unused"].split() == [
        name for name in net.init(KEY, X, True) if not name.startswith("m/w")
    ]

    def counted():
        n = js.get_variable("n", [2, 2], trainable=False)
        js.set_variable("n", n / 4)
        return n

    state = around(G.scale(2.0, where=lambda request: True), counted)
    assert refused(state, state.init(KEY)).facts["written"] == "m/n"

    def half(getter, name, **kwargs):
        return getter(name, **kwargs) / 2

    def renamed(getter, name, **kwargs):
        return getter("r/" + name, **kwargs)

    for own in (half, renamed):
        behind = around(own, around(G.lora(1), weight(), "n"))
        assert "'m/n/w' cannot be folded" in refused(behind, behind.init(KEY)).summary

    def wide(getter, name, **kwargs):
        return jnp.concatenate([getter(name, **kwargs)] * 2)

    outer = around(G.chain(G.freeze(), wide), weight())
    refused(outer, outer.init(KEY))


def test_folding_traced_values():
    """Under `jax.jit` it works where each weight is asked for once; else it cannot compare, and says so."""
    once = around(G.lora(2), two_layers)
    v = noise(once.init(KEY, X))
    for name, value in jax.jit(lambda v: G.fold(once, v, X))(v).items():
        np.testing.assert_allclose(value, G.fold(once, v, X)[name], atol=1e-6)

    def twice():
        with js.variable_scope("", reuse=js.AUTO_REUSE):
            return weight()() + weight()()

    net = around(G.lora(2), twice)
    v = net.init(KEY)
    assert list(G.fold(net, v)) == ["m/w"]
    with pytest.raises(GetterError, match=r"outside of jax\.jit"):
        jax.jit(lambda v: G.fold(net, v))(v)


def test_more_than_weights():
    """Variables that go through no getter are there as they are: `js.Variable`s, templates', numbers."""

    def model(x):
        step = js.Variable(2.0, name="s")
        n = js.get_variable("n", [], "int32", trainable=False)
        layer = js.make_template("t", lambda x: jnp.tanh(x @ js.get_variable("w", [3, 3])))
        return layer(layer(x)) * step + n.astype(x.dtype)

    net, bare = around(G.chain(G.lora(2), G.int8()), model), around(None, model)
    v = noise(net.init(KEY, X))
    folded = G.fold(net, v, X)
    assert list(folded) == list(bare.init(KEY, X))
    np.testing.assert_allclose(bare.apply(folded, X), net.apply(v, X), atol=1e-6)


UNFOLDED = [
    G.lora(2),
    G.weight_norm(),
    G.spectral_norm(),
    G.ema(0.5),
    G.int8(),
    G.chain(G.cast("float32"), G.lora(2), G.int8(axis=0)),
    G.chain(G.weight_norm(), G.ema(0.5)),
]


@pytest.mark.parametrize("getter", UNFOLDED, ids=str)
def test_unfolding(getter):
    """From other weights than the initial ones: folded again they are the same, int8 to half a scale."""
    net, bare = around(getter, two_layers), around(None, two_layers)
    plain = noise(bare.init(KEY, X))
    v = G.unfold(net, plain, X, key=KEY)
    assert list(v) == list(net.spec(X).shape_dtypes())
    folded = G.fold(net, v, X)
    for name, value in plain.items():
        divided = "spectral" in str(getter) and name.endswith("w")
        wanted = value / np.linalg.svd(value, compute_uv=False)[0] if divided else value
        np.testing.assert_allclose(folded[name], wanted, atol=2e-2 if "int8" in str(getter) else 1e-3)
    # What has a value already keeps it.
    np.testing.assert_array_equal(G.unfold(net, v, X)["m/a/b"], v["m/a/b"])


def test_what_cannot_be_unfolded():
    """One error lists what is missing and what is too much; shapes and dtypes are those of `bind`."""
    net = around(G.lora(2), two_layers)
    plain = around(None, two_layers).init(KEY, X)
    with pytest.raises(GetterError) as caught:
        G.unfold(net, {**plain, "other": 1.0}, X)
    assert caught.value.code == "cannot_unfold"
    assert caught.value.facts["unused"] == "other"
    assert caught.value.facts["missing"].split() == [
        f"m/{scope}/w/lora_{part}" for scope in "ab" for part in "ab"
    ]
    with pytest.raises(VariablesMismatchError):
        G.unfold(net, {**plain, "m/a/b": jnp.ones(5)}, X, key=KEY)
