"""Which variables a getter is for: patterns, predicates, and patterns that match nothing."""

import re

import jax
import jax.numpy as jnp
import pytest

import jaxscope as js
from jaxscope.errors import GetterError, VariableNotFoundError
from tests.getters.small import KEY, around, two_layers, weight

G = js.getters
X = jnp.ones([2, 3])


def adapted(where):
    """Return the names of the weights that an adapter is made for."""
    names = around(G.lora(1, where=where), two_layers).spec(X)
    return [name.removesuffix("/lora_a") for name in names if name.endswith("lora_a")]


def test_patterns():
    """They match at the start of the full name, as those of `select` do; predicates see the request."""
    assert adapted(None) == ["m/a/w", "m/b/w"]
    assert adapted("m/a") == adapted(r".*a/w") == adapted(re.compile("M/A", re.IGNORECASE)) == ["m/a/w"]
    assert adapted("m/") == ["m/a/w", "m/b/w"]  # the weights among them
    assert adapted(lambda request: request.shape == (4, 2)) == ["m/b/w"]
    assert adapted(lambda request: request.name.endswith("b/w") and request.dtype == "float32") == ["m/b/w"]


CALLS = {
    "spec": lambda net, v: net.spec(X),
    "init": lambda net, v: net.init(KEY, X),
    "apply": lambda net, v: net.apply(v, X),
    "jit": lambda net, v: jax.jit(net.apply_with_state)(v, X),
    "fold": lambda net, v: G.fold(net, v, X),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_pattern_that_matches_nothing(call):
    """It is an error at the end of every call, with the line of the first request."""
    net = around(G.cast("float16", where="m/c/"), two_layers)
    with pytest.raises(VariableNotFoundError) as caught:
        CALLS[call](net, around(None, two_layers).init(KEY, X))
    error = caught.value
    assert error.code == "nothing_matches"
    assert str(error.facts["at"]).startswith("small.py:")
    assert "m/a/w" in error.facts["asked"]


def test_what_the_error_says():
    """What was near, what is inside of a name, and what matched but can be none of its."""

    def told(getter):
        with pytest.raises(VariableNotFoundError) as caught:
            around(getter, two_layers).spec(X)
        return caught.value

    assert "'.*a/w' finds 'm/a/w'" in told(G.lora(1, where="a/w")).fix
    assert told(G.lora(1, where="m/a/v")).facts["near"] == "m/a/w, m/a/b, m/b/w"
    assert told(G.lora(1, where=".*/b$")).facts["unfit"] == "m/a/b float32[4] has one axis"
    late = told(G.chain(G.int8(), G.lora(1, where="m/")))
    assert "m/a/w/int8 int8[3,4] is what a getter in front asks for" in late.facts["unfit"]
    assert "m/b/w/scale" in late.facts["unfit"]

    def state():
        return js.get_variable("n", [2, 2], trainable=False)

    with pytest.raises(VariableNotFoundError) as caught:
        around(G.freeze("m/n"), state).spec()
    assert caught.value.facts["unfit"] == "m/n float32[2,2] is not trainable"


def test_the_whole_pass_counts():
    """A getter may be given to many scopes, made anew in each, and match in one of them."""

    def model(where):
        for scope in "ab":
            with js.variable_scope(scope, custom_getter=G.lora(1, where=where)):
                weight()()

    net = js.transform(model)
    assert "b/w/lora_a" in net.spec("b/")
    with pytest.raises(VariableNotFoundError):
        net.spec("c/")
    # In two getters, two patterns.
    with pytest.raises(VariableNotFoundError):
        around(G.chain(G.lora(1, where="m/w"), G.freeze("m/v")), weight()).spec()


def test_a_predicate_may_find_nothing():
    """As in `select`; nor is anything wrong where nothing is asked for, or where the function fails."""
    assert adapted(lambda request: False) == []
    around(G.lora(1, where="x"), lambda: None).spec()

    def fails():
        weight()()
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        around(G.lora(1, where="x"), fails).spec()


def test_a_predicate_decides_once():
    """A later request may say less than the first: it gets the same weight."""

    def model():
        first = weight()()
        with js.variable_scope("", reuse=True):
            return first, js.get_variable("w")

    net = around(G.int8(where=lambda request: request.shape == (4, 3)), model)
    one, other = net.apply(net.init(KEY))
    assert jnp.all(one == other)


def test_a_predicate_of_what_is_there():
    """Where another scope made it, a request without a shape is told of what was made."""
    seen = []

    @js.transform
    def net():
        with js.variable_scope("m"):
            weight()()
        with js.variable_scope(
            "m", reuse=True, custom_getter=G.scale(2.0, where=lambda request: seen.append(request) or True)
        ):
            return js.get_variable("w")

    assert jnp.all(net.apply({"m/w": jnp.ones([4, 3])}) == 2)
    assert {(request.shape, str(request.dtype)) for request in seen} == {((4, 3), "float32")}


def test_a_predicate_may_choose_state():
    """Patterns are for what is trained, as the default is; a predicate is asked about all that fits."""

    def model():
        return js.get_variable("n", [2, 2], trainable=False)

    net = around(G.cast("float16", where=lambda request: True), model)
    assert net.apply(net.init(KEY)).dtype == jnp.float16


WRONG = [
    lambda: G.lora(0),
    lambda: G.lora(True),
    lambda: G.lora(2.5),
    lambda: G.lora(2, "x"),
    lambda: G.lora(2, float("nan")),
    lambda: G.lora(2, name=""),
    lambda: G.lora(2, where=3),
    lambda: G.lora(2, where="("),
    lambda: G.cast("int32"),
    lambda: G.cast("bf16"),
    lambda: G.cast(None),
    lambda: G.cast("bfloat16", "int8"),
    lambda: G.ema(1.5),
    lambda: G.ema("x"),
    lambda: G.ema(0.5, training=1),
    lambda: G.ema(0.5, name=3),
    lambda: G.spectral_norm(training=None),
    lambda: G.weight_norm(axis="x"),
    lambda: G.int8(axis=1.5),
    lambda: G.scale("x"),
    lambda: G.scale(None),
    lambda: around(G.scale(jnp.ones([5, 1, 1])), weight()).spec(),
    lambda: around(G.scale(jnp.ones(2)), weight()).spec(),
    lambda: G.freeze(where=["a"]),
]


@pytest.mark.parametrize("wrong", WRONG)
def test_arguments(wrong):
    """What says nothing is refused where it is written."""
    with pytest.raises(GetterError) as caught:
        wrong()
    assert caught.value.code == "getter_argument"
    assert caught.value.fix


def test_a_chain_is_of_functions():
    with pytest.raises(GetterError) as caught:
        G.chain(G.freeze(), "freeze")
    assert caught.value.code == "getter_not_callable"
    assert list(around(G.chain(), weight()).spec()) == ["m/w"]
