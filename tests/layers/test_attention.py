"""Attention: what it computes, what it masks, and that a cache changes nothing."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxscope as js
from jaxscope import layers
from jaxscope.layers.rotary import rotate
from tests.layers.configurations import KEY, example

X = example((2, 6, 8))


def attention(heads=2, **options):
    return js.transform(functools.partial(layers.multi_head_attention, num_heads=heads, **options))


def by_hand(variables, x, heads, kv_heads, seen):
    """Return attention, written out for one head after the other."""
    v = {
        name.removeprefix("multi_head_attention/"): np.asarray(value, float)
        for name, value in variables.items()
    }
    q, k, values = (x @ v[f"{name}/kernel"] + v[f"{name}/bias"] for name in ("query", "key", "value"))
    size = q.shape[-1] // heads
    gathered = []
    for head in range(heads):
        own, served = slice(head * size, (head + 1) * size), head // (heads // kv_heads)
        theirs = slice(served * size, (served + 1) * size)
        logits = q[..., own] @ k[..., theirs].swapaxes(1, 2) / np.sqrt(size)
        logits = np.where(seen, logits, -1e30)
        weights = np.exp(logits - logits.max(-1, keepdims=True))
        gathered.append(weights / weights.sum(-1, keepdims=True) @ values[..., theirs])
    return np.concatenate(gathered, -1) @ v["output/kernel"] + v["output/bias"]


NO_WEIGHTS = [
    f"multi_head_attention/{name}" for name in ("cached_key", "cached_value", "cached_mask", "cache_index")
]


def random_variables(net, x):
    specs = net.spec(x)
    return {
        name: example(spec.shape, spec.dtype) if spec.trainable else np.zeros(spec.shape, spec.dtype)
        for name, spec in specs.items()
    }


@pytest.mark.parametrize("kv_heads", [4, 2, 1])
@pytest.mark.parametrize("causal", [False, True])
def test_by_hand(kv_heads, causal):
    """Each head attends by itself, groups of heads share keys, and a causal one does not look ahead."""
    net = attention(4, kv_heads=kv_heads, causal=causal)
    variables = random_variables(net, X)
    seen = np.tril(np.ones((6, 6), bool)) if causal else np.ones((6, 6), bool)
    np.testing.assert_allclose(net.apply(variables, X), by_hand(variables, X, 4, kv_heads, seen), 1e-4, 1e-5)


def test_masks():
    """A mask of keys, of pairs, and of pairs for each head mean what their shapes say."""
    pad = np.arange(6) < np.array([4, 6])[:, None]
    expected = attention(mask=pad)
    variables = random_variables(expected, X)
    y = expected.apply(variables, X)
    pairs = np.broadcast_to(pad[:, None], (2, 6, 6))
    for mask in (pairs, np.broadcast_to(pairs[:, None], (2, 2, 6, 6))):
        np.testing.assert_allclose(attention(mask=mask).apply(variables, X), y, rtol=1e-5)
    alone = attention().apply(variables, X[:1, :4])
    np.testing.assert_allclose(y[:1, :4], alone, rtol=1e-4, atol=1e-6)


def test_memory():
    """Keys and values may come from elsewhere."""
    net = attention(output_size=3, head_size=5)
    memory = example((2, 4, 7))
    specs = net.spec(X, memory=memory)
    assert {name.split("/", 1)[1]: spec.shape for name, spec in specs.items() if "kernel" in name} == {
        "query/kernel": (8, 10),
        "key/kernel": (7, 10),
        "value/kernel": (7, 10),
        "output/kernel": (10, 3),
    }
    variables = net.init(KEY, X, memory=memory)
    whole = net.apply(variables, X, memory=memory)
    first = net.apply(variables, X[:, :2], memory=memory)
    np.testing.assert_allclose(whole[:, :2], first, rtol=1e-5, atol=1e-6)


@functools.cache
def whole_and_pieces(rotary, kv_heads):
    options = {"rotary": rotary, "kv_heads": kv_heads}
    whole, pieces = attention(causal=True, **options), attention(cache_size=6, **options)
    variables = random_variables(pieces, X[:, :1])
    whole_variables = {name: v for name, v in variables.items() if "cache" not in name}
    step = jax.jit(lambda variables, x, mask: pieces.apply_with_state(variables, x, mask=mask))
    return jax.jit(lambda x, mask: whole.apply(whole_variables, x, mask=mask)), step, variables


@settings(max_examples=12, deadline=None)
@given(
    cuts=st.sampled_from([[6], [1] * 6, [2, 2, 2], [2, 1, 1, 2]]),
    options=st.sampled_from([(None, 2), (100.0, 1)]),
    padding=st.integers(0, 5),
)
def test_cache(cuts, options, padding):
    """A text that is fed in any pieces gives what it gives at once, also where some of it is padding."""
    whole, step, variables = whole_and_pieces(*options)
    mask = np.arange(6) >= np.array([padding, 0])[:, None]
    begin, found = 0, []
    for cut in cuts:
        part = slice(begin, begin + cut)
        y, state = step(variables, X[:, part], mask[:, part])
        variables, begin = {**variables, **state}, begin + cut
        found.append(y)
    found, expected = np.concatenate(found, 1), np.asarray(whole(X, mask))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_gradients_through_a_cache():
    """New positions have the gradients through a cache that they have without one."""
    whole, pieces = attention(causal=True, rotary=100.0), attention(cache_size=6, rotary=100.0)
    variables = js.Variables(random_variables(pieces, X), non_trainable=NO_WEIGHTS)

    def total(net):
        return lambda weights, x: jnp.sum(
            jnp.sin(net.apply_with_state(weights | variables.non_trainable, x)[0])
        )

    found = jax.grad(total(pieces), (0, 1))(variables.trainable, X)
    expected = jax.grad(total(whole), (0, 1))(variables.trainable, X)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), found, expected)


def test_nothing_to_see():
    """A position that sees nothing gathers zeros, in each dtype, and gradients are finite."""
    pad = np.arange(6) >= np.array([3, 0])[:, None]
    for dtype in ("float32", "bfloat16", "float64"):
        with jax.enable_x64(dtype == "float64"):
            x = X.astype(dtype)
            net = attention(causal=True, mask=pad, use_bias=False)
            variables = net.init(KEY, x)
            y, pull = jax.vjp(jax.jit(net.apply), variables, x)
            assert not y[0, :3].any()
            assert (jnp.abs(y[0, 3:]).sum(-1) > 0).all()
            assert jax.tree.all(jax.tree.map(lambda g: np.isfinite(g.astype("float32")).all(), pull(y)))
    nothing = attention(mask=np.zeros((2, 6), bool), use_bias=False)
    assert not nothing.apply(nothing.init(KEY, X), X).any()


@pytest.mark.parametrize("kv_heads", [4, 2])
def test_in_float64(kv_heads):
    """Products, softmax and rotary positions of float64 are exact in it, which JAX's function is not."""
    pad = np.arange(6) < np.array([4, 6])[:, None]
    with jax.enable_x64(True):
        x = X.astype("float64")
        net = attention(4, kv_heads=kv_heads, causal=True, mask=pad)
        variables = random_variables(net, x)
        seen = np.tril(np.ones((6, 6), bool)) & pad[:, None]
        y = net.apply(variables, x)
        np.testing.assert_allclose(y, by_hand(variables, x, 4, kv_heads, seen), rtol=1e-12, atol=1e-12)
        turned = np.asarray(rotate(jnp.asarray(x[..., None, :]), jnp.arange(6), 100.0))
        pair, at = x[:, 5, 1] + 1j * x[:, 5, 5], 5 / 100.0 ** (1 / 4)
        np.testing.assert_allclose(
            turned[:, 5, 0, 1] + 1j * turned[:, 5, 0, 5], pair * np.exp(1j * at), 1e-12
        )


@pytest.mark.parametrize("dtype", ["float64", "bfloat16", "float16"])
def test_cache_in_each_dtype(dtype):
    """In 64 and 16 bits, too, pieces give what the whole gives."""
    close = {"float64": 1e-12, "float16": 5e-3, "bfloat16": 4e-2}[dtype]
    with jax.enable_x64(dtype == "float64"):
        x = X.astype(jnp.dtype(dtype))
        pieces = attention(cache_size=7, rotary=100.0, kv_heads=1)
        variables = random_variables(pieces, x)
        y, state = pieces.apply_with_state(variables, x[:, :4])
        rest, _ = pieces.apply_with_state({**variables, **state}, x[:, 4:])
        weights = {name: v for name, v in variables.items() if "cache" not in name}
        whole = attention(causal=True, rotary=100.0, kv_heads=1).apply(weights, x)
        found = np.concatenate([y, rest], 1).astype(float)
        np.testing.assert_allclose(found, np.asarray(whole).astype(float), rtol=close, atol=close)


def test_cache_of_another_batch():
    """A cache belongs to one batch of texts; another one is told to begin anew."""
    net = attention(cache_size=6)
    with pytest.raises(js.errors.ShapeMismatchError, match="begin with zeros") as caught:
        net.apply_with_state(net.init(KEY, X), X[:1])
    assert caught.value.facts["inputs"] == "float32[1,6,8]"


def test_cache_in_scan_layers():
    """Layers that are scanned have a cache each."""

    def block(x):
        return x + layers.multi_head_attention(x, 2, cache_size=6)

    net = js.transform(js.scan_layers(block, 2))
    variables = net.init(KEY, X[:, :1])
    assert variables["layer_1/multi_head_attention/cached_key"].shape == (2, 6, 2, 4)
    step = jax.jit(net.apply_with_state)
    found = []
    for at in range(6):
        y, state = step(variables, X[:, at : at + 1])
        variables = variables | state
        found.append(y)
    begin = {n: jnp.zeros_like(v) if "cache" in n else v for n, v in variables.items()}
    expected, _ = net.apply_with_state(begin, X)
    np.testing.assert_allclose(np.concatenate(found, 1), expected, rtol=1e-4, atol=1e-5)


def test_full_cache():
    """Past the end of the cache results are NaN, and nothing that looks right."""
    net = attention(cache_size=4)
    variables = net.init(KEY, X[:, :3])
    y, state = net.apply_with_state(variables, X[:, :3])
    assert np.isfinite(y).all()
    y, _ = net.apply_with_state(variables | state, X[:, 3:5])
    assert np.isnan(y).all()


def test_rotary_positions_are_relative():
    """With rotary positions, a shift of all positions changes nothing."""
    net = attention(rotary=100.0)
    variables = random_variables(net, X)
    here = net.apply(variables, X, positions=np.arange(6))
    there = net.apply(variables, X, positions=np.arange(6) + 50)
    np.testing.assert_allclose(here, there, rtol=1e-3, atol=1e-4)
    assert not np.allclose(here, attention().apply(variables, X), atol=1e-2)


def test_rotation_by_hand():
    """The first pair turns by the position itself, and lengths stay."""
    x = example((1, 3, 1, 4))
    y = rotate(jnp.asarray(x), jnp.arange(3), 100.0)
    at = 2
    first, second = x[0, at, 0, 0], x[0, at, 0, 2]
    np.testing.assert_allclose(y[0, at, 0, 0], first * np.cos(at) - second * np.sin(at), rtol=1e-5)
    np.testing.assert_allclose(y[0, at, 0, 2], second * np.cos(at) + first * np.sin(at), rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(y, axis=-1), np.linalg.norm(x, axis=-1), rtol=1e-5)


def test_bias():
    """A bias is added to the logits: one of minus infinity, nearly, is a mask."""
    pad = np.arange(6) < 4
    bias = np.where(pad, 0.0, -1e9).astype("float32")[None, None, None]
    variables = random_variables(attention(), X)
    masked = attention(mask=np.broadcast_to(pad, (2, 6))).apply(variables, X)
    np.testing.assert_allclose(attention(bias=bias).apply(variables, X), masked, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"heads": 3}, "do not divide the features"),
        ({"kv_heads": 2, "heads": 3}, "3 heads of queries and 2 of keys"),
        ({"rotary": 1e4, "head_size": 3}, "heads are of size 3"),
        ({"mask": np.ones(6, bool)}, "mask of shape"),
        ({"mask": np.ones((2, 5), bool)}, r"mask of shape \[2, 5\]"),
        ({"mask": np.ones((2, 3, 6, 6), bool)}, r"mask of shape \[2, 3, 6, 6\]"),
        ({"bias": np.ones((3, 6, 6), "float32")}, r"bias of shape \[3, 6, 6\]"),
        ({"head_size": 0}, "heads of size 0"),
        ({"rotary": 1e4, "positions": np.arange(5)}, r"positions of shape \[5\]"),
        ({"memory": np.ones((1, 6, 8), "float32")}, "memory of shape"),
        ({"cache_size": 4}, "6 new positions and a cache of 4"),
        ({"cache_size": 8, "mask": np.ones((2, 1, 6), bool)}, "has a cache, and a mask of shape"),
    ],
)
def test_shapes_that_cannot_work(options, says):
    """A shape that cannot work is our error: with the input's shape, the scope, and what to write."""
    with pytest.raises(js.errors.InvalidShapeError, match=says) as caught:
        attention(**options).spec(X)
    assert caught.value.facts["inputs"] == "float32[2,6,8]"
    assert "multi_head_attention" in caught.value.facts["scope"]
    assert caught.value.fix


def test_arguments_that_exclude_each_other():
    """A cache is for the inputs' own keys, and positions are for rotary ones."""
    with pytest.raises(ValueError, match="memory or cache_size"):
        attention(cache_size=8, memory=X).spec(X)
    with pytest.raises(ValueError, match="pass rotary"):
        attention(positions=np.arange(6)).spec(X)


def test_cache_is_no_weight():
    """A scope's regularizer has nothing to say about the cache."""

    @js.transform
    def net(x):
        with js.variable_scope("", regularizer=js.regularizers.l2(1.0)):
            layers.multi_head_attention(x, 2, cache_size=6, use_bias=False)
        return len(js.get_collection(js.GraphKeys.REGULARIZATION_LOSSES))

    assert net.apply_with_state(net.init(KEY, X), X)[0] == 4
