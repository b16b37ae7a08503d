"""js.scan_layers: one scan, with the variables of the loop that it stands for."""

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
from tests.depth.same import X, assert_close, assert_same, count_equations, outcome

Block = Callable[..., Any]
Lift = Callable[..., Any]


def unrolled(block: Block, length: int, name: str = "layer_{}", **options: Any) -> Block:
    """Return the loop that `js.scan_layers` stands for."""
    del options

    def run(x: Any, *args: Any, **kwargs: Any) -> Any:
        for i in range(length):
            with js.variable_scope(name.format(i)):
                x = block(x, *args, **kwargs)
        return x

    return run


def layer(x: jax.Array) -> jax.Array:
    w = js.get_variable("w", [3, 3])
    b = js.get_variable("b", [3], initializer=js.initializers.ones)
    return jnp.tanh(x @ w + b)


def counting(x: jax.Array) -> jax.Array:
    """Count calls, and keep a mean of what comes in."""
    n = js.get_variable("n", [], "int32", trainable=False)
    mean = js.get_variable("mean", [3], initializer=js.initializers.zeros, trainable=False)
    js.set_variable("n", n + 1)
    js.set_variable("mean", 0.5 * mean + 0.5 * x)
    return x * (1 + mean) + 1


def noisy(x: jax.Array) -> jax.Array:
    x = x + jax.random.uniform(js.next_key(), x.shape)
    with js.variable_scope("drop"):
        return x * jax.random.bernoulli(js.next_key(), 0.5, x.shape).astype(x.dtype)


def doubled(getter: Any, name: str, **kwargs: Any) -> jax.Array:
    return 2 * getter(name, **kwargs)


def square(x: jax.Array) -> jax.Array:
    return x * x


# --- programs: each takes how to run layers, and x --------------------------------------------------


def at_the_root(lift: Lift, x: Any) -> Any:
    return lift(layer, 3)(x)


def one_layer(lift: Lift, x: Any) -> Any:
    return lift(layer, 1)(x)


def in_scopes(lift: Lift, x: Any) -> Any:
    layers = lift(layer, 3, "block_{}")
    with js.variable_scope("a"):
        x = layers(x)
        with js.variable_scope(None, "d"):
            x = layers(x)
    with js.variable_scope(None, "d"):
        return layers(x)


def number_inside_the_name(lift: Lift, x: Any) -> Any:
    return lift(layer, 3, "h{}_x")(x)


def among_others(lift: Lift, x: Any) -> Any:
    x = x * js.get_variable("before", [3])
    x = lift(layer, 2)(x)
    return x * js.get_variable("after", [3])


def inner_scopes(lift: Lift, x: Any) -> Any:
    def block(x: Any) -> Any:
        for _ in range(2):
            with js.variable_scope(None, "dense"):
                x = layer(x)
        with js.variable_scope("s", reuse=js.AUTO_REUSE):
            return layer(layer(x))

    return lift(block, 2)(x)


def shared(lift: Lift, x: Any) -> Any:
    layers = lift(layer, 3)
    with js.variable_scope("a", reuse=js.AUTO_REUSE):
        return layers(layers(x))


def shared_with_loss(lift: Lift, x: Any) -> Any:
    def block(x: Any) -> Any:
        return x * js.get_variable("w", [3], regularizer=js.regularizers.l2(0.5))

    layers = lift(block, 2)
    with js.variable_scope("a", reuse=js.AUTO_REUSE):
        return layers(layers(x)), js.get_collection("regularization_losses")


def reused(lift: Lift, x: Any) -> Any:
    layers = lift(layer, 3)
    with js.variable_scope("a"):
        x = layers(x)
    with js.variable_scope("a", reuse=True):
        return layers(x)


def shared_with_a_loop(lift: Lift, x: Any) -> Any:
    with js.variable_scope("a", reuse=js.AUTO_REUSE):
        with js.variable_scope("layer_1"):
            x = layer(x)
        x = lift(layer, 3)(x)
        with js.variable_scope("layer_2"):
            return layer(x)


def fewer_the_second_time(lift: Lift, x: Any) -> Any:
    with js.variable_scope("a", reuse=js.AUTO_REUSE):
        x = lift(layer, 3)(x)
        x = lift(layer, 2)(x)
        return lift(layer, 4)(x)


def exists(lift: Lift, x: Any) -> Any:
    layers = lift(layer, 2)
    return layers(layers(x))


def missing(lift: Lift, x: Any) -> Any:
    with js.variable_scope("a", reuse=True):
        return lift(layer, 2)(x)


def exists_before(lift: Lift, x: Any) -> Any:
    with js.variable_scope("layer_1"):
        js.get_variable("w", [3])
    return lift(layer, 2)(x)


def exists_after(lift: Lift, x: Any) -> Any:
    x = lift(layer, 2)(x)
    with js.variable_scope("layer_1"):
        return x * js.get_variable("w", [3])


def read_after(lift: Lift, x: Any) -> Any:
    x = lift(layer, 2)(x)
    with js.variable_scope("layer_1", reuse=True):
        return x * js.get_variable("b")


def default_names_after(lift: Lift, x: Any) -> Any:
    x = lift(layer, 2)(x)
    with js.variable_scope(None, "layer_0"):
        return layer(x)


def collected(lift: Lift, x: Any) -> Any:
    before = x.sum() + js.get_variable("before", [])
    x = lift(layer, 2)(x)
    after = js.get_variable("after", [])
    return (
        x,
        before,
        after,
        js.get_collection("trainable_variables"),
        js.get_collection("variables", "layer_1"),
    )


def losses(lift: Lift, x: Any) -> Any:
    def block(x: Any) -> Any:
        return x * js.get_variable("w", [3], regularizer=js.regularizers.l2(0.5))

    x = lift(block, 3)(x)
    return x, js.get_collection("regularization_losses")


def inherited(lift: Lift, x: Any, **options: Any) -> Any:
    with js.variable_scope("a", **options):
        x = lift(layer, 2)(x)
    return x, js.get_collection("regularization_losses")


def getter_inside(lift: Lift, x: Any) -> Any:
    def block(x: Any) -> Any:
        with js.variable_scope("s", custom_getter=doubled):
            return layer(x)

    with js.variable_scope("a", custom_getter=doubled):
        return lift(block, 2)(x)


def creator_outside(lift: Lift, x: Any) -> Any:
    seen: list[str] = []

    def creator(following: Any, **kwargs: Any) -> Any:
        seen.append(kwargs["name"])
        return following(**kwargs)

    with js.variable_creator_scope(creator):
        return lift(layer, 2)(x), seen


def in_a_template(lift: Lift, x: Any) -> Any:
    template = js.make_template("t", lift(layer, 2))
    return template(template(x))


def in_js_jit(lift: Lift, x: Any) -> Any:
    block = js.jit(lift(layer, 2))
    with js.variable_scope("a"):
        x = block(x)
    with js.variable_scope("b"):
        return block(x)


def jitted_block(lift: Lift, x: Any) -> Any:
    return lift(js.jit(layer), 3)(x)


def under_jit(lift: Lift, x: Any) -> Any:
    layers = jax.jit(lift(layer, 2))
    with js.variable_scope("a"):
        x = layers(x)
    with js.variable_scope("b"):
        return layers(x)


def under_checkpoint_and_grad(lift: Lift, x: Any) -> Any:
    return jax.grad(lambda x: jax.checkpoint(lift(layer, 2))(x).sum())(x)


def under_vmap(lift: Lift, x: Any) -> Any:
    return jax.vmap(lift(layer, 2))(jnp.stack([x, x + 1]))


def under_scan(lift: Lift, x: Any) -> Any:
    return jax.lax.scan(lambda c, _: (lift(layer, 2)(c), None), x, length=2)[0]


def transforms_inside(lift: Lift, x: Any) -> Any:
    def block(x: Any) -> Any:
        with js.variable_scope("j"):
            x = jax.jit(layer)(x)
        with js.variable_scope("c"):
            return jax.checkpoint(layer)(x)

    return lift(block, 2)(x)


def nested(lift: Lift, x: Any) -> Any:
    def block(x: Any) -> Any:
        x = lift(layer, 2, "inner_{}")(x)
        with js.variable_scope("out"):
            return layer(x)

    return lift(block, 2, "outer_{}")(x)


def further_arguments(lift: Lift, x: Any) -> Any:
    def block(carry: Any, bias: Any, mode: str, *, scale: float) -> Any:
        assert mode == "relu"
        x, n = carry
        return jax.nn.relu(x * js.get_variable("w", [3]) + bias) * scale, n + 1

    return lift(block, 3)((x, jnp.int32(0)), x + 1, "relu", scale=0.5)


def nothing_asked_for(lift: Lift, x: Any) -> Any:
    return lift(lambda x: x * 2 + 1, 3)(x)


def state(lift: Lift, x: Any) -> Any:
    return lift(counting, 3)(x)


def state_twice(lift: Lift, x: Any) -> Any:
    with js.variable_scope("a", reuse=js.AUTO_REUSE):
        return lift(counting, 2)(lift(counting, 2)(x))


def state_read_and_set_after(lift: Lift, x: Any) -> Any:
    x = lift(counting, 2)(x)
    with js.variable_scope("layer_1", reuse=True):
        mean = js.get_variable("mean")
        js.set_variable("mean", mean + 1)
        return x + js.get_variable("mean")


def state_under_jit(lift: Lift, x: Any) -> Any:
    return jax.jit(lift(counting, 2))(x)


def state_set_under_jit_after(lift: Lift, x: Any) -> Any:
    x = lift(counting, 2)(x)

    @jax.jit
    def inner(x: Any) -> Any:
        with js.variable_scope("layer_1", reuse=True):
            js.set_variable("mean", js.get_variable("mean") + x)
            return x * js.get_variable("mean")

    return inner(x)


def state_under_scan(lift: Lift, x: Any) -> Any:
    return jax.lax.scan(lambda c, _: (lift(counting, 2)(c), None), x, length=2)[0]


def state_under_checkpoint(lift: Lift, x: Any) -> Any:
    return jax.checkpoint(lift(counting, 2))(x)


def state_with_getter(lift: Lift, x: Any) -> Any:
    with js.variable_scope("a", custom_getter=lambda getter, name, **kwargs: getter(name, **kwargs)):
        return lift(counting, 2)(x)


def keys(lift: Lift, x: Any) -> Any:
    with js.random_keys(jax.random.key(3)):
        before = jax.random.key_data(js.next_key())
        x = lift(noisy, 3)(x)
        with js.variable_scope("layer_1"):
            again = jax.random.key_data(js.next_key())
        x = lift(noisy, 3)(x)
        return x, before, again, jax.random.key_data(js.next_key())


def keys_in_a_loop(lift: Lift, x: Any) -> Any:
    with js.random_keys(jax.random.key(3)):
        return jax.lax.scan(lambda c, _: (lift(noisy, 2)(c), None), x, length=3)[0]


def no_keys(lift: Lift, x: Any) -> Any:
    return lift(noisy, 2)(x)


def shape_left_out(lift: Lift, x: Any) -> Any:
    with js.variable_scope("a"):
        x = lift(layer, 2)(x)
    with js.variable_scope("a", reuse=True):
        return lift(lambda x: x * js.get_variable("b"), 2)(x)


def cast_by_a_getter(lift: Lift, x: Any) -> Any:
    def half(getter: Any, name: str, **kwargs: Any) -> Any:
        return getter(name, **kwargs).astype("bfloat16")

    with js.variable_scope("a", custom_getter=half):
        return lift(lambda x: x * js.get_variable("w", [3]), 2)(x.astype("bfloat16"))


def raises_by_itself(lift: Lift, x: Any) -> Any:
    def block(x: Any) -> Any:
        js.get_variable("w", [3])
        raise ZeroDivisionError("mine")

    return lift(block, 2)(x)


PROGRAMS = [
    at_the_root, one_layer, in_scopes, number_inside_the_name, among_others, inner_scopes, shared,
    shared_with_loss, reused, shared_with_a_loop, fewer_the_second_time, exists, missing, exists_before,
    exists_after, read_after, default_names_after, collected, losses, getter_inside, creator_outside,
    in_a_template, in_js_jit, jitted_block, under_jit, under_checkpoint_and_grad, under_vmap, under_scan,
    transforms_inside, nested, further_arguments, nothing_asked_for, state, state_twice,
    state_read_and_set_after, state_under_jit, state_set_under_jit_after, state_under_scan,
    state_under_checkpoint, state_with_getter, keys, keys_in_a_loop, no_keys, shape_left_out,
    cast_by_a_getter, raises_by_itself,
]  # fmt: skip
EAGERLY = [shared, collected, state_read_and_set_after, state_under_jit]
# Programs whose layers' variables may be given stacked.
STACKED = [
    (at_the_root, "layer_{}"), (in_scopes, "block_{}"), (number_inside_the_name, "h{}_x"),
    (among_others, "layer_{}"), (inner_scopes, "layer_{}"), (shared, "layer_{}"), (reused, "layer_{}"),
    (read_after, "layer_{}"), (collected, "layer_{}"), (losses, "layer_{}"), (getter_inside, "layer_{}"),
    (in_a_template, "layer_{}"), (in_js_jit, "layer_{}"), (under_jit, "layer_{}"), (nested, "outer_{}"),
    (nested, "inner_{}"), (state, "layer_{}"), (state_twice, "layer_{}"),
    (state_read_and_set_after, "layer_{}"), (state_under_jit, "layer_{}"),
    (state_set_under_jit_after, "layer_{}"), (state_under_scan, "layer_{}"), (state_with_getter, "layer_{}"),
]  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_as_unrolled(program: Any, request: pytest.FixtureRequest):
    """Scanned layers do what the loop does: names, bits, values, gradients, state, keys, errors."""
    expected = outcome(functools.partial(program, unrolled), eagerly=program in EAGERLY)
    assert_same(outcome(functools.partial(program, js.scan_layers), eagerly=program in EAGERLY), expected)


@pytest.mark.parametrize(
    ("program", "pattern"),
    STACKED,
    ids=lambda p: getattr(p, "__name__", p),
)
def test_given_stacked(program: Any, pattern: str):
    """Both the scanned and the unrolled model take the layers stacked, and give back state in that form."""
    loop, scan = (js.transform(functools.partial(program, lift)) for lift in (unrolled, js.scan_layers))
    values = loop.init(jax.random.key(0), X)
    stacked = values.stack(pattern)
    assert any("{}" in name for name in stacked)
    expected, state = jax.jit(loop.apply_with_state)(values, X)
    for net in (scan, loop):
        found, after = jax.jit(net.apply_with_state)(stacked, X)
        assert_close(found, expected)
        assert_close(dict((stacked | after).unstack(pattern)), dict(values | state))
        assert list(after) == list(stacked.non_trainable)


OPTIONS: dict[str, dict[str, Any]] = {
    "initializer": {"initializer": js.initializers.random_normal(stddev=0.1)},
    "own initializer": {"initializer": jax.random.normal},
    "regularizer": {"regularizer": js.regularizers.l2(0.5)},
    "constraint": {"constraint": square},
    "partitioner": {"partitioner": PartitionSpec("data")},
    "getter": {"custom_getter": doubled},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_inherited_options(options: Any):
    """What a scope hands down reaches each layer."""
    expected = outcome(functools.partial(inherited, unrolled, **options), eagerly=False)
    assert_same(outcome(functools.partial(inherited, js.scan_layers, **options), eagerly=False), expected)


@pytest.mark.parametrize(
    "options",
    [
        {"remat": True},
        {"remat": jax.checkpoint_policies.dots_saveable},
        {"unroll": 2},
        {"unroll": True},
        {"remat": True, "unroll": True},
    ],
    ids=["remat", "remat-by-policy", "unroll", "unroll-all", "remat-unroll-all"],
)
def test_remat_and_unroll(options: Any):
    """Neither changes what comes out, gradients and state included."""

    def program(lift: Lift, x: Any) -> Any:
        with js.random_keys(jax.random.key(0)):
            return lift(lambda x: counting(layer(x)), 3, **options)(x)

    expected = outcome(functools.partial(program, unrolled), eagerly=False)
    assert_same(outcome(functools.partial(program, js.scan_layers), eagerly=False), expected)


def test_remat_keeps_less():
    """With remat, what is inside a layer is no residual of the backward pass."""

    def kept(remat: Any) -> int:
        net = js.transform(js.scan_layers(lambda x: jnp.sin(jnp.sin(jnp.sin(layer(x)))), 4, remat=remat))
        values = net.init(jax.random.key(0), X)
        _, backward = jax.vjp(lambda x: net.apply(values, x), jnp.asarray(X))
        return sum(leaf.size for leaf in jax.tree.leaves(backward))

    assert kept(True) < kept(False)


# --- single layers ----------------------------------------------------------------------------------


def test_freezing():
    """Frozen variables are frozen in each layer, stacked or not."""

    def block(x: Any) -> Any:
        scale = js.get_variable("scale", [3], initializer=js.initializers.ones, trainable=False)
        return layer(x) * scale

    net = js.transform(js.scan_layers(block, 2))
    values = net.init(jax.random.key(0), X)
    assert list(values.non_trainable) == ["layer_0/scale", "layer_1/scale"]
    assert list(values.stack("layer_{}").non_trainable) == ["layer_{}/scale"]
    assert all("scale" not in name for name in values.stack("layer_{}").trainable)


def test_selecting():
    """Selection and specs see single layers, each with its own initial bits."""
    net = js.transform(js.scan_layers(layer, 12))
    specs = net.spec(X)
    assert list(specs.select("layer_1/")) == ["layer_1/w", "layer_1/b"]
    assert len(specs) == 24
    values = net.init(jax.random.key(0), X)
    alone = specs.select("layer_11/").init(jax.random.key(0))
    assert bool((alone["layer_11/w"] == values["layer_11/w"]).all())
    assert not bool((values["layer_0/w"] == values["layer_1/w"]).all())
    names = [name for name in values if name.endswith("/w")]
    assert names == [f"layer_{i}/w" for i in range(12)]


def test_training_stacked():
    """Gradients of stacked variables are the stacked gradients."""
    net = js.transform(js.scan_layers(layer, 3))
    values = net.init(jax.random.key(0), X)
    loss = lambda values: net.apply(values, X).sum()
    expected = jax.jit(jax.grad(loss))(values)
    found = jax.jit(jax.grad(loss))(values.stack("layer_{}"))
    assert_close(dict(found.unstack()), dict(expected))


def test_values_of_another_dtype():
    """Layers take given values as they are, where their requests name no dtype."""
    net = js.transform(js.scan_layers(layer, 2))
    ones = {"layer_{}/w": jnp.ones((2, 3, 3)), "layer_{}/b": jnp.ones((2, 3))}
    half = js.Variables({name: value.astype("bfloat16") for name, value in ones.items()})
    x = jnp.ones(3, "bfloat16")
    loop = js.transform(unrolled(layer, 2))
    assert loop.apply(half.unstack(), x).dtype == jnp.bfloat16
    assert net.apply(half, x).dtype == jnp.bfloat16


@pytest.mark.parametrize("stacked", [True, False])
def test_size_in_depth(stacked: bool):
    """With stacked variables the program is of one size at any depth; single ones are stacked first."""

    def size(length: int) -> int:
        net = js.transform(js.scan_layers(layer, length))
        given = net.init(jax.random.key(0), X)
        given = given.stack("layer_{}") if stacked else given
        return count_equations(jax.make_jaxpr(net.apply)(given, X).jaxpr)

    small, large = size(4), size(64)
    if stacked:
        assert small == large
    else:
        assert large - small <= 4 * 60


def test_traced_once(caplog: pytest.LogCaptureFixture):
    """Python runs the block once in a pass, at any depth."""
    runs = logging.getLogger("test_traced_once")  # a list would be something that changes

    def block(x: Any) -> Any:
        runs.warning("run")
        return layer(x)

    net = js.transform(js.scan_layers(block, 50))
    values = net.init(jax.random.key(0), X).stack("layer_{}")
    assert len(caplog.messages) == 1
    jax.make_jaxpr(net.apply)(values, X)  # the first of its kind is explored
    caplog.clear()
    jax.make_jaxpr(net.apply)(values, X)
    assert len(caplog.messages) == 1


# --- errors -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["layer", "a/layer_{}", "{}_{}", ""])
def test_layer_name(name: str):
    """The name has one place for the number."""
    with pytest.raises(js.errors.InvalidNameError) as caught:
        js.scan_layers(layer, 2, name)
    assert caught.value.code == "layer_name"


@pytest.mark.parametrize("length", [0, -1])
def test_layer_number(length: int):
    """There is at least one layer."""
    with pytest.raises(js.errors.InvalidShapeError) as caught:
        js.scan_layers(layer, length)
    assert caught.value.code == "layer_number"


@pytest.mark.parametrize(
    "block",
    [lambda x: x[:2], lambda x: x.astype("int32"), lambda x: (x, x), lambda x: None],
    ids=["shape", "dtype", "structure", "nothing"],
)
def test_carry(block: Any):
    """A block returns what it takes."""
    with pytest.raises(js.errors.TraceError) as caught:
        js.transform(js.scan_layers(block, 2)).spec(X)
    assert caught.value.code == "carry"
    assert "float32[3]" in str(caught.value)


@pytest.mark.parametrize(
    ("ask", "what"),
    [
        (lambda x: x * js.Variable(np.float32(2)), "js.Variable"),
        (lambda x: x * len(js.get_collection("variables")), "js.get_collection"),
        (lambda x: x * len(js.get_variable_scope().name), "the name of a scope"),
    ],
    ids=["Variable", "collection", "scope"],
)
def test_cannot_lift(ask: Any, what: str):
    """What names relative to a layer cannot say is an error that names it, and its line."""
    with pytest.raises(js.errors.TraceError) as caught:
        js.transform(js.scan_layers(ask, 2)).spec(X)
    assert caught.value.code == "cannot_lift"
    assert what in str(caught.value)
    assert "test_scan_layers.py" in str(caught.value)


def test_computed_initial_values():
    """Layers whose initial values are computed from what they get are made one by one, as in the loop."""

    def block(x: Any) -> Any:
        return x * js.get_variable("w", initializer=x + 1)

    made = js.transform(js.scan_layers(block, 2)).init(jax.random.key(0), jnp.ones(2))
    assert {name: value.tolist() for name, value in made.items()} == {
        "layer_0/w": [2, 2],
        "layer_1/w": [3, 3],
    }


def test_wrong_stack():
    """A stack of another number of layers, or of another shape, is an error that names both."""
    net = js.transform(js.scan_layers(layer, 3))
    for w, b in (((2, 3, 3), (2, 3)), ((3, 3, 4), (3, 3)), ((3, 3), (3,))):
        with pytest.raises(js.errors.ShapeMismatchError) as caught:
            net.apply({"layer_{}/w": jnp.ones(w), "layer_{}/b": jnp.ones(b)}, X)
        given = f"float32[{','.join(map(str, w))}]"
        assert "layer_{}/w" in str(caught.value)
        assert given in str(caught.value)


def test_part_of_a_stack_is_missing():
    """What is not given, neither stacked nor single, is missing."""
    net = js.transform(js.scan_layers(layer, 2))
    with pytest.raises(js.errors.VariableNotFoundError, match="layer_0/b"):
        net.apply({"layer_{}/w": jnp.ones((2, 3, 3))}, X)


def test_mixed():
    """Some stacked and some single is right, too."""
    net = js.transform(js.scan_layers(layer, 2))
    values = net.init(jax.random.key(0), X)
    mixed = values.select(".*/w").stack("layer_{}") | values.select(".*/b")
    assert_close(net.apply(mixed, X), net.apply(values, X))


def test_write_in_transform_inside():
    """A write inside a transform inside the block is an error that says what to do."""

    def block(x: Any) -> Any:
        n = js.get_variable("n", [3], trainable=False)
        jax.jit(lambda x: js.set_variable("n", n + x))(x)
        return x

    with pytest.raises(js.errors.StateError) as caught:
        js.transform(js.scan_layers(block, 2)).spec(X)
    assert caught.value.code == "write_in_block"


def test_write_in_apply():
    """Plain apply writes nothing, by scanned layers neither."""
    net = js.transform(js.scan_layers(counting, 2))
    values = net.init(jax.random.key(0), X)
    for given in (values, values.stack("layer_{}")):
        with pytest.raises(js.errors.StateError, match="apply_with_state"):
            net.apply(given, X)
