"""The tables "Same word, other meaning" of `docs/how_to/from_*.md`: each row, run on both sides."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxscope as js

KEY = jax.random.key(11)
TALL = jax.random.normal(jax.random.key(1), (2, 3, 4)) * 0.01  # so small that an epsilon shows
IMAGES = jax.random.normal(jax.random.key(2), (1, 5, 5, 2))
ROWS = jax.random.normal(jax.random.key(3), (6, 4)) * 0.05 + 3


def run(f, *args, variables=None):
    """Return what a function of `js.layers` gives, with its own variables where none are given."""
    net = js.transform(f)
    return net.apply(net.init(KEY, *args) if variables is None else variables, *args)


def begins(f, *args, of):
    return js.transform(f).init(KEY, *args)[of]


def alike(a, b):
    np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6)


def differ(a, b):
    a, b = np.asarray(a), np.asarray(b)
    assert a.shape != b.shape or not np.allclose(a, b, rtol=1e-3, atol=1e-3)


def as_wide(a, b):
    """Compare the widths of two samples, and how far they reach."""
    a, b = np.asarray(a), np.asarray(b)
    assert a.size >= 8192
    assert b.size >= 8192
    np.testing.assert_allclose(a.std(), b.std(), rtol=0.05)
    np.testing.assert_allclose(a.mean() / a.std(), b.mean() / b.std(), atol=0.05)
    np.testing.assert_allclose(abs(a).max(), abs(b).max(), rtol=0.25)


def drawn(initializer, shape=(128, 128)):
    return initializer(KEY, shape, jnp.float32)


def layer_norm(theirs, epsilon):
    """Theirs is over the last axis; TF1's default is 1, all axes but the first."""
    alike(theirs, run(lambda x: js.layers.layer_norm(x, begin_norm_axis=-1, epsilon=epsilon), TALL))
    differ(theirs, run(lambda x: js.layers.layer_norm(x, begin_norm_axis=1, epsilon=epsilon), TALL))
    differ(theirs, run(lambda x: js.layers.layer_norm(x, begin_norm_axis=-1), TALL))  # the epsilon


def initializers(normal, truncated, uniform):
    """What theirs make of one number, ours make of `stddev=` and of two bounds."""
    as_wide(drawn(normal(0.02)), drawn(js.initializers.random_normal(stddev=0.02)))
    as_wide(drawn(truncated(0.02)), drawn(js.initializers.truncated_normal(stddev=0.02)))
    as_wide(drawn(uniform(0.05)), drawn(js.initializers.random_uniform(0, 0.05)))
    for wrong in (js.initializers.random_normal(0.02), js.initializers.truncated_normal(0.02)):
        assert float(drawn(wrong).std()) > 0.8
    assert float(drawn(js.initializers.random_uniform(0.05)).max()) > 0.9


def lstm(theirs, kernel, bias, forget_bias):
    """One step with the same weights, in the order i, j, f, o, and the same forget bias."""
    x, c, h = (jax.random.normal(key, (2, 4)) for key in jax.random.split(KEY, 3))
    variables = {"basic_lstm_cell/kernel": kernel, "basic_lstm_cell/bias": bias}

    def step(x, c, h, forget_bias=forget_bias):
        return js.layers.basic_lstm(x, js.layers.LSTMStateTuple(c, h), 4, forget_bias=forget_bias)[0]

    alike(theirs(x, c, h), run(step, x, c, h, variables=variables))
    differ(theirs(x, c, h), run(lambda *a: step(*a, 1 - forget_bias), x, c, h, variables=variables))


def test_jax_scaling_initializers():
    """Those that scale by fans have JAX's names and meaning."""
    theirs, ours = jax.nn.initializers, js.initializers
    for name in (f"{who}_{law}" for who in ("lecun", "he", "glorot") for law in ("normal", "uniform")):
        for shape in ((128, 64), (3, 3, 32, 64)):
            as_wide(drawn(getattr(theirs, name)(), shape), drawn(getattr(ours, name)(), shape))


# --- Flax ------------------------------------------------------------------------------------------


@pytest.fixture(params=["linen", "nnx"])
def flax_layer(request):
    """Return what makes a layer, by its name in Linen, of Linen or NNX, and gives it and its parameters."""
    library = request.getfixturevalue("nn" if request.param == "linen" else "nnx")

    def make(name, *sizes, x, **kwargs):
        if request.param == "linen":
            module = getattr(library, name)(*sizes, **kwargs)
            values = module.init(KEY, x)
            return (lambda x: module.apply(values, x)), values.get("params", {})
        name = {"Dense": "Linear"}.get(name, name)
        into = () if name == "Embed" else (x.shape[-1],)
        module = getattr(library, name)(*into, *sizes, **kwargs, rngs=library.Rngs(0))
        there = [name for name in ("kernel", "embedding") if hasattr(module, name)]
        return module, {name: getattr(module, name)[...] for name in there}

    return make


def test_flax_norms(flax_layer):
    layer_norm(flax_layer("LayerNorm", x=TALL)[0](TALL), 1e-6)
    alike(flax_layer("RMSNorm", x=TALL)[0](TALL), run(js.layers.rms_norm, TALL))
    groups = {"num_groups": 2}
    alike(flax_layer("GroupNorm", x=TALL, **groups)[0](TALL), run(lambda x: js.layers.group_norm(x, 2), TALL))


def test_flax_kernels(flax_layer):
    """Lecun normal there, Glorot uniform here."""
    x, lecun = jnp.ones([1, 64]), js.initializers.lecun_normal()
    theirs = flax_layer("Dense", 256, x=x)[1]["kernel"]
    ours = begins(lambda x: js.layers.dense(x, 256, kernel_initializer=lecun), x, of="dense/kernel")
    as_wide(theirs, ours)
    assert theirs.std() > 1.3 * begins(lambda x: js.layers.dense(x, 256), x, of="dense/kernel").std()
    images = jnp.ones([1, 4, 4, 32])
    theirs = flax_layer("Conv", 64, (3, 3), x=images)[1]["kernel"]
    conv = js.layers.conv2d
    as_wide(theirs, begins(lambda x: conv(x, 64, 3, kernel_initializer=lecun), images, of="conv2d/kernel"))
    ids = jnp.zeros([1], int)
    normal = js.initializers.random_normal(stddev=64**-0.5)
    theirs = flax_layer("Embed", 256, 64, x=ids)[1]["embedding"]
    table = "embedding/embeddings"
    as_wide(theirs, begins(lambda i: js.layers.embedding(i, 256, 64, initializer=normal), ids, of=table))
    assert theirs.std() > 1.3 * begins(lambda i: js.layers.embedding(i, 256, 64), ids, of=table).std()


def test_flax_windows(nn, flax_layer):
    """Convolutions pad there, and pools move by one."""
    theirs = flax_layer("Conv", 3, (3, 3), x=IMAGES)[0](IMAGES)
    assert theirs.shape == run(lambda x: js.layers.conv2d(x, 3, 3, padding="same"), IMAGES).shape
    assert run(lambda x: js.layers.conv2d(x, 3, 3), IMAGES).shape == (1, 3, 3, 3)
    alike(nn.max_pool(IMAGES, (2, 2)), run(lambda x: js.layers.max_pooling2d(x, 2, 1), IMAGES))
    with pytest.raises(TypeError, match="strides"):
        run(lambda x: js.layers.max_pooling2d(x, 2), IMAGES)


def trained(**kwargs):
    """Return the results of a batch normalization here, and its new averages."""
    net = js.transform(lambda x: js.layers.batch_normalization(x, **kwargs))
    return net.apply_with_state(net.init(KEY, ROWS), ROWS)


def batch_norm(expected, **kwargs):
    """Theirs has another epsilon, and is said to be in training."""
    np.testing.assert_allclose(expected, trained(training=True, epsilon=1e-5, **kwargs)[0], rtol=1e-3)
    differ(expected, trained(training=True, **kwargs)[0])
    differ(expected, trained(epsilon=1e-5, **kwargs)[0])


def test_linen_batch_norm(nn):
    """The momentum is the part that is kept, and the same, in both; the epsilons are 1e-5 and 1e-3."""
    module = nn.BatchNorm(use_running_average=False)
    y, state = module.apply(module.init(KEY, ROWS), ROWS, mutable=["batch_stats"])
    batch_norm(y)
    alike(state["batch_stats"]["mean"], trained(training=True)[1]["batch_normalization/moving_mean"])


def test_nnx_batch_norm(nnx):
    """As Linen's; and in training, where nothing is said."""
    module = nnx.BatchNorm(4, rngs=nnx.Rngs(0))
    batch_norm(module(ROWS))
    alike(module.mean[...], trained(training=True)[1]["batch_normalization/moving_mean"])


def _ours_drops(rate, **kwargs):
    @js.transform
    def net(x):
        with js.random_keys(jax.random.key(0)):
            return js.layers.dropout(x, rate, **kwargs)

    return net.apply({}, jnp.ones([4000]))


def test_flax_dropout(nn):
    """The rate is what is dropped, in both; without `training=True` nothing is."""
    theirs = nn.Dropout(0.2, deterministic=False).apply({}, jnp.ones([4000]), rngs={"dropout": KEY})
    for dropped in (theirs, _ours_drops(0.2, training=True)):
        assert abs(float((dropped == 0).mean()) - 0.2) < 0.03
    assert (_ours_drops(0.2) == 1).all()


def test_nnx_dropout(nnx):
    """NNX drops, where nothing is said."""
    assert (nnx.Dropout(0.2, rngs=nnx.Rngs(0))(jnp.ones([4000])) == 0).any()


def test_flax_initializers(nn):
    own = nn.initializers
    initializers(own.normal, own.truncated_normal, own.uniform)


def test_linen_lstm(nn):
    """No bias is added to the forget gate, there."""
    cell = nn.LSTMCell(4)
    values = cell.init(KEY, (jnp.ones([2, 4]), jnp.ones([2, 4])), jnp.ones([2, 4]))
    p = values["params"]
    kernel = jnp.concatenate(
        [jnp.concatenate([p[f"{part}{gate}"]["kernel"] for gate in "igfo"], 1) for part in "ih"]
    )
    bias = jnp.concatenate([p[f"h{gate}"]["bias"] for gate in "igfo"])
    lstm(lambda x, c, h: cell.apply(values, (c, h), x)[1], kernel, bias, 0.0)


def test_linen_attention(nn):
    """`qkv_features` is the size of all heads together, `head_size` that of one."""
    x = jnp.ones([1, 3, 8])
    kernel = nn.MultiHeadDotProductAttention(2, qkv_features=6).init(KEY, x)["params"]["query"]["kernel"]
    spec = js.transform(lambda x: js.layers.multi_head_attention(x, 2, head_size=3)).spec(x)
    assert kernel.shape == (8, 2, 3)
    assert spec["multi_head_attention/query/kernel"].shape == (8, 6)


# --- Haiku -----------------------------------------------------------------------------------------


def haiku_run(hk, f, *args):
    net = hk.transform(f)
    values = net.init(KEY, *args)
    return net.apply(values, KEY, *args), values


def test_haiku_norms(hk):
    layer_norm(haiku_run(hk, lambda x: hk.LayerNorm(-1, True, True)(x), TALL)[0], 1e-5)
    theirs = haiku_run(hk, lambda x: hk.RMSNorm(-1)(x), TALL)[0]
    alike(theirs, run(lambda x: js.layers.rms_norm(x, epsilon=1e-5), TALL))
    differ(theirs, run(js.layers.rms_norm, TALL))
    theirs = haiku_run(hk, lambda x: hk.GroupNorm(2)(x), TALL)[0]
    alike(theirs, run(lambda x: js.layers.group_norm(x, 2, epsilon=1e-5), TALL))
    differ(theirs, run(lambda x: js.layers.group_norm(x, 2), TALL))


def test_haiku_initializers(hk):
    def uniform(top):
        return hk.initializers.RandomUniform(0, top)

    def as_ours(make):
        return lambda width: lambda key, shape, dtype: haiku_run(hk, lambda: make(width)(shape, dtype))[0]

    own = hk.initializers
    initializers(as_ours(own.RandomNormal), as_ours(own.TruncatedNormal), as_ours(uniform))


def test_haiku_kernels(hk):
    """Truncated normal of 1 / sqrt(in), a convolution's of 1 / sqrt(window * in), an embedding's of 1."""
    x, cut = jnp.ones([1, 64]), js.initializers.truncated_normal
    theirs = haiku_run(hk, lambda x: hk.Linear(256)(x), x)[1]["linear"]["w"]
    dense, law = js.layers.dense, cut(stddev=64**-0.5)
    as_wide(theirs, begins(lambda x: dense(x, 256, kernel_initializer=law), x, of="dense/kernel"))
    assert theirs.std() > 1.2 * begins(lambda x: dense(x, 256), x, of="dense/kernel").std()
    images, conv = jnp.ones([1, 4, 4, 32]), js.layers.conv2d
    theirs = haiku_run(hk, lambda x: hk.Conv2D(64, 3)(x), images)[1]["conv2_d"]["w"]
    law = cut(stddev=(9 * 32) ** -0.5)
    as_wide(theirs, begins(lambda x: conv(x, 64, 3, kernel_initializer=law), images, of="conv2d/kernel"))
    ids, table = jnp.zeros([1], int), "embedding/embeddings"
    theirs = haiku_run(hk, lambda i: hk.Embed(256, 64)(i), ids)[1]["embed"]["embeddings"]
    as_wide(theirs, begins(lambda i: js.layers.embedding(i, 256, 64, initializer=cut()), ids, of=table))
    assert theirs.std() > 5 * begins(lambda i: js.layers.embedding(i, 256, 64), ids, of=table).std()


def test_haiku_windows(hk):
    theirs = haiku_run(hk, lambda x: hk.Conv2D(3, 3)(x), IMAGES)[0]
    assert theirs.shape == run(lambda x: js.layers.conv2d(x, 3, 3, padding="same"), IMAGES).shape
    assert run(lambda x: js.layers.conv2d(x, 3, 3), IMAGES).shape == (1, 3, 3, 3)


def test_haiku_batch_norm(hk):
    """`decay_rate` is `momentum`; theirs takes the bias of a young average away, ours keeps it."""
    net = hk.transform_with_state(lambda x: hk.BatchNorm(True, True, 0.9)(x, is_training=True))
    params, state = net.init(KEY, ROWS)
    expected, state = net.apply(params, state, KEY, ROWS)
    batch_norm(expected, momentum=0.9)
    theirs, ours = state["batch_norm/~/mean_ema"], trained(momentum=0.9, training=True)[1]
    alike(theirs["average"][0], ROWS.mean(0))
    alike(theirs["hidden"][0], ours["batch_normalization/moving_mean"])


def test_haiku_dropout(hk):
    """The rate comes before the input there."""
    theirs = hk.dropout(KEY, 0.2, jnp.ones([4000]))
    for dropped in (theirs, _ours_drops(0.2, training=True)):
        assert abs(float((dropped == 0).mean()) - 0.2) < 0.03


def test_haiku_lstm(hk):
    """The gates lie i, g, f, o, and 1 is added to the forget gate, as here."""

    def step(x, c, h):
        return hk.LSTM(4)(x, hk.LSTMState(h, c))[0]

    net = hk.without_apply_rng(hk.transform(step))
    values = net.init(KEY, *[jnp.ones([2, 4])] * 3)
    own = values["lstm/linear"]
    lstm(lambda *args: net.apply(values, *args), own["w"], own["b"], 1.0)


# --- Equinox ---------------------------------------------------------------------------------------


def test_equinox_norms(eqx):
    layer_norm(jax.vmap(jax.vmap(eqx.nn.LayerNorm(4)))(TALL), 1e-5)
    rms = jax.vmap(jax.vmap(eqx.nn.RMSNorm(4)))(TALL)
    alike(rms, run(lambda x: js.layers.rms_norm(x, epsilon=1e-5), TALL))
    differ(rms, run(js.layers.rms_norm, TALL))
    assert eqx.nn.RMSNorm(4).bias is not None
    assert list(js.transform(js.layers.rms_norm).spec(TALL)) == ["RMSNorm/scale"]


def test_equinox_kernels(eqx):
    """Kernels and biases are uniform within 1 / sqrt(in) there; an embedding is normal, of 1."""
    x, near = jnp.ones([1, 64]), 64**-0.5
    law = js.initializers.random_uniform(-near, near)
    theirs = eqx.nn.Linear(64, 8192, key=KEY)

    def dense(x):
        return js.layers.dense(x, 8192, kernel_initializer=law, bias_initializer=law)

    as_wide(theirs.weight, begins(dense, x, of="dense/kernel"))
    as_wide(theirs.bias, begins(dense, x, of="dense/bias"))
    assert not begins(lambda x: js.layers.dense(x, 8), x, of="dense/bias").any()
    theirs = eqx.nn.Embedding(256, 64, key=KEY).weight
    as_wide(theirs, drawn(js.initializers.random_normal(), (256, 64)))
    ids = jnp.zeros([1], int)
    ours = begins(lambda i: js.layers.embedding(i, 256, 64), ids, of="embedding/embeddings")
    assert theirs.std() > 5 * ours.std()


def test_equinox_windows(eqx):
    """Channels come first there; neither pads; a pool moves by one there."""
    theirs = eqx.nn.Conv2d(2, 3, 3, key=KEY)
    assert theirs.weight.shape == (3, 2, 3, 3)
    kernel, bias = theirs.weight.transpose(2, 3, 1, 0), theirs.bias[:, 0, 0]
    variables = {"conv2d/kernel": kernel, "conv2d/bias": bias}
    expected = theirs(IMAGES[0].transpose(2, 0, 1)).transpose(1, 2, 0)
    alike(expected, run(lambda x: js.layers.conv2d(x, 3, 3), IMAGES, variables=variables)[0])
    pooled = eqx.nn.MaxPool2d(2)(IMAGES[0].transpose(2, 0, 1)).transpose(1, 2, 0)
    alike(pooled, run(lambda x: js.layers.max_pooling2d(x, 2, 1), IMAGES)[0])


def equinox_batch_norm(eqx, *batches, **kwargs):
    """Return what the last of some batches becomes, and the module and its state after it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of theirs, about a mode
        module = eqx.nn.BatchNorm(4, "batch", **kwargs)
    result, state = None, eqx.nn.State(module)
    mapped = jax.vmap(module, axis_name="batch", in_axes=(0, None), out_axes=(0, None))
    for batch in batches:
        result, state = mapped(batch, state)
    return result, module, state


def test_equinox_batch_norm(eqx):
    """The momentum is the part that is kept, in both; `mode="batch"` is ours, but for the epsilon."""
    expected, module, state = equinox_batch_norm(eqx, ROWS, mode="batch")
    batch_norm(expected)
    ours = trained(training=True)[1]["batch_normalization/moving_mean"]
    alike(state.get(module.batch_state_index)[0], ours)


def test_equinox_batch_norm_by_averages(eqx):
    """In the mode that it has where nothing is said, training takes the averages, not the batch's mean."""
    own, _, _ = equinox_batch_norm(eqx, ROWS + 5, ROWS, mode="batch")
    np.testing.assert_allclose(own.mean(0), 0, atol=1e-3)
    by_averages, _, _ = equinox_batch_norm(eqx, ROWS + 5, ROWS)
    assert (abs(by_averages.mean(0)) > 1).all()


def test_equinox_dropout(eqx):
    """`p` is what is dropped, and it is dropped where nothing is said."""
    theirs = eqx.nn.Dropout(0.2)(jnp.ones([4000]), key=KEY)
    assert abs(float((theirs == 0).mean()) - 0.2) < 0.03
    assert (_ours_drops(0.2) == 1).all()


def test_equinox_lstm(eqx):
    """The gates lie i, f, g, o there, and nothing is added to the forget gate."""
    cell = eqx.nn.LSTMCell(4, 4, key=KEY)

    def moved(weight):
        i, f, g, o = jnp.split(weight, 4)
        return jnp.concatenate([i, g, f, o]).T

    kernel = jnp.concatenate([moved(cell.weight_ih), moved(cell.weight_hh)])
    lstm(lambda x, c, h: jax.vmap(cell)(x, (h, c))[0], kernel, moved(cell.bias), 0.0)


def test_equinox_attention(eqx):
    """It has biases only here, where nothing is said."""
    assert eqx.nn.MultiheadAttention(2, 8, key=KEY).query_proj.bias is None
    spec = js.transform(lambda x: js.layers.multi_head_attention(x, 2)).spec(jnp.ones([1, 3, 8]))
    assert "multi_head_attention/query/bias" in spec
