"""js.jit: the block as it is, traced once."""

import functools
import logging
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

import jaxscope as js
from tests.depth.same import X, assert_same, outcome

Block = Callable[..., Any]
Lift = Callable[[Block], Block]


def layer(x: jax.Array) -> jax.Array:
    """Ask for two variables."""
    w = js.get_variable("w", [3])
    b = js.get_variable("b", [3], initializer=js.initializers.ones)
    return jnp.tanh(x * w + b)


def numbered(x: jax.Array) -> jax.Array:
    """Ask for them in two scopes of default names."""
    for _ in range(2):
        with js.variable_scope(None, "dense"):
            x = layer(x)
    return x


def square(x: jax.Array) -> jax.Array:
    return x * x


def doubled(getter: Any, name: str, **kwargs: Any) -> jax.Array:
    return 2 * getter(name, **kwargs)


# --- programs: each takes how to lift a block, and x ------------------------------------------------


def at_the_root(lift: Lift, x: Any) -> Any:
    return lift(layer)(x)


def many_scopes(lift: Lift, x: Any) -> Any:
    block = lift(layer)
    for i in range(4):
        with js.variable_scope(f"layer_{i}"):
            x = block(x)
    return x


def deep_scopes(lift: Lift, x: Any) -> Any:
    block = lift(layer)
    with js.variable_scope("a"):
        x = block(x)
        with js.variable_scope("b"):
            x = block(x)
    return block(x)


def twice_in_one_scope(lift: Lift, x: Any) -> Any:
    block = lift(layer)
    with js.variable_scope("a"):
        return block(block(x))


def twice_shared(lift: Lift, x: Any) -> Any:
    block = lift(layer)
    with js.variable_scope("a", reuse=js.AUTO_REUSE):
        return block(block(x))


def reused(lift: Lift, x: Any) -> Any:
    block = lift(layer)
    with js.variable_scope("a"):
        x = block(x)
    with js.variable_scope("a", reuse=True):
        x = block(x)
    with js.variable_scope("a") as scope:
        scope.reuse_variables()
        return block(x)


def reused_before_made(lift: Lift, x: Any) -> Any:
    with js.variable_scope("a", reuse=True):
        return lift(layer)(x)


def made_outside_before(lift: Lift, x: Any) -> Any:
    with js.variable_scope("a", reuse=js.AUTO_REUSE):
        w = js.get_variable("w", [3], initializer=js.initializers.ones)
        return lift(layer)(x) + w


def read_outside_after(lift: Lift, x: Any) -> Any:
    with js.variable_scope("a"):
        x = lift(layer)(x)
    with js.variable_scope("a", reuse=True):
        return x * js.get_variable("w")


def taken_outside_after(lift: Lift, x: Any) -> Any:
    with js.variable_scope("a"):
        return lift(layer)(x) + js.get_variable("w", [3])


def other_shape_outside(lift: Lift, x: Any) -> Any:
    with js.variable_scope("a", reuse=js.AUTO_REUSE):
        js.get_variable("w", [4])
        return lift(layer)(x)


def default_names_inside(lift: Lift, x: Any) -> Any:
    block = lift(numbered)
    with js.variable_scope("a"):
        x = block(x)
    with js.variable_scope("b"):
        return block(x)


def default_names_go_on(lift: Lift, x: Any) -> Any:
    block = lift(numbered)
    with js.variable_scope("a"):
        x = block(block(x))
        with js.variable_scope(None, "dense"):
            x = layer(x)
        with js.variable_scope(None, "other"):
            return block(x)


def default_names_outside(lift: Lift, x: Any) -> Any:
    block = lift(layer)
    for _ in range(3):
        with js.variable_scope(None, "dense"):
            x = block(x)
    return x


def inner_scopes_count(lift: Lift, x: Any) -> Any:
    def inner(x: Any) -> Any:
        with js.variable_scope("dense"):
            return layer(x)

    x = lift(inner)(x)
    with js.variable_scope(None, "dense"):
        return layer(x)


def reuse_inside(lift: Lift, x: Any) -> Any:
    def inner(x: Any) -> Any:
        x = layer(x)
        with js.variable_scope("", reuse=True):
            x = layer(x)
        with js.variable_scope("s", reuse=js.AUTO_REUSE):
            return layer(layer(x))

    block = lift(inner)
    with js.variable_scope("a"):
        x = block(x)
    with js.variable_scope("b"):
        return block(x)


def nested(lift: Lift, x: Any) -> Any:
    inner = lift(layer)

    def outer(x: Any) -> Any:
        with js.variable_scope("first"):
            x = inner(x)
        with js.variable_scope("second"):
            return inner(x)

    block = lift(outer)
    with js.variable_scope("a"):
        x = block(x)
    with js.variable_scope("b"):
        return block(x)


def inherited(lift: Lift, x: Any, **options: Any) -> Any:
    block = lift(layer)
    with js.variable_scope("a", **options):
        x = block(x)
        with js.variable_scope("c"):
            x = block(x)
    with js.variable_scope("b"):
        return block(x.astype("float32")), js.get_collection("regularization_losses")


def one_layer(x: Any) -> Any:
    return x * js.get_variable("w")


def inherited_constant(lift: Lift, x: Any) -> Any:
    block = lift(one_layer)
    with js.variable_scope("a", initializer=np.asarray([1.0, 2.0, 3.0], np.float32)):
        x = block(x)
    with js.variable_scope("b", initializer=np.asarray([4.0, 5.0, 6.0], np.float32)):
        return block(x)


def set_after_entering(lift: Lift, x: Any) -> Any:
    block = lift(layer)
    with js.variable_scope("a") as scope:
        scope.set_initializer(js.initializers.zeros)
        x = block(x)
    with js.variable_scope("b") as scope:
        scope.set_regularizer(js.regularizers.l2(0.5))
        return block(x), js.get_collection("regularization_losses")


def getter_inside(lift: Lift, x: Any) -> Any:
    def inner(x: Any) -> Any:
        with js.variable_scope("s", custom_getter=doubled):
            x = layer(x)
        return x * js.get_variable("v", [3], custom_getter=doubled)

    block = lift(inner)
    with js.variable_scope("a"):
        x = block(x)
    with js.variable_scope("b"):
        return block(x)


def creator_outside(lift: Lift, x: Any) -> Any:
    seen: list[str] = []

    def creator(following: Any, **kwargs: Any) -> Any:
        seen.append(kwargs["name"])
        return following(**kwargs)

    with js.variable_creator_scope(creator), js.variable_scope("a"):
        return lift(layer)(x), seen


def in_a_template(lift: Lift, x: Any) -> Any:
    template = js.make_template("t", lift(layer))
    return template(template(x))


def under_jit(lift: Lift, x: Any) -> Any:
    block = jax.jit(lift(layer))
    with js.variable_scope("a"):
        x = block(x)
    with js.variable_scope("b"):
        return block(x)


def under_scan(lift: Lift, x: Any) -> Any:
    with js.variable_scope("a"):
        return jax.lax.scan(lambda c, _: (lift(layer)(c), None), x, length=3)[0]


def under_checkpoint_and_grad(lift: Lift, x: Any) -> Any:
    with js.variable_scope("a"):
        return jax.grad(lambda x: jax.checkpoint(lift(layer))(x).sum())(x)


def under_vmap(lift: Lift, x: Any) -> Any:
    with js.variable_scope("a"):
        return jax.vmap(lift(layer))(jnp.stack([x, x + 1]))


def transforms_inside(lift: Lift, x: Any) -> Any:
    def inner(x: Any) -> Any:
        with js.variable_scope("j"):
            x = jax.jit(layer)(x)
        with js.variable_scope("s"):
            x = jax.lax.scan(lambda c, _: (jax.checkpoint(layer)(c), None), x, length=2)[0]
        with js.variable_scope("v"):
            return jax.vmap(layer)(jnp.stack([x, x]))[0]

    block = lift(inner)
    with js.variable_scope("a"):
        x = block(x)
    with js.variable_scope("b"):
        return block(x)


def arguments(lift: Lift, x: Any) -> Any:
    @lift
    def block(pair: Any, mode: str, *, scale: float, flag: bool = True) -> Any:
        x, factor = pair["x"], pair["factor"]
        w = js.get_variable("w" if flag else "b", x.shape)
        return {"y": x * w * scale * factor, "mode": mode.upper(), "none": None, "scale": scale}

    found = []
    for i, scale in enumerate((2.0, 2.0, 3.0)):
        with js.variable_scope(f"s{i}"):
            found.append(block({"x": x, "factor": 2}, "relu", scale=scale, flag=i < 2))
            x = found[-1]["y"]
    return found


def state(lift: Lift, x: Any) -> Any:
    def inner(x: Any) -> Any:
        n = js.get_variable("n", [], "int32", trainable=False)
        mean = js.get_variable("mean", [3], initializer=js.initializers.zeros, trainable=False)
        js.set_variable("n", n + 1)
        js.set_variable("mean", 0.5 * mean + x)
        return x * (1 + js.get_variable("w", [3])) + mean

    block = lift(inner)
    with js.variable_scope("a"):
        x = block(x)
    with js.variable_scope("b", reuse=js.AUTO_REUSE):
        return block(block(x))


def state_in_transforms(lift: Lift, x: Any) -> Any:
    def inner(x: Any) -> Any:
        n = js.get_variable("n", [], "float32", js.initializers.zeros, trainable=False)
        js.set_variable("n", n + x.sum())
        return x * n

    with js.variable_scope("a"):
        x = jax.jit(lift(inner))(x)
    with js.variable_scope("b"):
        return jax.lax.scan(lambda c, _: (lift(inner)(c), None), x, length=3)[0]


def state_in_checkpoint(lift: Lift, x: Any) -> Any:
    def inner(x: Any) -> Any:
        js.set_variable("n", js.get_variable("n", [3], trainable=False) + x)
        return x

    return jax.checkpoint(lift(inner))(x)


def state_in_jit_inside(lift: Lift, x: Any) -> Any:
    def inner(x: Any) -> Any:
        n = js.get_variable("n", [3], initializer=js.initializers.zeros, trainable=False)
        jax.jit(lambda x: js.set_variable("n", n + x))(x)
        return x

    with js.variable_scope("a"):
        return lift(inner)(x)


def keys(lift: Lift, x: Any) -> Any:
    def inner(x: Any) -> Any:
        x = x + jax.random.normal(js.next_key(), x.shape)
        with js.variable_scope("drop"):
            return x + jax.random.normal(js.next_key(), x.shape) + jax.random.normal(js.next_key(), x.shape)

    block = lift(inner)
    with js.random_keys(jax.random.key(3)):
        before = js.next_key()
        x = block(x)
        with js.variable_scope("a"):
            x = block(block(x))
            return x, before, js.next_key()


def keys_in_a_loop(lift: Lift, x: Any) -> Any:
    block = lift(lambda x: x + jax.random.normal(js.next_key(), x.shape))
    with js.random_keys(jax.random.key(3)):
        return jax.lax.scan(lambda c, _: (block(c), None), x, length=3)[0]


def keys_of_each_step(lift: Lift, x: Any) -> Any:
    block = lift(lambda x: x + jax.random.normal(js.next_key(), x.shape))

    def body(x: Any, key: Any) -> Any:
        with js.random_keys(key):
            return block(x), None

    return jax.lax.scan(body, x, jax.random.split(jax.random.key(3), 3))[0]


def no_keys(lift: Lift, x: Any) -> Any:
    return lift(lambda x: x + jax.random.normal(js.next_key(), x.shape))(x)


def own_variable(lift: Lift, x: Any) -> Any:
    block = lift(lambda x: x * js.Variable(np.float32(2), name="u"))
    return block(block(x))


def collections_inside(lift: Lift, x: Any) -> Any:
    def inner(x: Any) -> Any:
        w = js.get_variable("w", [3], regularizer=js.regularizers.l2(0.5))
        return x * w + sum(js.get_collection("regularization_losses"))

    block = lift(inner)
    with js.variable_scope("a"):
        x = block(x)
    with js.variable_scope("b"):
        return block(x)


def scope_from_outside(lift: Lift, x: Any) -> Any:
    with js.variable_scope("a") as scope:
        pass

    def inner(x: Any) -> Any:
        with js.variable_scope(scope):
            return layer(x)

    with js.variable_scope("b"):
        return lift(inner)(x)


def scope_asked_for(lift: Lift, x: Any) -> Any:
    def inner(x: Any) -> Any:
        return x * len(js.get_variable_scope().name)

    block = lift(inner)
    with js.variable_scope("abc"):
        x = block(x)
    with js.variable_scope("a"):
        return block(x)


def template_inside(lift: Lift, x: Any) -> Any:
    template = js.make_template("t", layer)
    block = lift(template)
    with js.variable_scope("a"):
        return block(block(x))


def computed_initial_value(lift: Lift, x: Any) -> Any:
    return lift(lambda x: x * js.get_variable("w", initializer=x + 1))(x)


def failing(lift: Lift, x: Any, ask: Callable[[], Any]) -> Any:
    def inner(x: Any) -> Any:
        ask()
        return x

    with js.variable_scope("a"):
        return lift(inner)(x)


def raises_by_itself(lift: Lift, x: Any) -> Any:
    def inner(x: Any) -> Any:
        js.get_variable("w", [3])
        raise ZeroDivisionError("mine")

    return lift(inner)(x)


def caught(lift: Lift, x: Any) -> Any:
    block = lift(layer)
    x = block(x)
    try:
        block(x)
    except js.errors.VariableExistsError:
        with js.variable_scope("again"):
            return block(x)


PROGRAMS = [
    at_the_root, many_scopes, deep_scopes, twice_in_one_scope, twice_shared, reused, reused_before_made,
    made_outside_before, read_outside_after, taken_outside_after, other_shape_outside, default_names_inside,
    default_names_go_on, default_names_outside, inner_scopes_count, reuse_inside, nested, inherited_constant,
    set_after_entering, getter_inside, creator_outside, in_a_template, under_jit, under_scan,
    under_checkpoint_and_grad, under_vmap, transforms_inside, arguments, state, state_in_transforms,
    state_in_checkpoint, state_in_jit_inside, keys, keys_in_a_loop, keys_of_each_step, no_keys, own_variable,
    collections_inside, scope_from_outside, scope_asked_for, template_inside, computed_initial_value,
    raises_by_itself, caught,
]  # fmt: skip
EAGERLY = [many_scopes, twice_in_one_scope, arguments, under_jit, state, state_in_checkpoint, no_keys]
OPTIONS: dict[str, dict[str, Any]] = {
    "initializer": {"initializer": js.initializers.random_normal(stddev=0.1)},
    "own initializer": {"initializer": jax.random.normal},
    "regularizer": {"regularizer": js.regularizers.l2(0.5)},
    "dtype": {"dtype": "float16"},
    "constraint": {"constraint": square},
    "partitioner": {"partitioner": PartitionSpec("data")},
    "getter": {"custom_getter": doubled},
}
FAILURES: dict[str, Callable[[], Any]] = {
    "name": lambda: js.get_variable("?", [3]),
    "no shape": lambda: js.get_variable("w"),
    "other shape": lambda: [js.get_variable("w", [3]), _auto("w", [4])],
    "other dtype": lambda: [js.get_variable("w", [3]), _auto("w", [3], "int32")],
    "exists": lambda: [js.get_variable("w", [3]), js.get_variable("w", [3])],
    "missing": lambda: _true("w"),
    "initializer": lambda: js.get_variable("w", [3], initializer="zeros"),
    "scope": lambda: js.variable_scope(None).__enter__(),
    "set trainable": lambda: [js.get_variable("w", [3]), js.set_variable("w", jnp.ones(3))],
    "set missing": lambda: js.set_variable("w", jnp.ones(3)),
}


def _auto(*args: Any) -> Any:
    with js.variable_scope("", reuse=js.AUTO_REUSE):
        return js.get_variable(*args)


def _true(*args: Any) -> Any:
    with js.variable_scope("", reuse=True):
        return js.get_variable(*args)


def plain(block: Block) -> Block:
    return block


@pytest.mark.parametrize(
    "program",
    PROGRAMS,
    ids=lambda program: program.__name__,
)
def test_as_plain(program: Any):
    """A block under js.jit does what the block does: names, bits, values, gradients, state, keys, errors."""
    eagerly = program in EAGERLY
    expected = outcome(functools.partial(program, plain), eagerly=eagerly)
    assert_same(outcome(functools.partial(program, js.jit), eagerly=eagerly), expected)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_inherited_options(options: Any):
    """What a scope hands down reaches the block, and no other call of it."""
    expected = outcome(functools.partial(inherited, plain, **options), eagerly=False)
    assert_same(outcome(functools.partial(inherited, js.jit, **options), eagerly=False), expected)


@pytest.mark.parametrize("ask", FAILURES.values(), ids=FAILURES)
def test_failures(ask: Any):
    """What goes wrong in a block is said as without js.jit, by the full names."""
    net, lifted = (js.transform(functools.partial(failing, lift, ask=ask)) for lift in (plain, js.jit))
    x = jnp.asarray(X)
    for way in (lambda net: net.spec(x), lambda net: net.apply({"a/w": x}, x)):
        with pytest.raises(js.errors.JaxscopeError) as expected:
            way(net)
        with pytest.raises(js.errors.JaxscopeError) as found:
            way(lifted)
        assert str(found.value) == str(expected.value)
        assert type(found.value) is type(expected.value)


@pytest.mark.parametrize("lift", [plain, js.jit])
def test_sites(lift: Lift):
    """A variable's site is the line that asks for it, not the call of the block."""
    spec = js.transform(lift(layer)).spec(jnp.asarray(X))
    assert {str(spec[name].site).partition(" in ")[2] for name in spec} == {"layer"}


# --- what is traced ---------------------------------------------------------------------------------


def test_traced_once(caplog: pytest.LogCaptureFixture):
    """Python runs a block once in a pass, for all scopes."""
    runs = logging.getLogger("test_traced_once")  # a list would be something that changes

    @js.jit
    def block(x: Any) -> Any:
        runs.warning("run")
        return layer(x)

    @js.transform
    def net(x: Any) -> Any:
        for i in range(12):
            with js.variable_scope(f"layer_{i}"):
                x = block(x)
        return x

    x = jnp.asarray(X)
    net.spec(x)
    assert len(caplog.messages) == 1
    values = net.init(jax.random.key(0), x)
    net.apply(values, x)
    caplog.clear()
    net.apply(values, x + 1)
    assert not caplog.messages
    jax.make_jaxpr(net.apply)(values, x)  # the first of its kind is explored
    caplog.clear()
    jax.make_jaxpr(net.apply)(values, x)
    assert len(caplog.messages) == 1


def test_traced_once_with_keys_and_state(caplog: pytest.LogCaptureFixture):
    """Keys and state are arguments of the traced block, so neither makes it trace again."""
    runs = logging.getLogger("test_traced_once")  # a list would be something that changes

    @js.jit
    def block(x: Any) -> Any:
        runs.warning("run")
        n = js.get_variable("n", [3], initializer=js.initializers.zeros, trainable=False)
        js.set_variable("n", n + x)
        return x + jax.random.normal(js.next_key(), x.shape)

    @js.transform
    def net(x: Any, key: Any) -> Any:
        with js.random_keys(key):
            for i in range(6):
                with js.variable_scope(f"layer_{i}"):
                    x = block(x)
        return x

    x, key = jnp.asarray(X), jax.random.key(0)
    values = net.init(key, x, key)
    first, state = net.apply_with_state(values, x, key)
    caplog.clear()
    second, _ = net.apply_with_state(values | state, x, jax.random.key(1))
    assert not caplog.messages
    jax.make_jaxpr(net.apply_with_state)(values, x, key)
    caplog.clear()
    jax.make_jaxpr(net.apply_with_state)(values, x, key)
    assert len(caplog.messages) == 1
    assert not jnp.allclose(first, second)


def test_one_program_in_the_jaxpr():
    """Of many calls there is one program, which XLA compiles once."""

    def net(lift: Lift, x: Any) -> Any:
        block = lift(layer)
        for i in range(20):
            with js.variable_scope(f"layer_{i}"):
                x = block(x)
        return x

    texts = []
    for lift in (plain, js.jit):
        model = js.transform(functools.partial(net, lift))
        values = model.init(jax.random.key(0), X)
        texts.append(jax.jit(model.apply).lower(values, X).as_text())
    assert texts[0].count("stablehlo.tanh") == 20
    assert texts[1].count("stablehlo.tanh") == 1


def test_metadata():
    """A jitted block keeps the name and the words of the block."""
    assert js.jit(layer).__name__ == "layer"
    assert js.jit(layer).__doc__ == layer.__doc__


def test_outside_a_pass():
    """Outside a transformed function it is the error that every request is."""
    with pytest.raises(js.errors.NoPassError):
        js.jit(layer)(X)


def test_values_of_another_dtype():
    """A block takes given values as they are, where its requests name no dtype."""
    net = js.transform(js.jit(layer))
    half = {name: jnp.ones(3, "bfloat16") for name in ("w", "b")}
    x = jnp.ones(3, "bfloat16")
    net.spec(jnp.asarray(X))
    assert net.apply(half, x).dtype == jnp.bfloat16


def test_signed_zeros_are_two():
    """Python numbers that are equal and yet different are different programs."""

    @js.transform
    def net(x: Any) -> Any:
        block = js.jit(lambda x, zero: jnp.copysign(x, zero) * js.get_variable("w", [3]))
        with js.variable_scope("a"):
            a = block(x, 0.0)
        with js.variable_scope("b"):
            return a, block(x, -0.0)

    a, b = net.apply({"a/w": jnp.ones(3), "b/w": jnp.ones(3)}, jnp.asarray(X))
    assert bool((a == -b).all())
