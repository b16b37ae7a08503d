"""A net as a module of the other libraries: the same results, state, keys and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxscope as js

KEY = jax.random.key(7)


@js.transform
def net(x, train=False):
    with js.variable_scope("body"):
        x = js.layers.dense(x, 4, name="first")
        x = js.layers.batch_normalization(x, training=train)
    if train:
        x = js.layers.dropout(x, 0.5, training=True)
    return js.layers.dense(x, 2)


NAMES = [f"body/{name}" for name in ("batch_normalization/beta", "batch_normalization/gamma")]
NAMES += ["body/first/bias", "body/first/kernel"]


def test_linen(x):
    module = js.interop.as_linen(net)
    values = module.init(KEY, x)
    params, state = (js.Variables.from_nested(values[one]) for one in ("params", "state"))
    assert list(params) == [*NAMES, "dense/bias", "dense/kernel"]
    variables = js.Variables({**params, **state}, non_trainable=list(state))
    np.testing.assert_array_equal(module.apply(values, x), net.apply(variables, x))
    y, after = module.apply(values, x, train=True, mutable=["state"], rngs={"dropout": KEY})
    assert (y == 0).sum() < y.size
    moved = js.Variables.from_nested(after["state"])
    assert list(moved) == list(state)
    assert all((moved[name] != state[name]).any() for name in moved)
    with pytest.raises(js.errors.StateError) as error:
        module.apply(values, x, train=True, rngs={"dropout": KEY})
    assert any("mutable=['state']" in note for note in error.value.__notes__)
    with pytest.raises(js.errors.KeyStreamError):
        module.apply(values, x, train=True, mutable=["state"])
    loss = jax.jit(lambda params: module.apply({**values, "params": params}, x).sum())
    gradients = js.Variables.from_nested(jax.grad(loss)(values["params"]))
    expected = jax.grad(lambda v: net.apply(v | variables.non_trainable, x).sum())(variables.trainable)
    for name, gradient in expected.items():
        np.testing.assert_allclose(gradients[name], gradient, rtol=1e-5, atol=1e-6)


def test_linen_inside_of_linen(nn, x):
    """As a part of a Linen module, under `nn.remat` too; initialised abstractly."""

    class Outer(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = js.interop.as_linen(net, "inner")(x)
            return nn.Dense(1)(x)

    shapes = jax.eval_shape(Outer().init, KEY, x)
    values = Outer().init(KEY, x)
    assert jax.tree.map(jnp.shape, values) == jax.tree.map(lambda s: s.shape, shapes)
    assert set(values["params"]) == {"inner", "Dense_0"}
    remat = nn.remat(Outer)()
    np.testing.assert_allclose(remat.apply(values, x), Outer().apply(values, x), rtol=1e-6)


def test_linen_lifted(nn, x):
    """Linen's transforms of modules see a module: an axis for each member, and keys of its own."""
    members = nn.vmap(
        lambda module, x: module(x),
        variable_axes={"params": 0, "state": 0},
        split_rngs={"params": True},
        in_axes=None,
        axis_size=3,
    )

    class Outer(nn.Module):
        @nn.compact
        def __call__(self, x):
            return members(js.interop.as_linen(net, name="inner"), x)

    values = Outer().init(KEY, x)
    kernels = values["params"]["inner"]["dense"]["kernel"]
    assert kernels.shape == (3, 4, 2)
    assert (kernels[0] != kernels[1]).any()
    assert Outer().apply(values, x).shape == (3, 5, 2)


def test_there_and_back(nn, x):
    """A Linen module as a layer of a net that is a Linen module again."""
    layer = js.interop.linen(nn.Dense(2), "dense")
    module = js.interop.as_linen(js.transform(lambda x: layer(x)))
    values = module.init(KEY, x)
    kernel = values["params"]["dense"]["kernel"]
    np.testing.assert_allclose(module.apply(values, x), x @ kernel, rtol=1e-5)


def test_nnx(nnx, x):
    module = js.interop.as_nnx(net, x, rngs=nnx.Rngs(0))
    values = {name: one[...] for name, one in module.variables.items()}
    assert sorted(name for name, one in module.variables.items() if isinstance(one, nnx.Param)) == sorted(
        [*NAMES, "dense/bias", "dense/kernel"]
    )
    np.testing.assert_array_equal(module(x), net.apply(values, x))

    @nnx.jit
    def step(module, x, key):
        def loss(module):
            return (module(x, train=True, rngs=nnx.Rngs(key)) ** 2).sum()

        return nnx.grad(loss)(module)

    alone = js.interop.as_nnx(net, x, rngs=nnx.Rngs(params=0))  # without a stream for dropout
    np.testing.assert_array_equal(alone(x), module(x))
    with pytest.raises(js.errors.KeyStreamError):
        alone(x, train=True, rngs=nnx.Rngs(params=0))
    before = module.variables["body/batch_normalization/moving_mean"][...]
    gradients = step(module, x, KEY)
    assert (module.variables["body/batch_normalization/moving_mean"][...] != before).any()
    assert len(jax.tree.leaves(gradients)) == 6


def test_equinox(eqx, x):
    values = net.init(KEY, x)
    module, state = js.interop.as_equinox(net, values)
    y, same = module(x, state=state)
    np.testing.assert_array_equal(y, net.apply(values, x))

    @eqx.filter_jit
    def step(module, state, key):
        def loss(module):
            y, after = module(x, state=state, train=True, key=key)
            return (y**2).sum(), after

        return eqx.filter_grad(loss, has_aux=True)(module)

    gradients, after = step(module, same, KEY)
    assert list(gradients.variables) == list(values.trainable)
    moved = after.get(module.others)
    assert all((moved[name] != values[name]).any() for name in values.non_trainable)
    given = {"dense/kernel": jnp.ones((3, 2)), "dense/bias": jnp.zeros(2)}
    plain, nothing = js.interop.as_equinox(lambda x: js.layers.dense(x, 2), given)
    np.testing.assert_allclose(plain(x, state=nothing)[0], x @ jnp.ones((3, 2)), rtol=1e-5)


def test_haiku(hk, x):
    there = hk.transform_with_state(lambda x, train=False: js.interop.as_haiku(net, "net")(x, train=train))
    params, state = there.init(KEY, x)
    assert sorted(params["net"]) == [*NAMES, "dense/bias", "dense/kernel"]
    values = js.Variables({**params["net"], **state["net"]}, non_trainable=list(state["net"]))
    y, same = there.apply(params, state, None, x)
    np.testing.assert_array_equal(y, net.apply(values, x))
    assert all((same["net"][name] == value).all() for name, value in state["net"].items())
    _, after = there.apply(params, state, KEY, x, train=True)
    assert all((after["net"][name] != value).any() for name, value in state["net"].items())


@pytest.mark.parametrize("function", ["as_linen", "as_haiku", "as_nnx", "as_equinox"])
def test_what_is_no_net(function, nn, nnx, hk, eqx):
    extra = {"as_nnx": {"rngs": nnx.Rngs(0)}, "as_equinox": {"variables": {}}}.get(function, {})
    with pytest.raises(TypeError, match="a net is"):
        getattr(js.interop, function)(3, **extra)
