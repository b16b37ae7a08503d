"""What NNX, Haiku and Equinox have of their own."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

import jaxscope as js

KEY = jax.random.key(7)


# --- NNX -------------------------------------------------------------------------------------------


def test_nnx_modules_with_values(nnx, x):
    """A module that is there gives its values of now, and stays as it is."""
    linear = nnx.Linear(3, 2, rngs=nnx.Rngs(0))
    net = js.transform(js.interop.nnx(linear, "linear"))
    values = net.init(KEY, x)
    before = linear(x)
    np.testing.assert_array_equal(net.apply(values, x), before)
    moved = jax.tree.map(lambda value: value + 1, values)
    assert (net.apply(moved, x) != before).all()
    np.testing.assert_array_equal(linear(x), before)
    with pytest.raises(TypeError, match="has values"):
        js.interop.nnx(linear, initial=KEY)
    with pytest.raises(TypeError, match=r"nnx\.Rngs"):
        js.interop.nnx(3)


def test_nnx_random_states(nnx, x):
    """They are no variables: a module that keeps its own `rngs` draws with keys of `js.next_key`."""
    layer = js.interop.nnx(lambda rngs: nnx.Dropout(0.5, rngs=rngs))

    @js.transform
    def net(x, key):
        with js.random_keys(key):
            return layer(x), layer(x)

    key = jax.random.key(0)
    assert not net.spec(x, key)
    first, second = net.apply({}, x, key)
    assert (first != second).any()
    np.testing.assert_array_equal(net.apply({}, x, key)[0], first)
    with pytest.raises(js.errors.KeyStreamError):
        net.apply({}, x, None)
    still = js.interop.nnx(lambda rngs: nnx.Dropout(0.5, deterministic=True, rngs=rngs))
    np.testing.assert_array_equal(js.transform(still).apply({}, x), x)


def test_nnx_axes(nnx):
    mesh = jax.make_mesh((1,), ("model",), axis_types=(jax.sharding.AxisType.Auto,))
    init = nnx.with_partitioning(nnx.initializers.lecun_normal(), (None, "model"))
    layer = js.interop.nnx(lambda rngs: nnx.Linear(3, 4, kernel_init=init, rngs=rngs))
    with jax.set_mesh(mesh):
        specs = js.transform(layer).spec(jnp.ones((1, 3)))
    assert specs["kernel"].sharding == P(None, "model")
    assert specs["bias"].sharding is None


def test_nnx_shared_parts(nnx, x):
    """A part that a module has twice is one set of variables, under the first of its paths."""

    class Twice(nnx.Module):
        def __init__(self, rngs):
            self.a = nnx.Linear(3, 3, rngs=rngs)
            self.b = self.a

        def __call__(self, x):
            return self.b(self.a(x))

    net = js.transform(js.interop.nnx(Twice))
    values = net.init(KEY, x)
    assert list(values) == ["a/bias", "a/kernel"]
    np.testing.assert_allclose(net.apply(values, x), x @ values["a/kernel"] @ values["a/kernel"], rtol=1e-5)


def test_nnx_variables_made_in_a_call(nnx, x):
    class Late(nnx.Module):
        def __call__(self, x):
            self.late = nnx.Param(jnp.ones(()))
            return x * self.late[...]

    with pytest.raises(js.errors.StateError) as caught:
        js.transform(js.interop.nnx(lambda rngs: Late())).spec(x)
    assert caught.value.code == "other_state"
    assert caught.value.facts["extra"] == "late"


def test_nnx_methods(nnx, x):
    class Two(nnx.Module):
        def __init__(self, rngs):
            self.linear = nnx.Linear(3, 2, rngs=rngs)

        def encode(self, x):
            return self.linear(x)

    by_name = js.transform(js.interop.nnx(Two, method="encode"))
    by_function = js.transform(js.interop.nnx(Two, method=lambda two, x: two.encode(x)))
    values = by_name.init(KEY, x)
    np.testing.assert_array_equal(by_name.apply(values, x), by_function.apply(values, x))


# --- Equinox ---------------------------------------------------------------------------------------


def test_equinox_modules(eqx, x):
    """What is no array stays in the module: activations, sizes; arrays of integers are not trained."""

    class Model(eqx.Module):
        mlp: eqx.nn.MLP
        table: jax.Array
        scale: float
        half: jax.Array

        def __call__(self, x):
            return self.mlp(x) * self.scale + self.table.sum() + self.half.astype("float32")

    mlp = eqx.nn.MLP(3, 2, width_size=4, depth=1, activation=jnp.tanh, key=KEY)
    model = Model(mlp, jnp.arange(3), 0.5, jnp.ones((), "bfloat16"))
    layer = js.interop.equinox(model, "m")
    net = js.transform(lambda x: jax.vmap(layer)(x))
    values = net.init(jax.random.key(0), x)
    assert list(values.non_trainable) == ["m/table"]
    assert values["m/half"].dtype == jnp.bfloat16
    np.testing.assert_array_equal(net.apply(values, x), jax.vmap(model)(x))
    gradient = jax.grad(lambda v: net.apply(v | values.non_trainable, x).sum())(values.trainable)
    theirs = eqx.filter_grad(lambda model: jax.vmap(model)(x).sum())(model)
    np.testing.assert_allclose(
        gradient["m/mlp/layers/0/weight"], theirs.mlp.layers[0].weight, rtol=1e-5, atol=1e-6
    )


def test_equinox_shared_parts(eqx, x):
    class Tied(eqx.Module):
        shared: eqx.nn.Shared

        def __init__(self, key):
            linears = (eqx.nn.Linear(3, 3, key=key), eqx.nn.Linear(3, 3, key=key))
            self.shared = eqx.nn.Shared(linears, where=lambda two: two[1], get=lambda two: two[0])

        def __call__(self, x):
            first, second = self.shared()
            return second(first(x))

    net = js.transform(js.interop.equinox(Tied))
    assert len(net.spec(x[0])) == 2


def test_equinox_keys_and_state(eqx, x):
    """A call that takes a key gets one; a module that has state needs it, and has to return it."""
    layer = js.interop.equinox(lambda key: eqx.nn.Dropout(0.5))

    @js.transform
    def net(x, key):
        with js.random_keys(key):
            return layer(x)

    key = jax.random.key(0)
    assert (net.apply({}, x, key) == 0).any()
    norm = eqx.nn.BatchNorm(3, "batch", mode="ema")
    with pytest.raises(TypeError, match="make_with_state"):
        js.interop.equinox(norm)
    state = eqx.nn.State(norm)
    lost = js.interop.equinox(norm, state=state, method=lambda norm, x, state: x)
    with pytest.raises(TypeError, match=r"\(result, state\)"):
        js.transform(lost).spec(x)

    class Holds(eqx.Module):
        key: jax.Array

        def __call__(self, x):
            return x

    with pytest.raises(TypeError, match="holds a key"):
        js.transform(js.interop.equinox(Holds)).spec(x)


# --- Haiku -----------------------------------------------------------------------------------------


def test_haiku_names(hk, x):
    """Without the marks that Haiku puts where a method makes a module; where two become one, it is told."""

    class Model(hk.Module):
        def __init__(self):
            super().__init__("model")
            self.made = hk.Linear(2, name="early")

        def __call__(self, x):
            return self.head(self.made(x))

        def head(self, x):
            return hk.Linear(1, name="late")(x)

    layer = js.interop.haiku(lambda x: Model()(x))
    names = ["model/early/b", "model/early/w", "model/head/late/b", "model/head/late/w"]
    assert sorted(js.transform(layer).spec(x)) == names
    params = hk.transform(lambda x: Model()(x)).init(KEY, x)
    assert sorted(params) == ["model/~/early", "model/~head/late"]
    assert list(layer.variables(params)) == names
    table = js.interop.names(layer, x)
    stored = js.Variables.from_nested(params)
    assert sorted(stored.rename(lambda name: next(table[p] for p in table if _matches(p, name)))) == names


def _matches(pattern, name):
    return re.fullmatch(pattern, name)


def test_haiku_two_of_one_name(hk, x):
    def model(x):
        w = hk.get_parameter("w", (), init=jnp.ones)
        return x * w + hk.get_state("w", (), init=jnp.ones)

    with pytest.raises(js.errors.InvalidNameError) as caught:
        js.transform(js.interop.haiku(model)).spec(x)
    assert caught.value.code == "same_name"


def test_haiku_transformed(hk, x):
    """What is transformed already is taken, too."""

    def model(x):
        return hk.Linear(2)(x)

    made = [
        js.transform(js.interop.haiku(one, "m")).init(KEY, x)
        for one in (model, hk.transform(model), hk.transform_with_state(model))
    ]
    for other in made[1:]:
        np.testing.assert_array_equal(other["m/linear/w"], made[0]["m/linear/w"])
    with pytest.raises(TypeError, match="takes a function"):
        js.interop.haiku(3)


@pytest.mark.slow
def test_haiku_resnet50(hk):
    """`hk.nets.ResNet50` on small images: as alone, with its 161 parameters, by one evaluation."""

    def model(images, is_training):
        return hk.nets.ResNet50(5)(images, is_training)

    images = jax.random.normal(KEY, (1, 16, 16, 3))
    there = hk.transform_with_state(model)
    params, state = jax.jit(lambda key: there.init(key, images, True))(KEY)
    layer = js.interop.haiku(there, "net")
    values = layer.variables(params, state)
    net = js.transform(lambda images: layer(images, True))
    specs = net.spec(images)
    assert sorted(specs) == list(values)
    assert len(values.trainable) == len(jax.tree.leaves(params))
    y, after = jax.jit(net.apply_with_state)(values, images)
    expected, now = jax.jit(lambda p, s: there.apply(p, s, None, images, True))(params, state)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)
    for name, value in layer.variables(params, now).non_trainable.items():
        np.testing.assert_allclose(after[name], value, rtol=1e-3, atol=1e-3, err_msg=name)
