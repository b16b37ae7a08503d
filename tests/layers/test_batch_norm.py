"""Batch normalization: its steps inside depth, ensembles and transforms, and over named axes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

import jaxscope as js
from jaxscope import layers
from tests.layers.configurations import KEY, example

TRAIN = functools.partial(layers.batch_normalization, training=True, updates_collection=None)
X = example((6, 4))


def looped(x):
    for index in range(3):
        with js.variable_scope(f"layer_{index}"):
            x = x + TRAIN(jnp.sin(x))
    return x


def steps(net, x):
    variables = js.transform(looped).init(KEY, x)
    return js.transform(net).apply_with_state(variables, x)


def same(found, expected, atol=1e-6):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=atol), found, expected)


def test_scan_layers():
    """Inside `scan_layers` each layer takes its own step, as in a loop."""
    y, state = steps(js.scan_layers(lambda x: x + TRAIN(jnp.sin(x)), 3), X)
    expected_y, expected_state = steps(looped, X)
    same((y, dict(state)), (expected_y, dict(expected_state)))


def test_scan_layers_collects():
    """The steps of layers that are scanned are collected, stacked."""

    @js.transform
    def net(x):
        y = js.scan_layers(functools.partial(layers.batch_normalization, training=True), 3)(x)
        return y, js.get_collection(js.GraphKeys.UPDATE_OPS)

    (_, updates), _ = net.apply_with_state(net.init(KEY, X), X)
    assert [update.shape for update in updates] == [(3, 4), (3, 4)]


def half_of(x):
    with js.random_keys(KEY):
        return TRAIN(layers.dropout(x, training=True))


@pytest.mark.parametrize("block", [TRAIN, half_of])
@pytest.mark.parametrize("times", [1, 3])
def test_remat(block, times):
    """Inside `js.remat`, scanned or alone, steps, values and gradients are those without it."""

    def total(net, weights, state, x):
        y, state = net.apply_with_state(weights | state, x)
        return jnp.sum(jnp.sin(y)), state

    def of(wrapped):
        def net(x):
            return js.scan_layers(wrapped, times)(x) if times > 1 else wrapped(x)

        return js.transform(net)

    variables = of(block).init(KEY, X)
    results = [
        jax.jit(jax.grad(functools.partial(total, of(one)), (0, 2), has_aux=True))(
            variables.trainable, variables.non_trainable, X
        )
        for one in (js.remat(block), block)
    ]
    (grads, state), (expected, expected_state) = results
    same(grads, expected, atol=1e-5)
    same(dict(state), dict(expected_state))
    assert not any(np.array_equal(state[name], variables[name]) for name in state)


def test_ensemble():
    """Inside `ensemble` each member takes its own step, as the members do one by one."""
    net = js.transform(js.ensemble(TRAIN, 3, in_axes=0))
    x = example((3, 6, 4))
    variables = net.init(KEY, x)
    y, state = net.apply_with_state(variables, x)
    alone = js.transform(TRAIN)
    for index in range(3):
        own = {name.removeprefix(f"member_{index}/"): value for name, value in variables.items()}
        own = {name: value for name, value in own.items() if not name.startswith("member")}
        expected_y, expected_state = alone.apply_with_state(own, x[index])
        same(y[index], expected_y)
        same({name: state[f"member_{index}/{name}"] for name in expected_state}, dict(expected_state))


@pytest.mark.parametrize(
    "wrap", [jax.jit, lambda f: lambda x: jax.lax.scan(lambda x, _: (f(x), None), x, None, 2)[0]]
)
def test_inner_traces(wrap):
    """Steps inside a `jax.jit` or a `lax.scan` are those outside of it."""

    def shared(x):
        with js.variable_scope("", reuse=js.AUTO_REUSE):
            return x + TRAIN(x, name="bn")

    times = 1 if wrap is jax.jit else 2

    def by_hand(x):
        for _ in range(times):
            x = shared(x)
        return x

    net, expected = js.transform(wrap(shared)), js.transform(by_hand)
    variables = expected.init(KEY, X)
    found = net.apply_with_state(variables, X)
    plain = expected.apply_with_state(variables, X)
    same((found[0], dict(found[1])), (plain[0], dict(plain[1])))


def test_named_axis_of_vmap():
    """With `axis_name`, parts of a batch along an axis of vmap are normalized as the whole batch is."""
    x = example((3, 4, 2, 2, 5))
    net = js.transform(functools.partial(TRAIN, axis_name="parts"))
    whole = js.transform(TRAIN)
    merged = x.reshape(12, 2, 2, 5)
    variables = whole.init(KEY, merged)
    y, state = jax.vmap(net.apply_with_state, (None, 0), (0, None), axis_name="parts")(variables, x)
    expected_y, expected_state = whole.apply_with_state(variables, merged)
    same(y.reshape(merged.shape), expected_y)
    same(dict(state), dict(expected_state))

    def loss(net, variables, x):
        return jnp.sum(jnp.sin(net.apply_with_state(variables, x)[0]))

    parts = jax.vmap(jax.grad(functools.partial(loss, net)), (None, 0), axis_name="parts")(variables, x)
    expected = jax.grad(functools.partial(loss, whole))(variables, merged)
    name = "batch_normalization/gamma"
    same(parts[name].sum(0), expected[name], atol=1e-4)


def test_named_axis_of_shard_map():
    """`axis_name` may be an axis of `jax.shard_map` around `apply_with_state`."""
    mesh = jax.make_mesh((1,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    net, whole = js.transform(functools.partial(TRAIN, axis_name="data")), js.transform(TRAIN)
    variables = whole.init(KEY, X)
    step = jax.shard_map(
        net.apply_with_state,
        mesh=mesh,
        in_specs=(P(), P("data")),
        out_specs=(P("data"), P()),
        check_vma=False,
    )
    found, expected = jax.jit(step)(variables, X), whole.apply_with_state(variables, X)
    same((found[0], dict(found[1])), (expected[0], dict(expected[1])))


def test_later_calls_see_the_step():
    """A call in inference that comes after one in training uses the averages after its step."""

    @js.transform
    def net(x):
        layers.batch_normalization(x, training=True, momentum=0.0, name="bn")
        return layers.batch_normalization(x, name="bn", reuse=True)

    y, _ = net.apply_with_state(net.init(KEY, X), X)
    np.testing.assert_allclose(y.mean(0), np.zeros(4), atol=1e-6)


def test_plain_apply_refuses_a_step():
    """`apply` writes nothing, so that in training it is an error that names `apply_with_state`."""
    net = js.transform(TRAIN)
    with pytest.raises(js.errors.StateError, match="apply_with_state"):
        net.apply(net.init(KEY, X), X)


def test_traced_training():
    """`training` decides what is computed: traced, it is an error that says so."""
    net = js.transform(lambda x, training: layers.batch_normalization(x, training=training))
    variables = net.init(KEY, X, False)
    with pytest.raises(js.errors.TraceError, match="static_argnames"):
        jax.jit(net.apply)(variables, X, True)


def half(getter, name, **kwargs):
    """Store in float32 whatever is asked for, and give it in bfloat16."""
    return getter(name, **{**kwargs, "dtype": "float32"}).astype("bfloat16")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_getters_that_round(dtype):
    """A getter that rounds what it gives does not round the state: many small steps add up."""

    def net(x, training):
        with js.variable_scope("", custom_getter=half):
            return layers.batch_normalization(x, training=training, momentum=0.999)

    net = js.transform(net)
    x = example((64, 4), dtype) + jnp.ones([], dtype)
    variables = net.init(KEY, x, False)
    assert {str(value.dtype) for value in variables.values()} == {"float32"}
    step = jax.jit(lambda v: net.apply_with_state(v, x, True)[1])
    state = variables
    for _ in range(50):
        state = variables | step(state)
    expected = x.astype("float32").mean(0) * (1 - 0.999**50)
    np.testing.assert_allclose(state["batch_normalization/moving_mean"], expected, rtol=1e-3)
    assert net.apply(state, x, False).dtype == x.dtype


def test_wide_variables_of_narrow_input():
    """Sums over a batch of 16 bits are taken in float32, in variables and in between."""
    x = (example((4096, 2)) + 8).astype("float16")
    net = js.transform(TRAIN)
    y, state = net.apply_with_state(net.init(KEY, x), x)
    assert {str(value.dtype) for value in state.values()} == {"float32"}
    np.testing.assert_allclose(y.astype("float32").std(0), 1, rtol=1e-2)
