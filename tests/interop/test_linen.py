"""What Linen has of its own: transformers, lifted transforms, boxes, collections."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

import jaxscope as js

KEY = jax.random.key(7)


@pytest.fixture(scope="module")
def transformer(nn):
    class Block(nn.Module):
        @nn.compact
        def __call__(self, x, train=False):
            h = nn.LayerNorm()(x)
            h = nn.MultiHeadDotProductAttention(num_heads=2, dropout_rate=0.5, deterministic=not train)(h, h)
            x = x + nn.Dropout(0.5, deterministic=not train)(h)
            return x + nn.Dense(8)(nn.gelu(nn.Dense(16)(nn.LayerNorm()(x))))

    class Transformer(nn.Module):
        @nn.compact
        def __call__(self, tokens, train=False):
            embed = nn.Embed(11, 8, param_dtype=jnp.float32)
            x = embed(tokens)
            for _ in range(2):
                x = nn.remat(Block, static_argnums=2)()(x, train)
            return embed.attend(x)

    return Transformer()


def test_transformer(transformer):
    """Results and gradients as alone, in training with the same key."""
    tokens = jnp.arange(6).reshape(2, 3)
    layer = js.interop.linen(transformer, "gpt")
    own = transformer.init(KEY, tokens)
    values = layer.variables(own)

    @js.transform
    def net(tokens, key):
        with js.random_keys(key):
            return layer(tokens, train=True)

    @js.transform
    def take(key):
        with js.random_keys(key), js.variable_scope("gpt"):
            return js.next_key()

    key = jax.random.key(1)
    inner = take.apply({}, key)

    @jax.jit
    def ours(values):
        return jax.value_and_grad(lambda v: jnp.sin(net.apply(v, tokens, key)).sum())(values)

    @jax.jit
    def theirs(own):
        def loss(own):
            return jnp.sin(transformer.apply(own, tokens, True, rngs={"dropout": inner})).sum()

        return jax.value_and_grad(loss)(own)

    (a, slopes), (b, expected) = ours(values), theirs(own)
    np.testing.assert_allclose(a, b, rtol=1e-5)
    for name, slope in layer.variables(expected).items():
        np.testing.assert_allclose(slopes[name], slope, rtol=1e-4, atol=1e-5, err_msg=name)


def test_blocks(nn):
    """A Linen module as the block of a scan over layers, and of an ensemble: as in the loop."""
    dense = nn.Dense(3)
    x = jnp.ones((2, 3))

    def looped(x):
        for at in range(3):
            with js.variable_scope(f"layer_{at}"):
                x = jnp.tanh(js.interop.linen(dense)(x))
        return x

    def scanned(x):
        return js.scan_layers(lambda x: jnp.tanh(js.interop.linen(dense)(x)), 3, name="layer_{}")(x)

    key = jax.random.key(0)
    loop, scan = js.transform(looped), js.transform(scanned)
    values = loop.init(key, x)
    made = scan.init(key, x)
    assert list(made) == list(values)
    for name, value in made.items():
        np.testing.assert_array_equal(value, values[name])
    np.testing.assert_allclose(scan.apply(made.stack("layer_{}"), x), loop.apply(values, x), rtol=1e-5)
    many = js.transform(js.ensemble(lambda x: js.interop.linen(dense)(x), 2))
    members = many.init(key, x)
    assert (members["member_0/kernel"] != members["member_1/kernel"]).any()
    expected = [x @ members[f"member_{at}/kernel"] for at in range(2)]
    np.testing.assert_allclose(many.apply(members, x), jnp.stack(expected), rtol=1e-6)


def test_lifted_transforms(nn):
    """`nn.scan` stacks parameters by itself; it stays one module's business, state and keys included."""

    class Layer(nn.Module):
        @nn.compact
        def __call__(self, x, _):
            x = nn.BatchNorm(use_running_average=False)(nn.Dense(3)(x))
            return nn.Dropout(0.5, deterministic=False)(x), None

    class Deep(nn.Module):
        @nn.compact
        def __call__(self, x):
            scan = nn.scan(
                Layer,
                variable_axes={"params": 0, "batch_stats": 0},
                split_rngs={"params": True, "dropout": True},
                length=2,
            )
            return scan(name="layers")(x, None)[0]

    layer, x, key = js.interop.linen(Deep()), jax.random.normal(KEY, (4, 3)), jax.random.key(0)
    values = layer.variables(Deep().init({"params": KEY, "dropout": KEY}, x))

    @js.transform
    def net(x, key):
        with js.random_keys(key):
            return layer(x), js.next_key()

    (y, _), state = net.apply_with_state(values, x, key)
    assert {name: value.shape for name, value in state.items()} == {
        "layers/BatchNorm_0/mean": (2, 3),
        "layers/BatchNorm_0/var": (2, 3),
    }
    assert (state["layers/BatchNorm_0/var"] != values["layers/BatchNorm_0/var"]).any()
    again, _ = net.apply_with_state(values, x, jax.random.key(1))
    assert (y != again[0]).any()


def test_boxes(nn):
    """What a module says of its axes is the variable's partitioner; the boxes are gone."""
    init = nn.with_partitioning(nn.initializers.lecun_normal(), (None, "model"))
    layer = js.interop.linen(nn.Dense(4, kernel_init=init), "dense")
    net, x = js.transform(lambda x: layer(x)), jnp.ones((2, 3))
    specs = net.spec(x)
    assert specs["dense/kernel"].sharding == P(None, "model")
    assert specs["dense/bias"].sharding is None
    mesh = jax.make_mesh((1,), ("model",), axis_types=(jax.sharding.AxisType.Auto,))
    assert specs.shardings(mesh)["dense/kernel"].spec == P(None, "model")
    values = layer.variables(nn.Dense(4, kernel_init=init).init(KEY, x))
    assert isinstance(values["dense/kernel"], jax.Array)
    np.testing.assert_array_equal(net.apply(values, x), x @ values["dense/kernel"])


def test_dtypes(nn):
    """Parameters have the dtype that the module stores."""
    layer = js.interop.linen(nn.Dense(4, dtype="bfloat16", param_dtype="float16"))
    net = js.transform(lambda x: layer(x))
    values = net.init(KEY, jnp.ones((2, 3)))
    assert {value.dtype.name for value in values.values()} == {"float16"}
    assert net.apply(values, jnp.ones((2, 3))).dtype == jnp.bfloat16


def test_collections(nn):
    """State of any collection is written; one that a parameter's name is in has its own name in front."""

    class Counter(nn.Module):
        @nn.compact
        def __call__(self, x):
            scale = self.param("n", nn.initializers.ones, ())
            n = self.variable("counts", "n", jnp.zeros, (), "int32")
            if not self.is_initializing():
                n.value += 1
            return scale * x

    layer = js.interop.linen(Counter(), "counter")
    net = js.transform(lambda x: layer(x))
    values = net.init(KEY, 1.0)
    assert list(values) == ["counter/counts/n", "counter/n"]
    assert list(values.non_trainable) == ["counter/counts/n"]
    assert net.apply_with_state(values, 1.0)[1]["counter/counts/n"] == 1
    still = js.interop.linen(Counter(), "counter", mutable=False)
    with pytest.raises(Exception, match="Cannot update variable"):
        js.transform(lambda x: still(x)).apply(values, 1.0)


def test_sown_values(nn):
    """A collection that grows cannot be state; left out of what is written, it costs nothing."""

    class Sows(nn.Module):
        @nn.compact
        def __call__(self, x):
            self.sow("losses", "norm", (x**2).sum())
            return nn.Dense(2)(x)

    x = jnp.ones((1, 3))
    with pytest.raises(js.errors.StateError) as caught:
        js.transform(lambda x: js.interop.linen(Sows())(x)).spec(x)
    assert caught.value.code == "other_state"
    net = js.transform(lambda x: js.interop.linen(Sows(), mutable=["batch_stats"])(x))
    assert [name for name, spec in net.spec(x).items() if spec.trainable] == [
        "Dense_0/bias",
        "Dense_0/kernel",
    ]


def test_initialised_once_for_each_kind_of_call(nn):
    """A module's `init` is traced for new shapes and flags, not for each pass."""
    runs = []

    class Model(nn.Module):
        @nn.compact
        def __call__(self, x, flag=False):
            if self.is_initializing():
                runs.append((x.shape, flag))
            return nn.Dense(2)(x)

    layer = js.interop.linen(Model(), "model")
    net = js.transform(lambda x, flag: layer(x, flag))
    x = jnp.ones((2, 3))
    values = net.init(KEY, x, flag=False)
    for flag in (False, True, 1):
        for _ in range(2):
            net.apply(values, x, flag=flag)
    net.apply(values, x[:1], flag=False)
    assert runs == [((2, 3), False), ((2, 3), True), ((2, 3), 1), ((1, 3), False)]


def test_keys_of_another_kind(nn):
    """Values are drawn with whatever kind of key `init` is given."""
    net = js.transform(lambda x: js.interop.linen(nn.Dense(2))(x))
    x = jnp.ones((1, 3))
    made = [net.init(key, x)["kernel"] for key in (jax.random.key(0, impl="rbg"), jax.random.key(0))]
    assert (made[0] != made[1]).any()
    np.testing.assert_array_equal(made[1], net.init(jax.random.PRNGKey(0), x)["kernel"])
    np.testing.assert_array_equal(jax.jit(net.init)(jax.random.key(0), x)["kernel"], made[1])


def test_values_of_inputs(nn):
    """A parameter that begins with what the inputs say is computed from them; with a key besides, refused."""

    class Centred(nn.Module):
        noise: bool = False

        @nn.compact
        def __call__(self, x):
            def start(key):
                mean = x.mean(0)
                return mean + jax.random.normal(key, mean.shape) if self.noise else mean

            return x - self.param("mean", start)

    x = jnp.arange(6.0).reshape(2, 3)
    net = js.transform(lambda x: js.interop.linen(Centred())(x))
    np.testing.assert_array_equal(net.init(KEY, x)["mean"], x.mean(0))
    with pytest.raises(js.errors.InitializerError) as caught:
        js.transform(lambda x: js.interop.linen(Centred(True))(x)).spec(x)
    assert caught.value.code == "init_of_inputs"
    by_key = js.transform(lambda x: js.interop.linen(Centred(True), initial=KEY)(x))
    expected = Centred(True).init(KEY, x)["params"]["mean"]
    np.testing.assert_allclose(by_key.init(jax.random.key(0), x)["mean"], expected, rtol=1e-6)


def test_getters(nn):
    """Getters see a module's requests like any others."""
    layer = js.interop.linen(nn.Dense(2), "dense")

    @js.transform
    def net(x):
        with js.variable_scope("net", custom_getter=js.getters.cast("bfloat16")):
            return layer(x)

    x = jnp.ones((1, 3))
    values = net.init(KEY, x)
    assert {value.dtype.name for value in values.values()} == {"float32"}
    expected = x @ values["net/dense/kernel"].astype("bfloat16").astype("float32")
    np.testing.assert_allclose(net.apply(values, x), expected, rtol=1e-2)


def test_what_is_no_module(nn):
    with pytest.raises(TypeError, match=r"flax\.linen"):
        js.interop.linen(lambda x: x)
    with pytest.raises(TypeError, match="not bound"):
        js.interop.linen(nn.Dense(2).bind({}))
    with pytest.raises(TypeError, match="one dict"):
        js.interop.linen(nn.Dense(2)).variables({}, {})
