"""js.observe: a listener hears each answer, and changes nothing."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxscope as js

X = jnp.asarray([0.5, -1.0, 2.0])
Net = Callable[[Any], Any]


def heard(net: Net, way: str = "spec") -> list[Any]:
    """Return the answers that a listener around a whole program hears."""
    answers: list[Any] = []

    def listening(x: Any) -> Any:
        answers.clear()  # a pass may start again
        with js.observe(answers.append):
            return net(x)

    observed = js.transform(listening)
    if way == "spec":
        observed.spec(X)
    else:
        variables = js.transform(net).init(jax.random.key(0), X)
        jax.jit(observed.apply)(variables, X) if way == "jit" else observed.apply(variables, X)
    return answers


def told(answers: list[Any]) -> list[tuple[str, bool]]:
    """Return names, and whether the variable was made, as heard behind the getters."""
    return [(answer.name, answer.made) for answer in answers if answer.behind]


def weight(name: str = "w", **options: Any) -> Any:
    return js.get_variable(name, [3], **options)


def doubled(getter: Any, name: str, **kwargs: Any) -> Any:
    return 2 * getter(name, **kwargs)


def pair(getter: Any, name: str, **kwargs: Any) -> Any:
    return getter(name, **kwargs) + getter(name + "_b", **kwargs)


WAYS = pytest.mark.parametrize("way", ["spec", "apply", "jit"])


@WAYS
def test_made_and_shared(way: str):
    """Each request is heard with its full name, its line, and whether it made the variable."""

    def net(x: Any) -> Any:
        for _ in range(2):
            with js.variable_scope("a", reuse=js.AUTO_REUSE):
                x = x * weight(trainable=False)
        return x

    answers = heard(net, way)
    assert told(answers) == [("a/w", True), ("a/w", False)]
    assert [answer.made for answer in answers if not answer.behind] == [None, None]
    for answer in answers:
        assert answer.trainable is False
        assert answer.value.shape == (3,)
        assert "test_observe.py" in str(answer.site)


@WAYS
def test_getters(way: str):
    """Behind a getter the variables are heard that it asks for; in front of it, what the model gets."""

    def net(x: Any) -> Any:
        with js.variable_scope("a", custom_getter=pair):
            return x * weight()

    answers = heard(net, way)
    assert [(answer.name, answer.behind) for answer in answers] == [
        ("a/w", True),
        ("a/w_b", True),
        ("a/w", False),
    ]


def test_values():
    """The value behind a getter is the variable's own, that in front of it what the getter made of it."""

    def net(x: Any) -> Any:
        return x * weight(custom_getter=doubled)

    kept: list[Any] = []

    @js.transform
    def observed(x: Any) -> Any:
        with js.observe(kept.append):
            return net(x)

    given = jnp.asarray([1.0, 2.0, 3.0])
    observed.apply({"w": given}, X)
    behind, before = kept[-2:]
    np.testing.assert_array_equal(behind.value, given)
    np.testing.assert_array_equal(before.value, 2 * given)


def test_refused_requests():
    """A request that ends in an error is not heard."""

    def net(x: Any) -> Any:
        x = x * weight()
        try:
            return x * weight()
        except js.errors.VariableExistsError:
            return x

    assert told(heard(net)) == [("w", True)]


@WAYS
@pytest.mark.parametrize(
    "transform",
    [
        jax.jit,
        jax.checkpoint,
        lambda f: lambda x: jax.vmap(f)(x[None])[0],
        lambda f: lambda x: jax.lax.scan(lambda _, x: (None, f(x)), None, x[None])[1][0],
    ],
)
def test_inner_traces(transform: Any, way: str):
    """Requests in a transform are heard where JAX traces it."""

    def net(x: Any) -> Any:
        with js.variable_scope("a"):
            return transform(lambda x: x * weight())(x)

    assert ("a/w", True) in told(heard(net, way))


@WAYS
@pytest.mark.parametrize(
    ("lift", "scopes"),
    [
        (js.jit, [""]),
        (lambda block: js.scan_layers(block, 3), ["layer_0/", "layer_1/", "layer_2/"]),
        (lambda block: lambda x: js.ensemble(block, 2)(x).sum(0), ["member_0/", "member_1/"]),
        (lambda block: js.scan_layers(js.jit(block), 2), ["layer_0/", "layer_1/"]),
        (
            lambda block: js.scan_layers(js.scan_layers(block, 2, "in_{}"), 2),
            [f"layer_{i}/in_{j}/" for i in range(2) for j in range(2)],
        ),
    ],
)
def test_blocks_around(lift: Any, scopes: list[str], way: str):
    """A block inside tells of each variable of each scope once, and that it was made."""

    def net(x: Any) -> Any:
        return lift(lambda x: x * weight())(x)

    expected = [(f"{scope}w", True) for scope in scopes]
    answers = heard(net, way)
    assert told(answers) == expected
    assert [(a.name, True) for a in answers if not a.behind] == expected


def test_stacked():
    """So it does where the values are given stacked: each layer's own is heard."""
    block = js.scan_layers(lambda x: x * weight(), 2)
    kept: list[Any] = []

    @js.transform
    def observed(x: Any) -> Any:
        kept.clear()
        with js.observe(kept.append):
            return block(x)

    stacked = {"layer_{}/w": jnp.asarray([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])}
    made: list[Any] = []

    def run(x: Any) -> Any:
        result = observed.apply(stacked, x)
        made[:] = [(answer.name, answer.value) for answer in kept if answer.behind]
        return result, [value for _, value in made]

    result, values = jax.jit(run)(X)
    assert [name for name, _ in made] == ["layer_0/w", "layer_1/w"]
    np.testing.assert_array_equal(jnp.stack(values), stacked["layer_{}/w"])
    np.testing.assert_allclose(result, X * jnp.asarray([4.0, 10.0, 18.0]))


def test_inside_a_block():
    """A listener inside a block hears what the block asks for, at least once."""
    names: list[str] = []

    def block(x: Any) -> Any:
        with js.observe(lambda answer: names.append(answer.name)):
            return x * weight()

    net = js.transform(js.jit(block))
    assert list(net.spec(X)) == ["w"]
    assert "w" in names


def test_nested():
    """Both of two listeners hear, the inner one first, and each only what is inside of it."""
    order: list[tuple[str, str]] = []

    @js.transform
    def net(x: Any) -> Any:
        with js.observe(lambda answer: order.append(("outer", answer.name)) if answer.behind else None):
            x = x * weight("a")
            with js.observe(lambda answer: order.append(("inner", answer.name)) if answer.behind else None):
                x = x * weight("b", custom_getter=doubled)
            return x * weight("c")

    net.spec(X)
    assert order == [("outer", "a"), ("inner", "b"), ("outer", "b"), ("outer", "c")]


def test_a_listener_that_fails():
    """What a listener raises comes out of the request."""

    def fail(answer: Any) -> None:
        raise ValueError(answer.name)

    @js.transform
    def net(x: Any) -> Any:
        with js.observe(fail):
            return x * weight()

    with pytest.raises(ValueError, match="w"):
        net.spec(X)


def test_outside():
    """Outside a transformed function there is nothing to hear."""
    with pytest.raises(js.errors.NoPassError):
        js.observe(lambda answer: None)


def written(x: Any) -> Any:
    value = weight("s", initializer=js.initializers.zeros, trainable=False)
    js.set_variable("s", value + jax.lax.stop_gradient(x))
    return x * weight() + value


def noisy(x: Any) -> Any:
    with js.random_keys(jax.random.key(3)):
        return x * weight() + jax.random.uniform(js.next_key())


@pytest.mark.parametrize(
    "block",
    [
        lambda x: x * weight(),
        lambda x: x * weight(custom_getter=pair),
        written,
        noisy,
        lambda x: x * weight(regularizer=js.regularizers.l2(0.1)),
    ],
)
@pytest.mark.parametrize(
    "around",
    [
        lambda f: f,
        js.jit,
        jax.jit,
        lambda f: js.scan_layers(f, 2),
        lambda f: lambda x: js.ensemble(f, 2)(x).sum(0),
        lambda f: js.make_template("t", f),
    ],
)
def test_changes_nothing(around: Any, block: Any):
    """Names, results, state and the jaxpr of `apply_with_state` are those without a listener."""

    def net(x: Any) -> Any:
        return around(block)(x)

    def observed(x: Any) -> Any:
        with js.observe(lambda answer: None):
            return net(x)

    plain, listening = js.transform(net), js.transform(observed)
    assert plain.spec(X) == listening.spec(X)
    variables = plain.init(jax.random.key(0), X)
    texts = [str(jax.make_jaxpr(one.apply_with_state)(variables, X)) for one in (plain, listening)]
    assert texts[0] == texts[1]
